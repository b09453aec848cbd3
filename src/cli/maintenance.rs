//! `fencepost maintenance`: the host is being worked on.

use clap::{Args, ValueEnum};
use fencepost::node::Command;

use super::exit::{Exit, Failure};
use super::{Global, agent_link};

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// From now on
    On,
    /// No longer
    Off,
}

/// Take the host off all wires for work on it, until switched off
///
/// Every segment goes to its fail state and stays there, through restarts and reboots.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Enter or leave
    switch: Switch,
    /// Why, for whoever looks at the status meanwhile
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub(crate) fn run(global: &Global, options: Options) -> Result<Exit, Failure> {
    let on = options.switch == Switch::On;
    agent_link::order(
        global,
        Command::Maintenance {
            on,
            reason: options.reason,
        },
    )
}
