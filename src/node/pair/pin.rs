//! Pinning: both nodes agree that nothing moves by itself, until a person ends it.
//!
//! The Active asks in a numbered round. The Backup saves its promise not to claim by itself, and only then says so;
//! only then is the Active freed from its lease, and fences nobody. To end it the Active saves that it ends, binds
//! itself, and then releases the promise; a promise ends by its own round and by no other. What if one dies here? The
//! promise and its end are saved before they are told. A promise is no proof: a person's word claims as ever.

use serde::{Deserialize, Serialize};

use super::Pair;
use super::refusal::Refusal;
use crate::node::action::Action;
use crate::node::event::Actor;
use crate::node::outbox::Outbox;
use crate::node::record::{Fact, Level};
use crate::node::time::Instant;
use crate::wire::{Message, Pin, PinRound, Role};

/// A promise between the two, as one of them remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// There is none.
    #[default]
    None,
    /// This node promised not to claim by itself.
    Given {
        /// In this round.
        round: u64,
    },
    /// The peer promised, and had saved it.
    Had {
        /// In this round.
        round: u64,
    },
    /// The peer promised, or may have, and is to be released.
    Ending {
        /// From this round.
        round: u64,
    },
}

impl Promise {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::None
    }

    fn is_given(self) -> bool {
        matches!(self, Self::Given { .. })
    }
}

/// What of it is under way; none of it survives.
#[derive(Debug, Clone, Default)]
pub(super) struct Pinning {
    asking: Option<Asking>,
    order: Option<Order>,
    /// The peer waits to hear that our promise is saved.
    owes_promise: bool,
    /// The peer waits to hear that our promise of this round has ended.
    owes_end: Option<u64>,
    again_at: Option<Instant>,
    had_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Asking {
    round: u64,
    until: Instant,
    /// A promise nobody here knows of is made anew only to be ended.
    only_to_end: bool,
}

/// A person waits.
#[derive(Debug, Clone, Copy)]
struct Order {
    request: u64,
    on: bool,
    until: Instant,
}

impl Pair {
    /// Neither takes over from the other by itself, as far as this node knows.
    pub(super) fn pinned(&self) -> bool {
        let saved = self.ledger.saved().promise;
        matches!(saved, Promise::Given { .. } | Promise::Had { .. })
    }

    /// The peer's promise stands: nobody needs the end of our right.
    pub(super) fn has_promise(&self) -> bool {
        let (saved, wanted) = (self.ledger.saved().promise, self.ledger.wanted().promise);
        saved == wanted && matches!(saved, Promise::Had { .. })
    }

    /// We promised, or are about to have.
    pub(super) fn has_promised(&self) -> bool {
        self.ledger.wanted().promise.is_given()
    }

    /// A person wants it pinned, or not any more. Answered when both nodes have saved it.
    pub(super) fn order_pin(
        &mut self,
        now: Instant,
        request: u64,
        actor: &Actor,
        (on, reason): (bool, String),
        out: &mut Outbox,
    ) -> Result<(), String> {
        let promise = self.ledger.wanted().promise;
        if on != promise.is_none() {
            let answer = Ok(if on { "pinned already" } else { "not pinned" }.to_owned());
            out.push(Action::Reply { request, answer });
            return Ok(());
        }
        if let Some(why) = self.speaks_against_pin(now, on) {
            return Err(why.to_owned());
        }
        let mode = if on { "pin ordered" } else { "unpin ordered" }.to_owned();
        let by = actor.name.clone();
        out.record(now, Level::Info, Fact::ModeChanged { mode, by, reason });
        let until = now + self.policy.timing.give_up_after;
        self.pinning.order = Some(Order { request, on, until });
        if let Promise::Had { round } | Promise::Ending { round } = promise {
            self.end_promise(round);
        } else {
            self.ask_promise(now, false);
        }
        Ok(())
    }

    fn speaks_against_pin(&self, now: Instant, on: bool) -> Option<&'static str> {
        if self.pinning.order.is_some() {
            return Some("an order to pin, or not to, is under way");
        }
        if self.has_promised() {
            return Some(
                "the other node has this one's promise: ask it; if it is dead, see confirm-peer-dead",
            );
        }
        if !self.talking(now) {
            return Some("the peer is not heard both ways: it could not be told");
        }
        if on && self.active.is_none() {
            return Some(
                "this node does not serve: ask the Active, to which the other one promises",
            );
        }
        let stands = self.peer.role() == Some(Role::Backup) && self.agrees();
        if on && (!stands || self.switchover.is_some()) {
            return Some("there is no Backup that could promise now");
        }
        None
    }

    fn ask_promise(&mut self, now: Instant, only_to_end: bool) {
        let round = self.ledger.wanted().pin_rounds + 1;
        self.ledger.change(|memory| memory.pin_rounds = round);
        self.pinning.again_at = None;
        self.pinning.asking = Some(Asking {
            round,
            until: now + self.policy.timing.give_up_after,
            only_to_end,
        });
    }

    fn end_promise(&mut self, round: u64) {
        self.pinning.again_at = None;
        self.ledger
            .change(|memory| memory.promise = Promise::Ending { round });
    }

