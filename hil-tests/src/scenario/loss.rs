//! The machine itself is gone: panic, pause, power cut, a stuck control loop with nobody to notice but the watchdog.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fencepost::board::RelayState;

use super::{Aftermath, Scenario};
use crate::appliance::BOOT;
use crate::appliance::agent::{Signal, UNIT, signal_script};
use crate::appliance::model::WATCHDOG_TIMEOUT;
use crate::capability::Capability;
use crate::trial::{LATE, SLACK, Trial};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "machine-paused",
        shows: "a machine that sleeps for a while is off the wire while it sleeps, and does not flap when it wakes",
        needs: &[Capability::DeadMan],
        aftermath: Aftermath::Rest,
        run: machine_paused,
    },
    Scenario {
        name: "kernel-panic",
        shows: "a kernel panic leaves a wire within the dead-man's period, through the reboot, and Normal comes back by itself",
        needs: &[Capability::FailsWithoutHost],
        aftermath: Aftermath::Rest,
        run: kernel_panic,
    },
    Scenario {
        name: "control-loop-stuck",
        shows: "a hung agent nobody supervises: the watchdog resets the machine, the wire stays a wire, Normal comes back by itself",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: control_loop_stuck,
    },
    Scenario {
        name: "power-cut",
        shows: "without power the wire is a wire; with power again Normal comes back by itself",
        needs: &[Capability::FailsWithoutHost],
        aftermath: Aftermath::Rest,
        run: power_cut,
    },
];

/// How long the machine sleeps.
const SLEEP: Duration = Duration::from_secs(12);
/// From the guest's first word to Normal.
const TO_NORMAL: Duration = Duration::from_secs(60);

fn machine_paused(trial: &mut Trial<'_>) -> Result<()> {
    let period = trial.period().unwrap_or(SLACK);
    trial.strike("machine paused", |appliance| Ok(appliance.pause()?))?;
    let paused = Instant::now();
    trial.expect_relays(
        RelayState::Bypass,
        period + LATE,
        "the dead-man is not kicked",
    )?;
    trial.expect_still(SLEEP.saturating_sub(paused.elapsed()), "while it sleeps")?;
    trial.expect_expiry_in_time()?;
    let woke = trial.appliance.now();
    trial.may_return();
    trial.appliance.resume()?;
    trial.note("machine woke");
    trial.expect_rest(TO_NORMAL)?;
    let moves = trial.appliance.moves_since(woke);
    let each = trial.appliance.segments();
    ensure!(
        moves.len() == each,
        "invariant_no_flap: after waking the relays moved {} times; expected once each: {moves:?}",
        moves.len()
    );
    trial.expect_dwell_since(woke)?;
    Ok(())
}

fn kernel_panic(trial: &mut Trial<'_>) -> Result<()> {
    let bound = fails_within(trial);
    trial.strike_guest_dead("kernel panic", "echo c > /proc/sysrq-trigger")?;
    trial.expect_relays(RelayState::Bypass, bound, "the host is gone")?;
    back_by_itself(trial)
}

fn control_loop_stuck(trial: &mut Trial<'_>) -> Result<()> {
    let period = trial.period();
    super::agent_lives::unsupervise(trial)?;
    trial
        .appliance
        .shell(&format!("systemctl restart {UNIT}"))?;
    trial.expect_rest(Duration::from_secs(40))?;
    let since = Instant::now();
    // The drop-in is in /run: it does not survive the reset.
    trial.strike_in_guest(
        "control loop stuck, nobody supervises it",
        &signal_script(Signal::Stop),
    )?;
    if let Some(period) = period {
        trial.expect_relays(
            RelayState::Bypass,
            period + LATE,
            "the dead-man is not kicked",
        )?;
    }
    let reset = trial
        .appliance
        .wait_machine_event("WATCHDOG", since, WATCHDOG_TIMEOUT * 3)?;
    ensure!(
        reset,
        "the watchdog did not reset the machine within {} s",
        (WATCHDOG_TIMEOUT * 3).as_secs()
    );
    trial.saw(format!(
        "reset {:.1} s after the last sign of life",
        since.elapsed().as_secs_f64()
    ));
    if Capability::FailsWithoutHost
        .missing(trial.appliance.profile())
        .is_some()
    {
        trial.saw("the board has nothing that makes a wire before the agent is back");
        trial.may_return();
        trial.appliance.wait_boot(BOOT)?;
        return trial.expect_rest(TO_NORMAL);
    }
    if period.is_none() {
        trial.expect_relays(
            RelayState::Bypass,
            WATCHDOG_TIMEOUT * 2,
            "reset: the relays fall",
        )?;
    }
    back_by_itself(trial)
}

fn power_cut(trial: &mut Trial<'_>) -> Result<()> {
    let bound = fails_within(trial);
    trial.appliance.shell("sync")?;
    trial.strike("power cut", |appliance| {
        appliance.power_off();
        Ok(())
    })?;
    trial.expect_relays(RelayState::Bypass, bound, "the host is gone")?;
    trial.expect_still(SLACK * 2, "without power nothing moves")?;
    trial.note("power on");
    trial.appliance.power_on()?;
    trial.expect_rest(TO_NORMAL)
}

/// How soon a host that is gone must be off the wire.
fn fails_within(trial: &Trial<'_>) -> Duration {
    trial.period().unwrap_or_default() + SLACK
}

/// The wire stays a wire until the agent is up again and has proven its path.
fn back_by_itself(trial: &mut Trial<'_>) -> Result<()> {
    let since = trial.appliance.now();
    trial.appliance.wait_boot(BOOT)?;
    let up = trial.appliance.now();
    let early: Vec<_> = trial
        .appliance
        .moves_since(since)
        .into_iter()
        .filter(|(at, ..)| *at < up)
        .collect();
    // The guest answers before the agent's dwell can be over.
    ensure!(
        early.is_empty(),
        "invariant_fail_open: relays moved during the reboot: {early:?}"
    );
    trial.expect_rest(TO_NORMAL)
}
