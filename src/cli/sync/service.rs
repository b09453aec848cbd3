//! `fencepost sync service`: joins configuration, keys and agent, shuts itself in, and runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use fencepost::config::Config;
use fencepost::config::pair::{Pair, load_keys};
use fencepost::io::control::rights::{Groups, Rights, identify};
use fencepost::wire::Side;
use fencepost_sync::confine::{Confined, Reach};
use fencepost_sync::service::{Gate, Right, Spec};
use fencepost_sync::{identity, service, settings::Settings};
use tokio::signal::unix::{SignalKind, signal};

use super::role::AgentRole;
use crate::cli::exit::{Exit, Failure};
use crate::cli::{Global, agent, agent_link, places};

/// Keep the backup ready; the service itself
///
/// Runs in the foreground, as root. `RUST_LOG` sets what is logged.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Do not ask the kernel to hold it to the configured paths; for test benches
    #[arg(long)]
    unconfined: bool,
}

pub(super) fn run(global: &Global, options: &Options, socket: PathBuf) -> Result<Exit, Failure> {
    agent::log_to_journal_or_terminal();
    let config = Config::load(&places::config_path(global))?;
    let state = config.state.dir.join("sync");
    make_directory(&state)?;
    let refused = |why: &str| Failure::new(Exit::Configuration, why.to_owned());
    let pair = config.pair.as_ref().ok_or_else(|| {
        refused("no [pair] is configured: a single appliance has nobody to keep in sync")
    })?;
    let settings = config
        .sync
        .clone()
        .ok_or_else(|| refused("no [sync] is configured: nothing is kept in sync"))?;
    let secrets = secrets(pair)?;
    let roles = Arc::new(AgentRole {
        socket: agent_link::socket(global),
    });
    let gate = gate(&config);
    let confined = confine(options, &settings, &state, &socket)?;
    let spec = Spec {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        side: match pair.node {
            Side::Preferred => identity::Side::Preferred,
            Side::Other => identity::Side::Other,
        },
        secrets,
        settings,
        state,
        socket,
        gate,
        confined,
        // Without a service manager there is nobody to tell.
        ready: Box::new(|| drop(sd_notify::notify(&[sd_notify::NotifyState::Ready]))),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(until_told(spec, roles))
}

async fn until_told(spec: Spec, roles: Arc<AgentRole>) -> Result<Exit, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        ended = service::run(spec, roles) => match ended {
            Ok(()) => Err(Failure::failed("the sync service ended without being told to")),
            Err(error) => Err(Failure::failed(error.to_string())),
        },
        _ = terminate.recv() => Ok(Exit::Done),
        _ = interrupt.recv() => Ok(Exit::Done),
    }
}

fn make_directory(state: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let mut make = std::fs::DirBuilder::new();
    let made = make.recursive(true).mode(0o700).create(state);
    made.map_err(|error| Failure::failed(format!("{}: {error}", state.display())))
}

fn secrets(pair: &Pair) -> Result<Vec<[u8; identity::SECRET_BYTES]>, Failure> {
    let keys = load_keys(&pair.key_file);
    let keys = keys.map_err(|error| Failure::new(Exit::Configuration, error.to_string()))?;
    Ok(keys.sync_secrets())
}

/// The same people as at the agent's socket.
fn gate(config: &Config) -> Gate {
    let groups = Groups::look_up(
        &config.control.readers_group,
        &config.control.operators_group,
    );
    Arc::new(move |uid, gid, pid| {
        let asker = identify(uid, gid, pid);
        match groups.rights(uid, &asker.groups) {
            Rights::None => Right::None,
            Rights::Read => Right::Read,
            Rights::Change => Right::Change,
        }
    })
}

fn confine(
    options: &Options,
    settings: &Settings,
    state: &Path,
    socket: &Path,
) -> Result<Option<Confined>, Failure> {
    if options.unconfined {
        tracing::warn!(
            "--unconfined: the kernel does not hold this service to the configured paths"
        );
        return Ok(None);
    }
    let runtime = socket.parent().unwrap_or(socket);
    let confined = Reach::of(settings, state, runtime).confine();
    let confined = confined.map_err(|error| Failure::failed(error.to_string()))?;
    tracing::info!(?confined, "confined");
    Ok(Some(confined))
}
