//! What the Active does besides serving: binds itself, fences a silent peer, lets a fenced one back, hands over when
//! it is unwell; and how serving ends.

use core::time::Duration;

use super::Pair;
use super::event::PairAction;
use super::ground::{Ground, Guard as Behind, Place};
use super::guard::{self, Guard};
use super::ladder::{Ladder, Power, Standing};
use super::means::Fenced;
use super::orders::Target;
use super::pin::Promise;
use super::policy::Reach;
use super::proof::Proof;
use super::retries::{Company, Retries};
use super::vips::Serve;
use crate::board::controller::Latch;
use crate::node::outbox::Outbox;
use crate::node::record::{Fact, Level};
use crate::node::time::Instant;
use crate::wire::Role;

/// Who is to leave waits no longer for the peer than this: a stop must end, and with its relays cut.
const LEAVE_WAIT_MAX: Duration = Duration::from_secs(3);

/// This node serves.
#[derive(Debug, Clone)]
pub(super) struct Active {
    pub(super) epoch: u64,
    pub(super) since: Instant,
    /// What its right rests on, in words.
    pub(super) proof: String,
    /// The peer is isolated, and stays so until it is let back.
    pub(super) fenced: Option<Fenced>,
    ladder: Option<Ladder>,
    /// Between attempts to fence a silent peer that fail.
    fences: Retries,
    refresh_at: Instant,
    unwell_since: Option<Instant>,
    yielding: Yielding,
}

/// Whether the peer is invited to take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Yielding {
    No,
    Yes,
}

impl Active {
    pub(super) fn yielding(&self) -> bool {
        self.yielding == Yielding::Yes
    }

    /// The means that may hold the peer now.
    pub(super) fn means(&self) -> Option<usize> {
        let trying = self.ladder.as_ref().and_then(Ladder::means);
        trying.or(self.fenced.as_ref().map(Fenced::means))
    }

    /// The means being tried on a silent peer.
    pub(super) fn ladder(&mut self) -> Option<&mut Ladder> {
        self.ladder.as_mut()
    }

    pub(super) fn wants_looks(&self) -> bool {
        self.ladder.as_ref().is_some_and(Ladder::wants_looks)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ladder.as_ref().and_then(Ladder::deadline)
    }

    pub(super) fn refresh_at(&self) -> Instant {
        self.refresh_at
    }

    /// When the next attempt to fence a silent peer may begin.
    pub(super) fn fence_at(&self) -> Instant {
        self.fences.at()
    }

    /// Something changed that may let a fence succeed which failed before.
    pub(super) fn news(&mut self, now: Instant) {
        self.fences.news(now);
    }
}

impl Pair {
    /// A claim is complete: proof, vips and relays read back.
    pub(super) fn become_active(
        &mut self,
        now: Instant,
        epoch: u64,
        proof: Proof,
        out: &mut Outbox,
    ) {
        let why = proof.describe();
        let fenced = match proof {
            Proof::Fenced(fenced) => Some(fenced),
            _ => None,
        };
        self.word.void();
        self.retries.succeeded();
        self.unanswered = false;
        self.enter_active(now, epoch, why, fenced, out);
    }

    /// A restarted agent finds its vips served and its relays closed: it goes on, bound by the lease, until it has
    /// heard or read that it need not be.
    pub(super) fn adopt(&mut self, now: Instant, out: &mut Outbox) {
        let epoch = self.ledger.saved_epoch();
        if guard::holds(Guard::AdoptsBound) {
            self.lease.bind();
        }
        self.enter_active(now, epoch, "adopted at start".to_owned(), None, out);
    }

    fn enter_active(
        &mut self,
        now: Instant,
        epoch: u64,
        proof: String,
        fenced: Option<Fenced>,
        out: &mut Outbox,
    ) {
        self.quarantined = false;
        self.used_epoch = self.used_epoch.max(epoch);
        self.ledger.change(|memory| {
            memory.last_active = true;
            memory.fenced = false;
            if let Promise::Given { .. } = memory.promise {
                // It serves by a person's word: there is nothing left to keep.
                memory.promise = Promise::None;
            }
        });
        self.note_handover(now);
        self.tell_role(now, Role::Active, epoch, &proof, out);
        self.active = Some(Active {
            epoch,
            since: now,
            proof,
            fenced,
            ladder: None,
            fences: Retries::new(self.policy.timing.retry_after * 2, now),
            refresh_at: now + self.policy.timing.refresh_every,
            unwell_since: None,
            yielding: Yielding::No,
        });
        self.heartbeat_at = now;
    }

