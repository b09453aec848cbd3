//! The pair: who serves, by which proof, and why not.
//!
//! A concern of the node like any other: it sees the node's own hardware as [`ground`], hears the peer, and wishes
//! where the relays should be and how far the dead-man may be kicked. A policy without a pair has none of this.
//!
//! * The Active serves; it is bound by a lease, or holds a proof that lasts ([`active`]).
//! * Everybody else is quiet ([`vips`]), closed where the topology is hot, and ready to claim ([`claim`]) with one of
//!   four proofs ([`proof`]).
//!
//! What if this process dies here? Nothing that was decided outlives it: serve actions die with the process, a hold
//! is a level that the successor reads, the dead-man opens what nobody kicks for, and the ledger gives no rights.

use core::time::Duration;
use std::collections::VecDeque;

use crate::board::controller::{CloseProof, Latch};
use crate::node::outbox::Outbox;
use crate::node::record::{Fact, Level};
use crate::node::time::Instant;
use crate::wire::{BootId, Envelope, Message};

mod active;
mod claim;
pub mod event;
pub(in crate::node) mod ground;
mod ladder;
mod lease;
mod means;
pub mod memory;
mod orders;
mod peer;
pub mod policy;
mod proof;
pub mod refusal;
mod silence;
mod speech;
pub mod status;
mod vips;
mod watch;
mod word;

pub use event::{
    Carrier, FenceReport, LinkSet, PairAction, PairCommand, PairEvent, Presence, SavedPair,
};
pub use memory::PairMemory;
pub use policy::PairPolicy;
pub use refusal::Refusal;
pub use status::PairStatus;

pub(super) use lease::KickRight;

use active::Active;
use claim::{Claim, Stage};
use event::FenceReport as Report;
use ground::{Ground, Moving, Place};
use lease::Lease;
use means::AllMeans;
use memory::{Disk, Ledger};
use orders::Switchover;
use peer::{Accepted, Peer};
use policy::{Standby, Unwell};
use silence::AwakeClock;
use vips::Vips;
use word::Word;

/// The span in which hand-overs are counted.
const HANDOVERS_SPAN: Duration = Duration::from_secs(3600);

