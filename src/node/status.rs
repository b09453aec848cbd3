//! The snapshot that status readers get: a copy, taken once per turn, never a lock on the node.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Standing, Verdict, WatchdogFacts};
use super::pair::PairStatus;
use super::policy::{Arming, CheckSeverity, Commissioning};
use super::record::{Cause, Record};
use super::time::Instant;
use crate::board::controller::{CutState, DeadManReading, Evidence, Identity, RelayState};

/// All of the node that people and programs may see. Field names are the `status --json` interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// When this snapshot was taken, monotonic.
    pub at: Instant,
    /// Traffic light over everything.
    pub summary: Summary,
    /// One sentence per thing that keeps the summary from green.
    pub reasons: Vec<String>,
    /// Who the controller says it is.
    pub identity: Option<Identity>,
    /// The controller's last fault, while it lasts.
    pub controller_fault: Option<String>,
    /// Segments, in order.
    pub segments: Vec<SegmentStatus>,
    /// The dead-man.
    pub dead_man: DeadManStatus,
    /// The watchdog, if this agent keeps one.
    pub watchdog: Option<WatchdogStatus>,
    /// Checks, in order.
    pub checks: Vec<CheckStatus>,
    /// Maintenance, if on.
    pub maintenance: Option<Standing>,
    /// Disarmed, if so.
    pub disarmed: Option<Standing>,
    /// Commissioning.
    pub commissioning: Commissioning,
    /// Why the ledger cannot be written, while it cannot.
    pub ledger_fault: Option<String>,
    /// Alarms nobody acknowledged yet.
    pub alarms: Vec<Record>,
    /// The pair, if this node is one of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<PairStatus>,
}

/// Traffic light.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Summary {
    /// Every segment is where policy wants it and could fail open this moment.
    Green,
    /// Serving or safely cut on purpose, with something to look at.
    Yellow,
    /// Not serving where it should, or fail-open is not assured.
    Red,
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentStatus {
    /// Name.
    pub name: String,
    /// As last read.
    pub state: RelayState,
    /// What that rests on.
    pub evidence: Evidence,
    /// What the node wants.
    pub wanted: RelayState,
    /// Why.
    pub cause: Cause,
    /// Fail state.
    pub fail: CutState,
    /// Mode.
    pub mode: SegmentMode,
    /// Time of green checks still missing until `Normal`.
    pub dwell_left: Option<Duration>,
    /// Closes in the last hour.
    pub closes_last_hour: u32,
    /// Moves ordered by this agent since it started.
    pub moves: u64,
    /// When the state was last read.
    pub read_at: Option<Instant>,
}

/// Who decides for a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentMode {
    /// Policy.
    Auto,
    /// An operator's forced state.
    Forced {
        /// Who.
        by: String,
    },
    /// Maintenance.
    Maintenance,
    /// Disarmed.
    Disarmed,
}

/// The dead-man.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadManStatus {
    /// What arming means here.
    pub arming: Arming,
    /// Effective period.
    pub period: Duration,
    /// As last read.
    pub reading: DeadManReading,
    /// Whether arming was verified since the last expiry or controller loss.
    pub verified: bool,
    /// Last kick that was answered as done.
    pub kicked_at: Option<Instant>,
}

/// The watchdog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchdogStatus {
    /// What it says of itself, once open.
    pub facts: Option<WatchdogFacts>,
    /// Why it is not open or not fed.
    pub fault: Option<String>,
    /// Last keepalive.
    pub kept_at: Option<Instant>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStatus {
    /// Name.
    pub name: String,
    /// Severity.
    pub severity: CheckSeverity,
    /// Folded over rise and fall.
    pub health: CheckHealth,
    /// Last verdict.
    pub verdict: Option<Verdict>,
    /// What it said.
    pub output: String,
    /// When.
    pub reported_at: Option<Instant>,
}

/// A check, folded over its rise and fall counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckHealth {
    /// No decision yet.
    Pending,
    /// Good.
    Passing,
    /// Bad.
    Failing,
    /// It stopped reporting.
    Silent,
}
