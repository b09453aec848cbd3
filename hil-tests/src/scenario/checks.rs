//! Checks: what they fail, how soon, how they recover, and when they hang.

use std::time::Duration;

use anyhow::{Result, ensure};
use fencepost::board::RelayState;

use super::{Aftermath, Scenario};
use crate::appliance::model::{CHECK_FILE, CHECK_INTERVAL, CHECK_TIMEOUT, DWELL};
use crate::trial::{SLACK, Trial};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "check-fails",
        shows: "a failing check puts its segments into their fail state; when it passes again they return after the dwell, one move each way",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: check_fails,
    },
    Scenario {
        name: "check-plugin-hangs",
        shows: "a plugin that hangs is no evidence of health, is killed, and leaves nothing behind",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: check_plugin_hangs,
    },
];

/// A plugin's process under emulation.
const PLUGIN: Duration = Duration::from_secs(6);

fn check_fails(trial: &mut Trial<'_>) -> Result<()> {
    trial.strike_in_guest("check critical", &format!("echo critical > {CHECK_FILE}"))?;
    trial.expect_relays(
        RelayState::Bypass,
        trial.ordered_within(CHECK_INTERVAL + PLUGIN + SLACK),
        "a failover check fails",
    )?;
    trial.expect_event("check_failed", Duration::from_secs(10))?;
    let cut = trial.appliance.now();
    trial.expect_still(DWELL, "while it fails")?;
    trial.may_return();
    trial.strike_in_guest("check passes", &format!("echo ok > {CHECK_FILE}"))?;
    let back = trial.stimulus();
    trial.expect_relays(
        RelayState::Normal,
        CHECK_INTERVAL + PLUGIN + DWELL + SLACK * 2,
        "all checks green for the dwell",
    )?;
    ensure!(
        trial.relay_took() >= DWELL,
        "invariant_dwell: Normal {} ms after the check was told to pass; the dwell is {} ms",
        trial.relay_took().as_millis(),
        DWELL.as_millis()
    );
    trial.expect_rest(Duration::from_secs(30))?;
    let each = trial.appliance.segments();
    let moves = trial.appliance.moves_since(cut.min(back));
    ensure!(
        moves.len() == each,
        "invariant_no_flap: {moves:?}; expected one move back for each of {each} segments"
    );
    trial.expect_dwell_since(back)
}

fn check_plugin_hangs(trial: &mut Trial<'_>) -> Result<()> {
    trial.strike_in_guest("plugin hangs", &format!("echo hang > {CHECK_FILE}"))?;
    let bound = trial.ordered_within(CHECK_INTERVAL + CHECK_TIMEOUT + PLUGIN + SLACK);
    trial.expect_relays(
        RelayState::Bypass,
        bound,
        "a check without an answer is not healthy",
    )?;
    // Several rounds: they must not pile up.
    trial.expect_still(CHECK_INTERVAL + CHECK_TIMEOUT, "while it hangs")?;
    let hanging = trial.appliance.shell("pgrep -c -x sleep || true")?;
    let hanging: u32 = hanging.trim().parse().unwrap_or(0);
    ensure!(
        hanging <= 1,
        "{hanging} hung plugins are alive; expected at most the one of the present round"
    );
    trial.may_return();
    trial.strike_in_guest("plugin answers", &format!("echo ok > {CHECK_FILE}"))?;
    trial.expect_rest(Duration::from_secs(40))
}
