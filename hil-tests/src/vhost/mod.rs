//! The board's bus and lines as vhost-user devices, so that a stock guest kernel has real device nodes for them.
//!
//! Contract: [`serve`] listens on a Unix socket for as long as the result lives. QEMU may come, go and come again: each
//! connection gets a fresh device in front of the same board. A guest reset keeps the connection; the rings start anew.
//! What if QEMU dies here? The connection ends and the device is told, once (`host_gone`). What if the rig dies? QEMU dies with it.

mod device;
pub mod gpio;
pub mod i2c;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use vhost::vhost_user::Listener;
use vhost_user_backend::VhostUserDaemon;
use vm_memory::{GuestMemoryAtomic, GuestMemoryMmap};

pub use device::{Chain, Device, Memory};

use crate::error::{Result, RigError};
use device::Adapter;

/// A device served on a socket; ends with it.
pub struct Server {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Serves `device` on the socket `path`, which is made anew.
pub fn serve<D: Device>(path: &Path, device: D) -> Result<Server> {
    let broken = |error| RigError::Gone {
        what: format!("vhost-user socket {}", path.display()),
        reason: format!("{error:?}"),
    };
    let mut listener = Listener::new(path, true).map_err(broken)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let device = Arc::new(Mutex::new(device));
    let thread = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            if let Err(error) = serve_one(&mut listener, &device, &stopped) {
                tracing::warn!("vhost-user {}: {error}", D::NAME);
            }
        }
    });
    Ok(Server {
        path: path.to_path_buf(),
        stop,
        thread: Some(thread),
    })
}

/// One QEMU, from connection to hang-up.
fn serve_one<D: Device>(
    listener: &mut Listener,
    device: &Arc<Mutex<D>>,
    stopped: &AtomicBool,
) -> std::result::Result<(), vhost_user_backend::Error> {
    let memory = GuestMemoryAtomic::new(GuestMemoryMmap::<()>::new());
    let adapter = Arc::new(Adapter::new(Arc::clone(device), memory.clone()));
    let mut daemon =
        VhostUserDaemon::new(format!("vhost-{}", D::NAME), Arc::clone(&adapter), memory)?;
    daemon.start(listener)?;
    if stopped.load(Ordering::Relaxed) {
        return Ok(());
    }
    let ended = daemon.wait();
    adapter.host_gone();
    match ended {
        // QEMU hangs up without ceremony when it ends.
        Err(vhost_user_backend::Error::HandleRequest(
            vhost::vhost_user::Error::Disconnected | vhost::vhost_user::Error::PartialMessage,
        )) => Ok(()),
        other => other,
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The thread may be waiting for a QEMU that will never come.
        let _ = std::os::unix::net::UnixStream::connect(&self.path);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}
