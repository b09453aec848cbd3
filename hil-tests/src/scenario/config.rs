//! A configuration or a profile with a mistake is refused as a whole, with its place; the relays are safe.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fencepost::board::RelayState;

use super::{Aftermath, Scenario};
use crate::appliance::files::SITE;
use crate::trial::{SLACK, Trial};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "bad-config",
        shows: "a restart with a broken configuration ends the agent with line and column, and leaves a wire",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: bad_config,
    },
    Scenario {
        name: "bad-board",
        shows: "a restart with a broken board profile ends the agent with line and column, and leaves a wire",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: bad_board,
    },
];

/// The unit's exit status for a refused configuration; systemd does not try again.
const REFUSED: &str = "5";

fn bad_config(trial: &mut Trial<'_>) -> Result<()> {
    let good = trial.appliance.shell(&format!("cat {SITE}"))?;
    let line = good
        .lines()
        .position(|line| line.starts_with("dwell_ms"))
        .context("no dwell_ms in the site")?
        + 1;
    let bad = good.replacen("dwell_ms =", "dwel_ms =", 1);
    trial.appliance.write(SITE, 0o644, bad.as_bytes())?;
    let refused = refused_at(trial, &format!("fencepost.toml:{line}:1"));
    trial.appliance.write(SITE, 0o644, good.as_bytes())?;
    refused
}

fn bad_board(trial: &mut Trial<'_>) -> Result<()> {
    let stem = trial
        .appliance
        .model()
        .profile
        .split('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let shipped = trial
        .appliance
        .shell(&format!("cat /usr/share/fencepost/boards/{stem}.toml"))?;
    let line = shipped
        .lines()
        .position(|line| line.starts_with("run_time"))
        .context("no run_time in the profile")?
        + 1;
    let bad = shipped.replacen("run_time = [\"normal\"", "run_time = [\"nomal\"", 1);
    let site = format!("/etc/fencepost/boards/{stem}.toml");
    trial.appliance.shell("mkdir -p /etc/fencepost/boards")?;
    trial.appliance.write(&site, 0o644, bad.as_bytes())?;
    let refused = refused_at(trial, &format!("{stem}.toml:{line}:"));
    trial.appliance.shell(&format!("rm {site}"))?;
    refused
}

/// A restart with what is on the disk now is refused, and names `place`.
fn refused_at(trial: &mut Trial<'_>, place: &str) -> Result<()> {
    trial.strike_in_guest(
        "broken file, systemctl restart",
        "systemctl restart --no-block fencepost",
    )?;
    // There will be no successor: the segments are cut by order, not left to whatever timer the board may have.
    trial.expect_relays(
        RelayState::Bypass,
        trial.ordered_within(Duration::from_secs(15)),
        "no agent can hold it in Normal",
    )?;
    trial.expect_ordered()?;
    let until = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        let state = trial
            .appliance
            .shell("systemctl show -P ActiveState -P ExecMainStatus fencepost")?;
        let words: Vec<&str> = state.split_whitespace().collect();
        if words.contains(&"failed") {
            ensure!(
                words.contains(&REFUSED),
                "the agent ended with {words:?}; expected exit status {REFUSED}"
            );
            break;
        }
        ensure!(
            std::time::Instant::now() < until,
            "the agent with a broken file is {words:?}; expected failed"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    let said = trial
        .appliance
        .shell("journalctl -b --no-pager -o cat -n 60 -u fencepost")?;
    ensure!(
        said.contains(place),
        "the refusal does not say `{place}`:\n{said}"
    );
    trial.expect_still(SLACK, "nobody moves it back")?;
    trial.saw(format!("refused at {place}"));
    Ok(())
}
