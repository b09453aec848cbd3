//! The command line: one file per command.
//!
//! `agent` is the service; everything else asks it over its socket, except the commands that work while no
//! agent runs (`check`, `replay`, `failsafe`, `board`). Manual pages and completions are made from the
//! definitions here, so they cannot disagree with the program. Exit codes are in [`exit`].

mod acknowledge;
mod agent;
mod agent_link;
mod board;
mod bypass;
mod check;
mod confirm_peer_dead;
mod disarm;
mod events;
mod exit;
mod explain;
mod failsafe;
mod fence_test;
mod generate;
mod hardware;
mod ink;
mod maintenance;
mod pair;
mod places;
mod replay;
mod sentence;
mod status;
mod stop;
mod switchover;
mod sync;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use exit::{Exit, Failure};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused, failed, or something is wrong
  2  wrong usage
  3  no agent is running, or it does not answer
  4  no permission
  5  the configuration or the board profile is refused

`status --nagios` uses the codes of Nagios plugins instead: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.";

/// Holds the bypass relays of this appliance in the right place, and lets the hardware fail open (or closed)
/// the moment the appliance can no longer be trusted to forward.
#[derive(Debug, Parser)]
#[command(name = "fencepost", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The site's configuration [default: /etc/fencepost/fencepost.toml]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where board profiles are looked for, instead of /etc/fencepost/boards and /usr/share/fencepost/boards
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) boards: Option<PathBuf>,
    /// The agent's control socket [default: as configured]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Agent(agent::Options),
    Check(check::Options),
    Status(status::Options),
    Events(events::Options),
    Acknowledge(acknowledge::Options),
    Bypass(bypass::Options),
    Maintenance(maintenance::Options),
    Disarm(disarm::Options),
    Switchover(switchover::Options),
    Explain(explain::Options),
    ConfirmPeerDead(confirm_peer_dead::Options),
    FenceTest(fence_test::Options),
    #[command(subcommand)]
    Pair(pair::Command),
    Sync(sync::Options),
    #[command(subcommand)]
    Board(board::Command),
    Replay(replay::Options),
    Stop(stop::Options),
    Failsafe(failsafe::Options),
    #[command(hide = true)]
    Man(generate::ManOptions),
    #[command(hide = true)]
    Completions(generate::CompletionOptions),
}

/// Parse, run, and say how it went.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) if failure.is_closed_pipe() => Exit::Done.into(),
        Err(failure) => {
            eprintln!("fencepost: {failure}");
            failure.exit().into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Agent(options) => agent::run(global, &options),
        Command::Check(options) => check::run(global, &options),
        Command::Status(options) => status::run(global, &options),
        Command::Events(options) => events::run(global, &options),
        Command::Acknowledge(options) => acknowledge::run(global, &options),
        Command::Bypass(options) => bypass::run(global, options),
        Command::Maintenance(options) => maintenance::run(global, options),
        Command::Disarm(options) => disarm::run(global, options),
        Command::Switchover(options) => switchover::run(global, options),
        Command::Explain(options) => explain::run(global, &options),
        Command::ConfirmPeerDead(options) => confirm_peer_dead::run(global, options),
        Command::FenceTest(options) => fence_test::run(global, options),
        Command::Pair(command) => pair::run(global, command),
        Command::Sync(options) => sync::run(global, options),
        Command::Board(command) => board::run(global, command),
        Command::Replay(options) => replay::run(&options),
        Command::Stop(options) => stop::run(global, &options),
        Command::Failsafe(options) => failsafe::run(global, &options),
        Command::Man(options) => generate::man(&options),
        Command::Completions(options) => generate::completions(&options),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        fn walk(command: &clap::Command) {
            for sub in command.get_subcommands() {
                assert!(
                    sub.get_about().is_some(),
                    "{} has no description",
                    sub.get_name()
                );
                walk(sub);
            }
        }
        walk(&Cli::command());
    }
}
