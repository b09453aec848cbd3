//! `fencepost agent`: the service. Joins configuration, board and machine, and hands over to the loop.

use std::path::{Path, PathBuf};

use clap::Args;
use fencepost::agent::ExitReason;
use fencepost::agent::run::run as run_agent;
use fencepost::agent::setup::Setup;
use fencepost::commissioning;
use fencepost::config::Site;
use fencepost::io::journal;
use fencepost::io::lock::LockError;
use fencepost::node::policy::Commissioning;

use super::exit::{Exit, Failure};
use super::{Global, hardware, places};

/// Hold this appliance's relays; the service itself
///
/// Runs in the foreground, as root. `RUST_LOG` sets what is logged.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Go to Normal although nobody proved this board's wiring; for test benches
    #[arg(long)]
    uncommissioned: bool,
    /// Record everything the decisions depend on, for `fencepost replay`; a file of that name becomes FILE.old
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    journal::log_to_journal_or_terminal();
    let site = places::proven_site(global)?;
    let setup = setup(&site, global, options)?;
    match run_agent(setup) {
        Ok(ExitReason::Stopped(how)) => {
            tracing::info!(?how, "ended as told");
            Ok(Exit::Done)
        }
        Ok(ExitReason::Ended) => Err(Failure::failed("the agent ended without being told to")),
        Err(error) => Err(match error.downcast::<LockError>() {
            Ok(error) => error.into(),
            Err(error) => Failure::failed(format!("{error:#}")),
        }),
    }
}

fn setup(site: &Site, global: &Global, options: &Options) -> Result<Setup, Failure> {
    let mut setup = Setup::new(
        site,
        commissioned(site, options),
        hardware::agent_wiring(site),
    )
    .map_err(|error| Failure::failed(error.to_string()))?;
    if let Some(socket) = &global.socket {
        setup.socket.path.clone_from(socket);
    }
    if options.record.is_some() {
        setup.record.clone_from(&options.record);
    }
    if let Some(path) = &setup.record {
        set_aside(path)?;
    }
    Ok(setup)
}

fn commissioned(site: &Site, options: &Options) -> Commissioning {
    if !site.board.has_relays() {
        // There is no wiring to prove.
        return Commissioning::Done;
    }
    match commissioning::load(&site.config.state.dir, site) {
        Ok(record) => {
            tracing::info!(
                operator = record.operator,
                time = record.time,
                "commissioned"
            );
            Commissioning::Done
        }
        Err(missing) if options.uncommissioned => {
            tracing::warn!("--uncommissioned: segments may go to Normal although {missing}");
            Commissioning::Waived
        }
        Err(missing) => {
            tracing::error!("nothing goes to Normal: {missing}");
            Commissioning::Missing
        }
    }
}

/// A recording is never overwritten or continued; the last one is kept under another name.
fn set_aside(path: &Path) -> Result<(), Failure> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".old");
    match std::fs::rename(path, &aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::failed(
            format!("{} cannot be set aside: {error}", path.display()),
        )),
        _ => Ok(()),
    }
}