/// This node's part in the pair.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    policy: PairPolicy,
    boot: Option<BootId>,
    clock: AwakeClock,
    peer: Peer,
    ledger: Ledger,
    vips: Vips,
    lease: Lease,
    means: AllMeans,
    word: Word,
    claim: Option<Claim>,
    active: Option<Active>,
    switchover: Option<Switchover>,
    /// The own hardware as of the last turn.
    ground: Option<Ground>,
    generation: Option<u32>,
    /// The first look at everything is complete, and what was found is adopted or purged.
    settled: bool,
    started_at: Option<Instant>,
    quarantined: bool,
    /// Highest epoch known to be in use.
    used_epoch: u64,
    counter: u64,
    heartbeat_at: Instant,
    failed_claims: u32,
    retry_at: Instant,
    /// An election was asked for and not answered.
    unanswered: bool,
    preempt_from: Option<Instant>,
    leaving_since: Option<Instant>,
    handovers: VecDeque<Instant>,
    rejected: u64,
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
            ledger: Ledger::new(),
            vips: Vips::new(now),
            lease: Lease::new(policy.lease),
            means: AllMeans::new(&policy.means, policy.timing, policy.topology.fenced, now),
            word: Word::default(),
            claim: None,
            active: None,
            switchover: None,
            ground: None,
            generation: None,
            settled: false,
            started_at: None,
            quarantined: false,
            used_epoch: 0,
            counter: 0,
            heartbeat_at: now,
            failed_claims: 0,
            retry_at: now,
            unanswered: false,
            preempt_from: None,
            leaving_since: None,
            handovers: VecDeque::new(),
            rejected: 0,
            policy,
        }
    }

    /// A turn begins.
    pub(super) fn wake(&mut self, now: Instant, due: Option<Instant>) {
        self.clock.turn(now, due);
        let limit = self.policy.timing.suspect_after;
        self.peer.outdate(&self.clock, limit);
    }

    /// Something happened.
    pub(super) fn handle(&mut self, now: Instant, event: PairEvent, out: &mut Outbox) {
        match event {
            PairEvent::Started { boot, saved } => {
                self.boot = Some(boot);
                self.started_at = Some(now);
                self.ledger.restore(saved);
                self.used_epoch = self.used_epoch.max(self.ledger.saved_epoch());
            }
            PairEvent::Persisted { sequence, outcome } => {
                if self.ledger.persisted(sequence, outcome) == Disk::Failed {
                    let error = self.ledger.fault.clone().unwrap_or_default();
                    out.record(now, Level::Alarm, Fact::LedgerFailed { error });
                }
            }
            PairEvent::Heard {
                link,
                envelope,
                message,
            } => self.heard(now, link, envelope, message, out),
            PairEvent::LinkCarrier { link, carrier } => self.peer.carrier(link, carrier),
            PairEvent::LinkRefused { link } => self.peer.refused(now, link),
            PairEvent::VipContested => self.contested(out),
            PairEvent::VipsHeld { number, outcome } => self.vips_held(now, number, &outcome, out),
            PairEvent::VipsDropped { number, outcome } => self.vips.dropped(now, number, outcome),
            PairEvent::VipsRefreshed { number, outcome } => {
                self.vips.served(number);
                self.vips.fault = outcome.err();
            }
            PairEvent::Announced { number, .. } => {
                self.vips.served(number);
            }
            PairEvent::VipsRead { number, outcome } => self.vips.read(now, number, outcome),
            PairEvent::TicketTaken { outcome } => self.ticket_taken(now, outcome, out),
            PairEvent::FenceRead { sequence, outcome } => self.means.saw(now, sequence, outcome),
            PairEvent::Fenced {
                nonce,
                means,
                outcome,
            } => self.fence_reported(means, nonce, &outcome),
            PairEvent::Unfenced { means, outcome } => self.means.unfenced(now, means, &outcome),
            PairEvent::MeansProbed { means, outcome } => self.means.probed(now, means, outcome),
            PairEvent::Requested {
                request,
                actor,
                command,
            } => self.requested(now, request, actor, command, out),
        }
    }

    fn heard(
        &mut self,
        now: Instant,
        link: usize,
        envelope: Envelope,
        message: Message,
        out: &mut Outbox,
    ) {
        let Some(us) = self.boot else { return };
        if self.peer.hear(now, &self.clock, link, envelope) == Accepted::Stale {
            self.rejected = self.rejected.saturating_add(1);
            return;
        }
        match message {
            Message::Heartbeat(heartbeat) => {
                self.used_epoch = self.used_epoch.max(heartbeat.epoch);
                let acknowledge = self.may_acknowledge(&heartbeat);
                self.lease.heard(now, &heartbeat);
                self.peer.take(now, &self.clock, us, heartbeat, acknowledge);
                if self.lease.bound() || !self.agrees() {
                    self.lease.forfeit();
                }
            }
            Message::Ask(ask) => self.asked(now, envelope.boot, ask, out),
            Message::Answer(answer) => {
                if let Some(word) = self.answered(answer) {
                    self.word_given(now, word);
                }
            }
            Message::Decline(decline) => {
                if self.word.pending() {
                    self.abandon(now, "the peer declined", out);
                    self.word.declined = Some(decline.reason);
                }
            }
            Message::FenceOrder(order) => self.ordered(now, envelope.boot, order, out),
            Message::FenceAnswer(answer) => {
                if let Some(ladder) = self.claim.as_mut().and_then(Claim::ladder) {
                    ladder.peer_answered(answer, &self.means);
                }
            }
            Message::Pin(_) => {}
        }
    }

    fn word_given(&mut self, now: Instant, word: word::Released) {
        let proof = proof::Proof::Released(word);
        let stage = self.check(now, proof);
        if let Some(claim) = &mut self.claim {
            claim.stage = stage;
        }
    }

    fn fence_reported(&mut self, means: usize, nonce: u64, report: &Report) {
        let claims = self.claim.as_mut().and_then(Claim::ladder);
        let serves = self.active.as_mut().and_then(Active::ladder);
        if let Some(ladder) = claims.or(serves) {
            ladder.reported(means, nonce, report, &self.means);
        }
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
        self.step_claim(now, &ground, out);
        self.step_join(now);
        self.step_vips(now, out);
        self.step_word(now, out);
        self.reserve_epoch(now);
        let wanted = self.wanted_means();
        if self.wants_looks() {
            self.means.look_within(now);
        }
        if ground.reachable {
            self.means.step(now, wanted, out);
        }
        self.ledger.step(out);
        self.step_switchover(now, out);
        self.step_heartbeat(now, &ground, out);
    }

    /// What the own hardware says about claims, words and leases, before anything is decided on it.
    fn watch_ground(&mut self, now: Instant, ground: &Ground, out: &mut Outbox) {
        let moved = ground.generation.is_some()
            && self.generation.is_some()
            && ground.generation != self.generation;
        self.generation = ground.generation.or(self.generation);
        if moved || ground.latch == Latch::Latched {
            self.lease.forfeit();
            self.word.void();
        }
        if ground.latch == Latch::Latched && !self.quarantined {
            self.quarantined = true;
            self.ledger.change(|memory| {
                memory.fenced = true;
                memory.last_active = false;
            });
            out.record(now, Level::Alarm, Fact::FencedByPeer);
        }
        let leaving = ground.stopping || ground.out_of_service.is_some();
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
        let stands = sight.place == Place::Closed && sight.latch != Latch::Latched;
        let may = self.ledger.is_known() && memory.epoch > 0 && self.leaving_since.is_none();
        if served && stands && may && ground.dead_man == ground::Guard::Stands {
            return self.adopt(now, out);
        }
        if presence != Presence::Absent {
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
        if !held
            && self
                .ground
                .as_ref()
                .is_some_and(|ground| ground.latch != Latch::Latched)
        {
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
        if self.vips.quiet() {
            // Until here a demoted node's kicks ended with its lease.
            self.lease.unbind();
        }
    }

    /// The means that may hold the peer now. Who neither serves nor claims holds nothing.
    fn wanted_means(&self) -> Option<usize> {
        match (&self.claim, &self.active) {
            (Some(claim), _) => claim.means(),
            (None, Some(active)) => active.means(),
            (None, None) => None,
        }
    }

    fn wants_looks(&self) -> bool {
        self.claim.as_ref().is_some_and(Claim::wants_looks)
            || self.active.as_ref().is_some_and(Active::wants_looks)
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
        let elected = matches!(&claim.stage, Stage::Asking { .. })
            && claim.why == claim::Why::Ask(crate::wire::AskReason::Election);
        self.unanswered |= elected && now >= claim.until();
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
        ground.is_some_and(|ground| ground.place == Place::Cut && ground.moving == Moving::No)
    }

    // ---- what the node asks of its pair

    /// Where the relays should be, health and operators aside.
    pub(super) fn wish(&self) -> Wish {
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
            (Standby::Hot, None) if self.vips.quiet() && !self.word.pending() => {
                Wish::Close(CloseProof::NotServing)
            }
            (Standby::Hot, None) => Wish::Keep,
            (Standby::Cold, Some(claim)) if claim.needs_closed() => {
                let proof = claim.proof().map(proof::Proof::to_close);
                proof.map_or(Wish::Keep, Wish::Close)
            }
            (Standby::Cold, _) => Wish::Cut,
        }
    }

    /// What failing checks do to the relays here.
    pub(super) fn unwell_cuts(&self) -> bool {
        self.policy.topology.unwell == Unwell::IsCut
    }

    /// How far the dead-man may be kicked.
    pub(super) fn kick_right(&self, now: Instant) -> KickRight {
        if !self.settled {
            // Whether vips are served is not known yet; if they are, the right ends by itself.
            return KickRight::Denied;
        }
        self.lease.kick_right(now, self.peer.acked_sent_at())
    }

    /// An arm reaches a whole window ahead, whenever it is carried out: never while a lease ends sooner.
    pub(super) fn may_arm(&self) -> bool {
        self.settled && !self.lease.bound()
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// The ticket a cold claim took before its proof; the first segment closes on it.
    pub(super) fn take_claim_ticket(&mut self) -> Option<crate::board::controller::Ticket> {
        self.claim.as_mut()?.ticket.take()
    }

    /// It serves and waits for the peer to take over before the relays may go.
    pub(super) fn handing_over(&self) -> bool {
        self.active.is_some() || !self.vips.quiet()
    }

    /// When something is due next.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        self.boot?;
        let mut at = vec![self.heartbeat_at];
        at.extend(self.means.next());
        at.extend(self.vips.next(now));
        at.extend(self.claim.as_ref().and_then(Claim::deadline));
        at.extend(self.lease.drop_at(self.peer.acked_sent_at()));
        let part = if let Some(active) = &self.active {
            at.extend(active.deadline());
            at.push(active.refresh_at());
            at.push(active.fence_at());
            As::Active
        } else {
            at.push(self.retry_at);
            at.extend(self.lease.expires_at());
            As::Backup
        };
        at.extend(self.suspect_in(now, part).map(|left| now + left));
        at.into_iter()
            .filter(|at| *at > now)
            .min()
            .or(Some(self.heartbeat_at))
    }
}