    /// The peer says something of a round.
    pub(super) fn heard_pin(&mut self, now: Instant, pin: Pin) {
        let round = pin.round;
        let promise = self.ledger.wanted().promise;
        match pin.word {
            PinRound::Ask => self.asked_to_promise(now, round),
            PinRound::Promised => {
                let Some(asking) = self.pinning.asking.take_if(|it| it.round == round) else {
                    return;
                };
                if asking.only_to_end {
                    return self.end_promise(round);
                }
                self.pinning.had_since = Some(now);
                self.ledger
                    .change(|memory| memory.promise = Promise::Had { round });
            }
            PinRound::Release => {
                if promise == (Promise::Given { round }) {
                    self.ledger.change(|memory| memory.promise = Promise::None);
                }
                self.pinning.owes_end = Some(round);
            }
            PinRound::Released => {
                if promise == (Promise::Ending { round }) {
                    self.ledger.change(|memory| memory.promise = Promise::None);
                }
            }
        }
    }

    /// Only a Backup beside an Active can promise, and not while it claims.
    fn asked_to_promise(&mut self, now: Instant, round: u64) {
        let beside = self.peer.role() == Some(Role::Active) && self.active.is_none();
        if !beside || self.claim.is_some() || !self.agrees() || !self.talking(now) {
            return;
        }
        self.lease.forfeit();
        self.pinning.owes_promise = true;
        self.ledger
            .change(|memory| memory.promise = Promise::Given { round });
    }

    pub(super) fn step_pin(&mut self, now: Instant, out: &mut Outbox) {
        self.step_asking(now, out);
        self.step_promise(now, out);
        self.step_order(now, out);
    }

    fn step_asking(&mut self, now: Instant, out: &mut Outbox) {
        let Some(asking) = self.pinning.asking else {
            return;
        };
        if self.active.is_none() || now >= asking.until {
            // It may have promised all the same.
            self.pinning.asking = None;
            self.end_promise(asking.round);
        } else if self.ledger.saved().pin_rounds >= asking.round {
            self.say_again(now, asking.round, PinRound::Ask, out);
        }
    }

    fn step_promise(&mut self, now: Instant, out: &mut Outbox) {
        let (wanted, saved) = (self.ledger.wanted().promise, self.ledger.saved().promise);
        let talking = self.talking_for(now, self.policy.timing.join_after);
        let peer = self.peer.last().filter(|_| talking);
        let (serves, pinned) = peer.map_or((false, None), |peer| {
            (peer.role == Role::Active, Some(peer.flags.pinned))
        });
        match wanted {
            Promise::Had { round } => {
                let since = *self.pinning.had_since.get_or_insert(now);
                let told = now.since(since) >= self.policy.timing.join_after;
                // It serves by a person's word, or a new box is in its place.
                if serves || (told && pinned == Some(false)) {
                    self.end_promise(round);
                }
            }
            Promise::Ending { round } if saved == wanted => {
                let bound = self.lease.bound() || self.lease.policy().is_none();
                if talking && (bound || self.active.is_none()) {
                    self.say_again(now, round, PinRound::Release, out);
                }
            }
            Promise::Given { round } if saved == wanted && self.pinning.owes_promise => {
                self.pinning.owes_promise = false;
                self.say(now, round, PinRound::Promised, out);
            }
            // Made in a life of ours that did not come to know of it.
            Promise::None
                if pinned == Some(true)
                    && self.active.is_some()
                    && self.pinning.asking.is_none()
                    && saved == wanted =>
            {
                self.ask_promise(now, true);
            }
            _ => {}
        }
        if saved == wanted
            && let Some(round) = self.pinning.owes_end.take_if(|_| !wanted.is_given())
        {
            self.say(now, round, PinRound::Released, out);
        }
        // Of another round than the one that stands: nothing ended.
        self.pinning.owes_end.take_if(|_| wanted.is_given());
    }

    /// Tells who waits that it is done, or is not.
    fn step_order(&mut self, now: Instant, out: &mut Outbox) {
        let Some(order) = self.pinning.order else {
            return;
        };
        let (wanted, saved) = (self.ledger.wanted().promise, self.ledger.saved().promise);
        let done = saved == wanted
            && match wanted {
                Promise::Had { .. } => order.on,
                Promise::None => !order.on && self.pinning.asking.is_none(),
                _ => false,
            };
        if !done && now < order.until {
            return;
        }
        self.pinning.order = None;
        let request = order.request;
        let answer = match (done, order.on) {
            (true, true) => Ok("pinned: nothing moves by itself".to_owned()),
            (true, false) => Ok("not pinned any more".to_owned()),
            (false, true) => Err("the peer did not promise in time; nothing is pinned".to_owned()),
            (false, false) => Err(
                "the peer has not yet said that its promise has ended; it is told again until it has"
                    .to_owned(),
            ),
        };
        out.push(Action::Reply { request, answer });
    }

    fn say_again(&mut self, now: Instant, round: u64, word: PinRound, out: &mut Outbox) {
        if self.pinning.again_at.is_none_or(|at| now >= at) {
            self.pinning.again_at = Some(now + self.policy.timing.heartbeat_every * 2);
            self.say(now, round, word, out);
        }
    }

    fn say(&mut self, now: Instant, round: u64, word: PinRound, out: &mut Outbox) {
        self.send(now, Message::Pin(Pin { round, word }), out);
    }

    /// Why a person's order to move the vips is refused while it is agreed that they stay.
    pub(super) fn pin_refuses(&self) -> Result<(), String> {
        let none = self.ledger.wanted().promise.is_none() && self.pinning.asking.is_none();
        none.then_some(())
            .ok_or_else(|| Refusal::Pinned.to_string())
    }
}
