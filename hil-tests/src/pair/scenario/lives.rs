//! Agents and appliances that start, stop, die, sleep and are worked on.

use std::time::Duration;

use fencepost::board::RelayState;
use fencepost::control::Request;
use fencepost::node::Command;
use fencepost::node::pair::PairCommand;

use super::{SETTLE, Told, demand, demand_isolated, demand_stays, taken_over, unmoved};
use crate::error::Result;
use crate::pair::trial::{Trial, name, other};

pub(super) fn cold_start(trial: &mut Trial) -> Result<Told> {
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

pub(super) fn alone(trial: &mut Trial) -> Result<Told> {
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

pub(super) fn active_killed(trial: &mut Trial) -> Result<Told> {
    let taken = taken_over(trial, "its agent is killed", |trial, old| {
        trial.agents[old].kill();
        Ok(())
    })?;
    demand_isolated(trial, taken.old)?;
    trial.start(taken.old)?;
    demand_stays(trial, taken.old)?;
    Ok(taken.told("started again it is Backup"))
}

pub(super) fn active_restarted(trial: &mut Trial) -> Result<Told> {
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

pub(super) fn active_frozen(trial: &mut Trial) -> Result<Told> {
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

pub(super) fn active_stopped(trial: &mut Trial) -> Result<Told> {
    let taken = taken_over(trial, "its agent is stopped in order", |trial, old| {
        trial.agents[old].terminate()
    })?;
    let ended = trial.agents[taken.old].wait_ended(Duration::from_secs(30));
    demand(ended, || "the agent did not end".to_owned())?;
    Ok(taken.told("the stopped agent ended by itself"))
}

pub(super) fn power_cut(trial: &mut Trial) -> Result<Told> {
    let taken = taken_over(trial, "power is cut", |trial, old| trial.power_off(old))?;
    trial.note("power is back");
    trial.power_on(taken.old)?;
    trial.start(taken.old)?;
    demand_stays(trial, taken.old)?;
    Ok(taken.told("with power back it is Backup"))
}

pub(super) fn both_power_cut(trial: &mut Trial) -> Result<Told> {
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

pub(super) fn backup_killed(trial: &mut Trial) -> Result<Told> {
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

pub(super) fn switchover(trial: &mut Trial) -> Result<Told> {
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

pub(super) fn maintenance(trial: &mut Trial) -> Result<Told> {
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
