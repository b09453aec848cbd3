//! Judging the peer: alive, suspect or dead, and who goes first when nobody serves.
//!
//! Suspicion may be hasty because a fence is verified: a carrier lost on every link starts it at once. A refused port
//! delays it: there only the agent died, and a supervised one is back before anything on the wire has changed.

use core::time::Duration;

use super::claim::Why;
use super::ground::{Controller, Guard as Behind, Moving};
use super::guard::{self, Guard};
use super::lease::Relay;
use super::orders::Target;
use super::policy::Standby;
use super::refusal::Refusal;
use super::{As, Pair};
use crate::board::controller::Latch;
use crate::node::time::Instant;
use crate::wire::{AskReason, Role};

impl Pair {
    /// Both directions work.
    pub(super) fn talking(&self, now: Instant) -> bool {
        self.talking_for(now, Duration::ZERO)
    }

    /// Both directions have worked for this long.
    pub(super) fn talking_for(&self, now: Instant, span: Duration) -> bool {
        let limit = self.policy.timing.suspect_after;
        let talk = self.peer.both_ways_for(now, &self.clock, limit);
        talk.is_some_and(|talk| talk >= span)
    }

    /// How much longer the peer may be silent before it is suspect to a node in this part; `None`: it is.
    pub(super) fn suspect_in(&self, now: Instant, part: As) -> Option<Duration> {
        let timing = &self.policy.timing;
        let (silent, lead) = match part {
            // The Active is deaf to nobody's benefit: who does not hear it will fence it.
            As::Active => (
                self.peer
                    .silent_for(&self.clock)
                    .max(self.peer.deaf_for(&self.clock)),
                Duration::ZERO,
            ),
            As::Backup => (self.peer.silent_for(&self.clock), timing.active_lead),
        };
        let patience = if self.peer.all_dark() {
            lead
        } else {
            timing.suspect_after + lead
        };
        let by_silence = patience.saturating_sub(silent);
        let left = by_silence.max(self.grace_left(now));
        (left > Duration::ZERO).then_some(left)
    }

    pub(super) fn peer_suspect(&self, now: Instant, part: As) -> bool {
        self.suspect_in(now, part).is_none()
    }

    fn grace_left(&self, now: Instant) -> Duration {
        let until = |at: Instant| at + self.policy.timing.restart_grace;
        let refused_at = self.peer.refused_at();
        refused_at.map_or(Duration::ZERO, |at| until(at).since(now))
    }

    fn hold_left(&self, now: Instant) -> Duration {
        let until = self.started_at.map(|at| at + self.policy.timing.boot_hold);
        until.map_or(Duration::ZERO, |until| until.since(now))
    }

    /// It could take over at this moment, as it says.
    pub(super) fn peer_ready(&self) -> bool {
        self.peer.last().is_some_and(|peer| peer.flags.ready)
    }

    /// It neither serves nor is about to.
    pub(super) fn peer_idle(&self) -> bool {
        let last = self.peer.last();
        last.is_some_and(|peer| peer.role != Role::Active && !peer.flags.serving)
    }

    /// How many of its segments fail, as it says.
    pub(super) fn peer_health(&self) -> Option<u8> {
        self.peer.last().map(|peer| peer.health.failing)
    }

    pub(super) fn preferred(&self) -> bool {
        self.policy.rank == super::policy::Rank::Preferred
    }

    /// Same rules, board and settings, and one of them preferred.
    pub(super) fn agrees(&self) -> bool {
        self.disagreements().is_empty()
    }

    /// What calls for a claim, if anything does and sync does not withhold it.
    pub(super) fn calls_for(&self, now: Instant) -> Option<Why> {
        self.called_for(now)
            .filter(|why| self.sync_allows(now, why))
    }

    /// What calls for a claim, if anything does.
    pub(super) fn called_for(&self, now: Instant) -> Option<Why> {
        if self.talking(now) {
            return self.calls_while_talking(now);
        }
        if self.hold_left(now) > Duration::ZERO || !self.may_claim_alone() {
            return None;
        }
        if self.peer_suspect(now, As::Backup) {
            let proven = (0..self.policy.means.len())
                .any(|means| self.means.usable(now, means, false).is_ok());
            return (proven || self.lease.expires_at(Relay::Opens).is_some())
                .then_some(Why::PeerDead);
        }
        // It is heard, hears nothing of us, and does not serve: it may be waiting for us.
        let deaf_for = self.peer.deaf_for(&self.clock);
        let deaf = deaf_for >= self.policy.timing.suspect_after * 4;
        (deaf && self.peer_idle()).then_some(Why::NoAnswer)
    }

    fn calls_while_talking(&self, now: Instant) -> Option<Why> {
        let peer = self.peer.last()?;
        if !self.agrees() {
            return None;
        }
        let to_us = self
            .switchover
            .as_ref()
            .is_some_and(|order| order.to == Target::Us);
        if peer.role == Role::Active {
            let reason = if to_us {
                AskReason::Switchover
            } else if peer.flags.yielding {
                AskReason::Invited
            } else if self.preempts(now) {
                AskReason::Preempt
            } else {
                return None;
            };
            return Some(Why::Ask(reason));
        }
        if peer.flags.serving || !(to_us || self.elected()) {
            return None;
        }
        if self.unanswered && self.hold_left(now).is_zero() {
            return Some(Why::NoAnswer);
        }
        Some(Why::Ask(AskReason::Election))
    }

