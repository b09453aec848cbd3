//! Cables, relays and what runs over them; the rig owns both ends of everything.
//!
//! A [`Port`] is an end of a cable: QEMU's ([`cable`]), a namespace's ([`veth`]), or one inside the rig ([`pipe`]). A [`segment`] is an
//! appliance's pair of ports with its bypass relay; a [`hub`] is a switch of the network; [`traffic`] measures what passes.
//! A cable never waits: a frame that finds no room is lost, as on a wire, and counted by whoever numbered it.

pub mod cable;
pub mod hub;
pub mod intruder;
pub mod neighbour;
pub mod pipe;
pub mod segment;
pub mod traffic;
pub mod veth;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest frame, bytes: no jumbo frames, but room for VLAN tags.
pub const FRAME_MAX: usize = 2048;
/// How many frames wait at an end: about a second of numbered frames, like a network card's ring.
pub(crate) const QUEUE: usize = 1024;
/// How often a waiting thread looks whether it shall end.
pub(crate) const PATIENCE: Duration = Duration::from_millis(50);

/// One end of a cable.
pub trait Port: Send + Sync {
    /// Puts a frame on the cable. Never waits; a frame without room is lost.
    fn send(&self, frame: &[u8]);

    /// The next frame from the cable, or `None` after a short while without one.
    ///
    /// # Errors
    /// The cable is gone for good.
    fn receive(&self, buffer: &mut [u8; FRAME_MAX]) -> io::Result<Option<usize>>;
}

/// A cable end shared by threads.
pub type SharedPort = Arc<dyn Port>;

/// Threads of a wire; they end with it.
#[derive(Default)]
pub(crate) struct Threads {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Runs `turn` again and again until the wire ends or `turn` breaks. A turn must not wait long.
    pub(crate) fn run(&mut self, mut turn: impl FnMut() -> io::Result<()> + Send + 'static) {
        let stop = Arc::clone(&self.stop);
        self.threads.push(std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                if let Err(error) = turn() {
                    tracing::debug!("a wire's thread ends: {error}");
                    return;
                }
            }
        }));
    }

    /// Gives each frame that arrives at `port` to `take`.
    pub(crate) fn receive(
        &mut self,
        port: SharedPort,
        mut take: impl FnMut(&mut [u8]) + Send + 'static,
    ) {
        let mut buffer = [0; FRAME_MAX];
        self.run(move || {
            if let Some(length) = port.receive(&mut buffer)? {
                take(&mut buffer[..length]);
            }
            Ok(())
        });
    }

    /// Ends them all, and waits.
    pub(crate) fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.end();
    }
}
