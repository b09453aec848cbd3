//! Events: everything that can happen to this node. Past-tense facts, complete enough to be replayed.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::pair::PairEvent;
use crate::board::controller::{
    Armed, CutState, Fault, Identity, Moved, Reading, RelayState, Ticket,
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The agent came up; what the ledger remembers. Always the first event.
    Started {
        /// Saved state, or why there is none.
        saved: Saved,
        /// Where a predecessor in this same boot left its segments, by name: what a controller without
        /// read-back cannot tell. Empty after a reboot.
        left: std::collections::BTreeMap<String, RelayState>,
    },
    /// Answer to [`super::Action::Open`].
    ControllerOpened {
        /// Who answered.
        outcome: Result<Identity, Fault>,
    },
    /// Answer to [`super::Action::Read`].
    ControllerRead {
        /// What the hardware says.
        outcome: Result<Reading, Fault>,
    },
    /// Answer to [`super::Action::Configure`].
    Configured {
        /// Done, or why not.
        outcome: Result<(), Fault>,
    },
    /// Answer to [`super::Action::Arm`].
    DeadManArmed {
        /// Effective period and proof.
        outcome: Result<Armed, Fault>,
    },
    /// Answer to [`super::Action::Kick`].
    Kicked {
        /// Done, or why not.
        outcome: Result<(), Fault>,
    },
    /// Answer to [`super::Action::Disarm`].
    DeadManDisarmed {
        /// Done, or why not.
        outcome: Result<(), Fault>,
    },
    /// Answer to [`super::Action::TakeTicket`].
    TicketTaken {
        /// For which segment's close.
        segment: usize,
        /// The ticket, or why not.
        outcome: Result<Ticket, Fault>,
    },
    /// Answer to [`super::Action::Close`].
    SegmentClosed {
        /// Which.
        segment: usize,
        /// What was read after settling.
        outcome: Result<Moved, Fault>,
    },
    /// Answer to [`super::Action::Cut`].
    SegmentCut {
        /// Which.
        segment: usize,
        /// Where to.
        state: CutState,
        /// What was read after settling.
        outcome: Result<Moved, Fault>,
    },
    /// A check finished one round.
    CheckReported {
        /// Index in the policy.
        check: usize,
        /// Its verdict.
        verdict: Verdict,
        /// First line of what it said.
        output: String,
    },
    /// The kernel said that the port a check watches has lost its carrier. A statement and no sample; that it came back is
    /// found by looking.
    CarrierLost {
        /// Index in the policy, of a carrier check.
        check: usize,
        /// The same in words.
        output: String,
    },
    /// Somebody asked for something over the control socket, with the right to do so.
    OperatorRequested {
        /// Answered with the same number.
        request: u64,
        /// Who.
        actor: Actor,
        /// What.
        command: Command,
    },
    /// Somebody asked for something without the right to. Counted and recorded, never obeyed.
    RequestRefused {
        /// Who.
        actor: Actor,
        /// What it was, in the asker's words, shortened.
        asked: String,
        /// Why not.
        reason: String,
    },
    /// Answer to [`super::Action::Persist`].
    Persisted {
        /// Which save.
        sequence: u64,
        /// Durable, or why not.
        outcome: Result<(), String>,
    },
    /// Writing the event history began to fail, or works again. Sent on change only.
    HistoryWritten {
        /// Durable again, or why not.
        outcome: Result<(), String>,
    },
    /// The watchdog device was opened, or could not be.
    WatchdogOpened {
        /// Its effective timeout and what it says of the last boot.
        outcome: Result<WatchdogFacts, String>,
    },
    /// Answer to [`super::Action::Keepalive`].
    KeepaliveSent {
        /// Done, or why not.
        outcome: Result<(), String>,
    },
    /// Something of the pair's; see there.
    Pair(Box<PairEvent>),
    /// The service is to end.
    StopRequested {
        /// How.
        stop: Stop,
    },
}

/// What the ledger remembered at start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Saved {
    /// First start on this machine.
    Nothing,
    /// The last saved state.
    State(PersistentState),
    /// There is a ledger and it cannot be read; nothing in it may be assumed.
    Unreadable(String),
}

/// What must survive a crash: an operator's standing orders.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersistentState {
    /// Maintenance, with who asked for it and why.
    pub maintenance: Option<Standing>,
    /// Disarmed, with who asked for it and why.
    #[serde(default)]
    pub disarmed: Option<Standing>,
    /// Forced segments, by name (a changed configuration must not force another segment).
    #[serde(default)]
    pub forced: std::collections::BTreeMap<String, Forced>,
}

/// A standing order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Who gave it.
    pub by: String,
    /// Why, in the operator's words.
    pub reason: String,
}

/// A segment held in one state by an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forced {
    /// Where it is held.
    pub state: RelayState,
    /// Who ordered it.
    pub by: String,
}

/// What one round of a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Good.
    Ok,
    /// Good enough to forward; told.
    Warning,
    /// Bad.
    Critical,
    /// It could not tell. Never treated as good.
    Unknown,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// User id from the socket's peer credentials.
    pub uid: u32,
    /// Process id, for the record.
    pub pid: i32,
    /// User name, or the id again.
    pub name: String,
}

/// What an operator can ask of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum Command {
    /// Hold a segment in one state, or give it back to `auto`.
    Bypass {
        /// Segment name.
        segment: String,
        /// `None` is `auto`.
        state: Option<RelayState>,
    },
    /// Enter or leave maintenance.
    Maintenance {
        /// On or off.
        on: bool,
        /// Why.
        reason: String,
    },
    /// Stop or resume using the dead-man and the watchdog.
    Disarm {
        /// On = disarmed.
        on: bool,
        /// Why.
        reason: String,
    },
    /// Clear latched alarms.
    Acknowledge,
}

/// What the watchdog device says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchdogFacts {
    /// Driver's identity string.
    pub identity: String,
    /// Timeout really in force.
    pub timeout: Duration,
    /// Pretimeout in force, if the driver has one.
    pub pretimeout: Option<Duration>,
    /// Whether the last boot was this watchdog's doing, if it knows.
    pub reset_by_watchdog: Option<bool>,
}

/// How the agent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// For good, or the machine goes down: segments to their fail state at once, dead-man and watchdog off.
    Ordered,
    /// A new agent takes over within the dead-man's period: touch nothing.
    Handover,
}
