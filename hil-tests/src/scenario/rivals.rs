//! Somebody else wants the hardware, or the agent's ear.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fencepost::board::RelayState;
use fencepost::board::profile::ControllerSpec;
use fencepost::node::Instant;

use super::{Aftermath, Scenario};
use crate::appliance::COMMAND;
use crate::appliance::files::PROGRAM;
use crate::trial::{SLACK, Trial};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "line-busy",
        shows: "hardware that another process or driver holds is refused with its name, moves nothing, and is taken once it is free",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: line_busy,
    },
    Scenario {
        name: "two-agents",
        shows: "a second agent ends at once, says who runs, and touches nothing",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: two_agents,
    },
    Scenario {
        name: "forged-request",
        shows: "an order from a user without the right is refused and recorded, and moves nothing",
        needs: &[],
        aftermath: Aftermath::Rest,
        run: forged_request,
    },
];

/// How a rival takes the hardware and lets go again, as shell scripts.
fn rival(trial: &Trial<'_>) -> Result<(String, String)> {
    let bus = |address: u8| {
        let device = "/sys/bus/i2c/devices/i2c-0";
        // The kernel's own "dummy" driver binds to any address: as good a holder as any.
        (
            format!("echo dummy {address:#04x} > {device}/new_device"),
            format!("echo {address:#04x} > {device}/delete_device"),
        )
    };
    let line = |name: &str| {
        let hold = format!(
            "systemd-run --quiet --unit=rig-tmp-holder --collect sh -c 'exec gpioset --mode=signal $(gpiofind {name})=0'"
        );
        (hold, "systemctl stop rig-tmp-holder".to_owned())
    };
    Ok(match &trial.appliance.profile().controller {
        ControllerSpec::Absent => bail!("a host without relays has nothing to fight over"),
        ControllerSpec::Reference { address, .. } | ControllerSpec::Riverbed { address, .. } => {
            bus(*address)
        }
        ControllerSpec::LannerGen3 { modules, .. } => {
            let module = modules.first().context("no module")?;
            // The first part on the way: the mux, where there is one.
            bus(module.mux.first().map_or(module.address, |(mux, _)| *mux))
        }
        ControllerSpec::CaswellGen2 { chips, .. } => bus(chips.first().context("no chip")?.address),
        ControllerSpec::PulseTrain { line: wave, .. } => line(&wave.name),
        ControllerSpec::GpioMonostable { coils, .. } => {
            line(&coils.first().context("no coil")?.coil.name)
        }
        ControllerSpec::GpioLatching { coils, .. } => {
            line(&coils.first().context("no coil")?.set.name)
        }
    })
}

fn line_busy(trial: &mut Trial<'_>) -> Result<()> {
    let (hold, let_go) = rival(trial)?;
    trial.stop_agent()?;
    trial.strike_in_guest(
        "a rival holds the hardware, agent started",
        &format!("{hold} && systemctl start fencepost"),
    )?;
    let since = trial.stimulus();
    let status = trial.expect_status(
        Duration::from_secs(20),
        "the agent says what it lacks",
        |status| status.node.controller_fault.is_some(),
    )?;
    let fault = status.node.controller_fault.unwrap_or_default();
    ensure!(
        fault.to_lowercase().contains("busy") || fault.contains("held") || fault.contains("holds"),
        "the agent's fault does not name the cause: `{fault}`"
    );
    trial.expect_still(SLACK * 2, "what is not ours is not moved")?;
    let relays = trial.appliance.relays();
    ensure!(
        relays.iter().all(|relay| *relay == RelayState::Bypass),
        "relays are {relays:?}; expected Bypass"
    );
    trial.expect_no_move_since(since, "what is not ours is not moved")?;
    trial.saw(fault);
    trial.note("the rival lets go");
    trial.appliance.shell(&let_go)?;
    trial.expect_rest(Duration::from_secs(40))
}

fn two_agents(trial: &mut Trial<'_>) -> Result<()> {
    trial.note("a second agent starts");
    let since = trial.appliance.now();
    let second = trial.appliance.exec(
        &["timeout", "20", PROGRAM, "agent", "--uncommissioned"],
        COMMAND,
    )?;
    let said = format!("{}{}", second.stdout, second.stderr);
    ensure!(
        !second.success() && second.status != Some(124),
        "the second agent ran (status {:?}): {said}",
        second.status
    );
    ensure!(
        said.contains("agent.lock") || said.contains("another"),
        "the second agent does not say why it ended: {said}"
    );
    trial.saw(said.lines().last().unwrap_or_default().to_owned());
    untouched(trial, since, "a second agent")
}

fn forged_request(trial: &mut Trial<'_>) -> Result<()> {
    let name = trial.appliance.model().site_name(0);
    let since = trial.appliance.now();
    trial.note("orders from users without the right");
    // A stranger cannot even ask; a member of the readers' group may look and not touch.
    for (who, groups) in [
        ("stranger", "--clear-groups"),
        ("reader", "--groups=fencepost"),
    ] {
        let order =
            format!("setpriv --reuid=65534 --regid=65534 {groups} {PROGRAM} bypass {name} bypass");
        let done = trial.appliance.exec(&["sh", "-c", &order], COMMAND)?;
        let said = format!("{}{}", done.stdout, done.stderr);
        ensure!(!done.success(), "a {who}'s order was obeyed: {said}");
        ensure!(
            done.status == Some(4),
            "a {who}'s order ended with {:?}; expected 4 (no permission): {said}",
            done.status
        );
    }
    let refused = trial.expect_event("refused", Duration::from_secs(10))?;
    if !refused["by"]
        .as_str()
        .unwrap_or_default()
        .contains("nobody")
    {
        bail!("the record does not name who asked: {refused}");
    }
    untouched(trial, since, "a forged order")
}

fn untouched(trial: &mut Trial<'_>, since: Instant, what: &str) -> Result<()> {
    trial.expect_still(trial.period().unwrap_or(SLACK) + SLACK, what)?;
    trial.expect_rest(Duration::from_secs(20))?;
    trial.expect_no_move_since(since, what)
}
