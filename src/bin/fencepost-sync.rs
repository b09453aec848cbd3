//! `fencepost-sync`: the state sync service. Everything people ask of it is `fencepost sync`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use fencepost::io::journal;
use fencepost::sync_service::{self, ServiceError, Start};

/// As of `fencepost`, where 5 keeps the unit from being started again.
const FAILED: u8 = 1;
const CONFIGURATION: u8 = 5;

/// Keeps the other node's configuration and state like the Active's. Runs in the foreground, as root; ask it with `fencepost sync`.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Options {
    /// The site's configuration [default: /etc/fencepost/fencepost.toml]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The agent's control socket [default: as configured]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The socket at which this service answers [default: the configured one, or /run/fencepost-sync/control.sock]
    #[arg(long, value_name = "PATH")]
    sync_socket: Option<PathBuf>,
    /// Do not ask the kernel to hold it to the configured paths; for test benches
    #[arg(long)]
    unconfined: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    journal::log_to_journal_or_terminal();
    let ended = sync_service::run(Start {
        config: options.config,
        agent_socket: options.socket,
        socket: options.sync_socket,
        unconfined: options.unconfined,
    });
    let Err(error) = ended else {
        return ExitCode::SUCCESS;
    };
    eprintln!("fencepost-sync: {error}");
    ExitCode::from(match error {
        ServiceError::Configuration(_) => CONFIGURATION,
        ServiceError::Failed(_) => FAILED,
    })
}
