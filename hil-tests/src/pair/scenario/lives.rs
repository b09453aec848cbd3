//! Agents and appliances that start, stop, die, sleep and are worked on.

use std::time::Duration;

use fencepost::board::RelayState;
use fencepost::control::Request;
use fencepost::node::Command;
use fencepost::node::pair::PairCommand;

use super::{Told, demand, demand_isolated, demand_stays, taken_over, unmoved};
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
        trial.hosts[old].kill()
    })?;
    demand_isolated(trial, taken.old)?;
    trial.start(taken.old)?;
    demand_stays(trial, taken.old)?;
    Ok(taken.told("started again it is Backup"))
}

pub(super) fn active_restarted(trial: &mut Trial) -> Result<Told> {
    let serving = trial.stand()?;
    let moves = trial.side(serving).segment().moves().len();
    let outage = unmoved(trial, serving, |trial| trial.crash(serving))?;
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
        trial.hosts[old].freeze()
    })?;
    demand_isolated(trial, taken.old)?;
    trial.pass(trial.pace.sleep);
    trial.note("it wakes up");
    trial.hosts[taken.old].thaw()?;
    demand_stays(trial, taken.old)?;
    Ok(taken.told("the sleeper woke up fenced and is Backup"))
}

pub(super) fn active_stopped(trial: &mut Trial) -> Result<Told> {
    let taken = taken_over(trial, "its agent is stopped in order", |trial, old| {
        trial.hosts[old].terminate()
    })?;
    let ended = trial.hosts[taken.old].wait_ended(trial.pace.long);
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

pub(super) fn kernel_panic(trial: &mut Trial) -> Result<Told> {
    let taken = taken_over(trial, "its kernel panics", |trial, old| {
        trial.hosts[old].panic()
    })?;
    demand_stays(trial, taken.old)?;
    Ok(taken.told("booted again it is Backup"))
}

pub(super) fn machine_paused(trial: &mut Trial) -> Result<Told> {
    let taken = taken_over(trial, "its machine stands still", |trial, old| {
        trial.hosts[old].pause()
    })?;
    trial.pass(trial.pace.sleep);
    demand_isolated(trial, taken.old)?;
    trial.note("it wakes up");
    let woken = trial.bed.now();
    trial.hosts[taken.old].resume()?;
    demand_stays(trial, taken.old)?;
    let span = trial.since(woken);
    demand(span.seen.owners[taken.old] == 0, || {
        format!("the sleeper answered for the vip: {:?}", span.seen)
    })?;
    let part = trial.hosts[taken.old].pair();
    demand(part.is_some_and(|part| !part.bound && part.quiet), || {
        "the sleeper does not know that it was fenced".to_owned()
    })?;
    Ok(taken.told("the sleeper woke up fenced, knew it, and is Backup"))
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
        trial.hosts[backup].kill()
    })?;
    trial.start(backup)?;
    let serves = trial.wait_stands()?;
    demand(serves == serving, || "the vip moved".to_owned())?;
    Ok(Told {
        outage_ms: Some(outage),
        text: "the Active went on; the Backup came back".to_owned(),
    })
}

pub(super) fn backup_power_cut(trial: &mut Trial) -> Result<Told> {
    let serving = trial.stand()?;
    let backup = other(serving);
    let outage = unmoved(trial, serving, |trial| {
        trial.note(&format!("{}: power is cut", name(backup)));
        trial.power_off(backup)
    })?;
    trial.note("power is back");
    trial.power_on(backup)?;
    trial.start(backup)?;
    let serves = trial.wait_stands()?;
    demand(serves == serving, || "the vip moved".to_owned())?;
    Ok(Told {
        outage_ms: Some(outage),
        text: "the Active went on; the Backup came back".to_owned(),
    })
}

pub(super) fn upgrade(trial: &mut Trial) -> Result<Told> {
    let first = trial.stand()?;
    let from = trial.bed.now();
    for (backup, active) in [(other(first), first), (first, other(first))] {
        trial.note(&format!("{}: a new program", name(backup)));
        trial.hosts[backup].upgrade()?;
        let serves = trial.wait_stands()?;
        demand(serves == active, || {
            format!("the vip moved while {} was worked on", name(backup))
        })?;
        trial.switch_over(active, "upgrade")?;
        trial.wait_serves(backup)?;
        trial.wait_stands()?;
    }
    trial.pass(trial.pace.settle);
    let span = trial.since(from);
    Ok(Told {
        outage_ms: Some(span.seen.outage_ms),
        text: "one after the other, each as Backup; the vips moved when they were told to"
            .to_owned(),
    })
}

pub(super) fn switchover(trial: &mut Trial) -> Result<Told> {
    let first = trial.stand()?;
    let from = trial.bed.now();
    for (asked, to) in [(first, other(first)), (first, first)] {
        trial.switch_over(asked, "trial")?;
        trial.wait_serves(to)?;
        trial.wait_stands()?;
        trial.pass(trial.pace.settle);
    }
    let moved = trial.moved_since(from);
    demand(moved != trial.cabling.hears_network(), || {
        "a relay moved that need not, or none that must".to_owned()
    })?;
    let span = trial.since(from);
    Ok(Told {
        outage_ms: Some(span.seen.outage_ms),
        text: match moved {
            true => "there and back, over both relays".to_owned(),
            false => "there and back; no relay moved".to_owned(),
        },
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
