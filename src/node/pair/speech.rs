//! What this node says of itself, as often as was agreed, and at once when something changed.

use core::time::Duration;

use super::Pair;
use super::event::LinkSet;
use super::ground::{Controller, Ground, Guard as Behind};
use super::guard::{self, Guard};
use crate::board::controller::Latch;
use crate::node::outbox::Outbox;
use crate::node::time::Instant;
use crate::wire::{Flags, Heartbeat, Message, Role};

impl Pair {
    pub(super) fn all_links(&self) -> LinkSet {
        LinkSet::first(self.policy.links.len())
    }

    /// The role as others may know it: Active only after the last read-back.
    pub(super) fn role(&self) -> Role {
        let unable = self.ground.as_ref().is_none_or(|ground| {
            ground.controller == Controller::Silent || ground.dead_man == Behind::Missing
        });
        if self.active.is_some() {
            Role::Active
        } else if !self.settled {
            Role::Init
        } else if unable {
            Role::Fault
        } else {
            Role::Backup
        }
    }

    pub(super) fn step_heartbeat(&mut self, now: Instant, ground: &Ground, out: &mut Outbox) {
        if now < self.heartbeat_at {
            return;
        }
        self.heartbeat_at = now + self.policy.timing.heartbeat_every;
        let heartbeat = self.heartbeat(now, ground);
        self.send(now, Message::Heartbeat(heartbeat), out);
    }

    fn heartbeat(&self, now: Instant, ground: &Ground) -> Heartbeat {
        let micros = |span: Duration| u32::try_from(span.as_micros()).unwrap_or(u32::MAX);
        Heartbeat {
            role: self.role(),
            flags: self.flags(now, ground),
            epoch: self.used_epoch,
            hears: self.peer.hears(),
            interval_us: micros(self.policy.timing.heartbeat_every),
            lateness_us: micros(self.clock.worst_late()),
            health: ground.health,
            generation: ground.generation,
            names_generation: self.names_generation(),
            versions: self.versions(),
            board: self.policy.board,
            agreement: self.policy.agreement,
            sync_roots: self.sync.announce(now),
        }
    }

    pub(super) fn flags(&self, now: Instant, ground: &Ground) -> Flags {
        Flags {
            maintenance: ground.out_of_service.is_some(),
            pinned: self.pinned(),
            quarantined: self.quarantined,
            bound: self.lease.bound(),
            preferred: self.preferred(),
            serving: self.vips.may_answer(),
            holds: self.means.holds(),
            ready: self.own_objections(now).is_empty(),
            last_active: self.ledger.wanted().last_active,
            latched: ground.latch == Latch::Latched,
            yielding: self.active.as_ref().is_some_and(super::Active::yielding),
            leaving: self.leaving_since.is_some(),
        }
    }

    /// The generation by which the peer may judge our lease: only while we are bound, and hold nothing of it.
    fn names_generation(&self) -> Option<u32> {
        let serves = self.active.is_some()
            && self.lease.bound()
            && (!self.means.holds() || !guard::holds(Guard::NamesNoneWhileHolding));
        self.peer.last().filter(|_| serves)?.generation
    }

    /// Whether a heartbeat may be acknowledged: never one that would renew a right we are about to take over.
    pub(super) fn may_acknowledge(&self, heartbeat: &Heartbeat) -> bool {
        let claims = self
            .claim
            .as_ref()
            .filter(|claim| claim.refuses_old_epoch());
        let ours = claims
            .map(|claim| claim.epoch)
            .or(self.active.as_ref().map(|active| active.epoch));
        let serves = heartbeat.role == Role::Active || heartbeat.flags.bound;
        let old = serves && ours.is_some_and(|ours| heartbeat.epoch < ours);
        !(old && guard::holds(Guard::RefusesOldEpoch))
    }
}
