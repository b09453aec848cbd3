//! A machine with better things to do: every core busy twice over, and the disk written without pause.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

/// Busy threads for each core.
const PER_CORE: usize = 2;
/// A write, bytes; each is forced to the disk.
const WRITE: usize = 1 << 20;
/// The file starts over after this many writes.
const WRITES: usize = 64;

/// What else the machine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Burden {
    /// Nothing of ours.
    None,
    /// All cores and the disk.
    Starved,
}

impl core::fmt::Display for Burden {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::None => "idle",
            Self::Starved => "cores and disk starved",
        })
    }
}

/// The burden, until it is dropped.
pub struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// Cores of this machine, as far as we may use them.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Load {
    /// Begins.
    pub fn start(burden: Burden) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        if burden == Burden::Starved {
            for _ in 0..cores() * PER_CORE {
                let stop = Arc::clone(&stop);
                threads.push(std::thread::spawn(move || {
                    let mut number = 1_u64;
                    while !stop.load(Ordering::Relaxed) {
                        for _ in 0..10_000 {
                            number = std::hint::black_box(
                                number
                                    .wrapping_mul(6_364_136_223_846_793_005)
                                    .wrapping_add(1),
                            );
                        }
                    }
                }));
            }
            let stop = Arc::clone(&stop);
            threads.push(std::thread::spawn(move || write_on(&stop)));
        }
        Self { stop, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Writes and syncs; a disk that refuses ends it, and the cores are still busy.
fn write_on(stop: &AtomicBool) {
    let block = vec![0x5a; WRITE];
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut file) = tempfile::tempfile().or_else(|_| File::create("/dev/null")) else {
            return;
        };
        for _ in 0..WRITES {
            if stop.load(Ordering::Relaxed)
                || file.write_all(&block).is_err()
                || file.sync_data().is_err()
            {
                break;
            }
        }
    }
}
