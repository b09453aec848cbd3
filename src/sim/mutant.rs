//! Deliberate mistakes, to prove that the oracle sees them. None is in the product's code: each bends what
//! the world does with the node's wishes, or what the node is told to want.

use core::time::Duration;

use crate::board::RelayState;
use crate::node::{Action, Instant, Node, Policy, Status};

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// None.
    Faithful,
    /// The node does not wait for the dwell.
    NoDwell,
    /// Any number of closes.
    NoCloseLimit,
    /// The adapter extends the right of kicks, so that late ones are carried out.
    LateKicks,
    /// The adapter drops orders to cut.
    LosesCuts,
    /// The status shows what is wanted instead of what was read.
    Infers,
    /// Cuts are carried out and not recorded.
    Unrecorded,
    /// The adapter kicks twice.
    KicksTwice,
    /// The node treats a board that nobody proved as commissioned.
    IgnoresCommissioning,
    /// The dead-man is armed with ten times the period.
    LongPeriod,
    /// A save is confirmed before it is durable.
    SavesLater,
    /// The node believes checks that have stopped.
    TrustsSilence,
}

impl Mutant {
    /// All mistakes.
    pub const ALL: [Self; 11] = [
        Self::NoDwell,
        Self::NoCloseLimit,
        Self::LateKicks,
        Self::LosesCuts,
        Self::Infers,
        Self::Unrecorded,
        Self::KicksTwice,
        Self::IgnoresCommissioning,
        Self::LongPeriod,
        Self::SavesLater,
        Self::TrustsSilence,
    ];

    pub(super) fn policy(self, policy: &Policy) -> Policy {
        let mut policy = policy.clone();
        match self {
            Self::NoDwell => {
                (policy.segments.iter_mut()).for_each(|segment| segment.dwell = Duration::ZERO)
            }
            Self::NoCloseLimit => (policy.segments.iter_mut())
                .for_each(|segment| segment.closes_per_hour_max = u32::MAX),
            Self::IgnoresCommissioning => {
                policy.commissioning = crate::node::policy::Commissioning::Waived;
            }
            Self::TrustsSilence => (policy.checks.iter_mut())
                .for_each(|check| check.stale_after = Duration::from_secs(100_000)),
            _ => {}
        }
        policy
    }

    pub(super) fn next_action(self, node: &mut Node) -> Option<Action> {
        let action = node.poll_action()?;
        match (self, &action) {
            (Self::Unrecorded, Action::Record(record))
                if matches!(record.fact, crate::node::Fact::Cut { .. }) =>
            {
                self.next_action(node)
            }
            _ => Some(action),
        }
    }

    pub(super) fn order(self, order: Action) -> Action {
        match (self, order) {
            (Self::LateKicks, Action::Kick { .. }) => Action::Kick {
                alive_until: Instant::from_millis(u64::MAX / 4_000_000),
            },
            (Self::LosesCuts, Action::Cut { .. }) => Action::Read,
            (Self::LongPeriod, Action::Arm { period }) => Action::Arm {
                period: period * 10,
            },
            (_, order) => order,
        }
    }

    pub(super) fn status(self, mut status: Status, _node: &Node) -> Status {
        if self == Self::Infers {
            for segment in &mut status.segments {
                if segment.wanted == RelayState::Normal {
                    segment.state = RelayState::Normal;
                }
            }
        }
        status
    }
}
