//! The agent's life ends, stalls, or goes over to a successor; the machine lives.

use std::time::Duration;

use anyhow::{Result, ensure};
use fencepost::board::RelayState;
use fencepost::board::profile::OnRelease;

use super::{Aftermath, Scenario};
use crate::appliance::agent::{Signal, UNIT, signal_script};
use crate::appliance::files::PROGRAM;
use crate::trial::{LATE, SLACK, Trial};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "agent-restarted",
        shows: "systemctl restart moves no relay and stops no traffic: the successor adopts what it finds",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: agent_restarted,
    },
    Scenario {
        name: "agent-upgraded",
        shows: "another program file and a restart move no relay",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: agent_upgraded,
    },
    Scenario {
        name: "agent-killed",
        shows: "an agent killed for good leaves a wire within the dead-man's period",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: agent_killed,
    },
    Scenario {
        name: "agent-hung",
        shows: "an agent that lives and does nothing leaves a wire within the dead-man's period; it may not move it back late",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: agent_hung,
    },
];

/// Systemd shall not start it again.
const FOR_GOOD: &str = "[Service]\nRestart=no\n";
/// Nor shall its own watchdog end it.
const UNSUPERVISED: &str = "[Service]\nRestart=no\nWatchdogSec=0\n";
/// The unit that puts segments into their fail state when the agent's has failed.
const FAIL_SAFE: &str = "fencepost-failsafe.service";
/// It shall do nothing: the hardware is under test.
const NO_FAIL_SAFE: &str = "[Service]\nExecStart=\nExecStart=/bin/true\n";

/// The agent alone on its machine: whoever would help it is sent away.
pub(super) fn unsupervise(trial: &Trial<'_>) -> Result<()> {
    trial.appliance.drop_in(FAIL_SAFE, NO_FAIL_SAFE)?;
    trial.appliance.drop_in(UNIT, UNSUPERVISED)?;
    Ok(())
}

fn agent_restarted(trial: &mut Trial<'_>) -> Result<()> {
    trial.strike_in_guest("systemctl restart", "systemctl restart fencepost")?;
    handed_over(trial, "a restart")
}

fn agent_upgraded(trial: &mut Trial<'_>) -> Result<()> {
    let before = pid(trial)?;
    // A package replaces the file by a rename: another inode, and the running program keeps its own. The appended bytes make it another file.
    // It syncs first, as dpkg does: the successor's own first sync would otherwise wait for the whole program to reach the disk. Then the new
    // program judges the site, as a careful operator would have it: that also has the emulator translate it before it is needed.
    let replace = format!(
        "cp {PROGRAM} {PROGRAM}.new && echo upgraded >> {PROGRAM}.new && mv {PROGRAM}.new {PROGRAM}; sync; {PROGRAM} check; {PROGRAM} status; true"
    );
    trial.appliance.shell(&replace)?;
    trial.strike_in_guest(
        "program replaced, systemctl restart",
        "systemctl restart fencepost",
    )?;
    handed_over(trial, "an upgrade")?;
    let runs = trial.appliance.shell(&format!(
        "stat -Lc %i /proc/$(systemctl show -P MainPID {UNIT})/exe; stat -c %i {PROGRAM}"
    ))?;
    let inodes: Vec<&str> = runs.split_whitespace().collect();
    ensure!(
        inodes.len() == 2 && inodes[0] == inodes[1],
        "the old program still runs: inodes {inodes:?}"
    );
    ensure!(pid(trial)? != before, "the old process still runs");
    Ok(())
}

fn handed_over(trial: &mut Trial<'_>, what: &str) -> Result<()> {
    let since = trial.stimulus();
    trial.expect_status(
        Duration::from_secs(30),
        "the successor reports Normal",
        |status| {
            status
                .node
                .segments
                .iter()
                .all(|segment| segment.wanted == RelayState::Normal)
        },
    )?;
    // The dead-man must be the successor's by then: a whole period and more without a move.
    trial.expect_still(trial.period().unwrap_or(SLACK) + SLACK, what)?;
    trial.expect_no_move_since(since, what)?;
    trial.expect_no_gap(Duration::from_secs(1), what)?;
    trial.expect_rest(Duration::from_secs(30))?;
    trial.saw("no relay moved");
    Ok(())
}

fn pid(trial: &Trial<'_>) -> Result<String> {
    Ok(trial
        .appliance
        .shell(&format!("systemctl show -P MainPID {UNIT}"))?
        .trim()
        .to_owned())
}

fn agent_killed(trial: &mut Trial<'_>) -> Result<()> {
    let period = trial.period();
    if period.is_some() {
        trial.appliance.drop_in(FAIL_SAFE, NO_FAIL_SAFE)?;
    }
    trial.appliance.drop_in(UNIT, FOR_GOOD)?;
    trial.strike_in_guest("agent killed for good", &signal_script(Signal::Kill))?;
    match period {
        Some(period) => trial.expect_relays(
            RelayState::Bypass,
            period + LATE,
            "the dead-man is not kicked",
        )?,
        // Systemd notices at once; the fail-safe's start under emulation takes what it takes.
        None => trial.expect_relays(
            RelayState::Bypass,
            Duration::from_secs(12),
            "the fail-safe unit cuts",
        )?,
    }
    trial.expect_still(SLACK * 2, "nobody moves it back")?;
    if period.is_some() {
        trial.expect_expiry_in_time()?;
    }
    Ok(())
}

fn agent_hung(trial: &mut Trial<'_>) -> Result<()> {
    match trial.period() {
        Some(period) => {
            // Systemd's own watchdog would end it; the hardware must not need that.
            unsupervise(trial)?;
            trial
                .appliance
                .shell(&format!("systemctl restart {UNIT}"))?;
            trial.expect_rest(Duration::from_secs(40))?;
            trial.strike_in_guest("agent hung (SIGSTOP)", &signal_script(Signal::Stop))?;
            trial.expect_relays(
                RelayState::Bypass,
                period + LATE,
                "the dead-man is not kicked",
            )?;
            // Long enough for a dead-man that restores, shorter than the machine's watchdog.
            trial.expect_still(SLACK * 2, "nobody moves it back")?;
            trial.expect_expiry_in_time()?;
            trial.may_return();
            trial.appliance.signal(Signal::Continue)?;
            trial.note("agent goes on (SIGCONT)");
            trial.expect_rest(Duration::from_secs(60))
        }
        None => hung_without_dead_man(trial),
    }
}

/// No timer on the board: systemd's watchdog ends the hung agent, and its successor takes over what it finds.
fn hung_without_dead_man(trial: &mut Trial<'_>) -> Result<()> {
    let falls = trial.appliance.profile().on_release == OnRelease::FallsToRest;
    let before = pid(trial)?;
    trial.strike_in_guest("agent hung (SIGSTOP)", &signal_script(Signal::Stop))?;
    trial.may_return();
    // WatchdogSec=10 of the unit, TimeoutAbortSec=2, and a start.
    trial.expect_status(
        Duration::from_secs(40),
        "systemd replaces the hung agent",
        |status| status.pid.to_string() != before,
    )?;
    trial.expect_rest(Duration::from_secs(40))?;
    trial.saw(if falls {
        "systemd replaced it; the lines were kept"
    } else {
        "systemd replaced it; this board has nothing faster"
    });
    Ok(())
}