    /// Serving ends, for this reason. The lease stays until everything is seen to be gone.
    pub(super) fn step_down(&mut self, now: Instant, why: &str, out: &mut Outbox) {
        if let Some(active) = self.active.take() {
            self.vips.renounce(now);
            self.retries.rest(now);
            self.preempt_from = None;
            self.tell_role(now, Role::Backup, active.epoch, why, out);
            self.heartbeat_at = now;
        }
    }

    pub(super) fn step_active(&mut self, now: Instant, ground: &Ground, out: &mut Outbox) {
        if self.active.is_none() {
            return;
        }
        if let Some(why) = self.must_step_down(now, ground) {
            return self.step_down(now, &why, out);
        }
        self.step_bond(now, ground);
        self.step_isolation(now, out);
        self.step_yield(now, ground);
        self.step_upkeep(now, out);
    }

    fn must_step_down(&self, now: Instant, ground: &Ground) -> Option<String> {
        if !guard::holds(Guard::FoundCut) {
            return None;
        }
        let active = self.active.as_ref()?;
        if ground.latch == Latch::Latched {
            return Some("found latched by the peer".to_owned());
        }
        if matches!(ground.place, Place::Cut | Place::Split) {
            return Some(format!("found its relays {}", ground.place));
        }
        if ground.dead_man == Behind::Missing {
            return Some("the dead-man is not behind it any more".to_owned());
        }
        if self.peer_has_the_wire(now, active.epoch) {
            return Some("the peer serves, and this node is behind its relays".to_owned());
        }
        let drop_at = self.lease.drop_at(self.peer.acked_sent_at());
        if drop_at.is_some_and(|at| now >= at) {
            return Some("the peer acknowledges nothing: the lease ends".to_owned());
        }
        let leaving = ground.stopping || ground.out_of_service.is_some();
        let waited = self.leaving_since.is_some_and(|since| {
            let wait = self.policy.timing.give_up_after.min(LEAVE_WAIT_MAX);
            now.since(since) >= wait || !self.peer_ready()
        });
        (leaving && waited).then(|| "taken out of service".to_owned())
    }

    /// Cut off by the peer's relays, which nothing here can see; only that it serves tells. What it said before we took
    /// over is of an older epoch.
    fn peer_has_the_wire(&self, now: Instant, epoch: u64) -> bool {
        let behind = self.policy.topology.reach == Reach::Behind;
        let serves = self.peer.last().filter(|peer| peer.role == Role::Active);
        let newer = serves.is_some_and(|peer| peer.epoch > epoch);
        let for_long = self.talking_for(now, self.policy.timing.join_after);
        behind && serves.is_some() && (newer || for_long)
    }

    /// Binds to the lease once the peer can acknowledge; is freed while the peer is isolated.
    fn step_bond(&mut self, now: Instant, ground: &Ground) {
        let both_ways = self.talking_for(now, self.policy.timing.join_after);
        let peer_idle = self.peer_idle();
        let agrees = self.agrees();
        let found = self.means.found_held();
        let promised = self.has_promise();
        if promised {
            self.lease.unbind();
        }
        let Some(active) = &mut self.active else {
            return;
        };
        if self.lease.bound() && active.fenced.is_none() && found.is_some() && !both_ways {
            // Our own hold and its acknowledge, read again.
            active.fenced = found;
            self.lease.unbind();
        }
        if !both_ways || !peer_idle || active.ladder.is_some() {
            return;
        }
        // In this order: bind, let go (by no longer wanting the hold), and only then is its generation named.
        if !self.lease.bound() && agrees && !ground.arming && !promised {
            self.lease.bind();
        }
        if self.lease.bound() || self.lease.policy().is_none() || !agrees || promised {
            active.fenced = None;
        }
    }

