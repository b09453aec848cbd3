//! What the node asks of its pair: where relays should be, how far the dead-man may be kicked, when to wake it.

use super::claim::Claim;
use super::drill::Drill;
use super::guard::{self, Guard};
use super::lease::Relay;
use super::policy::{MeansKind, Standby, Unwell};
use super::proof::Proof;
use super::{As, KickRight, Pair, Wish};
use crate::board::controller::{CloseProof, Ticket};
use crate::node::time::Instant;

impl Pair {
    /// Where the relays should be, health and operators aside.
    pub(in crate::node) fn wish(&self) -> Wish {
        if self.word.obeying() {
            return Wish::Cut;
        }
        if self.active.is_some() {
            return Wish::Keep;
        }
        if !self.settled {
            return Wish::Keep;
        }
        match (self.policy.topology.standby, &self.claim) {
            (Standby::Hot, Some(_)) => Wish::Keep,
            (Standby::Hot, None) if self.may_close_idle() => Wish::Close(CloseProof::NotServing),
            (Standby::Hot, None) => Wish::Keep,
            // The close *is* the fence; whether it gives a right to serve is read afterwards.
            (Standby::Cold, Some(claim)) if self.fences_by_own_relays(claim) => {
                Wish::Close(CloseProof::NotServing)
            }
            (Standby::Cold, Some(claim)) if claim.needs_closed() => {
                let proof = claim.proof().map(Proof::to_close);
                proof.map_or(Wish::Keep, Wish::Close)
            }
            (Standby::Cold, _) => Wish::Cut,
        }
    }

    fn fences_by_own_relays(&self, claim: &Claim) -> bool {
        let means = claim.means().filter(|_| claim.fences());
        let policy = means.and_then(|means| self.means.policy(means));
        policy.is_some_and(|policy| policy.kind == MeansKind::OwnRelay)
    }

    fn may_close_idle(&self) -> bool {
        (self.vips.quiet() || !guard::holds(Guard::ClosesQuiet)) && !self.word.pending()
    }

    /// What failing checks do to the relays here.
    pub(in crate::node) fn unwell_cuts(&self) -> bool {
        self.policy.topology.unwell == Unwell::IsCut
    }

    /// How far the dead-man may be kicked.
    pub(in crate::node) fn kick_right(&self, now: Instant) -> KickRight {
        if !self.settled {
            // Whether vips are served is not known yet; if they are, the right ends by itself.
            return KickRight::Denied;
        }
        self.lease.kick_right(now, self.peer.acked_sent_at())
    }

    /// An arm reaches a whole window ahead, whenever it is carried out: never while a lease ends sooner.
    pub(in crate::node) fn may_arm(&self) -> bool {
        self.settled && !self.lease.bound()
    }

    /// When the look at the fence lines that is under way was asked for.
    pub(in crate::node) fn looking_since(&self) -> Option<Instant> {
        self.means.looking_since()
    }

    pub(in crate::node) fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// The ticket a cold claim took before its proof; the first segment closes on it.
    pub(in crate::node) fn take_claim_ticket(&mut self) -> Option<Ticket> {
        self.claim.as_mut()?.ticket.take()
    }

    /// It serves and waits for the peer to take over before the relays may go.
    pub(in crate::node) fn handing_over(&self) -> bool {
        self.active.is_some() || !self.vips.quiet()
    }

    /// When something is due next.
    pub(in crate::node) fn next(&self, now: Instant) -> Option<Instant> {
        self.boot?;
        // Asked several times in every turn: nothing is collected.
        let mut soonest: Option<Instant> = None;
        let mut offer = |at: Option<Instant>| {
            if let Some(at) = at.filter(|at| *at > now) {
                soonest = Some(soonest.map_or(at, |best| best.min(at)));
            }
        };
        offer(Some(self.heartbeat_at));
        offer(self.means.next());
        offer(self.vips.next(now));
        offer(self.services_next());
        offer(self.claim.as_ref().and_then(Claim::deadline));
        offer(self.lease.drop_at(self.peer.acked_sent_at()));
        let part = if let Some(active) = &self.active {
            offer(active.deadline());
            offer(Some(active.refresh_at()));
            offer(Some(active.fence_at()));
            offer(self.drill.as_ref().and_then(Drill::deadline));
            As::Active
        } else {
            offer(Some(self.retries.at()));
            offer(self.lease.expires_at(Relay::Opens));
            offer(self.lease.expires_at(Relay::Doubtful));
            As::Backup
        };
        offer(self.suspect_in(now, part).map(|left| now + left));
        soonest.or(Some(self.heartbeat_at))
    }
}
