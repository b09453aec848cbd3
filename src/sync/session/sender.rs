//! The Active's side of a connection.

use std::collections::BTreeMap;

mod event;

pub use event::{SenderAction, SenderEvent, Wanted};

use super::run::Ordered;
use super::setup::{self, Own};
use super::status::{CategoryStatus, Reason};
use super::track::{Common, Track};
use super::{CHECK_EVERY, Moment, SILENCE_MAX};
use crate::category_id::CategoryId;
use crate::entry::Roots;
use crate::frame::{Capped, Held, Hello, Look, Message, Refusal, Text, TransferId};
use crate::lineage::{Epoch, NodeId};

/// The machine.
#[derive(Debug)]
pub struct Sender {
    me: NodeId,
    common: Common,
    version: String,
    tracks: Vec<Track>,
    greeted: bool,
    closed: bool,
    next_transfer: TransferId,
    rounds: BTreeMap<u32, Moment>,
    round: u32,
    next_check: Moment,
    heard_at: Moment,
    connected_at: Moment,
    /// Both run the same version of the program.
    same_version: bool,
    ordered: Ordered,
    /// The last thorough question, and whether it was answered.
    thorough: Option<(u32, bool)>,
    out: Vec<SenderAction>,
}

/// Unanswered questions remembered; more are the silence of a dead peer.
const ROUNDS_MAX: usize = 64;

impl Sender {
    /// A connection was made, under this epoch.
    pub fn new(now: Moment, version: &str, me: NodeId, epoch: Epoch, own: Vec<Own>) -> Self {
        let hello = setup::hello(version, me, epoch, &own);
        Self {
            me,
            common: Common { epoch },
            version: version.to_owned(),
            tracks: own.into_iter().map(Track::new).collect(),
            greeted: false,
            closed: false,
            next_transfer: 0,
            rounds: BTreeMap::new(),
            round: 0,
            next_check: now.saturating_add(CHECK_EVERY),
            heard_at: now,
            connected_at: now,
            same_version: false,
            ordered: Ordered::default(),
            thorough: None,
            out: vec![SenderAction::Send(Message::Hello(hello))],
        }
    }

    /// What to do, in order; empty when nothing is left.
    pub fn poll_actions(&mut self) -> Vec<SenderAction> {
        std::mem::take(&mut self.out)
    }

    /// Something happened.
    pub fn handle(&mut self, now: Moment, event: SenderEvent) {
        if self.closed {
            return;
        }
        match event {
            SenderEvent::Received(message) => {
                self.heard_at = now;
                if let Err(what) = self.received(now, message) {
                    self.close(format!("the peer broke the protocol: {what}"));
                }
            }
            SenderEvent::Scanned {
                category,
                local,
                lineage,
            } => {
                if let Some(track) = self.track(&category) {
                    track.scanned(now, local, lineage);
                }
            }
            SenderEvent::Unseen { category } => {
                if let Some(track) = self.track(&category) {
                    track.own.local = None;
                }
            }
            SenderEvent::Sent { transfer, bytes } => {
                if let Some(track) = self.carrying(transfer) {
                    track.sent(now, transfer, bytes);
                }
            }
            SenderEvent::Unreadable { transfer } => self.abort(now, transfer),
            SenderEvent::Wanted { category, meant } => {
                let chosen =
                    |track: &&mut Track| category.as_ref().is_none_or(|id| *id == track.own.id);
                self.tracks
                    .iter_mut()
                    .filter(chosen)
                    .for_each(|track| track.wanted(meant));
                self.check(now, Look::Known);
            }
            SenderEvent::Verify(look) => self.check(now, look),
            SenderEvent::Diff(category) => {
                if let Some(track) = self.track(&category) {
                    track.asked_what_differs();
                }
            }
            SenderEvent::Run { run, name } => {
                let epoch = self.common.epoch;
                let said = self.ordered.order(run, epoch, &name, self.same_version);
                self.out.push(said);
            }
            SenderEvent::Demoted => self.close("this node is no longer Active".to_owned()),
        }
        self.step(now);
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Moment) {
        if self.closed {
            return;
        }
        if now.saturating_sub(self.heard_at) >= SILENCE_MAX {
            return self.close("the peer went silent".to_owned());
        }
        let stalled: Vec<TransferId> = self.tracks.iter().filter_map(|t| t.stalled(now)).collect();
        for transfer in stalled {
            self.abort(now, transfer);
        }
        if self.greeted && now >= self.next_check {
            self.check(now, Look::Known);
        }
        self.step(now);
    }

