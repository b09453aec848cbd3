//! The event record: what happened, why, and what proves it. Written for the person who reads it at three
//! in the morning; alarms among it stay latched until somebody acknowledges them.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Instant;
use crate::board::controller::{ArmProof, CutState, Evidence, RelayState};

/// One line of the record. The ledger adds wall-clock time for people; no decision reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Counts up by one within an agent's life.
    pub sequence: u64,
    /// Monotonic.
    pub at: Instant,
    /// How loud.
    pub level: Level,
    /// What.
    #[serde(flatten)]
    pub fact: Fact,
}

/// How loud a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For the history.
    Info,
    /// Look at it in daylight.
    Warning,
    /// Latched until acknowledged.
    Alarm,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fact")]
pub enum Fact {
    /// The agent started and found this.
    Started {
        /// What the ledger gave.
        ledger: String,
    },
    /// A segment was found in this state at start and left there.
    Adopted {
        /// Segment name.
        segment: String,
        /// State.
        state: RelayState,
        /// What that rests on.
        evidence: Evidence,
    },
    /// The dead-man runs.
    DeadManArmed {
        /// Effective period.
        period: Duration,
        /// How verified.
        proof: ArmProof,
    },
    /// The dead-man had fired.
    DeadManExpired,
    /// The dead-man was found off although we had armed it.
    DeadManLost {
        /// What it reads.
        reads: String,
    },
    /// A segment went to `Normal`.
    Closed {
        /// Segment name.
        segment: String,
        /// Why now.
        cause: Cause,
        /// What was read after.
        state: RelayState,
        /// What that rests on.
        evidence: Evidence,
    },
    /// A segment was cut.
    Cut {
        /// Segment name.
        segment: String,
        /// Ordered state.
        state: CutState,
        /// Why.
        cause: Cause,
        /// What was read after.
        read: RelayState,
        /// What that rests on.
        evidence: Evidence,
    },
    /// A segment is not where it was left.
    FoundMoved {
        /// Segment name.
        segment: String,
        /// Where it was left.
        left: RelayState,
        /// Where it is.
        found: RelayState,
    },
    /// A relay does not obey.
    RelayStuck {
        /// Segment name.
        segment: String,
        /// Ordered.
        wanted: RelayState,
        /// Read.
        read: RelayState,
    },
    /// The controller does not answer, or answers nonsense.
    ControllerLost {
        /// The fault's sentence.
        fault: String,
    },
    /// It answers again.
    ControllerBack,
    /// The stored settings could not be brought to the configured values; `Normal` waits for them.
    SettingsFailed {
        /// The fault's sentence.
        fault: String,
    },
    /// A check crossed into failing.
    CheckFailed {
        /// Check name.
        check: String,
        /// What it said.
        output: String,
    },
    /// A check crossed into passing.
    CheckPassed {
        /// Check name.
        check: String,
    },
    /// A mode was entered or left.
    ModeChanged {
        /// Mode, and segment where it is one segment's.
        mode: String,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A request was refused.
    Refused {
        /// Who.
        by: String,
        /// What.
        asked: String,
        /// Why not.
        reason: String,
    },
    /// A segment reached its limit of closes and stays in its fail state.
    CloseLimit {
        /// Segment name.
        segment: String,
        /// The limit.
        per_hour: u32,
    },
    /// The program that is told of changes of role did not do its part.
    HookFailed {
        /// Told of this role.
        role: crate::wire::Role,
        /// Why.
        error: String,
    },
    /// Connection tracking did not move with the role: connections that need it start anew.
    TrackingFailed {
        /// Why.
        error: String,
    },
    /// The units bound to the role are as they should be.
    ServicesSet {
        /// How.
        wanted: crate::node::pair::ServicesWanted,
    },
    /// They are not.
    ServicesFailed {
        /// How they should be.
        wanted: crate::node::pair::ServicesWanted,
        /// Why they are not.
        error: String,
    },
    /// The peer told who it is, for the first time in its present start, or something changed.
    PeerIntroduced {
        /// Name of its host.
        host: String,
        /// Its controller.
        model: Option<String>,
        /// The firmware of that.
        firmware: Option<String>,
        /// Whether its wiring was proven.
        commissioning: crate::node::policy::Commissioning,
    },
    /// The two nodes' wall clocks are too far apart to read their events side by side.
    ClocksApart {
        /// By how many milliseconds the peer's is ahead; negative: behind.
        ahead_ms: i64,
    },
    /// The ledger cannot be written.
    LedgerFailed {
        /// Why.
        error: String,
    },
    /// It can again.
    LedgerBack,
    /// The watchdog is ours and runs.
    WatchdogRuns {
        /// Driver's identity.
        identity: String,
        /// Effective timeout.
        timeout: Duration,
        /// Whether it caused the last reset.
        caused_reset: Option<bool>,
    },
    /// There is no working watchdog.
    WatchdogFailed {
        /// Why and what to do.
        error: String,
    },
    /// Keepalives stop on purpose; the machine will be reset.
    KeepaliveWithheld {
        /// Why.
        reason: String,
    },
    /// Segments stay in their fail state because nobody proved the wiring.
    Uncommissioned,
    /// The agent ends.
    Stopping {
        /// How.
        how: String,
    },
    /// This node's role in its pair changed.
    RoleChanged {
        /// The new role.
        role: crate::wire::Role,
        /// Epoch it was or is held in.
        epoch: u64,
        /// The proof it rests on, or why it ended.
        why: String,
    },
    /// A takeover was begun and given up.
    ClaimFailed {
        /// Its epoch.
        epoch: u64,
        /// Why.
        why: String,
    },
    /// A takeover that was called for is not begun: state is not known to be in sync.
    TakeoverWithheld {
        /// Of which categories, and why.
        why: String,
    },
    /// The peer was isolated while this node serves.
    PeerFenced {
        /// By this means.
        means: String,
    },
    /// The peer's fence latched this node.
    FencedByPeer,
    /// Latched alarms were acknowledged.
    Acknowledged {
        /// Who.
        by: String,
        /// How many.
        alarms: u32,
    },
}

/// Why a relay moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause", content = "detail")]
pub enum Cause {
    /// Dead-man verified and all checks green for the dwell.
    PathProven,
    /// This failover check fails.
    CheckFailed(String),
    /// A failover check has not reported yet, or no longer does.
    CheckSilent(String),
    /// All checks are green; the dwell is not over.
    Dwelling,
    /// It was in `Normal` when this agent started and stays there until something speaks against it.
    Adopted,
    /// The fence latch is set.
    Latched,
    /// The controller cannot be reached.
    ControllerLost,
    /// An operator's order.
    Operator(String),
    /// Maintenance.
    Maintenance,
    /// Disarmed.
    Disarmed,
    /// Ordered stop.
    Stopping,
    /// The dead-man is not armed, not verified, or had fired.
    DeadMan,
    /// Nobody proved this board's wiring.
    Uncommissioned,
    /// The limit of closes.
    CloseLimit,
    /// It does not serve; its relays stand ready.
    Standby,
    /// It serves for the pair.
    Serving,
    /// The pair keeps it off the wire.
    Pair,
}

impl core::fmt::Display for Cause {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::PathProven => f.write_str("path proven"),
            Self::Dwelling => f.write_str("all checks green, waiting for the dwell to end"),
            Self::Adopted => f.write_str("found in Normal and left there"),
            Self::Latched => f.write_str("the fence latch is set"),
            Self::ControllerLost => f.write_str("the controller is not reached and settled yet"),
            Self::Operator(by) => write!(f, "ordered by {by}"),
            Self::CheckFailed(check) => write!(f, "check {check} fails"),
            Self::CheckSilent(check) => write!(f, "check {check} has not reported"),
            Self::Maintenance => f.write_str("maintenance"),
            Self::Disarmed => f.write_str("disarmed"),
            Self::Stopping => f.write_str("ordered stop"),
            Self::DeadMan => f.write_str("the dead-man is not armed and verified"),
            Self::Uncommissioned => f.write_str("not commissioned"),
            Self::Standby => f.write_str("standing ready as Backup"),
            Self::Serving => f.write_str("serving for the pair"),
            Self::Pair => f.write_str("the pair keeps this node off the wire"),
            Self::CloseLimit => f.write_str("limit of closes per hour reached"),
        }
    }
}
