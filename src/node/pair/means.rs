//! Means: what can isolate the peer, whether each is known to work, and what each holds.
//!
//! A means that was not proven lately counts as failed before it is needed, and is not fired: it could only cut the
//! peer, never help us. What is held and no longer wanted is let go, whoever asserted it: an earlier life of this
//! agent too. What if we die while we hold? The hold is a level in the controller; it stays until the next agent
//! reads it, and guards nobody's service but the one it was taken for.

use core::time::Duration;

use super::event::{FenceReport, PairAction, Probed};
use super::ground::Place;
use super::guard::{self, Guard};
use super::policy::{MeansKind, MeansPolicy, Timing};
use crate::board::controller::{Acknowledge, CutState, Fault, FenceReading, Hold, Latch};
use crate::node::outbox::Outbox;
use crate::node::time::Instant;
use crate::wire::FenceOutcome;

/// Said of a means that takes something else for the peer, or a switch for its power.
const LIES: &str = "says that the peer's power is off, and the peer is heard";
/// Between two tries to let go.
const LET_GO_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// All means, and the last look at the own controller.
#[derive(Debug, Clone)]
pub(super) struct AllMeans {
    fenced: CutState,
    timing: Timing,
    means: Vec<Means>,
    sight: Option<Sight>,
    looks: u64,
    looking: Option<(u64, Instant)>,
    look_at: Instant,
    pub(super) fault: Option<String>,
    /// One that did not work does.
    recovered: bool,
}

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Means {
    pub(super) policy: MeansPolicy,
    pub(super) proven_at: Option<Instant>,
    pub(super) fault: Option<String>,
    /// It took something else for the peer. Only that it says "on" of a peer that is heard ends this: silence would
    /// make the same lie look true.
    lies: bool,
    probing: bool,
    probe_at: Instant,
    held: Held,
    let_go_at: Instant,
}

/// What a means holds of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Nothing,
    /// Ordered; until it is withdrawn it must be taken to hold.
    Ordered,
    Withdrawing,
}

/// One look at the own controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sight {
    /// Which look.
    pub(super) number: u64,
    pub(super) place: Place,
    pub(super) latch: Latch,
    pub(super) generation: u32,
    pub(super) hold: Hold,
    pub(super) acknowledge: Acknowledge,
}

/// Proof: the peer is isolated. Made only by the `confirmed_by_*` of [`AllMeans`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fenced {
    means: usize,
    name: String,
    kind: MeansKind,
}

impl Fenced {
    pub(super) fn means(&self) -> usize {
        self.means
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn kind(&self) -> MeansKind {
        self.kind
    }

    pub(super) fn by_wire(&self) -> bool {
        self.kind == MeansKind::FenceWire
    }

    /// Its power was taken: nothing of it can be heard.
    pub(super) fn by_power(&self) -> bool {
        self.kind == MeansKind::External
    }
}

impl Means {
    /// It works. Whether it had not been known to: it had a fault, or no proof for so long.
    fn proven(&mut self, now: Instant, stale: Duration) -> bool {
        let faulty = self.fault.take().is_some();
        let before = self.proven_at.replace(now);
        faulty || before.is_none_or(|at| now.since(at) > stale)
    }
}

impl AllMeans {
    pub(super) fn new(
        policies: &[MeansPolicy],
        timing: Timing,
        fenced: CutState,
        now: Instant,
    ) -> Self {
        let means = policies.iter().map(|policy| Means {
            policy: policy.clone(),
            proven_at: None,
            fault: None,
            lies: false,
            probing: false,
            probe_at: now,
            held: Held::Nothing,
            let_go_at: now,
        });
        Self {
            fenced,
            timing,
            means: means.collect(),
            sight: None,
            looks: 0,
            looking: None,
            look_at: now,
            fault: None,
            recovered: false,
        }
    }

    /// Whether one that did not work does, since this was last asked.
    pub(super) fn take_recovered(&mut self) -> bool {
        core::mem::take(&mut self.recovered)
    }

    pub(super) fn all(&self) -> &[Means] {
        &self.means
    }

    pub(super) fn policy(&self, means: usize) -> Option<&MeansPolicy> {
        self.means.get(means).map(|means| &means.policy)
    }

    pub(super) fn sight(&self) -> Option<Sight> {
        self.sight
    }

    /// The number the next look will have: what is seen with it or later was seen after now.
    pub(super) fn next_look(&self) -> u64 {
        self.looks + 1
    }

    /// When the look that is under way was asked for.
    pub(super) fn looking_since(&self) -> Option<Instant> {
        self.looking.map(|(_, since)| since)
    }

    /// Whether `means` may be fired, or why not. `talking`: both directions to the peer work.
    pub(super) fn usable(&self, now: Instant, means: usize, talking: bool) -> Result<(), String> {
        let Some(means) = self.means.get(means) else {
            return Err("no such means".to_owned());
        };
        if means.policy.kind == MeansKind::PeerAgent {
            // Its answer must be able to reach us; else it would cut the peer and help nobody.
            return talking
                .then_some(())
                .ok_or("the peer is not heard".to_owned());
        }
        let probe = means.policy.probe;
        let stale = probe.map_or(self.timing.probe_stale_after, |probe| probe.stale_after);
        match (&means.fault, means.proven_at) {
            (Some(fault), _) => Err(fault.clone()),
            (None, Some(at)) if now.since(at) <= stale => Ok(()),
            (None, _) => Err(format!("not proven for {} ms", stale.as_millis())),
        }
    }

