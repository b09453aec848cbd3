//! The ground the pair stands on: this node's own hardware, as one turn sees it.
//!
//! Unknown counts as cut for claiming and as closed for the peer's safety: `Place::Unclear` is neither.

use crate::board::controller::{CutState, Latch, RelayState};
use crate::wire::HealthSummary;

/// Own hardware and health, this turn.
#[derive(Debug, Clone)]
pub(in crate::node) struct Ground {
    /// All segments of the group together.
    pub(in crate::node) place: Place,
    /// The fence latch.
    pub(in crate::node) latch: Latch,
    /// The latch's generation, once read.
    pub(in crate::node) generation: Option<u32>,
    /// The controller can be asked.
    pub(in crate::node) reachable: bool,
    /// The controller answers.
    pub(in crate::node) controller: Controller,
    /// The dead-man stands behind us.
    pub(in crate::node) dead_man: Guard,
    /// An arm of the dead-man is under way: it would reach past any lease.
    pub(in crate::node) arming: bool,
    /// A ticket, close or cut of a segment is under way.
    pub(in crate::node) moving: Moving,
    /// Checks, summed up.
    pub(in crate::node) health: HealthSummary,
    /// Some of it was stated by the kernel and not sampled: there is nothing to wait for.
    pub(in crate::node) stated: bool,
    /// Maintenance or disarmed, in words.
    pub(in crate::node) out_of_service: Option<String>,
    /// The agent is to end, segments cut.
    pub(in crate::node) stopping: bool,
}

/// Where the relays of the whole group are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) enum Place {
    /// Every segment reads `Normal`.
    Closed,
    /// Every segment reads the fenced state.
    Cut,
    /// Some here, some there.
    Split,
    /// At least one cannot be read.
    Unclear,
    /// There are none. What must hold of each of them holds: none is open, and none is closed.
    Absent,
}

/// Whether the controller can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) enum Controller {
    Answers,
    Silent,
}

/// Whether the dead-man would cut us if we died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) enum Guard {
    Stands,
    Missing,
}

/// Relay jobs under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) enum Moving {
    No,
    Closing,
    Cutting,
}

impl Place {
    /// Sums up segments.
    pub(in crate::node) fn of(states: impl Iterator<Item = RelayState>, fenced: CutState) -> Self {
        let fenced = RelayState::from(fenced);
        let mut sum = None;
        for state in states {
            let one = match state {
                RelayState::Unknown => return Self::Unclear,
                RelayState::Normal => Self::Closed,
                state if state == fenced => Self::Cut,
                RelayState::Bypass | RelayState::Disconnect => Self::Split,
            };
            sum = Some(match sum {
                None => one,
                Some(sum) if sum == one => one,
                Some(_) => Self::Split,
            });
        }
        sum.unwrap_or(Self::Absent)
    }

    /// No relay stands between the host and its wires.
    pub(in crate::node) fn is_closed(self) -> bool {
        matches!(self, Self::Closed | Self::Absent)
    }

    /// No relay leads a wire into the host. Without relays that says nothing of addresses, nor with them.
    pub(in crate::node) fn is_cut(self) -> bool {
        matches!(self, Self::Cut | Self::Absent)
    }
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Closed => "Normal",
            Self::Cut => "cut",
            Self::Split => "not all in the same state",
            Self::Unclear => "not readable",
            Self::Absent => "none",
        })
    }
}
