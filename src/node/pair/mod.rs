//! The pair: who serves, by which proof, and why not.
//!
//! A concern of the node like any other: it sees the node's own hardware as `ground`, hears the peer, and wishes
//! where the relays should be and how far the dead-man may be kicked. A policy without a pair has none of this.
//!
//! * The Active serves; it is bound by a lease, or holds a proof that lasts (`active`).
//! * Everybody else is quiet (`vips`), closed where the topology is hot, and ready to claim (`claim`) with one of
//!   four proofs (`proof`).
//!
//! What if this process dies here? Nothing that was decided outlives it: serve actions die with the process, a hold
//! is a level that the successor reads, the dead-man opens what nobody kicks for, and the ledger gives no rights.

use core::time::Duration;
use std::collections::VecDeque;

use crate::board::controller::{CloseProof, Latch};
use crate::node::outbox::Outbox;
use crate::node::record::{Fact, Level};
use crate::node::time::Instant;
use crate::wire::BootId;

mod active;
mod claim;
pub mod drill;
pub mod event;
pub(in crate::node) mod ground;
#[cfg(not(test))]
mod guard;
#[cfg(test)]
pub(crate) mod guard;
mod hearing;
mod introduction;
mod ladder;
mod lease;
mod light;
mod means;
pub mod memory;
mod orders;
mod peer;
mod pin;
pub mod policy;
pub mod preflight;
mod proof;
pub mod refusal;
mod retries;
mod services;
mod silence;
mod speech;
pub mod status;
pub mod sync;
mod vips;
mod watch;
mod wishes;
mod word;

pub use event::{
    Carrier, FenceReport, LinkMeasure, LinkSet, PairAction, PairCommand, PairEvent, Presence,
    Probed, SavedPair, ServicesWanted,
};
pub use memory::PairMemory;
pub use pin::Promise;
pub use policy::PairPolicy;
pub use refusal::Refusal;
pub use status::PairStatus;
pub use sync::{SyncNews, SyncPolicy};

pub(super) use lease::KickRight;

use active::Active;
use claim::{Claim, Stage};
use drill::Drill;
use ground::{Ground, Moving};
use guard::Guard;
use introduction::Introductions;
use lease::Lease;
use means::AllMeans;
use memory::Ledger;
use orders::Switchover;
use peer::Peer;
use pin::Pinning;
use policy::Standby;
use retries::Retries;
use services::Services;
use silence::AwakeClock;
use sync::Sync;
use vips::Vips;
use word::Word;

/// The span in which hand-overs are counted.
const HANDOVERS_SPAN: Duration = Duration::from_secs(3600);
/// After a takeover that the peer made room for and that failed, this node does not come back by itself for so long.
const PREEMPT_HOLD: Duration = Duration::from_secs(300);

/// Changes of the own latch that may have gone by unseen, between two looks.
const LATCHES_MISSED_MAX: u32 = 4_096;

/// This node's part in the pair.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    policy: PairPolicy,
    boot: Option<BootId>,
    clock: AwakeClock,
    peer: Peer,
    introductions: Introductions,
    ledger: Ledger,
    vips: Vips,
    services: Services,
    sync: Sync,
    lease: Lease,
    means: AllMeans,
    word: Word,
    claim: Option<Claim>,
    active: Option<Active>,
    switchover: Option<Switchover>,
    pinning: Pinning,
    /// The fence test under way, or the last one.
    drill: Option<Drill>,
    /// The own hardware as of the last turn.
    ground: Option<Ground>,
    generation: Option<u32>,
    /// Since when the own latch has been seen clear.
    clear_since: Option<Instant>,
    /// The first look at everything is complete, and what was found is adopted or purged.
    settled: bool,
    started_at: Option<Instant>,
    quarantined: bool,
    /// Highest epoch known to be in use.
    used_epoch: u64,
    counter: u64,
    heartbeat_at: Instant,
    /// Between claims that fail.
    retries: Retries,
    /// An election was asked for and not answered.
    unanswered: bool,
    preempt_from: Option<Instant>,
    /// Not before then: the last one cost an outage and came to nothing.
    preempt_hold: Instant,
    leaving_since: Option<Instant>,
    handovers: VecDeque<Instant>,
    rejected: u64,
    /// Orders to cut ourselves that were not obeyed.
    orders_refused: u64,
}

/// From which part the peer is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum As {
    Active,
    Backup,
}

/// Where the pair wants a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Closed, or closing on this proof.
    Close(CloseProof),
    /// Where it is, as long as it is closed.
    Keep,
    /// In the topology's fenced state.
    Cut,
}

