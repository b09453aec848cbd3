//! `fencepost board`: what boards there are, what is known of them, and whether this one is wired as described.

mod commission;
mod list;
mod probe;
mod show;

use clap::Subcommand;

use super::Global;
use super::exit::{Exit, Failure};

/// Boards: list what is known, look at the hardware, prove the wiring
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    List(list::Options),
    Show(show::Options),
    Probe(probe::Options),
    Commission(commission::Options),
}

pub(crate) fn run(global: &Global, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::List(options) => list::run(global, &options),
        Command::Show(options) => show::run(global, &options),
        Command::Probe(options) => probe::run(global, &options),
        Command::Commission(options) => commission::run(global, &options),
    }
}
