//! The control socket: people and programs ask, the node decides.
//!
//! A Unix socket that anybody may connect to; who may ask and who may order is decided by the peer's
//! credentials (see [`rights`]). Every limit here protects the agent from its askers: number of connections, length of a line,
//! requests per second, time to read and to write. Reading touches only copies; a flood at this socket
//! cannot reach the control thread except through its own bounded lane.
//!
//! What if this thread dies? Nobody can ask; nothing on the wire changes.

pub mod refusals;
pub mod rights;
mod session;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::net::{UnixListener, UnixStream};

use super::desk::Desk;
use super::history::Health;
use super::inbox::Inlet;
use crate::agent::snapshot::Snapshot;
use crate::control::Vips;
use refusals::Refusals;
use rights::Groups;

/// Most connections at once.
const CONNECTIONS_MAX: usize = 32;
/// Most connections at once of one user other than root.
const CONNECTIONS_PER_USER_MAX: usize = 8;

/// What the socket needs to know.
pub struct Spec {
    /// Where to listen.
    pub path: PathBuf,
    /// Group that may read; owns the socket.
    pub readers: String,
    /// Group that may change.
    pub operators: String,
    /// Board id, for the status.
    pub board: String,
    /// The virtual addresses, for the status.
    pub vips: Option<Vips>,
}

/// What sessions share.
struct Office {
    board: String,
    vips: Option<Vips>,
    snapshot: Snapshot,
    desk: Desk,
    inlet: Inlet,
    history: Health,
    groups: Groups,
    refusals: Mutex<Refusals>,
    connections: Mutex<BTreeMap<u32, usize>>,
}

/// Listen and start the thread.
pub fn start(
    spec: Spec,
    snapshot: Snapshot,
    desk: Desk,
    history: Health,
    inlet: Inlet,
) -> io::Result<JoinHandle<()>> {
    let groups = Groups::look_up(&spec.readers, &spec.operators);
    let listener = listen(&spec.path)?;
    let office = Arc::new(Office {
        board: spec.board,
        vips: spec.vips,
        snapshot,
        desk,
        inlet,
        history,
        groups,
        refusals: Mutex::default(),
        connections: Mutex::default(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .thread_stack_size(512 * 1024)
        .build()?;
    std::thread::Builder::new()
        .name("fp-socket".to_owned())
        .stack_size(512 * 1024)
        .spawn(move || {
            runtime.block_on(async {
                match UnixListener::from_std(listener) {
                    Ok(listener) => accept(listener, office).await,
                    Err(error) => tracing::error!("control socket is unusable: {error}"),
                }
            });
        })
}

/// Bind. Anybody may connect, within the limits; what they may ask is decided by who they are.
fn listen(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    // Left by an earlier life: the lock says that nobody is behind it.
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn accept(listener: UnixListener, office: Arc<Office>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => admit(stream, &office),
            Err(error) => {
                // Out of descriptors, most likely: leave those who are connected time to go.
                tracing::warn!("control socket: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }
    }
}

fn admit(stream: UnixStream, office: &Arc<Office>) {
    let Ok(peer) = stream.peer_cred() else { return };
    match Seat::take(office, peer.uid()) {
        Some(seat) => {
            tokio::spawn(async move { session::serve(stream, peer, &seat).await });
        }
        None => {
            tokio::spawn(session::turn_away(stream));
        }
    }
}

/// One of the places for connections; given back when dropped.
struct Seat {
    office: Arc<Office>,
    uid: u32,
}

impl Seat {
    fn take(office: &Arc<Office>, uid: u32) -> Option<Self> {
        let mut taken = lock(&office.connections);
        let all: usize = taken.values().sum();
        let own = taken.get(&uid).copied().unwrap_or(0);
        // Half of the places are kept for root: readers cannot lock the operator's tools out.
        let most = if uid == 0 {
            CONNECTIONS_MAX
        } else {
            CONNECTIONS_MAX / 2
        };
        if all >= most || (uid != 0 && own >= CONNECTIONS_PER_USER_MAX) {
            return None;
        }
        taken.insert(uid, own + 1);
        Some(Self {
            office: Arc::clone(office),
            uid,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = lock(&self.office.connections);
        if let Some(own) = taken.get_mut(&self.uid) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.uid);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "control/tests.rs"]
mod tests;
