//! How a command ends: codes that scripts may rely on, and a sentence for people.

use std::fmt;
use std::io;
use std::process::ExitCode;

use fencepost::board::catalogue::LoadError;
use fencepost::config::ConfigError;
use fencepost::control_client::ClientError;
use fencepost::io::lock::LockError;
use fencepost_sync::client::ClientError as SyncClientError;

/// Exit codes; part of the interface (docs/interfaces.md). 2 is clap's, for wrong usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Refused, failed, or something is wrong.
    Failed,
    /// No agent answers.
    NoAgent,
    /// No permission.
    NoPermission,
    /// Configuration or profile refused. The unit does not restart on it: the file will not get better.
    Configuration,
    /// The exit code of a Nagios plugin.
    Plugin(u8),
    /// The exit code of a program that was run.
    Program(u8),
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::NoAgent => 3,
            Self::NoPermission => 4,
            Self::Configuration => 5,
            Self::Plugin(code) | Self::Program(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    sentence: String,
    closed_pipe: bool,
}

impl Failure {
    pub(crate) fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Self {
            exit,
            sentence: sentence.into(),
            closed_pipe: false,
        }
    }

    /// Exit code 1.
    pub(crate) fn failed(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Failed, sentence)
    }

    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// The reader of our output has gone (`fencepost events | head`): nothing is wrong.
    pub(crate) const fn is_closed_pipe(&self) -> bool {
        self.closed_pipe
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let (exit, advice) = match &error {
            ClientError::NoAgent { .. } => {
                (Exit::NoAgent, "; see why with: systemctl status fencepost")
            }
            ClientError::Lost { .. } | ClientError::Foreign { .. } => (Exit::NoAgent, ""),
            ClientError::NoPermission { .. } => (Exit::NoPermission, ""),
            ClientError::Refused(sentence) if sentence.starts_with("refused: ") => {
                (Exit::NoPermission, "")
            }
            ClientError::Refused(_) => (Exit::Failed, ""),
        };
        Self::new(exit, format!("{error}{advice}"))
    }
}

impl From<SyncClientError> for Failure {
    fn from(error: SyncClientError) -> Self {
        let (exit, advice) = match &error {
            SyncClientError::NoService { .. } => (
                Exit::NoAgent,
                "; see why with: systemctl status fencepost-sync",
            ),
            SyncClientError::Lost { .. } => (Exit::NoAgent, ""),
            SyncClientError::NoPermission { .. } => (Exit::NoPermission, ""),
            SyncClientError::Refused(sentence) if sentence.starts_with("refused: ") => {
                (Exit::NoPermission, "")
            }
            SyncClientError::Refused(_) => (Exit::Failed, ""),
        };
        Self::new(exit, format!("{error}{advice}"))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Configuration, error.to_string())
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::new(Exit::Configuration, error.to_string())
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        let denied = matches!(&error, LockError::Io { error, .. }
            if error.kind() == io::ErrorKind::PermissionDenied);
        let exit = if denied {
            Exit::NoPermission
        } else {
            Exit::Failed
        };
        Self::new(exit, error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let closed_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self {
            exit: Exit::Failed,
            sentence: format!("output failed: {error}"),
            closed_pipe,
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        // serde_json wraps what the writer said.
        Self::from(io::Error::from(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_is_told_apart_from_what_cannot() {
        let denied = ClientError::Refused("refused: changing needs root".to_owned());
        assert_eq!(Failure::from(denied).exit(), Exit::NoPermission);
        let impossible = ClientError::Refused("no segment `lan`".to_owned());
        assert_eq!(Failure::from(impossible).exit(), Exit::Failed);
    }

    #[test]
    fn an_absent_agent_comes_with_advice() {
        let failure = Failure::from(ClientError::NoAgent {
            path: "/run/x".to_owned(),
        });
        assert_eq!(failure.exit().code(), 3);
        assert!(
            failure.to_string().contains("systemctl status fencepost"),
            "{failure}"
        );
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let error = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(Failure::from(error).is_closed_pipe());
    }
}
