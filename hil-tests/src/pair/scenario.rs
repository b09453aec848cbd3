//! What the pair is put through, and what must hold.
//!
//! Every scenario ends with the same two demands: nobody but one ever answered for the vip (`dual_active_ms` is 0 from first to last),
//! and where the pair is whole again, exactly one serves and the other is ready.

mod lives;
pub(super) mod means;
mod parts;
mod synced;

use std::path::PathBuf;
use std::time::Instant as WallInstant;

use fencepost::board::RelayState;
use serde::Serialize;

use super::Cabling;
use super::host::Kind;
use super::site::Wishes;
use super::trial::{Trial, name, other};
use crate::error::{Result, RigError};
use crate::outcome::{Moment, Verdict};

/// One thing that can happen to a pair.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub shows: &'static str,
    /// It is about a Backup that is closed and hears the network.
    hot_only: bool,
    /// The bed on which it shows nothing, and why.
    pub not_on: Option<(Kind, &'static str)>,
    run: fn(&mut Trial) -> Result<Told>,
}

/// What a scenario saw: its outage, and a sentence.
struct Told {
    outage_ms: Option<f64>,
    text: String,
}

/// One scenario's line.
#[derive(Debug, Clone, Serialize)]
pub struct PairOutcome {
    /// Name.
    pub scenario: &'static str,
    /// Where it ran.
    pub bed: &'static str,
    /// How it ended.
    pub result: Verdict,
    /// How the two were cabled, and what the Backup did.
    pub cabling: Cabling,
    /// Longest time in which nobody answered for the vip, from the fault on, milliseconds.
    pub outage_ms: Option<f64>,
    /// Milliseconds in which both answered.
    pub dual_active_ms: usize,
    /// What was seen, or what was not.
    pub reason: String,
    /// How long it took.
    pub seconds: f64,
    /// What was done and seen, in order.
    pub moments: Vec<Moment>,
    /// How both agents saw themselves at the end, and what they said.
    #[serde(skip)]
    pub log: String,
}

/// A pause of the rig's own that is told with a failure: it may be why.
const RIG_GAP_MS: f64 = 500.0;
/// Standing still and panicking is the kernel's.
const NEEDS_A_KERNEL: Option<(Kind, &str)> = Some((
    Kind::Namespaces,
    "a namespace has no kernel of its own: see the bed `qemu`",
));

/// A program that takes power asks the rig to.
const NEEDS_THE_RIGS_SWITCH: Option<(Kind, &str)> = Some((
    Kind::Qemu,
    "the rig's power switch is a program of this kernel: see the bed `namespaces`",
));

/// What it compares are files of this kernel.
const NEEDS_THE_RIGS_MOUNTS: Option<(Kind, &str)> = Some((
    Kind::Qemu,
    "the rig compares both nodes' files where it can read them: see the bed `namespaces`",
));

