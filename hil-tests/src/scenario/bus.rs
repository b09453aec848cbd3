//! The bus between host and controller fails for a while.

use std::time::Duration;

use anyhow::Result;
use fencepost::board::RelayState;
use fencepost::sim::BoardFault;

use super::{Aftermath, Scenario};
use crate::capability::Capability;
use crate::trial::{LATE, SLACK, Trial};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "i2c-nack-burst",
        shows: "a burst of unacknowledged transfers moves nothing",
        needs: &[Capability::Bus],
        aftermath: Aftermath::Rest,
        run: nack_burst,
    },
    Scenario {
        name: "i2c-slow",
        shows: "a bus on which every transfer takes twenty milliseconds longer moves nothing",
        needs: &[Capability::Bus],
        aftermath: Aftermath::Rest,
        run: slow,
    },
    Scenario {
        name: "i2c-stuck",
        shows: "a bus that hangs ends in the dead-man, is never reported as Normal, and heals by itself",
        needs: &[Capability::Bus],
        aftermath: Aftermath::Rest,
        run: stuck,
    },
];

/// Transfers in a row that nobody acknowledges: more than one try of one order, less than a period of them.
const BURST: u32 = 3;
/// Added to every transfer.
const DELAY: Duration = Duration::from_millis(20);
/// An order that the hardware does not take is tried again at least this often, and under emulation some seconds later.
const ORDER_REPEATED: Duration = Duration::from_secs(16);

fn nack_burst(trial: &mut Trial<'_>) -> Result<()> {
    trial.inject(
        "burst of unacknowledged transfers",
        BoardFault::NackBurst {
            transactions: BURST,
        },
    )?;
    survived(trial, "a burst of unacknowledged transfers")
}

fn slow(trial: &mut Trial<'_>) -> Result<()> {
    trial.inject("bus slow", BoardFault::BusSlow { delay: DELAY })?;
    survived(trial, "a slow bus")
}

fn survived(trial: &mut Trial<'_>, what: &str) -> Result<()> {
    let since = trial.stimulus();
    trial.expect_still(trial.period().unwrap_or(SLACK) * 2, what)?;
    trial.expect_no_gap(Duration::from_secs(1), what)?;
    trial.expect_rest(Duration::from_secs(20))?;
    trial.expect_no_move_since(since, what)
}

fn stuck(trial: &mut Trial<'_>) -> Result<()> {
    trial.inject("bus stuck", BoardFault::BusStuck)?;
    let since = trial.stimulus();
    if let Some(period) = trial.period() {
        trial.expect_relays(
            RelayState::Bypass,
            period + LATE,
            "no kick reaches the dead-man",
        )?;
        trial.expect_expiry_in_time()?;
    }
    let name = trial.appliance.model().site_name(0);
    let unheard = trial.period().is_none();
    if unheard {
        // Without kicks and without read-back only an order shows that nobody takes it.
        let order = format!("timeout 10 fencepost bypass {name} bypass || true");
        trial.appliance.shell(&order)?;
    }
    // The agent cannot see the relay now: whatever it last saw is not the present.
    trial.expect_status(
        Duration::from_secs(15),
        "the agent says that it lost its controller",
        |status| {
            status.node.controller_fault.is_some()
                && status
                    .node
                    .segments
                    .iter()
                    .all(|segment| segment.state == RelayState::Unknown)
        },
    )?;
    trial.may_return();
    if unheard {
        trial.expect_no_move_since(since, "a board without a dead-man stays where it is")?;
    }
    trial.strike("bus free", |appliance| {
        appliance.clear_faults();
        Ok(())
    })?;
    if unheard {
        trial.expect_relays(
            RelayState::Bypass,
            ORDER_REPEATED,
            "the order is still in force",
        )?;
        trial.may_return();
        let auto = format!("fencepost bypass {name} auto");
        trial.appliance.shell(&auto)?;
    }
    trial.expect_rest(Duration::from_secs(40))?;
    Ok(())
}
