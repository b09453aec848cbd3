//! Programs of the site that are run around a commit.
//!
//! No shell, a fixed argument list, an environment of our own, a process group of its own, a time limit, and an end to
//! what is kept of its output. A program says yes by exit code 0. What it leaves running in its process group is ended
//! with it: daemons are for systemd to start.

use core::time::Duration;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::category_id::CategoryId;

mod child;

use child::Group;

/// Stands for the path of the staged view in an argument.
pub const STAGED: &str = "{staged}";
/// Most words of a program's argument list.
pub const ARGV_MAX: usize = 64;
/// Bytes kept of what a program says; the rest is read and dropped.
pub const OUTPUT_BYTES_MAX: usize = 4096;
/// From the polite end to the other one.
const GRACE: Duration = Duration::from_secs(2);
/// Programs find others here.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// The program, by its whole path, and its arguments; at least one word, at most [`ARGV_MAX`].
    pub argv: Vec<String>,
    /// Ended after this long.
    pub limit: Duration,
}

/// What a program is run for; it reads the word in `FENCEPOST_HOOK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// Look at what is staged; anything but 0 refuses the generation.
    Validate,
    /// A generation is in place: take it up.
    Reload,
    /// On the Active: write the state to the given file.
    Export,
    /// On the Backup: take the state from the given file.
    Import,
    /// Somebody ordered it by name.
    Activate,
}

/// One run of a program.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Why.
    pub moment: Moment,
    /// For which category, in `FENCEPOST_CATEGORY`.
    pub category: Option<&'a CategoryId>,
    /// The staged view, or the file to write or read: in `FENCEPOST_STAGED`, and wherever an argument says [`STAGED`].
    pub staged: Option<&'a Path>,
    /// Sequence of the generation in question, in `FENCEPOST_GENERATION`.
    pub generation: Option<u64>,
}

/// What a program that said yes has said besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Both its outputs as they came, at most [`OUTPUT_BYTES_MAX`], control characters replaced.
    pub output: String,
    /// How long it took.
    pub took: Duration,
}

/// Why a program did not say yes.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It could not be started.
    #[error(
        "{moment} hook {program} cannot be started: {error}; it must be an executable file that this service may read"
    )]
    NotStarted {
        /// Why it was to run.
        moment: Moment,
        /// The program.
        program: PathBuf,
        /// The kernel's word.
        error: std::io::Error,
    },
    /// It was running and could not be watched; it was ended.
    #[error("{moment} hook {program} cannot be watched: {error}")]
    Unwatched {
        /// Why it was to run.
        moment: Moment,
        /// The program.
        program: PathBuf,
        /// The kernel's word.
        error: std::io::Error,
    },
    /// It took too long and was ended.
    #[error("{moment} hook {program} took longer than {} ms and was ended; it said: {output}", limit.as_millis())]
    TooSlow {
        /// Why it ran.
        moment: Moment,
        /// The program.
        program: PathBuf,
        /// What it was given.
        limit: Duration,
        /// What it said until then.
        output: String,
    },
    /// It said no.
    #[error("{moment} hook {program} ended with {status}; it said: {output}")]
    Refused {
        /// Why it ran.
        moment: Moment,
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        output: String,
    },
}

impl HookError {
    /// Why, with no more than the last line of what the program said.
    pub fn in_short(&self) -> String {
        let last = |output: &str| match output.lines().rfind(|line| !line.trim().is_empty()) {
            Some(line) => format!("it said: {}", line.trim()),
            None => "it said nothing".to_owned(),
        };
        match self {
            Self::NotStarted { .. } | Self::Unwatched { .. } => self.to_string(),
            Self::TooSlow {
                moment,
                program,
                limit,
                output,
            } => format!(
                "{moment} hook {} took longer than {} ms and was ended; {}",
                program.display(),
                limit.as_millis(),
                last(output)
            ),
            Self::Refused {
                moment,
                program,
                status,
                output,
            } => format!(
                "{moment} hook {} ended with {status}; {}",
                program.display(),
                last(output)
            ),
        }
    }
}

impl Hook {
    /// Run it to its end. Blocks for at most [`Hook::limit`] and two seconds.
    ///
    /// # Errors
    /// It did not say yes.
    pub fn run(&self, call: &Call<'_>) -> Result<Said, HookError> {
        let start = Instant::now();
        let moment = call.moment;
        let unwatched = |error| HookError::Unwatched {
            moment,
            program: self.program(),
            error,
        };
        let group = Group::start(&mut self.command(call)).map_err(|error| match error {
            child::StartError::NotStarted(error) => HookError::NotStarted {
                moment,
                program: self.program(),
                error,
            },
            child::StartError::Unwatched(error) => unwatched(error),
        })?;
        let ended = group.finish(start + self.limit, GRACE).map_err(unwatched)?;
        let output = printable(&ended.output);
        if ended.late {
            return Err(HookError::TooSlow {
                moment,
                program: self.program(),
                limit: self.limit,
                output,
            });
        }
        if !ended.status.success() {
            return Err(HookError::Refused {
                moment,
                program: self.program(),
                status: ended.status,
                output,
            });
        }
        Ok(Said {
            output,
            took: start.elapsed(),
        })
    }

    fn program(&self) -> PathBuf {
        self.argv.first().map(PathBuf::from).unwrap_or_default()
    }

    fn command(&self, call: &Call<'_>) -> Command {
        let mut command = Command::new(self.program());
        command
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .env("LANG", "C.UTF-8")
            .env("FENCEPOST_HOOK", call.moment.word())
            .current_dir("/")
            .stdin(Stdio::null());
        for word in self.argv.iter().skip(1) {
            command.arg(match call.staged {
                Some(staged) => replaced(word, staged),
                None => word.into(),
            });
        }
        if let Some(staged) = call.staged {
            command.env("FENCEPOST_STAGED", staged);
        }
        if let Some(category) = call.category {
            command.env("FENCEPOST_CATEGORY", category.to_string());
        }
        if let Some(generation) = call.generation {
            command.env("FENCEPOST_GENERATION", generation.to_string());
        }
        command
    }
}

impl Moment {
    /// As programs and people read it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Reload => "reload",
            Self::Export => "export",
            Self::Import => "import",
            Self::Activate => "activate",
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The path may hold any bytes.
fn replaced(word: &str, staged: &Path) -> std::ffi::OsString {
    let mut parts = word.split(STAGED);
    let mut whole = std::ffi::OsString::from(parts.next().unwrap_or_default());
    for part in parts {
        whole.push(staged);
        whole.push(part);
    }
    whole
}

/// It ends up in logs and on terminals.
pub(crate) fn printable(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let plain = |letter: char| match letter {
        '\n' | '\t' => letter,
        _ if letter.is_control() => char::REPLACEMENT_CHARACTER,
        _ => letter,
    };
    text.trim_end().chars().map(plain).collect()
}

#[cfg(test)]
#[path = "hooks/tests.rs"]
mod tests;
