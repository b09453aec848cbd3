//! The lease: a right to serve that ends by itself, and the proof that it has ended.
//!
//! The Active binds itself: its dead-man is kicked only up to L after *sending* the last heartbeat that was
//! acknowledged. The node that was Backup may claim E after *receiving* the last heartbeat that said "Active, bound,
//! your controller's generation is g", once, if g is still its generation. No clocks are compared. What if our own
//! process sleeps past the end? The dead-man opens the relays: that is what it is for.

use super::guard::{self, Guard};
use super::policy::LeasePolicy;
use crate::node::time::Instant;
use crate::wire::{Heartbeat, Role};

/// This node's end of the lease.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    policy: Option<LeasePolicy>,
    bond: Bond,
    claim: Option<Claim>,
}

/// Whether the own right to serve ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bond {
    /// Kicks are free: we do not serve, or by a proof that lasts.
    Free,
    /// Kicks end with the last acknowledged heartbeat.
    Bound,
}

/// What may be kicked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) enum KickRight {
    /// As far as the dead-man's window, and no lease further than L.
    Free(Option<core::time::Duration>),
    /// Not past this instant.
    Until(Instant),
    /// Not at all.
    Denied,
}

/// What is known of the peer's relay when its lease ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relay {
    /// Nothing speaks against it: its dead-man opens it.
    Opens,
    /// A fence was ordered and not acknowledged.
    Doubtful,
}

/// A lease of the peer's that would end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    generation: u32,
    heard_at: Instant,
}

/// Proof: the peer's lease has run out. Made only by [`Lease::expired`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeaseExpired {
    generation: u32,
}

impl LeaseExpired {
    /// The generation the peer's last heartbeat named.
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }
}

impl Lease {
    pub(super) fn new(policy: Option<LeasePolicy>) -> Self {
        Self {
            policy,
            bond: Bond::Free,
            claim: None,
        }
    }

    pub(super) fn policy(&self) -> Option<LeasePolicy> {
        self.policy
    }

    pub(super) fn bound(&self) -> bool {
        self.bond == Bond::Bound
    }

    /// From now on the right to serve ends by itself. Without a lease there is nothing to bind to.
    pub(super) fn bind(&mut self) {
        if self.policy.is_some() {
            self.bond = Bond::Bound;
        }
    }

    /// The peer cannot be on the wire, or we are not: nobody needs the end of our right.
    pub(super) fn unbind(&mut self) {
        self.bond = Bond::Free;
    }

    /// When the own right ends; `None` if it does not end by itself.
    pub(super) fn right_until(&self, acked_sent_at: Option<Instant>) -> Option<Instant> {
        let policy = self.policy.filter(|_| self.bound())?;
        Some(acked_sent_at.map_or(Instant::ZERO, |at| at + policy.right))
    }

    /// When the vips must be dropped for want of acknowledgements.
    ///
    /// Before the first acknowledgement of this life there is no such instant: the right is the one the last life
    /// kicked for, nothing is kicked beyond it, and the dead-man knows its end. Dropping at once would turn every
    /// restart of the agent into an outage.
    pub(super) fn drop_at(&self, acked_sent_at: Option<Instant>) -> Option<Instant> {
        acked_sent_at?;
        let lead = self
            .policy
            .map_or(core::time::Duration::ZERO, |p| p.drop_lead);
        self.right_until(acked_sent_at).map(|until| until - lead)
    }

    pub(super) fn kick_right(&self, now: Instant, acked_sent_at: Option<Instant>) -> KickRight {
        match self.right_until(acked_sent_at) {
            _ if !guard::holds(Guard::KickLimit) => KickRight::Free(None),
            None => KickRight::Free(self.policy.map(|policy| policy.right)),
            Some(until) if until > now => KickRight::Until(until),
            Some(_) => KickRight::Denied,
        }
    }

    /// A heartbeat was accepted: it renews, replaces or ends the lease we could claim by.
    pub(super) fn heard(&mut self, now: Instant, heartbeat: &Heartbeat) {
        let bound = heartbeat.role == Role::Active && heartbeat.flags.bound;
        self.claim = heartbeat
            .names_generation
            .filter(|_| bound && self.policy.is_some())
            .map(|generation| Claim {
                generation,
                heard_at: now,
            });
    }

    /// Our word was asked for or given, we served, or our latch moved: the peer's right may rest on something else.
    pub(super) fn forfeit(&mut self) {
        if guard::holds(Guard::LeaseForfeit) {
            self.claim = None;
        }
    }

    /// When [`Lease::expired`] will be a proof.
    pub(super) fn expires_at(&self, relay: Relay) -> Option<Instant> {
        let (policy, claim) = (self.policy?, self.claim?);
        let doubt = match relay {
            Relay::Opens => core::time::Duration::ZERO,
            Relay::Doubtful => policy.doubt,
        };
        Some(claim.heard_at + policy.wait + doubt)
    }

    /// The proof, once: `generation` is our own controller's, read now.
    pub(super) fn expired(
        &mut self,
        now: Instant,
        relay: Relay,
        generation: Option<u32>,
    ) -> Option<LeaseExpired> {
        if self.bound() || self.expires_at(relay).is_none_or(|at| now < at) {
            return None;
        }
        let claim = self.claim.take()?;
        let same = generation == Some(claim.generation) || !guard::holds(Guard::LeaseGeneration);
        same.then_some(LeaseExpired {
            generation: claim.generation,
        })
    }
}