/// What a pair without relays is put through.
const WITHOUT_RELAYS: [&str; 6] = [
    "cold-start",
    "active-restarted",
    "active-stopped",
    "switchover",
    "power-taken",
    "vip-port-lost",
];

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "cold-start",
        shows: "both boot at once: the primary serves, the secondary is ready",
        hot_only: false,
        not_on: None,
        run: lives::cold_start,
    },
    Scenario {
        name: "alone",
        shows: "one boots and the other never does: it fences before it serves",
        hot_only: false,
        not_on: None,
        run: lives::alone,
    },
    Scenario {
        name: "active-killed",
        shows: "the Active's agent dies and does not come back",
        hot_only: false,
        not_on: None,
        run: lives::active_killed,
    },
    Scenario {
        name: "active-restarted",
        shows: "the Active's agent dies and is started again at once, as a supervisor does",
        hot_only: false,
        not_on: None,
        run: lives::active_restarted,
    },
    Scenario {
        name: "active-frozen",
        shows: "the Active sleeps, is fenced, wakes up, knows it, and comes back as Backup",
        hot_only: false,
        not_on: None,
        run: lives::active_frozen,
    },
    Scenario {
        name: "active-stopped",
        shows: "the Active's agent is stopped in order: it hands over",
        hot_only: false,
        not_on: None,
        run: lives::active_stopped,
    },
    Scenario {
        name: "power-cut",
        shows: "the Active loses power",
        hot_only: false,
        not_on: None,
        run: lives::power_cut,
    },
    Scenario {
        name: "kernel-panic",
        shows: "the Active's kernel panics and boots again: it comes back as Backup",
        hot_only: false,
        not_on: NEEDS_A_KERNEL,
        run: lives::kernel_panic,
    },
    Scenario {
        name: "machine-paused",
        shows: "the Active's whole machine stands still, is fenced, wakes up fenced, knows it, and comes back as Backup",
        hot_only: false,
        not_on: NEEDS_A_KERNEL,
        run: lives::machine_paused,
    },
    Scenario {
        name: "backup-killed",
        shows: "the Backup's agent dies: nothing moves",
        hot_only: false,
        not_on: None,
        run: lives::backup_killed,
    },
    Scenario {
        name: "backup-power-cut",
        shows: "the Backup loses power: nothing moves; it comes back",
        hot_only: false,
        not_on: None,
        run: lives::backup_power_cut,
    },
    Scenario {
        name: "one-link-cut",
        shows: "the direct cable breaks, the other link holds: nothing moves",
        hot_only: true,
        not_on: None,
        run: parts::one_link_cut,
    },
    Scenario {
        name: "all-links-cut",
        shows: "no heartbeat passes while both live: one is fenced, the other serves; mended, both are back",
        hot_only: true,
        not_on: None,
        run: parts::all_links_cut,
    },
    Scenario {
        name: "heard-one-way",
        shows: "the Active hears, and is not heard: one is fenced, the other serves; mended, both are back",
        hot_only: true,
        not_on: None,
        run: parts::heard_one_way,
    },
    Scenario {
        name: "forged-frames",
        shows: "all heartbeats since the start, a switchover among them, are said again, whole and damaged: nothing moves",
        hot_only: false,
        not_on: None,
        run: parts::forged_frames,
    },
    Scenario {
        name: "links-flap",
        shows: "heartbeats come and go in spans too short to mean anything: nothing moves",
        hot_only: true,
        not_on: Some((
            Kind::Qemu,
            "spans of milliseconds are noise to an emulated machine: see the bed `namespaces`",
        )),
        run: parts::links_flap,
    },
    Scenario {
        name: "switchover",
        shows: "an operator moves the vips, there and back",
        hot_only: false,
        not_on: None,
        run: lives::switchover,
    },
    Scenario {
        name: "upgrade",
        shows: "the Backup's program is replaced, the vips are moved, the other's is replaced",
        hot_only: false,
        not_on: None,
        run: lives::upgrade,
    },
    Scenario {
        name: "maintenance",
        shows: "the Active goes into maintenance: it hands over first, and is dark afterwards",
        hot_only: true,
        not_on: None,
        run: lives::maintenance,
    },
    Scenario {
        name: "both-power-cut",
        shows: "power is cut for both and comes back: one serves, the other is ready",
        hot_only: false,
        not_on: None,
        run: lives::both_power_cut,
    },
    Scenario {
        name: "relay-stuck",
        shows: "the Active's relay sticks closed and its agent dies: the Backup waits until the kernel has withdrawn the vip",
        hot_only: false,
        not_on: None,
        run: parts::relay_stuck,
    },
    Scenario {
        name: "fence-wire-broken",
        shows: "the fence cable is broken and the Active dies: the Backup waits for the end of its lease",
        hot_only: false,
        not_on: None,
        run: parts::fence_wire_broken,
    },
    Scenario {
        name: "controller-dead",
        shows: "the Active's controller answers no more: it cannot prove what its relay does, and hands over",
        hot_only: false,
        not_on: None,
        run: parts::controller_dead,
    },
    Scenario {
        name: "power-taken",
        shows: "the fence cable is broken and the Active sleeps: a program takes its power, a person gives it back",
        hot_only: true,
        not_on: NEEDS_THE_RIGS_SWITCH,
        run: means::power_taken,
    },
    Scenario {
        name: "fence-test",
        shows: "an operator tries the means out: the Backup is cut by each and comes back, the Active serves on",
        hot_only: true,
        not_on: NEEDS_THE_RIGS_SWITCH,
        run: means::fence_test,
    },
    Scenario {
        name: "data-port-lost",
        shows: "a data port of the Active loses its carrier: it hands over",
        hot_only: true,
        not_on: None,
        run: parts::data_port_lost,
    },
    Scenario {
        name: "vip-port-lost",
        shows: "the port that carries the vip loses its carrier: from then on nobody answers until the other does",
        hot_only: true,
        not_on: None,
        run: parts::vip_port_lost,
    },
    Scenario {
        name: "synced",
        shows: "the sync service beside each agent: what the Active saves is on the Backup, and the service's death moves nothing",
        hot_only: false,
        not_on: NEEDS_THE_RIGS_MOUNTS,
        run: synced::synced,
    },
];

/// What to run scenarios with.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Where.
    pub kind: Kind,
    /// The agent's program.
    pub program: PathBuf,
    /// What differs in the sites.
    pub wishes: Wishes,
    /// Keep what everybody said, whatever the result.
    pub logs: bool,
}

