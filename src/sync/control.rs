//! The sync service's own socket: what may be asked of it and what it answers.
//!
//! In the manner of the agent's: one JSON object per line in each direction over a Unix stream socket, a request
//! `{"request": …}`, a reply `{"ok": …}` or `{"error": "sentence"}`. What takes long answers with any number of `progress`
//! lines before its end. Fields may be added, never changed.

use serde::{Deserialize, Serialize};

use crate::activation::Ended;
use crate::category_id::CategoryId;
use crate::confine::Confined;
use crate::diff::{Change, Difference};
use crate::session::{CategoryStatus, Standing};

/// Where the service listens unless told otherwise. Not in the agent's directory, which goes when the agent is stopped.
pub const SOCKET_PATH: &str = "/run/fencepost-sync/control.sock";
/// Longest request line in bytes.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Longest reply line in bytes.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Most items of a list in one reply; how many there are is told besides.
pub const ITEMS_MAX: usize = 2000;

/// One line from an asker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestLine {
    /// What is asked.
    pub request: Request,
}

/// What can be asked. `category` is one of them, or all if absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// How are you? Answer: [`Answer::Status`].
    Status,
    /// Make the backup like this node, now. Only on the Active. Answers: [`Answer::Progress`], [`Answer::Done`].
    Now {
        /// Which.
        category: Option<CategoryId>,
        /// Read every byte on both nodes first.
        #[serde(default)]
        full: bool,
        /// What goes may go, however much.
        #[serde(default)]
        deletions: bool,
        /// What the backup remembers is given up.
        #[serde(default)]
        overwrite: bool,
    },
    /// What would be sent? Only on the Active. Answers: [`Answer::Differences`] for each category.
    Diff {
        /// Which.
        category: Option<CategoryId>,
        /// Read every byte on both nodes first.
        #[serde(default)]
        full: bool,
    },
    /// Read every byte on both nodes and compare. Only on the Active. Answers: [`Answer::Progress`], [`Answer::Status`].
    Verify,
    /// Which generations are kept here? Answer: [`Answer::History`].
    History {
        /// Which.
        category: CategoryId,
    },
    /// Bring a generation back. Only on the Active, whose data counts. Answer: [`Answer::Done`].
    Rollback {
        /// Which.
        category: CategoryId,
        /// Its number.
        generation: u64,
    },
    /// A save of many files begins: it shall become one generation. Answer: [`Answer::Done`].
    Begin {
        /// Which.
        category: Option<CategoryId>,
    },
    /// Run what is configured under this name, on the Backup or on both. Only on the Active. Answers:
    /// [`Answer::Progress`], [`Answer::Ran`].
    Run {
        /// The name.
        name: String,
    },
    /// It is complete. Answer: [`Answer::Done`].
    Commit {
        /// Which.
        category: Option<CategoryId>,
    },
}

impl Request {
    /// Whether it only looks.
    pub const fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::Status | Self::Diff { .. } | Self::History { .. }
        )
    }
}

/// One line to the asker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyLine {
    /// Here it is.
    Ok(Answer),
    /// No, and why not.
    Error(String),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Request::Status`], and at the end of [`Request::Verify`].
    Status(Report),
    /// So far.
    Progress(Report),
    /// What one category's nodes differ in.
    Differences {
        /// Which.
        category: CategoryId,
        /// The first [`ITEMS_MAX`] of them.
        differences: Vec<Item>,
        /// How many there are.
        count: usize,
        /// No category follows.
        last: bool,
    },
    /// Generations, newest first.
    History(Vec<Generation>),
    /// How a command ended.
    Ran {
        /// On this node, if it was to run here.
        here: Option<Ended>,
        /// On the Backup; nothing if it failed here, and so was not ordered there.
        backup: Option<Ended>,
    },
    /// What was done.
    Done(String),
}

/// The `sync status --json` interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// The program's version.
    pub version: String,
    /// What the agent says of this node.
    pub standing: Standing,
    /// The peer's address, while connected.
    pub peer: Option<String>,
    /// Why there is no connection, or why the last one ended.
    pub trouble: Option<String>,
    /// Categories.
    pub categories: Vec<CategoryStatus>,
    /// Whether the kernel holds the service to the paths it was configured for; nothing if nobody asked it to.
    pub confined: Option<Confined>,
    /// What keeps a category from being watched or read, with its name; nothing if all is well.
    pub notes: Vec<String>,
}

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Where, escaped for a terminal.
    pub path: String,
    /// How.
    pub difference: Difference,
}

impl From<&Change> for Item {
    fn from(change: &Change) -> Self {
        Self {
            path: change.path.to_string(),
            difference: change.difference(),
        }
    }
}

/// A generation that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// Under which epoch it was made.
    pub epoch: u64,
    /// When it was committed here, in seconds since 1970, for people.
    pub at: u64,
    /// Content root, as hexadecimal.
    pub root: String,
    /// How many paths it changed.
    pub changes: usize,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

    use super::*;

    #[test]
    fn the_language_is_what_it_was() {
        let line = r#"{"request":{"now":{"category":null,"full":true}}}"#;
        let request: RequestLine = serde_json::from_str(line).unwrap();
        let now = Request::Now {
            category: None,
            full: true,
            deletions: false,
            overwrite: false,
        };
        assert_eq!(request.request, now);
        let reply = ReplyLine::Ok(Answer::Done("done".to_owned()));
        assert_eq!(
            serde_json::to_string(&reply).unwrap(),
            r#"{"ok":{"done":"done"}}"#
        );
    }

    #[test]
    fn what_only_looks_is_told_apart() {
        assert!(Request::Status.only_reads());
        assert!(!Request::Verify.only_reads());
        assert!(!Request::Begin { category: None }.only_reads());
    }
}
