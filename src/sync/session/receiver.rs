//! The Backup's side of a connection.

use std::collections::BTreeMap;

mod event;
mod place;
mod transfers;

pub use event::{ReceiverAction, ReceiverEvent};
use place::Place;
use transfers::Incoming;

use super::listing;
use super::run::Obeyed;
use super::setup::{self, Own, Standing};
use super::status::CategoryStatus;
use super::status::Reason;
use super::{Moment, SILENCE_MAX};
use crate::blocks::Question;
use crate::category_id::CategoryId;
use crate::entry::Roots;
use crate::frame::{Capped, Held, Hello, Look, Message, Text, TransferId, parts};
use crate::lineage::{Epoch, NodeId};

/// The machine.
#[derive(Debug)]
pub struct Receiver {
    me: NodeId,
    version: String,
    standing: Standing,
    /// The highest epoch seen, from whomever.
    max_epoch: Epoch,
    /// The session's, once it is known.
    epoch: Option<Epoch>,
    places: Vec<Place>,
    /// The Active's order of categories, as places here.
    order: Vec<Option<usize>>,
    transfers: BTreeMap<TransferId, Incoming>,
    /// Both run the same version of the program.
    same_version: bool,
    obeyed: Obeyed,
    heard_at: Moment,
    connected_at: Moment,
    closed: bool,
    out: Vec<ReceiverAction>,
}

impl Receiver {
    /// Somebody connected, and proved to be the peer.
    pub fn new(now: Moment, version: &str, me: NodeId, standing: Standing, own: Vec<Own>) -> Self {
        let committed = own.iter().filter_map(|own| own.lineage.newest());
        let max_epoch = committed.map(|record| record.epoch).max();
        let mut receiver = Self {
            me,
            version: version.to_owned(),
            standing,
            max_epoch: max_epoch.unwrap_or_default(),
            epoch: None,
            places: own.into_iter().map(Place::new).collect(),
            order: Vec::new(),
            transfers: BTreeMap::new(),
            same_version: false,
            obeyed: Obeyed::default(),
            heard_at: now,
            connected_at: now,
            closed: false,
            out: Vec::new(),
        };
        receiver.stand(standing);
        receiver
    }

    /// What to do, in order; empty when nothing is left.
    pub fn poll_actions(&mut self) -> Vec<ReceiverAction> {
        std::mem::take(&mut self.out)
    }

    /// Something happened.
    pub fn handle(&mut self, now: Moment, event: ReceiverEvent) {
        if self.closed {
            return;
        }
        match event {
            ReceiverEvent::Received(message) => {
                self.heard_at = now;
                if let Err(what) = self.received(now, message) {
                    self.close(format!("the peer broke the protocol: {what}"));
                }
            }
            ReceiverEvent::Scanned { category, local } => {
                if let Some(place) = self
                    .places
                    .iter_mut()
                    .find(|place| place.own.id == category)
                {
                    place.own.local = local;
                }
            }
            ReceiverEvent::Looked { round } => self.answer(round),
            ReceiverEvent::Opened { transfer, missing } => self.opened(transfer, missing),
            ReceiverEvent::Hashed {
                transfer,
                content,
                hashes,
            } => self.hashed(transfer, content, hashes),
            ReceiverEvent::Stored { transfer, complete } => self.stored(transfer, complete),
            ReceiverEvent::Prepared { transfer, outcome } => self.prepared(transfer, outcome),
            ReceiverEvent::Committed { transfer, outcome } => self.committed(transfer, outcome),
            ReceiverEvent::Ran { run, outcome } => {
                self.obeyed.ended();
                self.send(Message::Ran { run, outcome });
            }
            ReceiverEvent::TakenUp { category, failed } => self.taken_up(&category, failed),
            ReceiverEvent::Standing(standing) => self.stand(standing),
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Moment) {
        if !self.closed && now >= self.poll_timeout() {
            self.close("the peer went silent".to_owned());
        }
    }

    /// When it wants to be told that time passed.
    pub fn poll_timeout(&self) -> Moment {
        self.heard_at.saturating_add(SILENCE_MAX)
    }

    /// How every category is.
    pub fn status(&self, now: Moment) -> Vec<CategoryStatus> {
        self.places
            .iter()
            .enumerate()
            .map(|(at, place)| {
                let moving = self.transfers.values().any(|transfer| transfer.place == at);
                place.status(now, self.connected_at, moving)
            })
            .collect()
    }

    /// Whether it has hung up.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    fn send(&mut self, message: Message) {
        self.out.push(ReceiverAction::Send(message));
    }

    /// A promotion voids everything under way, whatever was promised.
    fn stand(&mut self, standing: Standing) {
        self.standing = standing;
        match standing {
            Standing::Backup { epoch } => {
                self.max_epoch = self.max_epoch.max(epoch);
                if let Some(session) = self.epoch.filter(|session| *session < self.max_epoch) {
                    let newest = self.max_epoch;
                    self.close(format!(
                        "epoch {} is over: {} is known here",
                        session.0, newest.0
                    ));
                }
            }
            Standing::Active { .. } => self.close("this node is Active itself".to_owned()),
            Standing::Unknown => self.close("this node does not know its role".to_owned()),
        }
    }

    fn close(&mut self, reason: String) {
        for transfer in std::mem::take(&mut self.transfers).into_keys() {
            self.out.push(ReceiverAction::Discard { transfer });
        }
        self.closed = true;
        let text = Text::new(&reason);
        self.send(Message::Bye { reason: text });
        self.out.push(ReceiverAction::Close(reason));
    }

