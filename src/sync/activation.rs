//! Commands that are run by name: on the Backup by the Active's order, or on both nodes.
//!
//! The name travels, never the command: each node runs what its own configuration has under that name, without a shell,
//! bounded in time and in what is kept of its output.

use std::os::unix::process::ExitStatusExt;

use serde::{Deserialize, Serialize};

use crate::frame::{Capped, Ran};
use crate::hooks::{Call, Hook, HookError, Moment, printable};

/// Most of one site.
pub const ACTIVATIONS_MAX: usize = 64;
/// Longest name in bytes.
pub const NAME_BYTES_MAX: usize = 32;

/// A command with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// Name.
    pub name: String,
    /// The program.
    pub hook: Hook,
    /// Where it is run.
    pub on: On,
}

/// Where a command is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum On {
    /// On the Backup.
    #[default]
    Backup,
    /// On the Active, and if that went well on the Backup.
    Both,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its exit code; 128 and the signal's number if a signal ended it.
    pub code: u8,
    /// What it said, its end cut off at [`crate::hooks::OUTPUT_BYTES_MAX`] bytes.
    pub output: String,
}

/// A text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name of an activation: expected 1 to {NAME_BYTES_MAX} of a-z, 0-9 and `-`, starting with a letter"
)]
pub struct NameError(String);

/// Whether it may be a name.
///
/// # Errors
/// It may not.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts = name.starts_with(|first: char| first.is_ascii_lowercase());
    if starts && name.len() <= NAME_BYTES_MAX && name.bytes().all(letter) {
        return Ok(());
    }
    Err(NameError(name.to_owned()))
}

/// The one of that name; the error lists those that there are.
///
/// # Errors
/// There is none.
pub fn named<'a>(all: &'a [Activation], name: &str) -> Result<&'a Activation, String> {
    let found = all.iter().find(|one| one.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        match names.is_empty() {
            true => {
                format!("no activation `{name}`: none is configured here ([[sync.activation]])")
            }
            false => format!(
                "no activation `{name}`; configured here: {}",
                names.join(", ")
            ),
        }
    })
}

impl Activation {
    /// Run it to its end. Blocks for at most its limit and two seconds.
    ///
    /// # Errors
    /// It could not be started or watched, or took too long and was ended.
    pub fn run(&self) -> Result<Ended, String> {
        let call = Call {
            moment: Moment::Activate,
            category: None,
            staged: None,
            generation: None,
        };
        match self.hook.run(&call) {
            Ok(said) => Ok(Ended {
                code: 0,
                output: said.output,
            }),
            Err(HookError::Refused { status, output, .. }) => {
                let code = status.code().or(status.signal().map(|signal| 128 + signal));
                let code = code.and_then(|code| u8::try_from(code).ok());
                Ok(Ended {
                    code: code.unwrap_or(u8::MAX),
                    output,
                })
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

impl From<Ended> for Ran {
    fn from(ended: Ended) -> Self {
        Self {
            code: ended.code,
            output: Capped::new(ended.output.into_bytes()),
        }
    }
}

impl From<Ran> for Ended {
    /// It comes from a peer, and ends up on terminals.
    fn from(ran: Ran) -> Self {
        Self {
            code: ran.code,
            output: printable(&ran.output),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

    use core::time::Duration;

    use super::*;

    fn activation(script: &str, limit: Duration) -> Activation {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned).into();
        Activation {
            name: "reload-all".to_owned(),
            hook: Hook { argv, limit },
            on: On::Backup,
        }
    }

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn its_exit_code_and_its_words_are_kept() {
        let ended = activation("echo $FENCEPOST_HOOK; exit 7", LONG).run();
        let output = "activate".to_owned();
        assert_eq!(ended, Ok(Ended { code: 7, output }));
        let ended = activation("kill -TERM $$", LONG).run().unwrap();
        assert_eq!(ended.code, 143);
        let ended = activation("true", LONG).run().unwrap();
        assert_eq!((ended.code, ended.output.as_str()), (0, ""));
    }

    #[test]
    fn what_does_not_end_is_ended() {
        let error = activation("sleep 600", Duration::from_millis(100)).run();
        let error = error.unwrap_err();
        assert!(error.contains("took longer than 100 ms"), "{error}");
    }

    #[test]
    fn who_asks_for_another_is_told_which_there_are() {
        let all = [activation("true", LONG)];
        assert!(named(&all, "reload-all").is_ok());
        let error = named(&all, "relaod").unwrap_err();
        assert_eq!(error, "no activation `relaod`; configured here: reload-all");
        assert!(named(&[], "x").unwrap_err().contains("none is configured"));
    }

    #[test]
    fn names_are_plain() {
        for good in ["a", "reload-all", "x9"] {
            assert_eq!(check_name(good), Ok(()));
        }
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for bad in ["", "9a", "-a", "A", "a b", "../a", "a\n", &long] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn words_of_the_peer_cannot_act_on_a_terminal() {
        let ran = Ran {
            code: 1,
            output: Capped::new(*b"\x1b[2Jgone\xff"),
        };
        let output = Ended::from(ran).output;
        assert!(
            !output.contains('\x1b') && output.contains("gone"),
            "{output:?}"
        );
    }
}
