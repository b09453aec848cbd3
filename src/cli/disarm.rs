//! `fencepost disarm`: stop using the dead-man and the watchdog, for work that would trip them.

use clap::Args;
use fencepost::node::Command;

use super::exit::{Exit, Failure};
use super::maintenance::Switch;
use super::{Global, agent_link};

/// Stop or resume using the dead-man and the watchdog
///
/// Every segment goes to its fail state first and stays there while disarmed: nothing would stand behind a
/// host that hangs. For flashing controller firmware or debugging a kernel.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// On: disarmed. Off: armed again
    switch: Switch,
    /// Why; needed for `on`
    #[arg(
        long,
        required_if_eq("switch", "on"),
        default_value_if("switch", "off", "")
    )]
    reason: Option<String>,
}

pub(crate) fn run(global: &Global, options: Options) -> Result<Exit, Failure> {
    let on = options.switch == Switch::On;
    let reason = options.reason.unwrap_or_default();
    if on && reason.trim().is_empty() {
        return Err(Failure::failed(
            "say why: whoever finds the appliance disarmed will ask",
        ));
    }
    agent_link::order(global, Command::Disarm { on, reason })
}
