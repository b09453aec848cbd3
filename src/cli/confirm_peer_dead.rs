//! `fencepost confirm-peer-dead`: a person's word where no means can prove anything.

use clap::Args;
use fencepost::node::pair::PairCommand;

use super::exit::{Exit, Failure};
use super::{Global, agent_link};

/// Take over on your word that the other node is off the wire
///
/// Only when you have seen it: power cable pulled, ports unplugged. If the other node still serves, both will answer for
/// the same addresses. Your name and reason are recorded. Refused while the other node is heard.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How you know, for the record
    #[arg(long)]
    reason: String,
    /// "I have seen that it is off the wire"
    #[arg(long, required = true)]
    i_have_seen_it: bool,
}

pub(crate) fn run(global: &Global, options: Options) -> Result<Exit, Failure> {
    debug_assert!(options.i_have_seen_it, "clap requires it");
    let reason = options.reason;
    agent_link::order_pair(global, PairCommand::ConfirmPeerDead { reason })
}
