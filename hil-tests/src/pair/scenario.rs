//! What the pair is put through, and what must hold.
//!
//! Every scenario ends with the same two demands: nobody but one ever answered for the vip (`dual_active_ms` is 0 from first to last),
//! and where the pair is whole again, exactly one serves and the other is ready.

use std::path::Path;
use std::time::{Duration, Instant as WallInstant};

use fencepost::board::RelayState;
use fencepost::control::Request;
use fencepost::node::Command;
use fencepost::node::pair::PairCommand;
use fencepost::sim::fence_cable::Wire;
use fencepost::sim::{BoardFault, RelayFault};
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
        name: "heard-one-way",
        shows: "the Active hears, and is not heard: one is fenced, the other serves; mended, both are back",
        run: heard_one_way,
    },
    Scenario {
        name: "links-flap",
        shows: "heartbeats come and go in spans too short to mean anything: nothing moves",
        run: links_flap,
    },
    Scenario {
        name: "switchover",
        shows: "an operator moves the vips, there and back",
        run: switchover,
    },
    Scenario {
        name: "maintenance",
        shows: "the Active goes into maintenance: it hands over first, and is dark afterwards",
        run: maintenance,
    },
    Scenario {
        name: "both-power-cut",
        shows: "power is cut for both and comes back: one serves, the other is ready",
        run: both_power_cut,
    },
    Scenario {
        name: "relay-stuck",
        shows: "the Active's relay sticks closed and its agent dies: the Backup waits until the kernel has withdrawn the vip",
        run: relay_stuck,
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
        log: String::new(),
    };
    match Trial::prepare(program, &Wishes::default()) {
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

fn cold_start(trial: &mut Trial) -> Result<Told> {
    let from = trial.bed.now();
    let serving = trial.stand()?;
    let took = trial.since(from);
    Ok(Told {
        outage_ms: None,
        text: format!(
            "{} serves, both ready {:.0} ms after the start",
            name(serving),
            took.length_ms
        ),
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
        text: format!("served alone, {proof}; the late one became Backup"),
    })
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
    let old = trial.stand()?;
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

fn active_killed(trial: &mut Trial) -> Result<Told> {
    let taken = taken_over(trial, "its agent is killed", |trial, old| {
        trial.agents[old].kill();
        Ok(())
    })?;
    demand_isolated(trial, taken.old)?;
    trial.start(taken.old)?;
    demand_stays(trial, taken.old)?;
    Ok(taken.told("started again it is Backup"))
}

fn active_restarted(trial: &mut Trial) -> Result<Told> {
    let serving = trial.stand()?;
    let moves = trial.side(serving).segment().moves().len();
    let outage = unmoved(trial, serving, |trial| {
        trial.note(&format!(
            "{}: its agent is killed and started again",
            name(serving)
        ));
        trial.agents[serving].kill();
        trial.start(serving)
    })?;
    let moved = trial.side(serving).segment().moves().len() - moves;
    demand(moved == 0, || format!("its relay moved {moved} times"))?;
    let serves = trial.wait_stands()?;
    demand(serves == serving, || "the vip moved".to_owned())?;
    Ok(Told {
        outage_ms: Some(outage),
        text: "it went on where it was; no relay and no vip moved".to_owned(),
    })
}

fn active_frozen(trial: &mut Trial) -> Result<Told> {
    let taken = taken_over(trial, "its agent sleeps", |trial, old| {
        trial.agents[old].freeze()
    })?;
    demand_isolated(trial, taken.old)?;
    trial.pass(Duration::from_secs(3));
    trial.note("it wakes up");
    trial.agents[taken.old].thaw()?;
    demand_stays(trial, taken.old)?;
    Ok(taken.told("the sleeper woke up fenced and is Backup"))
}

fn active_stopped(trial: &mut Trial) -> Result<Told> {
    let taken = taken_over(trial, "its agent is stopped in order", |trial, old| {
        trial.agents[old].terminate()
    })?;
    let ended = trial.agents[taken.old].wait_ended(Duration::from_secs(30));
    demand(ended, || "the agent did not end".to_owned())?;
    Ok(taken.told("the stopped agent ended by itself"))
}

fn power_cut(trial: &mut Trial) -> Result<Told> {
    let taken = taken_over(trial, "power is cut", |trial, old| trial.power_off(old))?;
    trial.note("power is back");
    trial.power_on(taken.old)?;
    trial.start(taken.old)?;
    demand_stays(trial, taken.old)?;
    Ok(taken.told("with power back it is Backup"))
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

fn backup_killed(trial: &mut Trial) -> Result<Told> {
    let serving = trial.stand()?;
    let backup = other(serving);
    let outage = unmoved(trial, serving, |trial| {
        trial.note(&format!("{}: its agent is killed", name(backup)));
        trial.agents[backup].kill();
        Ok(())
    })?;
    trial.start(backup)?;
    let serves = trial.wait_stands()?;
    demand(serves == serving, || "the vip moved".to_owned())?;
    Ok(Told {
        outage_ms: Some(outage),
        text: "the Active went on; the Backup came back".to_owned(),
    })
}

fn one_link_cut(trial: &mut Trial) -> Result<Told> {
    let serving = trial.stand()?;
    let outage = unmoved(trial, serving, |trial| {
        trial.note("the direct cable is cut");
        trial.bed.plug_cable(false)
    })?;
    let backup = trial.side(other(serving)).relay();
    demand(backup == RelayState::Normal, || {
        "the Backup was fenced".to_owned()
    })?;
    Ok(Told {
        outage_ms: Some(outage),
        text: "nothing moved".to_owned(),
    })
}

fn all_links_cut(trial: &mut Trial) -> Result<Told> {
    trial.stand()?;
    parted(trial, "no heartbeat passes any more", &[0, 1])
}

fn heard_one_way(trial: &mut Trial) -> Result<Told> {
    let serving = trial.stand()?;
    parted(trial, "the Active is not heard any more", &[serving])
}

/// The heartbeats of these sides are lost: one node ends up off the wire, stays there, and comes back when they pass again.
fn parted(trial: &mut Trial, what: &str, silent: &[usize]) -> Result<Told> {
    let from = trial.bed.now();
    trial.note(what);
    for side in silent {
        trial.bed.silence(*side, true);
    }
    trial.wait("one is off the wire", |trial| {
        let closed = |index: usize| trial.side(index).relay() == RelayState::Normal;
        closed(0) != closed(1)
    })?;
    let survivor = usize::from(trial.side(0).relay() != RelayState::Normal);
    trial.wait_serves(survivor)?;
    trial.pass(Duration::from_secs(2));
    let span = trial.since(from);
    demand_isolated(trial, other(survivor))?;
    trial.note("heartbeats pass again");
    trial.heartbeats(true);
    demand_stays(trial, other(survivor))?;
    Ok(Told {
        outage_ms: Some(span.seen.outage_ms),
        text: format!("{} fenced the other and served on", name(survivor)),
    })
}

fn links_flap(trial: &mut Trial) -> Result<Told> {
    let serving = trial.stand()?;
    let outage = unmoved(trial, serving, |trial| {
        trial.note("a tenth of the time no heartbeat passes, for less than is suspicious");
        for _ in 0..20 {
            trial.heartbeats(false);
            trial.pass(Duration::from_millis(15));
            trial.heartbeats(true);
            trial.pass(Duration::from_millis(135));
        }
        Ok(())
    })?;
    let backup = trial.side(other(serving)).relay();
    demand(backup == RelayState::Normal, || {
        "the Backup was fenced".to_owned()
    })?;
    Ok(Told {
        outage_ms: Some(outage),
        text: "nothing moved".to_owned(),
    })
}

fn switchover(trial: &mut Trial) -> Result<Told> {
    let first = trial.stand()?;
    let from = trial.bed.now();
    for (asked, to) in [(first, other(first)), (first, first)] {
        trial.note(&format!("switchover, asked of {}", name(asked)));
        let command = PairCommand::Switchover {
            reason: "trial".to_owned(),
        };
        trial.order(asked, Request::Pair { command })?;
        trial.wait_serves(to)?;
        trial.wait_stands()?;
        trial.pass(SETTLE);
    }
    for side in &trial.bed.sides {
        demand(side.relay() == RelayState::Normal, || {
            "a relay moved".to_owned()
        })?;
    }
    let span = trial.since(from);
    Ok(Told {
        outage_ms: Some(span.seen.outage_ms),
        text: "there and back; no relay moved".to_owned(),
    })
}

fn maintenance(trial: &mut Trial) -> Result<Told> {
    let order = |on| Request::Command {
        command: Command::Maintenance {
            on,
            reason: "trial".to_owned(),
        },
    };
    let serving = trial.stand()?;
    let refused = trial.order(serving, order(true));
    demand(refused.is_err(), || {
        "maintenance took the vips off the network".to_owned()
    })?;
    let backup = other(serving);
    let outage = unmoved(trial, serving, |trial| {
        trial.note(&format!("{}: maintenance on", name(backup)));
        trial.order(backup, order(true))?;
        trial.wait("the Backup is off the wire", |trial| {
            trial.side(backup).relay() == RelayState::Disconnect
        })
    })?;
    let command = PairCommand::Switchover {
        reason: "trial".to_owned(),
    };
    let moved = trial.order(serving, Request::Pair { command });
    demand(moved.is_err(), || {
        "the vips moved to a node in maintenance".to_owned()
    })?;
    trial.note(&format!("{}: maintenance off", name(backup)));
    trial.order(backup, order(false))?;
    let serves = trial.wait_stands()?;
    demand(serves == serving, || "the vip moved".to_owned())?;
    Ok(Told {
        outage_ms: Some(outage),
        text: "refused on the Active; the Backup went dark, took nothing over, and came back"
            .to_owned(),
    })
}

fn both_power_cut(trial: &mut Trial) -> Result<Told> {
    trial.stand()?;
    trial.note("power is cut for both");
    for index in 0..2 {
        trial.power_off(index)?;
    }
    trial.pass(Duration::from_secs(1));
    trial.note("power is back");
    let from = trial.bed.now();
    for index in 0..2 {
        trial.power_on(index)?;
    }
    let serving = trial.stand()?;
    let span = trial.since(from);
    Ok(Told {
        outage_ms: None,
        text: format!(
            "{} serves, both ready {:.0} ms after power came back",
            name(serving),
            span.length_ms
        ),
    })
}

fn relay_stuck(trial: &mut Trial) -> Result<Told> {
    let serving = trial.stand()?;
    trial.note(&format!(
        "{}: its relay sticks, its agent is killed",
        name(serving)
    ));
    let stuck = BoardFault::Relay {
        segment: 0,
        fault: RelayFault::Stuck,
    };
    let now = trial.bed.now();
    let done = trial.side(serving).board().inject(now, stuck);
    demand(done.is_ok(), || {
        format!("the relay cannot be made to stick: {done:?}")
    })?;
    let from = trial.bed.now();
    trial.agents[serving].kill();
    let status = trial.wait_serves(other(serving))?;
    trial.pass(SETTLE);
    let span = trial.since(from);
    let proof = status.proof.unwrap_or_default();
    Ok(Told {
        outage_ms: Some(span.seen.outage_ms),
        text: format!("taken over, {proof}, once the dead one's kernel had withdrawn the vip"),
    })
}

fn fence_wire_broken(trial: &mut Trial) -> Result<Told> {
    trial.note("the fence cable is broken");
    trial.bed.fence_wire(0, Wire::Broken);
    trial.bed.fence_wire(1, Wire::Broken);
    let taken = taken_over(trial, "its agent is killed", |trial, old| {
        trial.agents[old].kill();
        Ok(())
    })?;
    demand(taken.proof.contains("lease"), || {
        format!("taken over, {}", taken.proof)
    })?;
    demand_isolated(trial, taken.old)?;
    Ok(taken.told("nothing could be fenced"))
}

fn data_port_lost(trial: &mut Trial) -> Result<Told> {
    let taken = taken_over(trial, "its wan port goes dark", |trial, old| {
        trial.side(old).carrier(1, false)
    })?;
    Ok(taken.told("it was released, not fenced"))
}