    fn received(&mut self, now: Moment, message: Message) -> Result<(), &'static str> {
        match message {
            Message::Hello(hello) if self.epoch.is_none() => self.greet(now, &hello),
            Message::Bye { reason } => self.close(format!("the peer hung up: {reason}")),
            _ if self.epoch.is_none() => return Err("no hello"),
            Message::Check { round, look, roots } => return self.check(now, round, look, &roots),
            Message::Behind { category, for_ms } => {
                let place = self.place(&category).ok_or("an unknown category")?;
                self.places[place].behind(now, for_ms);
            }
            Message::AskLineage { category } => return self.tell_lineage(category),
            Message::AskDirectories { category, dirs } => {
                let place = self.place(&category).ok_or("an unknown category")?;
                let told = match &self.places[place].own.local {
                    Some(local) => listing::answers(&category, local, &dirs),
                    None => return Err("a listing before there was anything to list"),
                };
                told.into_iter().for_each(|message| self.send(message));
            }
            Message::Stage(stage) => return self.stage(stage),
            Message::Changes { transfer, changes } => {
                return self.changed(transfer, changes.into_inner());
            }
            Message::Content(content) => return self.content(content),
            Message::Base {
                transfer,
                content,
                base,
                runs,
            } => return self.rebase(transfer, content, base, runs.into_inner()),
            Message::AskBlocks {
                transfer,
                content,
                base,
                level,
                groups,
            } => {
                let groups = groups.into_inner();
                return self.ask_blocks(transfer, content, base, Question { level, groups });
            }
            Message::Commit { transfer, epoch } => return self.commit(transfer, epoch),
            Message::Run { run, epoch, name } => {
                let ordered = self.obeyed.ordered(epoch, self.epoch, self.same_version);
                match ordered {
                    Ok(()) => self.out.push(ReceiverAction::Run { run, epoch, name }),
                    Err(why) => {
                        let outcome = Err(why);
                        self.send(Message::Ran { run, outcome });
                    }
                }
            }
            Message::Abort { transfer } => self.discard(transfer),
            _ => return Err("a message that only the Backup may send"),
        }
        Ok(())
    }

    fn place(&self, id: &CategoryId) -> Option<usize> {
        self.places.iter().position(|place| place.own.id == *id)
    }

    fn greet(&mut self, now: Moment, hello: &Hello) {
        let own: Vec<Own> = self.places.iter().map(|place| place.own.clone()).collect();
        let answer = setup::hello(&self.version, self.me, self.max_epoch, &own);
        self.send(Message::Hello(answer));
        if hello.node == self.me {
            return self
                .close("the peer says that it is this node; give them different sides".to_owned());
        }
        if hello.epoch < self.max_epoch {
            let (theirs, newest) = (hello.epoch.0, self.max_epoch.0);
            return self.close(format!("epoch {theirs} is over: {newest} is known here"));
        }
        self.max_epoch = hello.epoch;
        self.epoch = Some(hello.epoch);
        self.order = hello
            .categories
            .iter()
            .map(|offer| self.place(&offer.id))
            .collect();
        let same_version = hello.version == Text::new(&self.version);
        self.same_version = same_version;
        for place in &mut self.places {
            let offer = hello
                .categories
                .iter()
                .find(|offer| offer.id == place.own.id);
            place.barred = match offer {
                _ if !same_version => Some(Reason::VersionMismatch),
                Some(offer) if offer.policy == place.own.policy_hash => None,
                _ => Some(Reason::PolicyMismatch),
            };
            if let Some(held) = offer.and_then(|offer| offer.held) {
                place.told(now, held.roots);
            }
        }
        for place in 0..self.places.len() {
            if self.places[place].not_taken_up.is_some() {
                self.tell_taken_up(place);
            }
        }
    }

    fn taken_up(&mut self, category: &CategoryId, failed: Option<String>) {
        let Some(place) = self.place(category) else {
            return;
        };
        let news = self.places[place].not_taken_up != failed;
        self.places[place].not_taken_up = failed;
        if news && self.epoch.is_some() {
            self.tell_taken_up(place);
        }
    }

    fn tell_taken_up(&mut self, place: usize) {
        let place = &self.places[place];
        if place.barred.is_none() {
            let category = place.own.id.clone();
            let failed = place.not_taken_up.as_ref().map(Text::new);
            self.send(Message::TakenUp { category, failed });
        }
    }

    fn check(
        &mut self,
        now: Moment,
        round: u32,
        look: Look,
        roots: &[(u8, Roots)],
    ) -> Result<(), &'static str> {
        for (at, roots) in roots {
            let place = self
                .order
                .get(usize::from(*at))
                .ok_or("an unknown category")?;
            if let Some(place) = place {
                self.places[*place].told(now, *roots);
            }
        }
        if look == Look::Known {
            self.answer(round);
        } else {
            self.out.push(ReceiverAction::Scan { round, look });
        }
        Ok(())
    }

    fn answer(&mut self, round: u32) {
        let held = self.order.iter().zip(0_u8..).map(|(place, at)| {
            let held = place.and_then(|place| self.places[place].own.held());
            (at, held)
        });
        let held: Capped<(u8, Option<Held>), { crate::frame::CATEGORIES_MAX }> = Capped::new(held);
        self.send(Message::Checked { round, held });
    }

    fn tell_lineage(&mut self, category: CategoryId) -> Result<(), &'static str> {
        let place = self.place(&category).ok_or("an unknown category")?;
        let records = self.places[place].own.lineage.iter().copied();
        let mut told = parts(records).into_iter().peekable();
        while let Some(records) = told.next() {
            self.send(Message::Lineage {
                category: category.clone(),
                records,
                last: told.peek().is_none(),
            });
        }
        Ok(())
    }
}
