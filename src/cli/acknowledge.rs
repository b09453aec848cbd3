//! `fencepost acknowledge`: somebody has seen the alarms.

use clap::Args;
use fencepost::node::Command;

use super::exit::{Exit, Failure};
use super::{Global, agent_link};

/// Clear the latched alarms
///
/// What caused them stays in `fencepost events`, with who acknowledged.
#[derive(Debug, Args)]
pub(crate) struct Options {}

pub(crate) fn run(global: &Global, _options: &Options) -> Result<Exit, Failure> {
    agent_link::order(global, Command::Acknowledge)
}
