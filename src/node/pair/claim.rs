//! The claim: from the wish to serve to serving, one stage after the other, each left only by its answer.
//!
//! epoch saved → ticket (where a late close must be voided) → proof → own relays and latch read *after* the proof →
//! (cold: close on ticket and proof) → vips held → vips and relays read back → Active. Anything that moves the own
//! latch or relays voids all of it. A time-out gives up the decision; what was ordered is still awaited (see
//! [`super::vips`]). What if the agent dies here? Serve actions die with it; what is held of the peer is let go by
//! the next one.

use super::Pair;
use super::ground::Ground;
use super::guard::{self, Guard};
use super::ladder::Ladder;
use super::orders::OperatorConfirmed;
use super::policy::Standby;
use super::proof::Proof;
use super::retries::Company;
use crate::board::controller::{Latch, Ticket};
use crate::node::outbox::Outbox;
use crate::node::time::Instant;
use crate::wire::AskReason;

mod proving;
mod serving;

/// A claim under way.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) why: Why,
    pub(super) epoch: u64,
    /// Latch generation when it began: another one voids it.
    generation: u32,
    until: Instant,
    pub(super) stage: Stage,
    pub(super) ticket: Option<Ticket>,
}

/// Why a node claims, and so which proof it goes for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// The peer is silent: fence, or its lease.
    PeerDead,
    /// It talks, and must be asked.
    Ask(AskReason),
    /// It talks, was asked, and does not answer; nobody serves.
    NoAnswer,
    /// An operator vouches.
    Operator(OperatorConfirmed),
}

/// How far it is.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// The epoch is on its way to the disk.
    Saving,
    /// The controller was asked for a ticket.
    Ticket,
    /// The peer was asked for its word.
    Asking { number: u64, again_at: Instant },
    /// Means are tried.
    Fencing { ladder: Ladder, order_at: Instant },
    /// Proven; our own relays are read.
    Checking { proof: Proof, look: u64 },
    /// Cold: relays close on ticket and proof.
    Closing { proof: Proof },
    /// Vips are being installed.
    Holding { proof: Proof, number: u64 },
    /// Everything is read back.
    Verifying { proof: Proof, look: u64 },
}

impl Claim {
    /// The means that may hold the peer for this claim.
    pub(super) fn means(&self) -> Option<usize> {
        match &self.stage {
            Stage::Fencing { ladder, .. } => ladder.means(),
            Stage::Checking { proof, .. }
            | Stage::Closing { proof }
            | Stage::Holding { proof, .. }
            | Stage::Verifying { proof, .. } => match proof {
                Proof::Fenced(fenced) => Some(fenced.means()),
                _ => None,
            },
            Stage::Saving | Stage::Ticket | Stage::Asking { .. } => None,
        }
    }

    /// It may have its relays closed as a means: before its own proof is complete.
    pub(super) fn fences(&self) -> bool {
        matches!(self.stage, Stage::Fencing { .. } | Stage::Checking { .. })
    }

    /// The means being tried.
    pub(super) fn ladder(&mut self) -> Option<&mut Ladder> {
        match &mut self.stage {
            Stage::Fencing { ladder, .. } => Some(ladder),
            _ => None,
        }
    }

    /// From here on nothing the old Active says may be acknowledged: its right must not be renewed.
    pub(super) fn refuses_old_epoch(&self) -> bool {
        !matches!(
            self.stage,
            Stage::Saving | Stage::Ticket | Stage::Asking { .. }
        )
    }

    /// The proof it stands on, once there is one.
    pub(super) fn proof(&self) -> Option<&Proof> {
        match &self.stage {
            Stage::Checking { proof, .. }
            | Stage::Closing { proof }
            | Stage::Holding { proof, .. }
            | Stage::Verifying { proof, .. } => Some(proof),
            _ => None,
        }
    }

    /// It wants its relays closed though it does not serve yet.
    pub(super) fn needs_closed(&self) -> bool {
        matches!(
            self.stage,
            Stage::Closing { .. } | Stage::Holding { .. } | Stage::Verifying { .. }
        )
    }

    /// Vips are installed or being installed for it.
    pub(super) fn serves(&self) -> bool {
        matches!(self.stage, Stage::Holding { .. } | Stage::Verifying { .. })
    }

    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// In words, for people.
    pub(super) fn describe(&self) -> String {
        let stage = match &self.stage {
            Stage::Saving => "saving the epoch",
            Stage::Ticket => "taking a ticket",
            Stage::Asking { .. } => "asking the peer",
            Stage::Fencing { .. } => "fencing the peer",
            Stage::Checking { .. } => "reading the own relays",
            Stage::Closing { .. } => "closing",
            Stage::Holding { .. } => "installing the vips",
            Stage::Verifying { .. } => "reading back",
        };
        format!("epoch {}: {stage}", self.epoch)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let own = match &self.stage {
            Stage::Asking { again_at, .. } => Some(*again_at),
            Stage::Fencing { ladder, .. } => ladder.deadline(),
            _ => None,
        };
        // Only what depends on others ends by time; a fence ends by its means, saving by the disk.
        let ends = !matches!(self.stage, Stage::Fencing { .. });
        own.into_iter().chain(ends.then_some(self.until)).min()
    }

    /// Looks at the controller are what is waited for.
    pub(super) fn wants_looks(&self) -> bool {
        match &self.stage {
            Stage::Checking { .. } | Stage::Verifying { .. } => true,
            Stage::Fencing { ladder, .. } => ladder.wants_looks(),
            _ => false,
        }
    }
}

