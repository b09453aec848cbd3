//! `fencepost bypass`: hold a segment in one state, or give it back.

use clap::{Args, ValueEnum};
use fencepost::board::RelayState;
use fencepost::node::Command;

use super::exit::{Exit, Failure};
use super::{Global, agent_link};

/// Hold a segment in one state, or give it back to the agent
///
/// A held state stays through restarts and reboots until `auto`. The fence latch and the dead-man are stronger
/// than it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The segment, as `fencepost status` names it
    segment: String,
    /// Where to hold it
    state: Held,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Held {
    /// Through the host, without asking the checks
    Normal,
    /// A plain wire
    Bypass,
    /// Both ports dark
    Disconnect,
    /// As the agent decides
    Auto,
}

pub(crate) fn run(global: &Global, options: Options) -> Result<Exit, Failure> {
    let state = match options.state {
        Held::Normal => Some(RelayState::Normal),
        Held::Bypass => Some(RelayState::Bypass),
        Held::Disconnect => Some(RelayState::Disconnect),
        Held::Auto => None,
    };
    agent_link::order(
        global,
        Command::Bypass {
            segment: options.segment,
            state,
        },
    )
}
