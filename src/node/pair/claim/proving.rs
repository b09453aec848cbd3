//! Towards the proof: epoch saved, ticket taken, peer asked or fenced.
//!
//! The ticket is older than the proof, so that whatever changes while the proof is gathered voids it.

use super::super::Pair;
use super::super::event::PairAction;
use super::super::guard::{self, Guard};
use super::super::ladder::{Ladder, Power, Standing};
use super::super::lease::Relay;
use super::super::policy::Standby;
use super::super::proof::Proof;
use super::{Claim, Next, Stage, Why};
use crate::board::controller::{Fault, Ticket};
use crate::node::outbox::Outbox;
use crate::node::time::Instant;
use crate::wire::{Ask, FenceOrder, Message, Role};

impl Pair {
    pub(super) fn saving(
        &mut self,
        now: Instant,
        claim: &Claim,
        out: &mut Outbox,
    ) -> (Stage, Next) {
        if let Some(error) = &self.ledger.fault {
            return (
                Stage::Saving,
                Next::Give(format!("epoch not saved: {error}")),
            );
        }
        let saved = self.ledger.saved_epoch() >= claim.epoch;
        if !saved && guard::holds(Guard::SavesEpoch) {
            return (Stage::Saving, Next::Stay);
        }
        let asks = matches!(claim.why, Why::Ask(_));
        if asks && self.policy.topology.standby == Standby::Hot {
            return (self.begin_asking(now), Next::Stay);
        }
        // Even a claim that moves no relay takes one: it voids whatever close may still be on its way.
        out.pair(PairAction::TakeTicket);
        (Stage::Ticket, Next::Stay)
    }

    pub(in super::super) fn ticket_taken(
        &mut self,
        now: Instant,
        outcome: Result<Ticket, Fault>,
        out: &mut Outbox,
    ) {
        let Some(mut claim) = self
            .claim
            .take_if(|claim| matches!(claim.stage, Stage::Ticket))
        else {
            return;
        };
        match outcome {
            Ok(ticket) => {
                claim.ticket = Some(ticket);
                claim.stage = match &claim.why {
                    Why::Ask(_) => self.begin_asking(now),
                    Why::Operator(order) => Stage::Checking {
                        proof: Proof::OperatorConfirmed(order.clone()),
                        look: self.look_from_now(now),
                    },
                    Why::PeerDead | Why::NoAnswer => Stage::Fencing {
                        ladder: Ladder::new(self.word.number(), self.patience()),
                        order_at: now,
                    },
                };
                self.claim = Some(claim);
            }
            Err(fault) => {
                self.claim = Some(claim);
                self.abandon(now, &format!("no ticket: {fault}"), out);
            }
        }
    }

    /// A peer that serves and lives has fired first; where neither did, rank decides who does.
    fn patience(&self) -> Power {
        let waits_longer = !self.preferred() && self.peer.role() != Some(Role::Active);
        Power::HeldBack(1 + u32::from(waits_longer))
    }

    /// Only from a closed, unlatched, quiet place; a number from before is void.
    fn begin_asking(&mut self, now: Instant) -> Stage {
        self.lease.forfeit();
        Stage::Asking {
            number: self.word.ask(),
            again_at: now,
        }
    }

    pub(super) fn ask_again(
        &mut self,
        now: Instant,
        claim: &Claim,
        number: u64,
        again_at: Instant,
        out: &mut Outbox,
    ) -> Instant {
        let Why::Ask(reason) = claim.why else {
            return again_at;
        };
        if now < again_at {
            return again_at;
        }
        let epoch = claim.epoch;
        let ask = Ask {
            number,
            epoch,
            reason,
        };
        self.send(now, Message::Ask(ask), out);
        now + self.policy.timing.heartbeat_every * 2
    }

    pub(super) fn fencing(
        &mut self,
        now: Instant,
        claim: &Claim,
        mut ladder: Ladder,
        mut order_at: Instant,
        out: &mut Outbox,
    ) -> (Stage, Next) {
        let talking = self.talking(now);
        let standing = ladder.step(now, talking, &mut self.means, out);
        if let Some(nonce) = ladder.awaits_peer(&self.means)
            && now >= order_at
        {
            let epoch = claim.epoch;
            self.send(now, Message::FenceOrder(FenceOrder { nonce, epoch }), out);
            order_at = now + self.policy.timing.heartbeat_every * 2;
        }
        match standing {
            Standing::Confirmed(fenced) => (self.check(now, Proof::Fenced(fenced)), Next::Stay),
            Standing::Trying => (Stage::Fencing { ladder, order_at }, Next::Stay),
            Standing::Exhausted => self.without_means(now, claim, ladder, order_at),
        }
    }

    /// No means did it: the lease, if the peer was bound by one.
    fn without_means(
        &mut self,
        now: Instant,
        claim: &Claim,
        ladder: Ladder,
        order_at: Instant,
    ) -> (Stage, Next) {
        let Some(sight) = self.means.sight() else {
            // What was tried last may have touched anything: the lease is judged by what is read after it, and is
            // lost for good if it is judged by nothing.
            self.means.look_soon(now);
            return (Stage::Fencing { ladder, order_at }, Next::Stay);
        };
        let generation = Some(sight.generation);
        let silent = claim.why == Why::PeerDead;
        let relay = if ladder.unconfirmed() {
            Relay::Doubtful
        } else {
            Relay::Opens
        };
        match self.lease.expires_at(relay).filter(|_| silent) {
            Some(at) if now < at => (Stage::Fencing { ladder, order_at }, Next::Stay),
            Some(_) => match self.lease.expired(now, relay, generation) {
                Some(proof) => (self.check(now, Proof::LeaseExpired(proof)), Next::Stay),
                None => (
                    Stage::Saving,
                    Next::Give(format!(
                        "the lease proves nothing: the peer named another generation of the own latch than {}",
                        sight.generation
                    )),
                ),
            },
            None => (Stage::Saving, Next::Give(ladder.tried.join("; "))),
        }
    }

    pub(in super::super) fn check(&mut self, now: Instant, proof: Proof) -> Stage {
        let look = self.look_from_now(now);
        Stage::Checking { proof, look }
    }

    pub(super) fn look_from_now(&mut self, now: Instant) -> u64 {
        self.means.look_soon(now);
        self.means.next_look()
    }
}
