//! Actions: everything this node can ask for. Imperatives; absolute, idempotent, each answered by an event.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::PersistentState;
use super::pair::PairAction;
use super::record::Record;
use super::time::Instant;
use crate::board::controller::{CloseProof, CutState, RelayState, SegmentSettings, Ticket};

/// Something to do, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Open the controller and ask who it is. Answer: `ControllerOpened`.
    Open,
    /// Read all of it. Answer: `ControllerRead`.
    Read,
    /// Bring the stored settings to these values. Answer: `Configured`.
    Configure {
        /// In segment order.
        settings: Vec<SegmentSettings>,
    },
    /// Arm the dead-man and read it back. Answer: `DeadManArmed`.
    Arm {
        /// Effective period.
        period: Duration,
    },
    /// The host is trusted until then. Answer: `Kicked`.
    Kick {
        /// Node time.
        alive_until: Instant,
    },
    /// Stop the dead-man. Answer: `DeadManDisarmed`.
    Disarm,
    /// Ask for permission to close. Answer: `TicketTaken`.
    TakeTicket {
        /// For which segment.
        segment: usize,
    },
    /// Put the segment into `Normal`. Answer: `SegmentClosed`.
    Close {
        /// Which.
        segment: usize,
        /// Permission.
        ticket: Ticket,
        /// What was proved about the peer.
        #[serde(default)]
        proof: CloseProof,
    },
    /// Take the host off the segment. Answer: `SegmentCut`.
    Cut {
        /// Which.
        segment: usize,
        /// Where to.
        state: CutState,
    },
    /// Open the watchdog device; it runs from then on. Answer: `WatchdogOpened`.
    OpenWatchdog,
    /// Feed the watchdog. Answer: `KeepaliveSent`.
    Keepalive,
    /// Magic close: the watchdog stops. Only on an ordered stop and in `disarmed`. Not answered.
    ReleaseWatchdog,
    /// Make the state durable. A barrier: what depends on it waits for `Persisted`.
    Persist {
        /// Echoed in the answer.
        sequence: u64,
        /// All of it.
        state: PersistentState,
    },
    /// Note where segments are left, for a successor in this same boot (a file that a reboot clears). Sent
    /// before a close, so that a death right after it is adopted. Not answered.
    RememberLeft {
        /// By segment name.
        left: std::collections::BTreeMap<String, RelayState>,
    },
    /// Append to the event record. Not answered; a failure is the adapter's to report.
    Record(Record),
    /// Answer an operator. Not answered.
    Reply {
        /// The request's number.
        request: u64,
        /// Done, or a sentence saying why not.
        answer: Result<String, String>,
    },
    /// Tell the service manager. Not answered.
    Tell(Service),
    /// Something of the pair's; see there.
    Pair(Box<PairAction>),
    /// End the process, after everything before it was carried out.
    Exit,
}

/// What the service manager is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// The agent holds its board (whatever state the relays are in).
    Ready,
    /// The agent is alive; feeds the unit's watchdog.
    Alive,
    /// The agent is ending.
    Stopping,
}
