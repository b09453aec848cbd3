//! What the pair is put through, and what must hold.
//!
//! Every scenario ends with the same two demands: nobody but one ever answered for the vip (`dual_active_ms` is 0 from first to last),
//! and where the pair is whole again, exactly one serves and the other is ready.

use std::path::Path;
use std::time::{Duration, Instant as WallInstant};

use fencepost::board::RelayState;
use fencepost::sim::fence_cable::Wire;
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
}

/// Long enough that a switched network settles and every repeat of an announcement that matters is out.
const SETTLE: Duration = Duration::from_millis(400);

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "cold-start",
        shows: "both boot at once: the primary serves, the secondary is ready",
        run: cold_start,
    },
    Scenario {
        name: "alone",
        shows: "one boots and the other never does: it fences before it serves",
        run: alone,
    },
    Scenario {
        name: "active-killed",
        shows: "the Active's agent dies and does not come back",
        run: active_killed,
    },
    Scenario {
        name: "active-restarted",
        shows: "the Active's agent dies and is started again at once, as a supervisor does",
        run: active_restarted,
    },
    Scenario {
        name: "active-frozen",
        shows: "the Active sleeps, is fenced, wakes up, knows it, and comes back as Backup",
        run: active_frozen,
    },
    Scenario {
        name: "active-stopped",
        shows: "the Active's agent is stopped in order: it hands over",
        run: active_stopped,
    },
    Scenario {
        name: "power-cut",
        shows: "the Active loses power",
        run: power_cut,
    },
    Scenario {
        name: "backup-killed",
        shows: "the Backup's agent dies: nothing moves",
        run: backup_killed,
    },
    Scenario {
        name: "one-link-cut",
        shows: "the direct cable breaks, the other link holds: nothing moves",
        run: one_link_cut,
    },
    Scenario {
        name: "all-links-cut",
        shows: "no heartbeat passes while both live: one is fenced, the other serves; mended, both are back",
        run: all_links_cut,
    },
    Scenario {
        name: "fence-wire-broken",
        shows: "the fence cable is broken and the Active dies: the Backup waits for the end of its lease",
        run: fence_wire_broken,
    },
    Scenario {
        name: "data-port-lost",
        shows: "a data port of the Active loses its carrier: it hands over",
        run: data_port_lost,
    },
];

