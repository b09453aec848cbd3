//! `fencepost agent`: the service. Joins configuration, board and machine, and hands over to the loop.

use std::path::{Path, PathBuf};

use clap::Args;
use fencepost::agent::ExitReason;
use fencepost::agent::run::{Memory, Setup, run as run_agent};
use fencepost::commissioning;
use fencepost::config::{Config, Site, WatchdogMode};
use fencepost::io::control::Spec;
use fencepost::io::lock::LockError;
use fencepost::io::realtime::Priority;
use fencepost::io::watchdog::WatchdogSpec;
use fencepost::node::policy::Commissioning;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::exit::{Exit, Failure};
use super::{Global, checks, hardware, places};

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
    log_to_journal_or_terminal();
    let site = places::proven_site(global)?;
    let setup = setup(site, global, options)?;
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

fn setup(site: Site, global: &Global, options: &Options) -> Result<Setup, Failure> {
    let commissioning = commissioned(&site, options);
    let record = options.record.clone().or_else(|| site.config.record.clone());
    if let Some(path) = &record {
        set_aside(path)?;
    }
    let config = &site.config;
    Ok(Setup {
        board: site.board.id.clone(),
        policy: site.policy(commissioning),
        checks: checks::specs(config),
        watchdog: watchdog(config),
        socket: Spec {
            path: global.socket.clone().unwrap_or_else(|| config.control.socket.clone()),
            readers: config.control.readers_group.clone(),
            operators: config.control.operators_group.clone(),
            board: site.board.id.clone(),
        },
        state_directory: config.state.dir.clone(),
        run_directory: config.state.runtime_dir.clone(),
        control_priority: Priority::CONTROL,
        bus_priority: Priority::BUS,
        memory: Memory::Locked,
        record,
        opener: hardware::opener(site),
    })
}

fn commissioned(site: &Site, options: &Options) -> Commissioning {
    match commissioning::load(&site.config.state.dir, site) {
        Ok(record) => {
            tracing::info!(operator = record.operator, time = record.time, "commissioned");
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

const fn needs_device(mode: WatchdogMode) -> bool {
    matches!(mode, WatchdogMode::Device)
}

/// In the other modes there is nothing for the agent to keep: systemd's own watchdog sees the unit's signs of life.
fn watchdog(config: &Config) -> Option<WatchdogSpec> {
    let watchdog = &config.watchdog;
    needs_device(watchdog.mode).then(|| WatchdogSpec::Device {
        path: watchdog.device.clone(),
        timeout: watchdog.timeout,
        pretimeout: watchdog.pretimeout,
    })
}

/// A recording is never overwritten or continued; the last one is kept under another name.
fn set_aside(path: &Path) -> Result<(), Failure> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".old");
    match std::fs::rename(path, &aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::failed(format!("{} cannot be set aside: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// To the journal where the service manager connected us to it, with fields; to the terminal otherwise.
fn log_to_journal_or_terminal() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    if std::env::var_os("JOURNAL_STREAM").is_some()
        && let Ok(journal) = tracing_journald::layer()
    {
        registry.with(journal).init();
    } else {
        registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr)).init();
    }
}
