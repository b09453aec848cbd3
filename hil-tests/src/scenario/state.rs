//! The machine's disk and clock fail the agent; the wire must not notice.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Aftermath, Scenario};
use crate::appliance::COMMAND;
use crate::trial::{SLACK, Trial};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "clock-jumps",
        shows: "the wall clock jumps a year forward and back, and nothing happens",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: clock_jumps,
    },
    Scenario {
        name: "disk-full",
        shows: "without space for ledger and history the relays are held, the agent says so, and an order it cannot save is not carried out",
        needs: &[],
        aftermath: Aftermath::Rubble,
        run: disk_full,
    },
    Scenario {
        name: "ledger-unwritable",
        shows: "with a state directory it may not write to, the relays are held, the agent says so, and an order it cannot save is not carried out",
        needs: &[],
        aftermath: Aftermath::Rubble,
        run: ledger_unwritable,
    },
];

/// Where ledger and history are.
const STATE: &str = "/var/lib/fencepost";

fn clock_jumps(trial: &mut Trial<'_>) -> Result<()> {
    let since = trial.appliance.now();
    for (text, step) in [
        ("clock a year forward", "+ 31536000"),
        ("clock two years back", "- 63072000"),
        ("clock right again", "+ 31536000"),
    ] {
        trial.strike_in_guest(text, &format!("date -s @$(( $(date +%s) {step} ))"))?;
        trial.expect_still(trial.period().unwrap_or(SLACK) + SLACK, text)?;
        trial.expect_no_gap(Duration::from_secs(1), text)?;
    }
    trial.expect_rest(Duration::from_secs(20))?;
    trial.expect_no_move_since(since, "clock jumps")
}

fn disk_full(trial: &mut Trial<'_>) -> Result<()> {
    on_small_disk(trial)?;
    trial.strike_in_guest(
        "disk full",
        &format!("dd if=/dev/zero of={STATE}/filler bs=1k 2>/dev/null; sync; true"),
    )?;
    held_without_disk(trial, "disk full", &format!("rm -f {STATE}/filler"))
}

fn ledger_unwritable(trial: &mut Trial<'_>) -> Result<()> {
    // The agent is root without the capability to pass over permissions.
    trial.strike_in_guest("state directory read-only", &format!("chmod 500 {STATE}"))?;
    held_without_disk(
        trial,
        "state directory read-only",
        &format!("chmod 750 {STATE}"),
    )
}

/// State on a small file system of its own, taken over by a restart of the agent.
fn on_small_disk(trial: &mut Trial<'_>) -> Result<()> {
    let script = format!(
        "mount -t tmpfs -o size=256k,mode=750 rig-state {STATE} && systemctl restart fencepost"
    );
    trial.appliance.shell(&script)?;
    trial.expect_rest(Duration::from_secs(40))?;
    Ok(())
}

fn held_without_disk(trial: &mut Trial<'_>, what: &str, heal: &str) -> Result<()> {
    let since = trial.stimulus();
    let name = trial.appliance.model().site_name(0);
    // An order to hold the relay in Normal that a crash would forget must not be carried out.
    let order = trial
        .appliance
        .exec(&["fencepost", "bypass", &name, "normal"], COMMAND)?;
    let said = format!("{}{}", order.stdout, order.stderr);
    ensure!(
        !order.success() && said.contains("could not be saved"),
        "{what}: an order that cannot be saved was answered: {said}"
    );
    trial.saw(said.trim().to_owned());
    trial.expect_status(
        Duration::from_secs(15),
        &format!("{what}: the agent says so"),
        |status| status.node.ledger_fault.is_some(),
    )?;
    trial.expect_still(trial.period().unwrap_or(SLACK) + SLACK, what)?;
    trial.expect_no_move_since(since, what)?;
    trial.expect_no_gap(Duration::from_secs(1), what)?;
    trial.note("disk healed");
    trial.appliance.shell(heal)?;
    // The next order is saved, and clears the fault.
    trial
        .appliance
        .shell(&format!("fencepost bypass {name} auto"))?;
    trial.expect_rest(Duration::from_secs(30))?;
    trial.expect_no_move_since(since, what)
}
