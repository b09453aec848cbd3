//! `fencepost replay`: feed a recording to a fresh node and show what it decides.
//!
//! Needs no hardware, no configuration and no rights: a recording from the field is replayed on any machine.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::Args;
use fencepost::replay;

use super::exit::{Exit, Failure};

/// Feed a recording to a fresh node and show what it decides
///
/// Recordings are made with `fencepost agent --record FILE`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The recording
    file: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<Exit, Failure> {
    let name = options.file.display();
    let file =
        File::open(&options.file).map_err(|error| Failure::failed(format!("{name}: {error}")))?;
    let replayed =
        replay::replay(BufReader::new(file), std::io::stdout().lock()).map_err(|error| {
            match error.downcast::<std::io::Error>() {
                Ok(error) => Failure::from(error),
                Err(error) => Failure::failed(format!("{name}: {error:#}")),
            }
        })?;
    eprintln!(
        "{} events, {} deadlines, {} actions",
        replayed.events, replayed.timeouts, replayed.actions
    );
    Ok(Exit::Done)
}
