//! Links, cables, ports and relays that break.

use std::time::Duration;

use fencepost::board::RelayState;
use fencepost::sim::fence_cable::Wire;
use fencepost::sim::{BoardFault, RelayFault};

use super::{Told, demand, demand_isolated, demand_stays, taken_over, unmoved};
use crate::error::{Result, RigError};
use crate::pair::Port;
use crate::pair::trial::{Trial, name, other};

pub(super) fn one_link_cut(trial: &mut Trial) -> Result<Told> {
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

pub(super) fn all_links_cut(trial: &mut Trial) -> Result<Told> {
    trial.stand()?;
    parted(trial, "no heartbeat passes any more", &[0, 1])
}

pub(super) fn heard_one_way(trial: &mut Trial) -> Result<Told> {
    let serving = trial.stand()?;
    parted(trial, "the Active is not heard any more", &[serving])
}

/// The heartbeats of these sides are lost: one node ends up off the wire, stays there, and comes back when they pass again.
pub(super) fn parted(trial: &mut Trial, what: &str, silent: &[usize]) -> Result<Told> {
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
    trial.pass(trial.pace.watch);
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

pub(super) fn forged_frames(trial: &mut Trial) -> Result<Told> {
    let old = trial.stand()?;
    let serving = other(old);
    // Words of release and requests for them are worth repeating.
    trial.switch_over(old, "trial")?;
    trial.wait_serves(serving)?;
    trial.wait_stands()?;
    let mut said = [0, 0];
    let outage = unmoved(trial, serving, |trial| {
        trial.note("all of it is said again, whole and damaged");
        said = [trial.bed.intruder.replay(), trial.bed.intruder.forge()];
        Ok(())
    })?;
    let backup = trial.side(old).relay();
    demand(backup == trial.cabling.standby_relay(), || {
        "the Backup was fenced".to_owned()
    })?;
    let serves = trial.wait_stands()?;
    demand(serves == serving, || "the vip moved".to_owned())?;
    let [again, damaged] = said;
    if again == 0 {
        return Err(RigError::Input("no heartbeat was overheard".to_owned()));
    }
    Ok(Told {
        outage_ms: Some(outage),
        text: format!("nothing moved; {again} frames said again, {damaged} of them damaged too"),
    })
}

pub(super) fn links_flap(trial: &mut Trial) -> Result<Told> {
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

pub(super) fn relay_stuck(trial: &mut Trial) -> Result<Told> {
    let serving = trial.stand_ready()?;
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
    trial.hosts[serving].kill()?;
    let status = trial.wait_serves(other(serving))?;
    trial.pass(trial.pace.settle);
    let span = trial.since(from);
    let proof = status.proof.unwrap_or_default();
    Ok(Told {
        outage_ms: Some(span.seen.outage_ms),
        text: format!("taken over, {proof}, once the dead one's kernel had withdrawn the vip"),
    })
}

pub(super) fn fence_wire_broken(trial: &mut Trial) -> Result<Told> {
    trial.note("the fence cable is broken");
    trial.bed.fence_wire(0, Wire::Broken);
    trial.bed.fence_wire(1, Wire::Broken);
    let taken = taken_over(trial, "its agent is killed", |trial, old| {
        trial.hosts[old].kill()
    })?;
    demand(taken.proof.contains("lease"), || {
        format!("taken over, {}", taken.proof)
    })?;
    demand_isolated(trial, taken.old)?;
    Ok(taken.told("nothing could be fenced"))
}

pub(super) fn data_port_lost(trial: &mut Trial) -> Result<Told> {
    let taken = taken_over(trial, "its wan port goes dark", |trial, old| {
        trial.side(old).carrier(Port::Wan, false)
    })?;
    Ok(taken.told("it was released, not fenced"))
}

pub(super) fn controller_dead(trial: &mut Trial) -> Result<Told> {
    let taken = taken_over(trial, "its controller is dead", |trial, old| {
        let now = trial.bed.now();
        let done = trial
            .side(old)
            .board()
            .inject(now, BoardFault::ControllerDead);
        demand(done.is_ok(), || {
            format!("the controller cannot be made to die: {done:?}")
        })
    })?;
    trial.note("its controller lives again");
    let now = trial.bed.now();
    // What could begin can end.
    let _ended = trial
        .side(taken.old)
        .board()
        .clear(now, BoardFault::ControllerDead);
    demand_stays(trial, taken.old)?;
    Ok(taken.told("with a controller again it is Backup"))
}

pub(super) fn vip_port_lost(trial: &mut Trial) -> Result<Told> {
    let taken = taken_over(trial, "its lan port goes dark", |trial, old| {
        trial.side(old).carrier(Port::Lan, false)
    })?;
    demand(!taken.proof.contains("fence"), || {
        format!("taken over, {}", taken.proof)
    })?;
    Ok(taken.told("it was released, not fenced"))
}
