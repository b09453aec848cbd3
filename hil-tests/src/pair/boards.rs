//! Both boards and the fence cable between them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fencepost::board::catalogue;
use fencepost::sim::fence_cable::FenceCable;
use fencepost::sim::port::HostPort;
use fencepost::sim::{Options, VirtualBoard};
use fencepost_firmware::Rank;

use super::Cabling;
use crate::board::Clock;
use crate::error::{Result, RigError};

/// Between two looks of the boards at their timers and at the fence cable.
const TICK: Duration = Duration::from_micros(250);
/// Of the fence cable: an optocoupler.
const CABLE_DELAY: Duration = Duration::from_micros(50);

/// A board that its host, its wires and the fence cable share.
pub(super) type SharedBoard = Arc<Mutex<VirtualBoard>>;
/// The cable, shared with whoever breaks it.
pub(super) type SharedCable = Arc<Mutex<FenceCable>>;

/// Keeps both boards and the cable between them going; ends with it.
pub(super) struct Ticking {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The primary's and the secondary's.
pub(super) fn both(cabling: Cabling) -> Result<[SharedBoard; 2]> {
    let shared = |rank| board(rank, cabling).map(|board| Arc::new(Mutex::new(board)));
    Ok([shared(Rank::Preferred)?, shared(Rank::Ordinary)?])
}

/// A whole one.
pub(super) fn cable() -> SharedCable {
    Arc::new(Mutex::new(FenceCable::new(CABLE_DELAY)))
}

fn board(rank: Rank, cabling: Cabling) -> Result<VirtualBoard> {
    let wrong = |error: String| RigError::Input(format!("the pair's boards: {error}"));
    let profile = catalogue::load(&[], "reference").map_err(|error| wrong(error.to_string()))?;
    let strapping = cabling
        .strapping()
        .map_err(|error| wrong(error.to_string()))?;
    let options = Options {
        seed: rank as u64 + 1,
        strapping: Some(strapping.with_rank(rank)),
        ..Options::default()
    };
    Ok(VirtualBoard::for_board(&profile, options))
}

impl Ticking {
    pub(super) fn start(clock: Clock, boards: [SharedBoard; 2], cable: SharedCable) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                {
                    let [mut a, mut b] = [lock(&boards[0]), lock(&boards[1])];
                    let now = clock.now();
                    a.tick(now);
                    b.tick(now);
                    lock(&cable).carry(now, [&mut a, &mut b]);
                }
                std::thread::sleep(TICK);
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