    pub(super) fn fire(&mut self, now: Instant, means: usize, nonce: u64, out: &mut Outbox) {
        if let Some(means) = self.means.get_mut(means)
            && means.policy.kind.holds()
        {
            means.held = Held::Ordered;
        }
        let adapter = self
            .policy(means)
            .is_some_and(|policy| policy.kind.has_adapter());
        if adapter {
            out.pair(PairAction::Fence {
                nonce,
                means,
                decided: now,
            });
        }
    }

    /// The wire proves it: our hold is acknowledged, in a look that began after the order was carried out.
    pub(super) fn confirmed_by_wire(&self, means: usize, after: u64) -> Option<Fenced> {
        let sight = self.sight.filter(|sight| sight.number >= after)?;
        let proven = sight.hold == Hold::Acknowledged || !guard::holds(Guard::SilenceIsNoProof);
        proven.then(|| self.fenced(means, MeansKind::FenceWire))?
    }

    /// Our own relays read closed, in a look that began after the order: the peer's wire ends here.
    pub(super) fn confirmed_by_own_relays(&self, means: usize, after: u64) -> Option<Fenced> {
        let sight = self.sight.filter(|sight| sight.number >= after)?;
        let closed = sight.place == Place::Closed && sight.latch != Latch::Latched;
        closed.then(|| self.fenced(means, MeansKind::OwnRelay))?
    }

    /// Another means says that it is done and verified.
    pub(super) fn confirmed_by_report(&self, means: usize, report: &FenceReport) -> Option<Fenced> {
        if *report != FenceReport::Confirmed {
            return None;
        }
        let kind = self.policy(means)?.kind;
        let tells = matches!(kind, MeansKind::External | MeansKind::PeerController);
        tells.then(|| self.fenced(means, kind))?
    }

    /// The peer's agent says that it cut itself and proved it.
    pub(super) fn confirmed_by_peer(&self, means: usize, outcome: FenceOutcome) -> Option<Fenced> {
        (outcome == FenceOutcome::Cut).then(|| self.fenced(means, MeansKind::PeerAgent))?
    }

    /// Our hold is read again, acknowledged: what a restarted Active finds.
    pub(super) fn found_held(&self) -> Option<Fenced> {
        let kind = MeansKind::FenceWire;
        let means = self
            .means
            .iter()
            .position(|means| means.policy.kind == kind)?;
        self.confirmed_by_wire(means, 0)
    }

    fn fenced(&self, means: usize, kind: MeansKind) -> Option<Fenced> {
        let policy = self.policy(means).filter(|policy| policy.kind == kind)?;
        Some(Fenced {
            means,
            name: policy.name.clone(),
            kind,
        })
    }

    /// A program that took the peer's power is done: there is nothing left to call off, and power is not ours to give.
    pub(super) fn power_taken(&mut self, means: usize) {
        if let Some(means) = self.means.get_mut(means) {
            means.held = Held::Nothing;
        }
    }

    /// Nothing is held by `means`, as far as was answered and read.
    pub(super) fn let_go(&self, means: usize) -> bool {
        self.means
            .get(means)
            .is_none_or(|means| means.held == Held::Nothing)
    }

    /// Anything that may hold the peer's latch.
    pub(super) fn holds(&self) -> bool {
        self.sight.is_some_and(|sight| sight.hold != Hold::Released)
            || self.means.iter().any(|means| means.held != Held::Nothing)
    }

    pub(super) fn unfenced(&mut self, now: Instant, means: usize, outcome: &Result<(), String>) {
        let Some(means) = self.means.get_mut(means) else {
            return;
        };
        if means.held != Held::Withdrawing {
            return;
        }
        means.held = match outcome {
            Ok(()) => Held::Nothing,
            Err(_) => Held::Ordered,
        };
        means.let_go_at = now + LET_GO_AGAIN_AFTER;
        self.look_at = now;
    }

    /// A look was answered.
    pub(super) fn saw(&mut self, now: Instant, number: u64, outcome: Result<FenceReading, Fault>) {
        if self.looking.is_none_or(|(looking, _)| looking != number) {
            return;
        }
        self.looking = None;
        self.look_at = now + self.timing.probe_every;
        let reading = match outcome {
            Ok(reading) => reading,
            Err(fault) => {
                self.sight = None;
                self.fault = Some(fault.to_string());
                return;
            }
        };
        self.fault = None;
        let states = reading.reading.segments.iter().map(|segment| segment.state);
        self.sight = Some(Sight {
            number,
            place: Place::of(states, self.fenced),
            latch: reading.reading.latch,
            generation: reading.reading.generation,
            hold: reading.hold,
            acknowledge: reading.acknowledge,
        });
        self.prove_wire(now, reading.hold, reading.acknowledge);
        self.prove_own_relays(now);
    }

