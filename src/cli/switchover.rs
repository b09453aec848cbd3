//! `fencepost switchover`: move the addresses to the other node, in order.

use clap::Args;
use fencepost::node::pair::PairCommand;

use super::exit::{Exit, Failure};
use super::{Global, agent_link};

/// Move the virtual addresses to the other node of the pair
///
/// May be asked of either node. The one that serves gives its word that it has stopped before the other begins. Refused,
/// with the reason, if the other could not serve.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Why, for the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub(crate) fn run(global: &Global, options: Options) -> Result<Exit, Failure> {
    let reason = options.reason;
    agent_link::order_pair(global, PairCommand::Switchover { reason })
}
