//! What can go wrong in the rig itself, as opposed to in what it tests.
//!
//! Every text names the thing and the place. A rig error is never a test result: a scenario that meets one has not run.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// An error of the rig.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    /// A file, socket or device of the rig.
    #[error("{action} {}: {source}", path.display())]
    Path {
        /// What was attempted, as "cannot open".
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program of the host failed.
    #[error("`{command}` failed ({status}):\n{output}\nrun `make setup`, then try again")]
    Command {
        /// Program and arguments.
        command: String,
        /// How it ended.
        status: String,
        /// The last of what it printed.
        output: String,
    },
    /// Something expected did not come in time.
    #[error("{what} did not come within {waited:?}; see {}", log.display())]
    Timeout {
        /// What was awaited.
        what: String,
        /// For how long.
        waited: Duration,
        /// Where to look.
        log: PathBuf,
    },
    /// QEMU refused a command.
    #[error("QEMU refused `{command}`: {reason}")]
    Qmp {
        /// QMP command.
        command: String,
        /// QEMU's description.
        reason: String,
    },
    /// The guest's kernel or command channel started anew while an answer was awaited, so nobody knows what became of it.
    #[error("the guest's command channel started anew during {what}: its outcome is unknown")]
    Restarted {
        /// What was under way.
        what: String,
    },
    /// The guest's command channel reported that it could not do what was asked.
    #[error("in the guest: {what}: {reason}")]
    Guest {
        /// What was asked.
        what: String,
        /// Why it was not done.
        reason: String,
    },
    /// The other end went away.
    #[error("{what} is gone: {reason}")]
    Gone {
        /// QEMU, the command channel, a wire.
        what: String,
        /// What is known about it.
        reason: String,
    },
    /// An input of the rig (package list, module list) does not fit the rest.
    #[error("{0}")]
    Input(String),
    /// Not the rig's fault: what is under test did not do what it must.
    #[error("{0}")]
    Broken(String),
}

/// Result of the rig.
pub type Result<T> = std::result::Result<T, RigError>;

/// Puts a path and an action to an [`io::Error`].
pub(crate) trait AtPath<T> {
    /// `action` reads as "cannot open".
    fn at(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T> AtPath<T> for io::Result<T> {
    fn at(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|source| RigError::Path {
            action,
            path: path.into(),
            source,
        })
    }
}