    /// The wire is proven by looking: the controller answers, and the acknowledge does not read "cut" while nobody
    /// holds.
    fn prove_wire(&mut self, now: Instant, hold: Hold, acknowledge: Acknowledge) {
        for means in &mut self.means {
            if means.policy.kind != MeansKind::FenceWire {
                continue;
            }
            let stuck = hold == Hold::Released && acknowledge == Acknowledge::Asserted;
            if stuck && guard::holds(Guard::LineIdleFirst) {
                means.fault =
                    Some("the acknowledge line reads cut although nobody holds".to_owned());
            } else {
                self.recovered |= means.proven(now, self.timing.probe_stale_after);
            }
        }
    }

    /// Own relays are proven by looking: all of them somewhere, and nobody holds them there.
    fn prove_own_relays(&mut self, now: Instant) {
        let Some(sight) = self.sight else { return };
        let own = |means: &&mut Means| means.policy.kind == MeansKind::OwnRelay;
        for means in self.means.iter_mut().filter(own) {
            if sight.latch == Latch::Latched {
                means.fault = Some("the peer holds this node's latch".to_owned());
            } else if matches!(sight.place, Place::Closed | Place::Cut) {
                self.recovered |= means.proven(now, self.timing.probe_stale_after);
            } else {
                means.fault = Some(format!("the own relays are {}", sight.place));
            }
        }
    }

    /// A probe was answered. `heard`: the peer is, at this moment.
    pub(super) fn probed(
        &mut self,
        now: Instant,
        means: usize,
        outcome: Result<Probed, String>,
        heard: bool,
    ) {
        let Some(means) = self.means.get_mut(means) else {
            return;
        };
        let Some(probe) = means.policy.probe else {
            return;
        };
        means.probing = false;
        means.probe_at = now + probe.every;
        means.lies &= outcome != Ok(Probed::Works);
        means.lies |= outcome == Ok(Probed::PeerOff) && heard && guard::holds(Guard::SeesLies);
        match outcome {
            Ok(_) if means.lies => means.fault = Some(LIES.to_owned()),
            Ok(_) => self.recovered |= means.proven(now, probe.stale_after),
            Err(error) => means.fault = Some(error),
        }
    }

    /// What it confirmed cannot be true: not fired again until it is proven anew.
    pub(super) fn lied(&mut self, now: Instant, means: usize) {
        if let Some(means) = self.means.get_mut(means) {
            means.lies = true;
            means.fault = Some(LIES.to_owned());
            means.probe_at = means.probe_at.min(now);
        }
    }

    /// Look again at once, or within `look_every` of the last look.
    pub(super) fn look_soon(&mut self, now: Instant) {
        self.look_at = self.look_at.min(now);
    }

    /// Something waits for it: look as often as was agreed for that.
    pub(super) fn look_within(&mut self, now: Instant) {
        self.look_at = self.look_at.min(now + self.timing.look_every);
    }

    /// Lets go what is not wanted, looks, and proves what is due. `wanted`: the one means that may hold now.
    pub(super) fn step(&mut self, now: Instant, wanted: Option<usize>, out: &mut Outbox) {
        let stray = self.sight.is_some_and(|sight| sight.hold != Hold::Released);
        for (index, means) in self.means.iter_mut().enumerate() {
            if stray && means.policy.kind == MeansKind::FenceWire && means.held == Held::Nothing {
                // Somebody before us asserted it.
                means.held = Held::Ordered;
            }
            let withdraws = guard::holds(Guard::Withdraws);
            if withdraws
                && means.held == Held::Ordered
                && wanted != Some(index)
                && now >= means.let_go_at
            {
                means.held = Held::Withdrawing;
                if means.policy.kind == MeansKind::FenceWire {
                    self.sight = None;
                }
                out.pair(PairAction::Unfence { means: index });
            }
        }
        for (index, means) in self.means.iter_mut().enumerate() {
            if means.policy.probe.is_some() && !means.probing && now >= means.probe_at {
                means.probing = true;
                out.pair(PairAction::ProbeMeans { means: index });
            }
        }
        if self.looking.is_none() && now >= self.look_at {
            self.looks += 1;
            self.looking = Some((self.looks, now));
            out.pair(PairAction::ReadFence {
                sequence: self.looks,
            });
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let look = self.looking.is_none().then_some(self.look_at);
        let probes = self.means.iter().filter_map(|means| {
            (means.policy.probe.is_some() && !means.probing).then_some(means.probe_at)
        });
        let retries = self
            .means
            .iter()
            .filter(|means| means.held == Held::Ordered)
            .map(|means| means.let_go_at);
        look.into_iter().chain(probes).chain(retries).min()
    }
}

impl MeansKind {
    /// Whether an adapter carries it out, and not a message or the node's own segments.
    fn has_adapter(self) -> bool {
        !matches!(self, Self::PeerAgent | Self::OwnRelay)
    }

    /// Whether there is something to withdraw: a level, or a program that still runs.
    fn holds(self) -> bool {
        matches!(
            self,
            Self::FenceWire | Self::PeerController | Self::External
        )
    }
}
