//! The state sync service, joined to this node: configuration, keys and agent are read, the process shuts itself in, and runs.
//!
//! Only `fencepost-sync` calls this. The agent's memory is locked whole, so that no disk can keep it waiting; encryption, compression and
//! SQLite would be half of that, and the agent uses none of them. So the two are programs of their own.

mod role;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fencepost_sync::confine::{Confined, Reach};
use fencepost_sync::service::{Gate, Right, Spec};
use fencepost_sync::{identity, service, settings::Settings};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::pair::{Pair, load_keys};
use crate::config::{Config, STANDARD_FILE};
use crate::io::control::rights::{Groups, Rights, identify};
use crate::wire::Side;
use role::AgentRole;

/// How it is started.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// The site's configuration, if not [`STANDARD_FILE`].
    pub config: Option<PathBuf>,
    /// The agent's socket, if not as configured.
    pub agent_socket: Option<PathBuf>,
    /// Its own socket, if not as configured.
    pub socket: Option<PathBuf>,
    /// The kernel is not asked to hold it to the configured paths.
    pub unconfined: bool,
}

/// Why it does not run, or no longer.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The configuration or the keys; starting again does not help.
    #[error("{0}")]
    Configuration(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Runs until it is told to end, by `SIGTERM` or `SIGINT`.
///
/// # Errors
/// The configuration is refused, the process cannot shut itself in, or the service ended by itself.
pub fn run(start: Start) -> Result<(), ServiceError> {
    let refused = |why: String| ServiceError::Configuration(why);
    let path = start.config.unwrap_or_else(|| STANDARD_FILE.into());
    let config = Config::load(&path).map_err(|error| refused(error.to_string()))?;
    let state = config.state.dir.join("sync");
    make_directory(&state)?;
    let pair = config.pair.as_ref().ok_or_else(|| {
        refused("no [pair] is configured: a single appliance has nobody to keep in sync".to_owned())
    })?;
    let settings = config
        .sync
        .clone()
        .ok_or_else(|| refused("no [sync] is configured: nothing is kept in sync".to_owned()))?;
    let secrets = secrets(pair)?;
    let agent_socket = start.agent_socket;
    let roles = Arc::new(AgentRole {
        socket: agent_socket.unwrap_or_else(|| config.control.socket.clone()),
    });
    let socket = start.socket.unwrap_or_else(|| settings.socket.clone());
    let gate = gate(&config);
    let confined = if start.unconfined {
        tracing::warn!(
            "--unconfined: the kernel does not hold this service to the configured paths"
        );
        None
    } else {
        Some(confine(&settings, &state, &socket)?)
    };
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
        .build();
    let runtime = runtime.map_err(|error| failed(&error))?;
    runtime.block_on(until_told(spec, roles))
}

async fn until_told(spec: Spec, roles: Arc<AgentRole>) -> Result<(), ServiceError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| failed(&error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| failed(&error))?;
    tokio::select! {
        ended = service::run(spec, roles) => match ended {
            Ok(()) => Err(failed(&"the sync service ended without being told to")),
            Err(error) => Err(failed(&error)),
        },
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

fn failed(why: &impl ToString) -> ServiceError {
    ServiceError::Failed(why.to_string())
}

fn make_directory(state: &Path) -> Result<(), ServiceError> {
    use std::os::unix::fs::DirBuilderExt;
    let mut make = std::fs::DirBuilder::new();
    let made = make.recursive(true).mode(0o700).create(state);
    made.map_err(|error| failed(&format!("{}: {error}", state.display())))
}

fn secrets(pair: &Pair) -> Result<Vec<[u8; identity::SECRET_BYTES]>, ServiceError> {
    let keys = load_keys(&pair.key_file);
    let keys = keys.map_err(|error| ServiceError::Configuration(error.to_string()))?;
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

fn confine(settings: &Settings, state: &Path, socket: &Path) -> Result<Confined, ServiceError> {
    let runtime = socket.parent().unwrap_or(socket);
    let confined = Reach::of(settings, state, runtime).confine();
    let confined = confined.map_err(|error| failed(&error))?;
    tracing::info!(?confined, "confined");
    Ok(confined)
}