    /// A silent peer is fenced: it settles who serves before the peer can ask.
    fn step_isolation(&mut self, now: Instant, out: &mut Outbox) {
        let suspect = self.peer_suspect(now, super::As::Active);
        let talking = self.talking(now);
        let left = self.peer.last().is_some_and(|peer| peer.flags.leaving);
        // Who promised not to claim need not be kept from it.
        let suspect = suspect && !self.has_promise();
        let Some(active) = &mut self.active else {
            return;
        };
        if active.ladder.is_none()
            && suspect
            && active.fenced.is_none()
            && now >= active.fences.at()
        {
            // Its reboot must not cost it its power, unless our right ends without it.
            let spares = left && !self.lease.bound();
            let power = if spares { Power::Spared } else { Power::AtOnce };
            active.ladder = Some(Ladder::new(self.word.number(), power));
        }
        let Some(ladder) = &mut active.ladder else {
            return;
        };
        // The Active orders nobody: whom it hears it need not fence.
        match ladder.step(now, false, &mut self.means, out) {
            Standing::Trying if talking && !ladder.fired() => active.ladder = None,
            Standing::Trying => {}
            Standing::Confirmed(fenced) => {
                let means = fenced.name().to_owned();
                active.ladder = None;
                active.fences.succeeded();
                active.fenced = Some(fenced);
                self.lease.unbind();
                out.record(now, Level::Warning, Fact::PeerFenced { means });
            }
            Standing::Exhausted => {
                active.fences.failed(now, Company::Alone);
                active.ladder = None;
            }
        }
    }

    /// Invites the peer while it would serve better, or a person or a stop wants it.
    fn step_yield(&mut self, now: Instant, ground: &Ground) {
        let ready = self.peer_ready() && self.talking(now);
        let better = self
            .peer_health()
            .is_some_and(|peer| peer < ground.health.failing);
        let handovers_left = self.handovers_left(now);
        let ordered = self
            .switchover
            .as_ref()
            .is_some_and(|order| order.to == Target::Peer);
        let leaving = self.leaving_since.is_some();
        let unserved = self.services_object();
        let (yield_after, relink) = (self.policy.timing.yield_after, self.policy.relink);
        let Some(active) = &mut self.active else {
            return;
        };
        // Dark by the move that gave it the wire, it is no worse for it; and given back, the peer's ports go dark.
        let better = better && now.since(active.since) >= relink;
        active.unwell_since = better.then(|| active.unwell_since.unwrap_or(now));
        let unwell = active
            .unwell_since
            .is_some_and(|since| ground.stated || now.since(since) >= yield_after);
        let unwell = (unwell || unserved) && handovers_left;
        let yields = ready && (ordered || leaving || unwell);
        let yielding = if yields { Yielding::Yes } else { Yielding::No };
        if active.yielding != yielding {
            active.yielding = yielding;
            self.heartbeat_at = now;
        }
    }

    /// Renews what the kernel would withdraw, and watches that it is still there.
    fn step_upkeep(&mut self, now: Instant, out: &mut Outbox) {
        let every = self.policy.timing.refresh_every;
        let Some(active) = &mut self.active else {
            return;
        };
        let due = !every.is_zero() && now >= active.refresh_at;
        if due && !self.vips.under_way(Serve::Refresh) {
            active.refresh_at = now + every;
            self.vips.serve(Serve::Refresh, out);
        }
    }

    /// Neighbours may have been told otherwise.
    pub(super) fn contested(&mut self, out: &mut Outbox) {
        if self.active.is_some() && !self.vips.under_way(Serve::Announce) {
            self.vips.serve(Serve::Announce, out);
        }
    }

    fn tell_role(&mut self, now: Instant, role: Role, epoch: u64, why: &str, out: &mut Outbox) {
        let why = why.to_owned();
        out.record(now, Level::Info, Fact::RoleChanged { role, epoch, why });
        out.pair(PairAction::Advertise { role, epoch });
    }
}
