//! One agent per machine: whoever holds the lock may touch the hardware.
//!
//! An advisory lock on a file that stays in place; the kernel gives it up when the holder dies, however it
//! dies. The holder's process id is written into the file for the error text only.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// Where the lock is unless configured otherwise.
pub const LOCK_PATH: &str = "/run/fencepost/agent.lock";

/// The right to touch the hardware, until dropped.
#[derive(Debug)]
pub struct AgentLock {
    _held: Flock<File>,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another agent holds it.
    #[error("another agent is running (pid {holder}): it holds {path}; stop it first")]
    Held {
        /// As it wrote itself.
        holder: String,
        /// The lock's file.
        path: String,
    },
    /// The file cannot be had.
    #[error("the lock {path} cannot be taken: {error}; its directory must exist and be writable")]
    Io {
        /// The lock's file.
        path: String,
        /// The kernel's words.
        error: std::io::Error,
    },
}

/// Take the lock or learn who has it. Does not wait.
pub fn take(path: &Path) -> Result<AgentLock, LockError> {
    let io_error = |error| LockError::Io {
        path: path.display().to_string(),
        error,
    };
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644);
    let file = options.open(path).map_err(io_error)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut held) => {
            sign(&mut held).map_err(io_error)?;
            Ok(AgentLock { _held: held })
        }
        Err((mut file, Errno::EWOULDBLOCK)) => {
            let mut holder = String::new();
            // Only for the text; a holder that is just starting may not have signed yet.
            let _unsigned = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let holder = if holder.is_empty() { "unknown" } else { holder }.to_owned();
            Err(LockError::Held {
                holder,
                path: path.display().to_string(),
            })
        }
        Err((_, error)) => Err(io_error(error.into())),
    }
}

fn sign(held: &mut Flock<File>) -> std::io::Result<()> {
    held.set_len(0)?;
    held.rewind()?;
    writeln!(held, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.lock");
        let first = take(&path).unwrap();
        let error = take(&path).unwrap_err().to_string();
        assert!(
            error.contains(&format!("pid {}", std::process::id())),
            "{error}"
        );
        drop(first);
        take(&path).unwrap();
    }

    #[test]
    fn a_missing_directory_is_not_a_running_agent() {
        let error = take(Path::new("/nowhere/agent.lock")).unwrap_err();
        assert!(matches!(error, LockError::Io { .. }), "{error}");
    }
}