impl Pair {
    /// Begins a claim if something calls for one and nothing speaks against it.
    pub(super) fn step_begin(&mut self, now: Instant) {
        if self.claim.is_some() || self.active.is_some() || !self.own_objections(now).is_empty() {
            return;
        }
        if let Some(why) = self.calls_for(now) {
            self.begin(now, why);
        }
    }

    pub(super) fn begin_by_operator(&mut self, now: Instant, order: OperatorConfirmed) {
        self.begin(now, Why::Operator(order));
    }

    fn begin(&mut self, now: Instant, why: Why) {
        let Some(sight) = self.means.sight() else {
            return;
        };
        let epoch = self.next_epoch();
        self.ledger.change(|memory| memory.epoch = epoch);
        self.claim = Some(Claim {
            why,
            epoch,
            generation: sight.generation,
            until: now + self.policy.timing.give_up_after,
            stage: Stage::Saving,
            ticket: None,
        });
    }

    /// The smallest epoch above all known ones that is this node's to use: one node has the even ones.
    pub(super) fn next_epoch(&self) -> u64 {
        let reserved = self.ledger.saved_epoch();
        if reserved > self.used_epoch && self.ledger.wanted().epoch == reserved {
            return reserved;
        }
        let next = self.used_epoch.max(self.ledger.wanted().epoch) + 1;
        next + u64::from(next.is_multiple_of(2) != self.preferred())
    }

    /// Gives the claim up. What was ordered is awaited all the same.
    pub(super) fn abandon(&mut self, now: Instant, why: &str, out: &mut Outbox) {
        let Some(claim) = self.claim.take() else {
            return;
        };
        self.word.void();
        if matches!(claim.stage, Stage::Holding { .. } | Stage::Verifying { .. }) {
            self.vips.renounce(now);
        }
        let company = match claim.why {
            Why::PeerDead => Company::Alone,
            Why::Ask(_) | Why::NoAnswer | Why::Operator(_) => Company::Together,
        };
        self.retries.failed(now, company);
        self.tell_claim_failed(now, &claim, why, out);
    }

    pub(super) fn step_claim(&mut self, now: Instant, ground: &Ground, out: &mut Outbox) {
        let Some(mut claim) = self.claim.take() else {
            return;
        };
        match self.advance(now, &mut claim, ground, out) {
            Next::Stay => self.claim = Some(claim),
            Next::Give(why) => {
                self.claim = Some(claim);
                self.abandon(now, &why, out);
            }
            Next::Serve(proof) => self.become_active(now, claim.epoch, proof, out),
        }
    }

    fn advance(
        &mut self,
        now: Instant,
        claim: &mut Claim,
        ground: &Ground,
        out: &mut Outbox,
    ) -> Next {
        if let Some(why) = self.voids(now, claim, ground) {
            return Next::Give(why);
        }
        let fencing = matches!(claim.stage, Stage::Fencing { .. });
        let stage = core::mem::replace(&mut claim.stage, Stage::Saving);
        let (stage, next) = match stage {
            Stage::Saving => self.saving(now, claim, out),
            Stage::Asking { number, again_at } => {
                let again_at = self.ask_again(now, claim, number, again_at, out);
                (Stage::Asking { number, again_at }, Next::Stay)
            }
            Stage::Fencing { ladder, order_at } => self.fencing(now, claim, ladder, order_at, out),
            Stage::Checking { proof, look } => self.checking(proof, look, out),
            Stage::Closing { proof } => self.closing(proof, ground, out),
            Stage::Verifying { proof, look } => self.verifying(now, proof, look, out),
            stage @ (Stage::Ticket | Stage::Holding { .. }) => (stage, Next::Stay),
        };
        claim.stage = stage;
        if claim.serves() {
            // Until here nobody served in it: an attempt that failed leaves it, and its place on the disk, to the next.
            self.used_epoch = self.used_epoch.max(claim.epoch);
        }
        if fencing && !matches!(claim.stage, Stage::Fencing { .. }) {
            // A fence and a lease take the time they take; the proof they end with is as fresh as any.
            claim.until = now + self.policy.timing.give_up_after;
        }
        next
    }

    /// What ends a claim at any stage.
    fn voids(&self, now: Instant, claim: &Claim, ground: &Ground) -> Option<String> {
        let fencing = matches!(claim.stage, Stage::Fencing { .. });
        if now >= claim.until && !fencing {
            return Some("it took too long".to_owned());
        }
        let moved = ground.generation.is_some_and(|now| now != claim.generation)
            || ground.latch == Latch::Latched;
        if moved && guard::holds(Guard::VoidedByCut) {
            return Some("the own latch moved".to_owned());
        }
        let closed = self.policy.topology.standby == Standby::Hot
            || matches!(claim.stage, Stage::Holding { .. } | Stage::Verifying { .. });
        let watched = guard::holds(Guard::VoidedByCut);
        if closed && watched && !ground.place.is_closed() {
            return Some(format!("the own relays are {}", ground.place));
        }
        if ground.stopping || ground.out_of_service.is_some() {
            return Some("this node was taken out of service".to_owned());
        }
        let unproven = claim.proof().is_none();
        if unproven && claim.why == Why::PeerDead && self.talking(now) {
            return Some("the peer is heard again".to_owned());
        }
        None
    }
}

/// What follows a stage.
enum Next {
    Stay,
    Give(String),
    Serve(Proof),
}
