//! The control socket's language: what may be asked of a running agent and what it answers.
//!
//! One JSON object per line in each direction over a Unix stream socket. A request is
//! `{"request": …}`, a reply `{"ok": …}` or `{"error": "sentence"}`. `events` with `follow` answers line after
//! line until the asker hangs up; everything else answers once. These types are the interface: fields may be
//! added, never changed.

use serde::{Deserialize, Serialize};

use crate::agent::stats::LoopStats;
use crate::node::pair::PairCommand;
use crate::node::{Command, Record, Status, Stop};

/// Where the agent listens unless configured otherwise.
pub const SOCKET_PATH: &str = "/run/fencepost/control.sock";
/// Longest line in bytes, request or reply.
pub const LINE_BYTES_MAX: usize = 256 * 1024;
/// Most virtual addresses named in a status: there may be thousands, and a line has its limit.
pub const VIPS_SHOWN_MAX: usize = 16;
/// Longest request line in bytes.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Version of this language; raised when something is changed, not when something is added.
pub const LANGUAGE: u32 = 1;

/// One line from an asker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestLine {
    /// What is asked.
    pub request: Request,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Who are you? Answer: [`Answer::Version`].
    Version,
    /// How are you? Answer: [`Answer::Status`].
    Status,
    /// What happened? Answers: [`Answer::Event`] for each entry, then [`Answer::End`] unless following.
    Events {
        /// Go on with every new entry.
        #[serde(default)]
        follow: bool,
        /// Only entries with a greater number.
        #[serde(default)]
        since: Option<u64>,
        /// At most this many of the stored entries, the latest ones.
        #[serde(default)]
        limit: Option<usize>,
    },
    /// Do this. Needs the right to change. Answer: [`Answer::Done`].
    Command {
        /// What.
        command: Command,
    },
    /// Do this as half of a pair. Needs the right to change. Answer: [`Answer::Done`].
    Pair {
        /// What.
        command: PairCommand,
    },
    /// End. Needs the right to change. Answer: [`Answer::Done`], given before the agent ends.
    Stop {
        /// How.
        kind: Stop,
    },
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
    /// To [`Request::Version`].
    Version {
        /// The agent's.
        version: String,
        /// [`LANGUAGE`].
        language: u32,
        /// The agent's process.
        pid: u32,
    },
    /// To [`Request::Status`].
    Status(Box<AgentStatus>),
    /// To [`Request::Events`].
    Event(Box<Entry>),
    /// That was the last stored entry.
    End,
    /// To a command: what was done.
    Done(String),
}

/// The `status --json` interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// The agent's version.
    pub version: String,
    /// The agent's process.
    pub pid: u32,
    /// Board id.
    pub board: String,
    /// The node's view.
    #[serde(flatten)]
    pub node: Status,
    /// The control loop's punctuality.
    pub control_loop: LoopStats,
    /// The event history's health.
    pub history: HistoryHealth,
    /// The virtual addresses that move with the role; absent without a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vips: Option<Vips>,
}

/// Virtual addresses, as configured. Whether they are here is the pair's to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vips {
    /// How many there are.
    pub count: usize,
    /// The first of them, at most [`VIPS_SHOWN_MAX`], each as `ADDRESS/PREFIX on INTERFACE`.
    pub first: Vec<String>,
}

/// Whether the event history reaches the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum HistoryHealth {
    /// It does.
    Writing,
    /// It does again; entries were lost in between.
    WritingWithLoss {
        /// How many, since the agent started.
        lost: u64,
    },
    /// It does not.
    Failing {
        /// Why.
        error: String,
        /// Entries held in memory meanwhile.
        held: usize,
        /// Entries lost because memory for them is bounded.
        lost: u64,
    },
}

/// One entry of the event history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts up by one through all lives of the agent.
    pub number: u64,
    /// Wall-clock time, UTC, for people.
    pub time: String,
    /// The agent's process, to tell its lives apart.
    pub pid: u32,
    /// What happened.
    #[serde(flatten)]
    pub record: Record,
}
