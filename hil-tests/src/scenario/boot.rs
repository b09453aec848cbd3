//! From power to `Normal`, and back by order.

use std::time::Duration;

use anyhow::{Result, ensure};
use fencepost::board::RelayState;

use super::{Aftermath, Scenario};
use crate::trial::{SLACK, TO_HEAR, Trial};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "boot-to-normal",
        shows: "from the agent's start: dead-man armed, path proven for the dwell, only then Normal; not before",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: boot_to_normal,
    },
    Scenario {
        name: "orderly-stop",
        shows: "systemctl stop puts every segment into its fail state at once, not after the dead-man",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: orderly_stop,
    },
];

/// The start is the agent's, on a machine that runs: how long the kernel boots under emulation is not the product's.
fn boot_to_normal(trial: &mut Trial<'_>) -> Result<()> {
    trial.stop_agent()?;
    trial.strike_in_guest("agent started", "systemctl start --no-block fencepost")?;
    trial.expect_relays(
        RelayState::Normal,
        Duration::from_secs(20),
        "all checks green for the dwell",
    )?;
    let took = trial.relay_took();
    ensure!(
        took >= crate::appliance::model::DWELL,
        "invariant_dwell: Normal came {} ms after the start; the dwell alone is {} ms",
        took.as_millis(),
        crate::appliance::model::DWELL.as_millis()
    );
    trial.expect_rest(Duration::from_secs(30))?;
    if trial.period().is_some() {
        trial.expect_armed_before_normal()?;
    }
    trial.saw(format!(
        "Normal {} ms after the agent's start",
        took.as_millis()
    ));
    Ok(())
}

fn orderly_stop(trial: &mut Trial<'_>) -> Result<()> {
    trial.strike_in_guest("systemctl stop", "systemctl stop --no-block fencepost")?;
    // Systemd starts two programs before the agent hears of it. From there on it is the agent's time; neither the dead-man's nor systemd's
    // time-out may be what ends the segment.
    trial.expect_relays(
        RelayState::Bypass,
        trial.ordered_within(TO_HEAR),
        "ordered stop",
    )?;
    trial.expect_ordered()?;
    trial.expect_soon_after("stopping", SLACK)?;
    trial.expect_still(SLACK, "after a stop nothing moves again")?;
    let active = trial
        .appliance
        .shell("systemctl is-active fencepost || true")?;
    ensure!(
        active.trim() == "inactive",
        "the unit is {} after a stop",
        active.trim()
    );
    Ok(())
}