impl Pair {
    pub(super) fn new(policy: PairPolicy, now: Instant) -> Self {
        Self {
            boot: None,
            clock: AwakeClock::new(policy.timing.heartbeat_every),
            peer: Peer::new(policy.links.len()),
            introductions: Introductions::new(now),
            ledger: Ledger::new(),
            vips: Vips::new(now),
            services: Services::default(),
            sync: Sync::default(),
            lease: Lease::new(policy.lease),
            means: AllMeans::new(&policy.means, policy.timing, policy.topology.fenced, now),
            word: Word::default(),
            claim: None,
            active: None,
            switchover: None,
            pinning: Pinning::default(),
            drill: None,
            ground: None,
            generation: None,
            clear_since: None,
            settled: false,
            started_at: None,
            quarantined: false,
            used_epoch: 0,
            counter: 0,
            heartbeat_at: now,
            retries: Retries::new(policy.timing.retry_after, now),
            unanswered: false,
            preempt_from: None,
            preempt_hold: now,
            leaving_since: None,
            handovers: VecDeque::new(),
            rejected: 0,
            orders_refused: 0,
            policy,
        }
    }

    /// A turn begins.
    pub(super) fn wake(&mut self, now: Instant, due: Option<Instant>) {
        self.clock.turn(now, due);
        let limit = self.policy.timing.suspect_after;
        self.peer.outdate(&self.clock, limit);
    }

    /// Everything that is due, from the own hardware outwards.
    pub(super) fn step(&mut self, now: Instant, ground: Ground, out: &mut Outbox) {
        if self.boot.is_none() {
            return;
        }
        self.watch_ground(now, &ground, out);
        self.ground = Some(ground.clone());
        self.settle(now, &ground, out);
        self.step_active(now, &ground, out);
        self.step_claim(now, &ground, out);
        self.step_begin(now);
        self.step_sync(now, out);
        self.step_claim(now, &ground, out);
        self.step_join(now);
        self.step_vips(now, out);
        self.step_word(now, out);
        self.step_pin(now, out);
        self.step_drill(now, out);
        self.step_services(now, out);
        self.reserve_epoch(now);
        let wanted = self.wanted_means();
        if self.wants_looks() {
            self.means.look_within(now);
        }
        if ground.reachable {
            self.means.step(now, wanted, out);
        }
        if self.means.take_recovered() {
            self.news(now);
        }
        self.ledger.step(out);
        self.step_switchover(now, out);
        self.step_heartbeat(now, &ground, out);
    }

    /// What the own hardware says about claims, words and leases, before anything is decided on it.
    fn watch_ground(&mut self, now: Instant, ground: &Ground, out: &mut Outbox) {
        let moved_by = (ground.generation.zip(self.generation))
            .map_or(0, |(now, before)| now.wrapping_sub(before));
        let moved = moved_by != 0;
        // A controller that restarted draws its generation anew; a small step is the same one, latched meanwhile.
        let missed =
            (1..=LATCHES_MISSED_MAX).contains(&moved_by) && guard::holds(Guard::MissedLatch);
        self.generation = ground.generation.or(self.generation);
        if (moved || ground.latch == Latch::Latched) && guard::holds(Guard::VoidedByCut) {
            self.lease.forfeit();
            self.word.void();
        }
        if (ground.latch == Latch::Latched || missed) && !self.quarantined {
            self.quarantined = true;
            self.ledger.change(|memory| {
                memory.fenced = true;
                memory.last_active = false;
            });
            out.record(now, Level::Alarm, Fact::FencedByPeer);
        }
        if moved {
            self.news(now);
        }
        self.clear_since = (ground.latch != Latch::Latched)
            .then(|| self.clear_since.filter(|_| !missed).unwrap_or(now));
        let leaving = ground.stopping || ground.out_of_service.is_some();
        if leaving && self.leaving_since.is_none() {
            // The peer is to know before it can wonder about the silence.
            self.heartbeat_at = now;
        }
        self.leaving_since = leaving.then(|| self.leaving_since.unwrap_or(now));
        if ground.stopping && self.active.is_none() {
            self.ledger.change(|memory| memory.clean = true);
        }
    }

    /// The first complete look: what is found is adopted or purged.
    fn settle(&mut self, now: Instant, ground: &Ground, out: &mut Outbox) {
        if self.settled {
            return;
        }
        self.vips.step_look(now, out);
        let (Some(presence), Some(sight)) = (self.vips.presence(), self.means.sight()) else {
            return;
        };
        self.settled = true;
        let memory = self.ledger.wanted();
        self.quarantined = memory.fenced || !memory.clean;
        self.ledger.change(|memory| memory.clean = false);
        let served = presence == Presence::Present;
        let stands = sight.place.is_closed() && sight.latch != Latch::Latched;
        let may = self.ledger.is_known() && memory.epoch > 0 && self.leaving_since.is_none();
        if served && stands && may && ground.dead_man == ground::Guard::Stands {
            return self.adopt(now, out);
        }
        if presence != Presence::Absent && guard::holds(Guard::PurgesAtStart) {
            self.vips.renounce(now);
        }
    }

