//! `fencepost sync service`: becomes the service's own program, which lies beside this one.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use clap::Args;

use crate::cli::Global;
use crate::cli::exit::{Exit, Failure};

/// The service's program: everything that only it needs stays out of the agent, whose memory is locked.
const PROGRAM: &str = "fencepost-sync";

/// Keep the backup ready; the service itself
///
/// Runs `fencepost-sync` in the foreground, as root. `RUST_LOG` sets what is logged.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Do not ask the kernel to hold it to the configured paths; for test benches
    #[arg(long)]
    unconfined: bool,
}

pub(super) fn run(
    global: &Global,
    options: &Options,
    socket: Option<&Path>,
) -> Result<Exit, Failure> {
    let program = std::env::current_exe()?.with_file_name(PROGRAM);
    let mut command = Command::new(&program);
    let paths: [(&str, Option<&Path>); 3] = [
        ("--config", global.config.as_deref()),
        ("--socket", global.socket.as_deref()),
        ("--sync-socket", socket),
    ];
    for (name, path) in paths {
        if let Some(path) = path {
            command.arg(name).arg(path);
        }
    }
    if options.unconfined {
        command.arg("--unconfined");
    }
    Err(refused(&program, &command.exec()))
}

fn refused(program: &Path, error: &std::io::Error) -> Failure {
    let place = program.display();
    Failure::failed(format!(
        "{place} cannot be run: {error}; it belongs to the same package as this program"
    ))
}
