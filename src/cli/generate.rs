//! Manual pages and shell completions, made from the very definitions that parse the command line.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;

use super::Cli;
use super::exit::{Exit, Failure};

/// Write the manual pages into a directory
#[derive(Debug, Args)]
pub(crate) struct ManOptions {
    /// Created if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Write completions for all shells into a directory
#[derive(Debug, Args)]
pub(crate) struct CompletionOptions {
    /// Created if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn man(options: &ManOptions) -> Result<Exit, Failure> {
    into(&options.out, |dir| {
        clap_mangen::generate_to(Cli::command(), dir)
    })
}

pub(crate) fn completions(options: &CompletionOptions) -> Result<Exit, Failure> {
    into(&options.out, |dir| {
        for shell in Shell::value_variants() {
            clap_complete::generate_to(*shell, &mut Cli::command(), "fencepost", dir)?;
        }
        Ok(())
    })
}

fn into(dir: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<Exit, Failure> {
    fs::create_dir_all(dir)
        .and_then(|()| write(dir))
        .map_err(|error| {
            Failure::failed(format!("{} cannot be written: {error}", dir.display()))
        })?;
    Ok(Exit::Done)
}