    /// Beside an Active that it hears, a node has joined: it is no longer out on its own.
    fn step_join(&mut self, now: Instant) {
        let beside = self.talking(now)
            && self.peer.role() == Some(crate::wire::Role::Active)
            && self.active.is_none();
        let ready = beside && self.own_objections(now).is_empty();
        self.preempt_from = ready.then(|| self.preempt_from.unwrap_or(now));
        if !beside {
            return;
        }
        self.unanswered = false;
        let held = self.peer.last().is_some_and(|peer| peer.flags.holds);
        // What it said while it still held us may have been its last word.
        let since_clear = (self.clear_since.zip(self.peer.heard_at()))
            .is_some_and(|(clear, heard)| heard > clear);
        if !held && since_clear {
            self.quarantined = false;
            self.ledger.change(|memory| {
                memory.fenced = false;
                memory.last_active = false;
            });
        }
    }

    fn step_vips(&mut self, now: Instant, out: &mut Outbox) {
        if self.active.is_some() || !self.settled {
            return;
        }
        if self.claim.as_ref().is_some_and(Claim::serves) {
            return;
        }
        self.vips.step_down(now, out);
        if self.vips.quiet() || !guard::holds(Guard::BoundUntilQuiet) {
            // Until here a demoted node's kicks ended with its lease.
            self.lease.unbind();
        }
    }

    /// The means that may hold the peer now. Who neither serves nor claims holds nothing.
    fn wanted_means(&self) -> Option<usize> {
        match (&self.claim, &self.active) {
            (Some(claim), _) => claim.means(),
            (None, Some(active)) => active
                .means()
                .or(self.drill.as_ref().and_then(Drill::means)),
            (None, None) => None,
        }
    }

    fn wants_looks(&self) -> bool {
        self.claim.as_ref().is_some_and(Claim::wants_looks)
            || self.active.as_ref().is_some_and(Active::wants_looks)
            || self.drill.as_ref().is_some_and(Drill::wants_looks)
    }

    /// An epoch for the next claim is saved before it is needed: the disk is not in the way of a takeover.
    fn reserve_epoch(&mut self, now: Instant) {
        let idle = self.settled && self.claim.is_none() && self.active.is_none();
        let needed = self.ledger.wanted().epoch <= self.used_epoch && self.ledger.fault.is_none();
        if idle && needed && self.talking(now) {
            let epoch = self.next_epoch();
            self.ledger.change(|memory| memory.epoch = epoch);
        }
    }

    /// Something changed that may let an attempt succeed which failed before.
    fn news(&mut self, now: Instant) {
        self.retries.news(now);
        if let Some(active) = &mut self.active {
            active.news(now);
        }
    }

    fn note_handover(&mut self, now: Instant) {
        self.handovers.retain(|at| now.since(*at) < HANDOVERS_SPAN);
        self.handovers.push_back(now);
        if self.handovers.len() > 64 {
            self.handovers.pop_front();
        }
    }

    fn handovers_left(&self, now: Instant) -> bool {
        let recent = self.handovers.iter();
        let count = recent.filter(|at| now.since(**at) < HANDOVERS_SPAN).count();
        u32::try_from(count).unwrap_or(u32::MAX) < self.policy.handovers_per_hour_max
    }

    fn tell_claim_failed(&mut self, now: Instant, claim: &Claim, why: &str, out: &mut Outbox) {
        if matches!(claim.why, claim::Why::Ask(_)) && claim.proof().is_some() {
            // The peer stopped serving for it, for nothing.
            self.note_handover(now);
            self.preempt_hold = now + PREEMPT_HOLD;
        }
        let elected = matches!(&claim.stage, Stage::Asking { .. })
            && claim.why == claim::Why::Ask(crate::wire::AskReason::Election);
        self.unanswered |= elected && now >= claim.until();
        if claim.why == claim::Why::NoAnswer && guard::holds(Guard::AsksAgain) {
            self.unanswered = false;
        }
        let (epoch, why) = (claim.epoch, why.to_owned());
        out.record(now, Level::Warning, Fact::ClaimFailed { epoch, why });
    }

    /// Our word stands on the relays too where a Backup is open.
    fn stands_as_released(&self) -> bool {
        match self.policy.topology.standby {
            Standby::Hot => true,
            Standby::Cold => self.stands_cut(),
        }
    }

    fn stands_cut(&self) -> bool {
        let ground = self.ground.as_ref();
        ground.is_some_and(|ground| ground.place.is_cut() && ground.moving == Moving::No)
    }
}