/// Runs one.
pub fn run(program: &Path, scenario: &Scenario) -> PairOutcome {
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
    };
    match Trial::prepare(program, &Wishes::default()) {
        Err(error) => outcome.reason = error.to_string(),
        Ok(mut trial) => {
            let told = (scenario.run)(&mut trial);
            outcome.dual_active_ms = trial.dual_active_ms();
            outcome.moments = std::mem::take(&mut trial.moments);
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

fn cold_start(trial: &mut Trial) -> Result<Told> {
    let from = trial.bed.now();
    trial.start(0)?;
    trial.start(1)?;
    let serving = trial.wait_stands()?;
    let took = trial.since(from);
    demand(serving == 0, || format!("{} serves", name(serving)))?;
    Ok(Told {
        outage_ms: None,
        text: format!("both ready {:.0} ms after the start", took.length_ms),
    })
}

fn alone(trial: &mut Trial) -> Result<Told> {
    trial.start(1)?;
    let status = trial.wait_serves(1)?;
    let proof = status.proof.unwrap_or_default();
    demand(!proof.is_empty(), || "it serves without a proof".to_owned())?;
    trial.start(0)?;
    let serving = trial.wait_stands()?;
    demand(serving == 1, || "the late one took the vip".to_owned())?;
    Ok(Told {
        outage_ms: None,
        text: format!("served alone by {proof}; the late one became Backup"),
    })
}

/// From the fault on, until the other serves and the network has settled.
fn taken_over(
    trial: &mut Trial,
    fault: impl FnOnce(&mut Trial) -> Result<()>,
) -> Result<(f64, String)> {
    let from = trial.bed.now();
    fault(trial)?;
    let status = trial.wait_serves(1)?;
    trial.pass(SETTLE);
    let span = trial.since(from);
    Ok((span.seen.outage_ms, status.proof.unwrap_or_default()))
}

fn active_killed(trial: &mut Trial) -> Result<Told> {
    trial.stand()?;
    let (outage, proof) = taken_over(trial, |trial| {
        trial.note("kill -9 of the primary's agent");
        trial.agents[0].kill();
        Ok(())
    })?;
    demand(trial.side(0).relay() != RelayState::Normal, || {
        "the dead one's relay is closed".to_owned()
    })?;
    trial.start(0)?;
    let serving = trial.wait_stands()?;
    demand(serving == 1, || "it took the vip back".to_owned())?;
    Ok(Told {
        outage_ms: Some(outage),
        text: format!("taken over by {proof}; started again it is Backup"),
    })
}

fn active_restarted(trial: &mut Trial) -> Result<Told> {
    trial.stand()?;
    let from = trial.bed.now();
    let moves = trial.side(0).relay();
    trial.note("kill -9 of the primary's agent, started again");
    trial.agents[0].kill();
    trial.start(0)?;
    let serving = trial.wait_stands()?;
    trial.pass(SETTLE);
    let span = trial.since(from);
    demand(moves == RelayState::Normal, || "it did not serve".to_owned())?;
    Ok(Told {
        outage_ms: Some(span.seen.outage_ms),
        text: format!("{} serves afterwards", name(serving)),
    })
}

fn active_frozen(trial: &mut Trial) -> Result<Told> {
    trial.stand()?;
    let (outage, proof) = taken_over(trial, |trial| {
        trial.note("SIGSTOP of the primary's agent");
        trial.agents[0].freeze()
    })?;
    demand(trial.side(0).relay() != RelayState::Normal, || {
        "the sleeper's relay is closed".to_owned()
    })?;
    trial.pass(Duration::from_secs(3));
    trial.note("SIGCONT");
    trial.agents[0].thaw()?;
    let serving = trial.wait_stands()?;
    demand(serving == 1, || "the sleeper took the vip back".to_owned())?;
    Ok(Told {
        outage_ms: Some(outage),
        text: format!("taken over by {proof}; the sleeper woke up fenced and is Backup"),
    })
}

fn active_stopped(trial: &mut Trial) -> Result<Told> {
    trial.stand()?;
    let (outage, proof) = taken_over(trial, |trial| {
        trial.note("SIGTERM to the primary's agent");
        trial.agents[0].terminate()
    })?;
    let ended = trial.agents[0].wait_ended(Duration::from_secs(30));
    demand(ended, || "the agent did not end".to_owned())?;
    Ok(Told {
        outage_ms: Some(outage),
        text: format!("taken over by {proof}"),
    })
}

fn power_cut(trial: &mut Trial) -> Result<Told> {
    trial.stand()?;
    let (outage, proof) = taken_over(trial, |trial| {
        trial.note("the primary loses power");
        trial.power_off(0)
    })?;
    trial.note("power is back");
    trial.power_on(0)?;
    trial.start(0)?;
    let serving = trial.wait_stands()?;
    demand(serving == 1, || "it took the vip back".to_owned())?;
    Ok(Told {
        outage_ms: Some(outage),
        text: format!("taken over by {proof}; with power back it is Backup"),
    })
}

/// Nothing may move, and nothing may be lost.
fn unmoved(
    trial: &mut Trial,
    fault: impl FnOnce(&mut Trial) -> Result<()>,
) -> Result<f64> {
    let from = trial.bed.now();
    fault(trial)?;
    trial.pass(Duration::from_secs(2));
    let span = trial.since(from);
    demand(span.seen.owners[1] == 0 && span.seen.owners[0] > 0, || {
        format!("the vip moved: {:?}", span.seen)
    })?;
    demand(trial.side(0).relay() == RelayState::Normal, || {
        "the Active's relay moved".to_owned()
    })?;
    Ok(span.seen.outage_ms)
}

fn backup_killed(trial: &mut Trial) -> Result<Told> {
    trial.stand()?;
    let outage = unmoved(trial, |trial| {
        trial.note("kill -9 of the secondary's agent");
        trial.agents[1].kill();
        Ok(())
    })?;
    trial.start(1)?;
    let serving = trial.wait_stands()?;
    demand(serving == 0, || "the vip moved".to_owned())?;
    Ok(Told {
        outage_ms: Some(outage),
        text: "the Active went on; the Backup came back".to_owned(),
    })
}

fn one_link_cut(trial: &mut Trial) -> Result<Told> {
    trial.stand()?;
    let outage = unmoved(trial, |trial| {
        trial.note("the direct cable is cut");
        trial.side(0).namespace.ip(&["link", "set", "ha0", "down"]).map(drop)
    })?;
    demand(trial.side(1).relay() == RelayState::Normal, || {
        "the Backup was fenced".to_owned()
    })?;
    Ok(Told {
        outage_ms: Some(outage),
        text: "nothing moved".to_owned(),
    })
}

fn all_links_cut(trial: &mut Trial) -> Result<Told> {
    trial.stand()?;
    let from = trial.bed.now();
    trial.note("no heartbeat passes any more");
    trial.heartbeats(false)?;
    trial.wait("one is off the wire", |trial| {
        let closed = |index: usize| trial.side(index).relay() == RelayState::Normal;
        closed(0) != closed(1)
    })?;
    let survivor = usize::from(trial.side(0).relay() != RelayState::Normal);
    trial.wait_serves(survivor)?;
    trial.pass(Duration::from_secs(2));
    let span = trial.since(from);
    demand(
        trial.side(other(survivor)).relay() != RelayState::Normal,
        || "the fenced one closed again while nobody spoke to it".to_owned(),
    )?;
    trial.note("heartbeats pass again");
    trial.heartbeats(true)?;
    let serving = trial.wait_stands()?;
    demand(serving == survivor, || "the vip moved back".to_owned())?;
    Ok(Told {
        outage_ms: Some(span.seen.outage_ms),
        text: format!("{} fenced the other and served on", name(survivor)),
    })
}

fn fence_wire_broken(trial: &mut Trial) -> Result<Told> {
    trial.note("the fence cable is broken");
    trial.bed.fence_wire(0, Wire::Broken);
    trial.bed.fence_wire(1, Wire::Broken);
    trial.stand()?;
    let (outage, proof) = taken_over(trial, |trial| {
        trial.note("kill -9 of the primary's agent");
        trial.agents[0].kill();
        Ok(())
    })?;
    demand(proof.contains("lease"), || format!("taken over by {proof}"))?;
    Ok(Told {
        outage_ms: Some(outage),
        text: format!("taken over by {proof}"),
    })
}

fn data_port_lost(trial: &mut Trial) -> Result<Told> {
    trial.stand()?;
    let (outage, proof) = taken_over(trial, |trial| {
        trial.note("the primary's wan port goes dark");
        trial.side(0).carrier(1, false)
    })?;
    Ok(Told {
        outage_ms: Some(outage),
        text: format!("taken over by {proof}"),
    })
}
