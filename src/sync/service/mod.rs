//! The running service: keepers look after the trees, one session at a time talks to the peer, an office answers people.
//!
//! It follows the agent and decides nothing of roles: an agent that does not answer makes the role unknown, and then
//! nothing is sent and nothing is committed. What if it dies? The wire does not notice; the next life finishes, or takes
//! back, a commit that was under way.

mod activate;
mod active;
mod backup;
mod connect;
mod errand;
mod feeder;
mod keeper;
mod office;
mod shared;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

pub use office::{Gate, Right};

use crate::confine::Confined;
use crate::disk::{Disk, DiskError};
use crate::identity::{Identity, IdentityError, SECRET_BYTES, Side};
use crate::lineage::NodeId;
use crate::role::RoleSource;
use crate::session::Standing;
use crate::settings::Settings;
use shared::Shared;

/// The agent is asked this often; under the commit lock it is asked besides.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// Callers who have proved to be the peer and wait for a session.
const CALLERS: usize = 2;

/// What the service is told.
pub struct Spec {
    /// The program's version; nodes of different versions do not exchange state.
    pub version: String,
    /// Which of the two this node is.
    pub side: Side,
    /// The pair's keys, oldest first.
    pub secrets: Vec<[u8; SECRET_BYTES]>,
    /// The site's configuration.
    pub settings: Settings,
    /// Where it keeps what it must remember: a directory of its own, there already.
    pub state: PathBuf,
    /// Its socket.
    pub socket: PathBuf,
    /// Who may ask what at the socket.
    pub gate: Gate,
    /// How the process was confined, for the status.
    pub confined: Option<Confined>,
    /// Called once, when the socket is there.
    pub ready: Box<dyn FnOnce() + Send>,
}

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// No identities.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A category that cannot be kept.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The socket.
    #[error("{path}: the sync socket cannot be made: {error}")]
    Socket {
        /// Where.
        path: String,
        /// Why.
        error: std::io::Error,
    },
}

/// Runs until the future is dropped.
///
/// # Errors
/// It cannot begin. What fails later is shown in the status and tried again.
pub async fn run(spec: Spec, roles: Arc<dyn RoleSource>) -> Result<(), ServiceError> {
    let identities = Identity::all(&spec.secrets, spec.side)?;
    let me = node_id(spec.side);
    let settings = spec.settings;
    let mut disks = Vec::new();
    for category in settings.categories.clone() {
        disks.push(Disk::open(category, &spec.state, settings.history, me)?);
    }
    let listener = office::bind(&spec.socket).map_err(|error| ServiceError::Socket {
        path: spec.socket.display().to_string(),
        error,
    })?;
    (spec.ready)();
    let mut tasks = tokio::task::JoinSet::new();
    let (said, standing) = watch::channel(Standing::Unknown);
    tasks.spawn(follow(Arc::clone(&roles), said));
    let keepers = disks
        .into_iter()
        .map(|disk| keeper::start(disk, &settings, standing.clone()));
    let keepers = keepers.collect();
    let shared = Arc::new(Shared::new(
        spec.version,
        me,
        settings,
        identities,
        roles,
        standing,
        keepers,
        spec.confined,
    ));
    let (callers, calls) = mpsc::channel(CALLERS);
    for way in shared.settings.ways.clone() {
        tasks.spawn(connect::listen(Arc::clone(&shared), way, callers.clone()));
    }
    tasks.spawn(connect::supervise(Arc::clone(&shared), calls));
    tasks.spawn(office::accept(listener, shared, spec.gate));
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// A node of the pair is known by its side: an appliance that was replaced takes the place of the old one.
const fn node_id(side: Side) -> NodeId {
    match side {
        Side::Preferred => NodeId(1),
        Side::Other => NodeId(2),
    }
}

#[cfg(test)]
mod tests;

/// Asks the agent, again and again.
async fn follow(roles: Arc<dyn RoleSource>, said: watch::Sender<Standing>) {
    loop {
        let asked = Arc::clone(&roles);
        let answer = tokio::task::spawn_blocking(move || asked.standing()).await;
        let standing = answer.unwrap_or_default();
        said.send_if_modified(|before| {
            let changed = *before != standing;
            if changed {
                tracing::info!("this node is {standing:?}");
                *before = standing;
            }
            changed
        });
        tokio::time::sleep(ASK_EVERY).await;
    }
}