/// Runs one.
pub fn run(scenario: &Scenario, setting: &Setting) -> PairOutcome {
    let began = WallInstant::now();
    let mut outcome = PairOutcome {
        scenario: scenario.name,
        bed: setting.kind.word(),
        result: Verdict::Fail,
        cabling: setting.wishes.cabling,
        outage_ms: None,
        dual_active_ms: 0,
        reason: String::new(),
        seconds: 0.0,
        moments: Vec::new(),
        log: String::new(),
    };
    if let Some(why) = scenario.skipped(setting) {
        outcome.result = Verdict::Skipped;
        outcome.reason = why.to_owned();
        return outcome;
    }
    let mut wishes = setting.wishes.clone();
    wishes.tables += &means::tables(scenario.name, wishes.cabling);
    match Trial::prepare(setting.kind, &setting.program, &wishes) {
        Err(error) => outcome.reason = format!("the rig, not the pair: {error}"),
        Ok(mut trial) => {
            let told = (scenario.run)(&mut trial);
            outcome.judge(&trial, told);
            outcome.moments = std::mem::take(&mut trial.moments);
            if setting.logs || outcome.result == Verdict::Fail {
                outcome.log = trial.said();
            }
        }
    }
    outcome.seconds = began.elapsed().as_secs_f64();
    outcome
}

impl Scenario {
    /// Why it is not run there; `None`: it is.
    fn skipped(&self, setting: &Setting) -> Option<&'static str> {
        if !setting.wishes.cabling.has_relays() && !WITHOUT_RELAYS.contains(&self.name) {
            return Some("it reads or moves relays, and this pair has none");
        }
        if self.hot_only && !setting.wishes.cabling.hears_network() {
            return Some("it is about a Backup that is closed, and this one is not");
        }
        let not_on = self.not_on.filter(|(kind, _)| *kind == setting.kind);
        not_on.map(|(_, why)| why)
    }
}

impl PairOutcome {
    fn judge(&mut self, trial: &Trial, told: Result<Told>) {
        let seen = trial.seen();
        self.dual_active_ms = seen.dual_ms;
        match told {
            Ok(told) => {
                self.outage_ms = told.outage_ms;
                self.reason = told.text;
                self.result = Verdict::Pass;
            }
            Err(RigError::Broken(what)) => self.reason = what,
            Err(error) => self.reason = format!("the rig, not the pair: {error}"),
        }
        if self.dual_active_ms > 0 {
            self.result = Verdict::Fail;
            self.reason += "; both owned the vip";
        }
        if self.result == Verdict::Fail && seen.rig_gap_ms > RIG_GAP_MS {
            self.reason += &format!("; the rig itself stood still for {:.0} ms", seen.rig_gap_ms);
        }
    }
}

fn demand(good: bool, what: impl FnOnce() -> String) -> Result<()> {
    if good {
        return Ok(());
    }
    Err(RigError::Broken(what()))
}

/// What a fault of the Active came to.
struct Takeover {
    /// Who was Active.
    old: usize,
    outage_ms: f64,
    proof: String,
}

impl Takeover {
    fn told(self, then: &str) -> Told {
        Told {
            outage_ms: Some(self.outage_ms),
            text: format!("taken over, {}; {then}", self.proof),
        }
    }
}

/// Brings the pair up, does this to its Active, and waits until the other serves and the network has settled.
fn taken_over(
    trial: &mut Trial,
    what: &str,
    fault: impl FnOnce(&mut Trial, usize) -> Result<()>,
) -> Result<Takeover> {
    let old = trial.stand_ready()?;
    let from = trial.bed.now();
    trial.note(&format!("{}: {what}", name(old)));
    fault(trial, old)?;
    let status = trial.wait_serves(other(old))?;
    trial.pass(trial.pace.settle);
    let span = trial.since(from);
    Ok(Takeover {
        old,
        outage_ms: span.seen.outage_ms,
        proof: status.proof.unwrap_or_default(),
    })
}

/// The old Active is off the wire.
fn demand_isolated(trial: &Trial, old: usize) -> Result<()> {
    demand(trial.side(old).relay() != RelayState::Normal, || {
        "the old Active's relay is closed".to_owned()
    })
}

/// The pair is whole again, and the vip has stayed where it went.
fn demand_stays(trial: &mut Trial, old: usize) -> Result<()> {
    let serving = trial.wait_stands()?;
    demand(serving == other(old), || "the vip went back".to_owned())
}

/// What `serving` has stays with it: vip and relay. The outage.
fn unmoved(
    trial: &mut Trial,
    serving: usize,
    fault: impl FnOnce(&mut Trial) -> Result<()>,
) -> Result<f64> {
    let from = trial.bed.now();
    fault(trial)?;
    trial.pass(trial.pace.watch);
    let span = trial.since(from);
    let owners = &span.seen.owners;
    demand(owners[other(serving)] == 0 && owners[serving] > 0, || {
        format!("the vip moved: {:?}", span.seen)
    })?;
    demand(trial.side(serving).relay() == RelayState::Normal, || {
        "the Active's relay moved".to_owned()
    })?;
    Ok(span.seen.outage_ms)
}
