//! What the pair is put through, and what must hold.
//!
//! Every scenario ends with the same two demands: nobody but one ever answered for the vip (`dual_active_ms` is 0 from first to last),
//! and where the pair is whole again, exactly one serves and the other is ready.

mod lives;
mod means;
mod parts;

use std::path::Path;
use std::time::{Duration, Instant as WallInstant};

use fencepost::board::RelayState;
use serde::Serialize;

use super::agent::Wishes;
use super::trial::{Trial, name, other};
use crate::error::{Result, RigError};
use crate::outcome::{Moment, Verdict};

/// One thing that can happen to a pair.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub shows: &'static str,
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

/// Long enough that a switched network settles and every repeat of an announcement that matters is out.
const SETTLE: Duration = Duration::from_millis(400);

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "cold-start",
        shows: "both boot at once: the primary serves, the secondary is ready",
        run: lives::cold_start,
    },
    Scenario {
        name: "alone",
        shows: "one boots and the other never does: it fences before it serves",
        run: lives::alone,
    },
    Scenario {
        name: "active-killed",
        shows: "the Active's agent dies and does not come back",
        run: lives::active_killed,
    },
    Scenario {
        name: "active-restarted",
        shows: "the Active's agent dies and is started again at once, as a supervisor does",
        run: lives::active_restarted,
    },
    Scenario {
        name: "active-frozen",
        shows: "the Active sleeps, is fenced, wakes up, knows it, and comes back as Backup",
        run: lives::active_frozen,
    },
    Scenario {
        name: "active-stopped",
        shows: "the Active's agent is stopped in order: it hands over",
        run: lives::active_stopped,
    },
    Scenario {
        name: "power-cut",
        shows: "the Active loses power",
        run: lives::power_cut,
    },
    Scenario {
        name: "backup-killed",
        shows: "the Backup's agent dies: nothing moves",
        run: lives::backup_killed,
    },
    Scenario {
        name: "one-link-cut",
        shows: "the direct cable breaks, the other link holds: nothing moves",
        run: parts::one_link_cut,
    },
    Scenario {
        name: "all-links-cut",
        shows: "no heartbeat passes while both live: one is fenced, the other serves; mended, both are back",
        run: parts::all_links_cut,
    },
    Scenario {
        name: "heard-one-way",
        shows: "the Active hears, and is not heard: one is fenced, the other serves; mended, both are back",
        run: parts::heard_one_way,
    },
    Scenario {
        name: "links-flap",
        shows: "heartbeats come and go in spans too short to mean anything: nothing moves",
        run: parts::links_flap,
    },
    Scenario {
        name: "switchover",
        shows: "an operator moves the vips, there and back",
        run: lives::switchover,
    },
    Scenario {
        name: "maintenance",
        shows: "the Active goes into maintenance: it hands over first, and is dark afterwards",
        run: lives::maintenance,
    },
    Scenario {
        name: "both-power-cut",
        shows: "power is cut for both and comes back: one serves, the other is ready",
        run: lives::both_power_cut,
    },
    Scenario {
        name: "relay-stuck",
        shows: "the Active's relay sticks closed and its agent dies: the Backup waits until the kernel has withdrawn the vip",
        run: parts::relay_stuck,
    },
    Scenario {
        name: "fence-wire-broken",
        shows: "the fence cable is broken and the Active dies: the Backup waits for the end of its lease",
        run: parts::fence_wire_broken,
    },
    Scenario {
        name: "power-taken",
        shows: "the fence cable is broken and the Active sleeps: a program takes its power, a person gives it back",
        run: means::power_taken,
    },
    Scenario {
        name: "fence-test",
        shows: "an operator tries the means out: the Backup is cut by each and comes back, the Active serves on",
        run: means::fence_test,
    },
    Scenario {
        name: "data-port-lost",
        shows: "a data port of the Active loses its carrier: it hands over",
        run: parts::data_port_lost,
    },
    Scenario {
        name: "vip-port-lost",
        shows: "the port that carries the vip loses its carrier: from then on nobody answers until the other does",
        run: parts::vip_port_lost,
    },
];

/// Runs one.
pub fn run(program: &Path, scenario: &Scenario, wishes: &Wishes) -> PairOutcome {
    let began = WallInstant::now();
    let mut outcome = PairOutcome {
        scenario: scenario.name,
        bed: "namespaces",
        result: Verdict::Fail,
        outage_ms: None,
        dual_active_ms: 0,
        reason: String::new(),
        seconds: 0.0,
        moments: Vec::new(),
        log: String::new(),
    };
    let mut wishes = wishes.clone();
    wishes.tables += means::tables(scenario.name);
    match Trial::prepare(program, &wishes) {
        Err(error) => outcome.reason = error.to_string(),
        Ok(mut trial) => {
            let told = (scenario.run)(&mut trial);
            outcome.dual_active_ms = trial.dual_active_ms();
            outcome.moments = std::mem::take(&mut trial.moments);
            outcome.log = trial.said();
            match told {
                Err(error) => outcome.reason = error.to_string(),
                Ok(told) => {
                    outcome.outage_ms = told.outage_ms;
                    outcome.reason = told.text;
                    if outcome.dual_active_ms == 0 {
                        outcome.result = Verdict::Pass;
                    } else {
                        outcome.reason += "; both answered for the vip";
                    }
                }
            }
        }
    }
    outcome.seconds = began.elapsed().as_secs_f64();
    outcome
}

fn demand(good: bool, what: impl FnOnce() -> String) -> Result<()> {
    if good {
        return Ok(());
    }
    Err(RigError::Input(what()))
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
    trial.pass(SETTLE);
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
    trial.pass(Duration::from_secs(2));
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