    /// Nobody serves and both talk: the one that could; else the last Active; else the preferred.
    fn elected(&self) -> bool {
        let Some(peer) = self.peer.last() else {
            return false;
        };
        if !peer.flags.ready {
            return true;
        }
        let ours = (self.ledger.wanted().last_active, self.preferred());
        let theirs = (peer.flags.last_active, peer.flags.preferred);
        ours > theirs
    }

    fn preempts(&self, now: Instant) -> bool {
        let waited = self.preempt_from.zip(self.policy.preempt);
        self.preferred()
            && !self.quarantined
            && self.handovers_left(now)
            && now >= self.preempt_hold
            && waited.is_some_and(|(from, delay)| now.since(from) >= delay)
    }

    /// Fenced or crashed, and not joined since: not alone, unless it was the last Active.
    pub(super) fn may_claim_alone(&self) -> bool {
        !self.quarantined || !guard::holds(Guard::Quarantine) || self.ledger.wanted().last_active
    }

    /// What speaks against a claim whatever the peer does.
    pub(in crate::node) fn own_objections(&self, now: Instant) -> Vec<Refusal> {
        let Some(ground) = self.ground.as_ref().filter(|_| self.settled) else {
            return vec![Refusal::Starting];
        };
        let mut found = Vec::new();
        if self.active.is_some() {
            found.push(Refusal::Serving);
        }
        if let Some(why) = &ground.out_of_service {
            found.push(Refusal::OutOfService(why.clone()));
        }
        if ground.stopping {
            found.push(Refusal::Stopping);
        }
        if ground.controller == Controller::Silent {
            found.push(Refusal::NoController);
        }
        if ground.dead_man == Behind::Missing {
            found.push(Refusal::NoDeadMan);
        }
        if ground.latch == Latch::Latched {
            found.push(Refusal::Latched);
        }
        let starts = match self.policy.topology.standby {
            Standby::Hot => ground.place.is_closed(),
            Standby::Cold => ground.place.is_cut(),
        };
        if !starts {
            found.push(Refusal::RelaysNotReady(ground.place.to_string()));
        }
        if ground.moving != Moving::No {
            found.push(Refusal::RelayMoving);
        }
        let claims_quiet = guard::holds(Guard::ClaimsQuiet);
        if claims_quiet && !self.vips.quiet() && self.active.is_none() {
            found.push(Refusal::NotQuiet);
        }
        if ground.health.failing > 0 {
            found.push(Refusal::Unwell(ground.health.failing));
        }
        if self.has_promised() {
            found.push(Refusal::Pinned);
        }
        if self.word.owes() {
            found.push(Refusal::WordOwed);
        }
        let again_at = self.retries.at();
        if now < again_at && self.claim.is_none() {
            found.push(Refusal::Waiting(again_at.since(now)));
        }
        found
    }

    /// Every reason why this node does not take over at this moment; empty if it would.
    pub(in crate::node) fn takeover_refusals(&self, now: Instant) -> Vec<Refusal> {
        let mut found = self.own_objections(now);
        if self.active.is_some() || !self.settled {
            return found;
        }
        let called = self.called_for(now).is_some();
        if !called {
            found.extend(self.peer_refusals(now));
        }
        found.extend(self.sync_refusal(now));
        if let Some(reason) = self.word.declined {
            found.push(Refusal::Declined(reason));
        }
        found
    }

    fn peer_refusals(&self, now: Instant) -> Vec<Refusal> {
        if self.talking(now) {
            let differ = self.disagreements();
            if !differ.is_empty() {
                return differ;
            }
            let reason = match self.peer.last() {
                Some(peer) if peer.role == Role::Active => Some(Refusal::PeerServes),
                Some(peer) if peer.flags.serving => Some(Refusal::PeerNotDone(peer.role)),
                _ => Some(Refusal::PeerGoesFirst),
            };
            return reason.into_iter().collect();
        }
        let mut found = Vec::new();
        let (hold, grace) = (self.hold_left(now), self.grace_left(now));
        if hold > Duration::ZERO {
            found.push(Refusal::BootHold(hold));
        }
        if !self.may_claim_alone() {
            found.push(Refusal::Quarantined);
        }
        if grace > Duration::ZERO {
            found.push(Refusal::RestartGrace(grace));
        } else if let Some(left) = self.suspect_in(now, As::Backup) {
            found.push(Refusal::NotSilentLongEnough(left));
        }
        found.extend(self.no_means(now));
        found
    }

    /// Every reason why this node would not take over if the peer died at this moment; empty if it would.
    pub(super) fn refusals_if_peer_died(&self, now: Instant) -> Vec<Refusal> {
        let mut found = self.own_objections(now);
        if self.active.is_some() || !self.settled {
            return found;
        }
        let hold = self.hold_left(now);
        if hold > Duration::ZERO {
            found.push(Refusal::BootHold(hold));
        }
        if !self.may_claim_alone() {
            found.push(Refusal::Quarantined);
        }
        if self.lease.expires_at(Relay::Opens).is_none() {
            found.extend(self.no_means(now));
        }
        found.extend(self.sync_refusal(now));
        found
    }

    /// No means would work on a peer that does not answer.
    fn no_means(&self, now: Instant) -> Option<Refusal> {
        let unusable: Vec<String> = (self.policy.means.iter().enumerate())
            .filter_map(|(index, means)| {
                let why = self.means.usable(now, index, false).err()?;
                Some(format!("{}: {why}", means.name))
            })
            .collect();
        (unusable.len() == self.policy.means.len()).then_some(Refusal::NoMeans(unusable))
    }
}
