//! The machine is starved; that alone must trip nothing.

use std::time::Duration;

use anyhow::Result;

use super::{Aftermath, Scenario};
use crate::trial::Trial;

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "starved",
    shows: "both processors and the disk busy for ten seconds: no false trip",
    needs: &[],
    aftermath: Aftermath::Rest,
    run: starved,
}];

/// Longer than any dead-man of the matrix.
const BUSY: Duration = Duration::from_secs(10);

/// Twice as many loops as processors, and somebody who writes and syncs.
const BURN: &str = "
for n in 1 2 3 4; do systemd-run --quiet --unit=rig-tmp-burn$n --collect sh -c 'while :; do :; done'; done
systemd-run --quiet --unit=rig-tmp-disk --collect sh -c 'while :; do dd if=/dev/zero of=/root/burn bs=1M count=16 conv=fsync 2>/dev/null; done'
";
/// Ends all of it.
const REST: &str = "for unit in rig-tmp-burn1 rig-tmp-burn2 rig-tmp-burn3 rig-tmp-burn4 rig-tmp-disk; do systemctl kill -s KILL $unit; done; rm -f /root/burn; true";

fn starved(trial: &mut Trial<'_>) -> Result<()> {
    let since = trial.appliance.now();
    trial.strike_in_guest("processors and disk busy", BURN)?;
    trial.expect_still(BUSY, "starvation")?;
    trial.appliance.shell(REST)?;
    trial.note("idle again");
    trial.expect_rest(Duration::from_secs(30))?;
    trial.expect_no_move_since(since, "starvation")
}