    /// When it wants to be told that time passed.
    pub fn poll_timeout(&self, now: Moment) -> Moment {
        let silence = self.heard_at.saturating_add(SILENCE_MAX);
        let check = if self.greeted {
            self.next_check
        } else {
            silence
        };
        let tracks = self.tracks.iter().filter_map(|track| track.deadline(now));
        tracks.chain([silence, check]).min().unwrap_or(silence)
    }

    /// How every category is.
    pub fn status(&self, now: Moment) -> Vec<CategoryStatus> {
        let one = |track: &Track| track.status(now, self.connected_at);
        self.tracks.iter().map(one).collect()
    }

    /// Whether the last [`SenderEvent::Verify`] was answered: the peer has looked.
    pub fn is_verified(&self) -> bool {
        self.thorough.is_some_and(|(_, answered)| answered)
    }

    /// Whether it has hung up.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    fn track(&mut self, id: &CategoryId) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.own.id == *id)
    }

    fn carrying(&mut self, transfer: TransferId) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.carries(transfer))
    }

    fn step(&mut self, now: Moment) {
        if !self.greeted || self.closed {
            return;
        }
        for track in &mut self.tracks {
            track.step(now, self.common, &mut self.next_transfer, &mut self.out);
        }
    }

    fn received(&mut self, now: Moment, message: Message) -> Result<(), &'static str> {
        match message {
            Message::Hello(hello) if !self.greeted => {
                self.greet(now, &hello);
                Ok(())
            }
            Message::Bye { reason } => {
                self.close(format!("the peer hung up: {reason}"));
                Ok(())
            }
            _ if !self.greeted => Err("no hello"),
            Message::Checked { round, held } => self.checked(round, held.into_inner()),
            Message::Lineage {
                category,
                records,
                last,
            } => {
                let (common, mut ids, mut out) = self.lend();
                let track = self.track(&category).ok_or("an unknown category")?;
                let told = (records.into_inner(), last);
                let outcome = track.lineage_told(now, common, &mut ids, told, &mut out);
                self.take_back(ids, out);
                outcome
            }
            Message::Directory {
                category,
                dir,
                children,
                last,
            } => {
                let (common, mut ids, mut out) = self.lend();
                let track = self.track(&category).ok_or("an unknown category")?;
                let told = (dir, children.into_inner(), last);
                let outcome = track.listed(now, common, &mut ids, told, &mut out);
                self.take_back(ids, out);
                outcome
            }
            Message::Ran { run, outcome } => {
                self.ordered.ended(run)?;
                self.out.push(SenderAction::Ran { run, outcome });
                Ok(())
            }
            Message::TakenUp { category, failed } => {
                let track = self.track(&category).ok_or("an unknown category")?;
                track.taken_up(failed.map(|why| why.to_string()));
                Ok(())
            }
            Message::Need { transfer, .. }
            | Message::Blocks { transfer, .. }
            | Message::Prepared { transfer }
            | Message::Done { transfer, .. }
            | Message::Refused { transfer, .. } => self.about_transfer(now, transfer, message),
            _ => Err("a message that only the Active may send"),
        }
    }

    fn lend(&mut self) -> (Common, TransferId, Vec<SenderAction>) {
        (
            self.common,
            self.next_transfer,
            std::mem::take(&mut self.out),
        )
    }

    fn take_back(&mut self, ids: TransferId, out: Vec<SenderAction>) {
        self.next_transfer = ids;
        self.out = out;
    }

    fn about_transfer(
        &mut self,
        now: Moment,
        transfer: TransferId,
        message: Message,
    ) -> Result<(), &'static str> {
        let (common, next_round) = (self.common, self.round.saturating_add(1));
        let mut out = Vec::new();
        // An answer to a transfer that was given up is no mistake.
        let Some(track) = self.carrying(transfer) else {
            return Ok(());
        };
        let mut outcome = Ok(());
        let mut demoted = None;
        match message {
            Message::Need { contents, last, .. } => {
                let told = (contents.into_inner(), last);
                outcome = track.needed(now, transfer, told, &mut out);
            }
            Message::Blocks {
                content, hashes, ..
            } => {
                track.moved(now, transfer);
                out.push(SenderAction::Hashes {
                    transfer,
                    content,
                    hashes: hashes.into_inner(),
                });
            }
            Message::Prepared { .. } => track.prepared(now, common, transfer, &mut out),
            Message::Done { roots, .. } => {
                let newest = None;
                track.done(now, transfer, Held { roots, newest }, next_round);
            }
            Message::Refused { refusal, .. } => {
                out.push(SenderAction::StopSending { transfer });
                track.refused(now, transfer, &refusal);
                self.next_check = now;
                demoted = matches!(refusal, Refusal::StaleEpoch(_)).then_some(refusal);
            }
            _ => {}
        }
        self.out.append(&mut out);
        if let Some(refusal) = demoted {
            self.close(refusal.to_string());
        }
        outcome
    }

    fn greet(&mut self, now: Moment, hello: &Hello) {
        self.greeted = true;
        if hello.node == self.me {
            return self
                .close("the peer says that it is this node; give them different sides".to_owned());
        }
        if hello.epoch > self.common.epoch {
            return self.close(format!(
                "the peer knows epoch {}, newer than {}: this node is no longer Active",
                hello.epoch.0, self.common.epoch.0
            ));
        }
        let same_version = hello.version == Text::new(&self.version);
        self.same_version = same_version;
        for track in &mut self.tracks {
            let theirs = hello
                .categories
                .iter()
                .find(|offer| offer.id == track.own.id);
            match theirs {
                _ if !same_version => track.bar(Reason::VersionMismatch),
                Some(offer) if offer.policy == track.own.policy_hash => {
                    track.peer_holds(0, now, offer.held);
                }
                _ => track.bar(Reason::PolicyMismatch),
            }
        }
    }

    fn check(&mut self, now: Moment, look: Look) {
        self.next_check = now.saturating_add(CHECK_EVERY);
        self.round = self.round.saturating_add(1);
        self.rounds.insert(self.round, now);
        while self.rounds.len() > ROUNDS_MAX {
            self.rounds.pop_first();
        }
        let known = self.tracks.iter().zip(0_u8..).filter_map(|(track, at)| {
            let roots: Roots = track.own.local.as_ref()?.roots;
            Some((at, roots))
        });
        let roots = Capped::new(known);
        let round = self.round;
        if look > Look::Known {
            self.thorough = Some((self.round, false));
        }
        self.out
            .push(SenderAction::Send(Message::Check { round, look, roots }));
    }

    fn checked(&mut self, round: u32, held: Vec<(u8, Option<Held>)>) -> Result<(), &'static str> {
        let asked_at = self
            .rounds
            .remove(&round)
            .ok_or("an answer to no question")?;
        for (at, held) in held {
            let track = self
                .tracks
                .get_mut(usize::from(at))
                .ok_or("an unknown category")?;
            track.peer_holds(round, asked_at, held);
        }
        if let Some((_, answered)) = self.thorough.as_mut().filter(|(asked, _)| *asked == round) {
            *answered = true;
        }
        Ok(())
    }

    fn abort(&mut self, now: Moment, transfer: TransferId) {
        if let Some(track) = self.carrying(transfer) {
            track.give_up(now);
            self.out.push(SenderAction::StopSending { transfer });
            self.out
                .push(SenderAction::Send(Message::Abort { transfer }));
        }
    }

    fn close(&mut self, reason: String) {
        self.closed = true;
        let text = Text::new(&reason);
        self.out
            .push(SenderAction::Send(Message::Bye { reason: text }));
        self.out.push(SenderAction::Close(reason));
    }
}
