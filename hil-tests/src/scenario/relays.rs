//! Relays and read-backs that do not do what they should.

use std::time::Duration;

use anyhow::{Result, ensure};
use fencepost::board::RelayState;
use fencepost::control::AgentStatus;
use fencepost::sim::{BoardFault, RelayFault};

use super::{Aftermath, Scenario};
use crate::appliance::model::{CHECK_FILE, CHECK_INTERVAL};
use crate::capability::Capability;
use crate::trial::{SLACK, Trial};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "relay-stuck",
        shows: "a relay that does not obey a cut is told loudly, never reported as cut, and obeys once it comes free",
        needs: &[Capability::SeesContacts],
        aftermath: Aftermath::Rest,
        run: relay_stuck,
    },
    Scenario {
        name: "read-back-lies",
        shows: "a read-back that shows another state is believed over memory: Normal is never reported on inference",
        needs: &[Capability::ReadBack],
        aftermath: Aftermath::Rest,
        run: read_back_lies,
    },
    Scenario {
        name: "expander-changed",
        shows: "a relay that somebody else on the bus moved is noticed, told, and returns only after a full dwell",
        needs: &[Capability::ReadBack, Capability::ForeignWrites],
        aftermath: Aftermath::Rest,
        run: expander_changed,
    },
];

/// For the agent to notice and to say.
const NOTICE: Duration = Duration::from_secs(10);

fn state(status: &AgentStatus, segment: usize) -> Option<RelayState> {
    status
        .node
        .segments
        .get(segment)
        .map(|segment| segment.state)
}

fn relay_stuck(trial: &mut Trial<'_>) -> Result<()> {
    let segment = trial.appliance.on_board(0);
    trial.inject(
        "relay stuck",
        BoardFault::Relay {
            segment,
            fault: RelayFault::Stuck,
        },
    )?;
    trial.strike_in_guest("check critical", &format!("echo critical > {CHECK_FILE}"))?;
    let ordered = trial.stimulus();
    trial.expect_event("relay_stuck", NOTICE)?;
    let status = trial.expect_status(NOTICE, "the agent is red", |status| {
        status.node.summary == fencepost::node::status::Summary::Red
    })?;
    ensure!(
        state(&status, 0) != Some(RelayState::Bypass),
        "invariant_report_is_read: the agent reports Bypass; the relay is stuck in Normal"
    );
    ensure!(
        trial.appliance.relay(0) == RelayState::Normal,
        "the rig's stuck relay moved"
    );
    trial.strike("relay comes free", |appliance| {
        appliance.clear_faults();
        Ok(())
    })?;
    // By then the coil has long been told, by order or by the dead-man; a board that must be told again is, every ten seconds.
    trial.expect_relays(RelayState::Bypass, Duration::from_secs(12), "it comes free")?;
    trial.saw(format!(
        "{:.1} s after the order",
        trial.appliance.now().since(ordered).as_secs_f64()
    ));
    trial.may_return();
    trial.strike_in_guest("check passes", &format!("echo ok > {CHECK_FILE}"))?;
    trial.expect_rest(Duration::from_secs(40))
}

fn read_back_lies(trial: &mut Trial<'_>) -> Result<()> {
    let segment = trial.appliance.on_board(0);
    trial.inject(
        "read-back shows Bypass",
        BoardFault::ReadBackLies {
            segment,
            shows: RelayState::Bypass,
        },
    )?;
    trial.expect_status(NOTICE, "the agent shows what it reads", |status| {
        state(status, 0) == Some(RelayState::Bypass)
    })?;
    let until = trial.appliance.now() + CHECK_INTERVAL * 5;
    while trial.appliance.now() < until {
        let shown = trial
            .appliance
            .status()?
            .and_then(|status| state(&status, 0));
        ensure!(
            shown != Some(RelayState::Normal),
            "invariant_report_is_read: the agent reports Normal; its hardware shows Bypass"
        );
    }
    trial.appliance.clear_faults();
    trial.note("read-back is true again");
    trial.expect_rest(Duration::from_secs(60))
}

fn expander_changed(trial: &mut Trial<'_>) -> Result<()> {
    let segment = trial.appliance.on_board(0);
    trial.inject(
        "another master moves the relay to Bypass",
        BoardFault::ExternalWrite {
            segment,
            state: RelayState::Bypass,
        },
    )?;
    let since = trial.stimulus();
    trial.expect_event("found_moved", NOTICE)?;
    trial.expect_rest(Duration::from_secs(40))?;
    trial.expect_dwell_since(since)?;
    trial.expect_still(SLACK, "once it is back it stays")
}
