//! What the node was told to want: configuration and board facts, reduced to what decisions need.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::pair::PairPolicy;
use crate::board::controller::{CutState, SegmentSettings};

/// Everything the node's decisions depend on besides events. It opens every recording, so that a replay
/// needs no other file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Segments, in the board's order.
    pub segments: Vec<SegmentPolicy>,
    /// Checks, in the configuration's order.
    pub checks: Vec<CheckPolicy>,
    /// The dead-man.
    pub dead_man: DeadManPolicy,
    /// The machine's watchdog, if this agent keeps it.
    pub watchdog: Option<WatchdogPolicy>,
    /// How often the hardware is read when nothing else asks for it.
    pub read_every: Duration,
    /// Whether somebody proved this board's wiring.
    pub commissioning: Commissioning,
    /// The pair this node is one of; `None`: it is alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<PairPolicy>,
}

/// One segment's policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentPolicy {
    /// Name in configuration, status and events.
    pub name: String,
    /// Where the relay goes when the host cannot be trusted.
    pub fail: CutState,
    /// Stored settings to bring the board to.
    pub settings: SegmentSettings,
    /// All checks must have been green for this long before `Normal`.
    pub dwell: Duration,
    /// After a relay move the ports' carriers may come and go for this long: copper negotiates anew. What they say
    /// meanwhile is physics, not failure.
    pub relink: Duration,
    /// Most closes in any hour; past that the segment stays in its fail state and says so.
    pub closes_per_hour_max: u32,
    /// Whether the hardware can be asked where the relay is.
    pub read_back: ReadBackPolicy,
}

/// Whether a relay's place can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadBackPolicy {
    /// It can: a move that is not seen did not happen.
    Required,
    /// It cannot: an acknowledged command is the best there is, and the state stays `Unknown`.
    Impossible,
}

/// One check, as far as decisions need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckPolicy {
    /// Name in configuration, status and events.
    pub name: String,
    /// What its failure does.
    pub severity: CheckSeverity,
    /// Segments it speaks for, by index.
    pub segments: Vec<usize>,
    /// Consecutive good verdicts until it counts as passing.
    pub rise: u32,
    /// Consecutive bad verdicts until it counts as failing.
    pub fall: u32,
    /// What a relay move does to it.
    pub carrier: CarrierRole,
    /// Without any verdict for this long the check counts as failing: a checker that hangs or died is no
    /// evidence of health.
    pub stale_after: Duration,
}

/// How a check depends on where the relays of its segments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CarrierRole {
    /// Not at all.
    None,
    /// It watches a port that has carrier in every relay state, except while relinking.
    Always,
    /// It watches a port that is dark while the relay is cut, so it can prove nothing before the close and is judged
    /// only after it.
    InNormalOnly,
}

/// What a failing check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckSeverity {
    /// Fails its segments.
    Failover,
    /// Only tells.
    Notify,
}

/// The dead-man, as the node uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadManPolicy {
    /// Whether it has to be armed, runs by itself, or is missing.
    pub arming: Arming,
    /// Effective period.
    pub period: Duration,
    /// A kick is decided this often; at most half the period.
    pub kick_every: Duration,
}

/// What arming means on this board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arming {
    /// It must be armed and verified before `Normal`.
    Required,
    /// Every kick is an edge of the pulse train; there is nothing to arm.
    Inherent,
    /// The board has none; the machine's watchdog is what stands behind a hung host.
    Absent,
}

/// The machine's watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchdogPolicy {
    /// A keepalive is decided this often; at most a third of the effective timeout.
    pub keepalive_every: Duration,
    /// A controller job unanswered for this long means a thread is stuck in the kernel, which only a reset
    /// can cure: keepalives stop.
    pub job_overdue_after: Duration,
}

/// Whether this board's wiring was proven on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Commissioning {
    /// A signed-off record for this board and this configuration of segments exists.
    Done,
    /// None exists; the operator said `--uncommissioned`.
    Waived,
    /// None exists: segments are never put into `Normal`.
    Missing,
}
