//! One lock per adapter, between the agent and everything else that speaks to a board (`board probe`,
//! `commission`, a second agent started by mistake).
//!
//! The kernel serialises single transfers. A mux selection and the command behind it are two, and another process
//! between them would send the command to another card.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Adapter;
use crate::board::bus::BusError;
use crate::board::plain_i2c::BusLock;

/// Longest wait. Sequences under the lock are a few transactions, below 20 ms on a healthy bus; someone who holds it
/// ten times as long is stuck, and the dead-man is running.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// How often the lock is tried meanwhile.
const TRY_EVERY: Duration = Duration::from_millis(1);

/// A lock on a file.
#[derive(Debug)]
pub(super) struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
    pub(super) fn new(dir: &Path, adapter: &Adapter) -> Result<Self, BusError> {
        let path = dir.join(format!("{}.lock", adapter.node));
        let failed = |error: std::io::Error| BusError::Io {
            what: format!("lock file {}", path.display()),
            error: error.to_string(),
        };
        fs::create_dir_all(dir).map_err(failed)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        Ok(Self { file, path })
    }
}

impl BusLock for FileLock {
    fn lock(&mut self) -> Result<(), BusError> {
        let begun = Instant::now();
        loop {
            match self.file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) if begun.elapsed() < WAIT_MAX => {
                    std::thread::sleep(TRY_EVERY);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(BusError::Busy {
                        what: format!("bus lock {}", self.path.display()),
                        holder: format!(
                            "another process of Fencepost for more than {} ms; `fuser {}` names it",
                            WAIT_MAX.as_millis(),
                            self.path.display()
                        ),
                    });
                }
                Err(TryLockError::Error(error)) => {
                    return Err(BusError::Io {
                        what: format!("bus lock {}", self.path.display()),
                        error: error.to_string(),
                    });
                }
            }
        }
    }

    fn unlock(&mut self) {
        // Unlocking a file that is open cannot fail; if it did, the next process would report us by name.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_reported_after_a_bounded_wait() {
        let dir = tempfile::tempdir().unwrap();
        let adapter = Adapter {
            device: PathBuf::from("/dev/i2c-0"),
            node: "i2c-0".to_owned(),
            name: "test".to_owned(),
        };
        let mut one = FileLock::new(dir.path(), &adapter).unwrap();
        let mut other = FileLock::new(dir.path(), &adapter).unwrap();
        one.lock().unwrap();
        let error = other.lock().unwrap_err();
        assert!(matches!(error, BusError::Busy { .. }), "{error}");
        one.unlock();
        other.lock().unwrap();
        other.unlock();
    }
}
