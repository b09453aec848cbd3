//! Deliberate mistakes, to prove that the oracle sees them. None is in the product's code: each bends what
//! the world does with the node's wishes, or what the node is told to want.

use core::time::Duration;

use crate::board::controller::Armed;
use crate::board::{CutState, RelayState};
use crate::node::policy::Commissioning;
use crate::node::{Action, Event, Fact, Instant, Node, Policy, Status};

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// None.
    Faithful,
    /// The node does not wait for the dwell.
    NoDwell,
    /// Any number of closes.
    NoCloseLimit,
    /// The node treats a board that nobody proved as commissioned.
    IgnoresCommissioning,
    /// The node believes one good word of a check that needs more.
    BelievesAtOnce,
    /// The adapter extends the right of kicks, so that late ones are carried out.
    LateKicks,
    /// The adapter drops orders to cut.
    LosesCuts,
    /// The adapter arms the dead-man with ten times the period, and reads its own mistake back as right.
    LongPeriod,
    /// Somebody kicks beside the agent, whether it lives or not.
    KicksByItself,
    /// Every kick is decided twice.
    KicksTwice,
    /// The status shows what is wanted instead of what was read.
    Infers,
    /// Cuts are carried out and not recorded.
    Unrecorded,
    /// A save is confirmed before it is durable.
    SavesLater,
    /// The successor cuts everything first, to be sure.
    CutsOnStart,
    /// The node is woken again and again although nothing is due.
    Spins,
}

impl Mutant {
    /// All mistakes, each with an invariant that must see it.
    pub const ALL: [(Self, &'static str); 14] = [
        (Self::NoDwell, "invariant_close_is_justified"),
        (Self::NoCloseLimit, "invariant_close_limit"),
        (Self::IgnoresCommissioning, "invariant_close_is_justified"),
        (Self::BelievesAtOnce, "invariant_close_is_justified"),
        (Self::LateKicks, "invariant_no_late_kick"),
        (Self::LosesCuts, "invariant_cut_arrives"),
        (Self::LongPeriod, "invariant_fail_open"),
        (Self::KicksByItself, "invariant_fail_open"),
        (Self::KicksTwice, "invariant_one_kick_at_a_time"),
        (Self::Infers, "invariant_status_never_infers"),
        (Self::Unrecorded, "invariant_moves_are_recorded"),
        (Self::SavesLater, "invariant_saved_before_applied"),
        (Self::CutsOnStart, "invariant_restart_moves_nothing"),
        (Self::Spins, "invariant_no_spin"),
    ];

    pub(super) fn policy(self, policy: &Policy) -> Policy {
        let mut policy = policy.clone();
        let segments = policy.segments.iter_mut();
        match self {
            Self::NoDwell => segments.for_each(|segment| segment.dwell = Duration::ZERO),
            Self::NoCloseLimit => {
                segments.for_each(|segment| segment.closes_per_hour_max = u32::MAX);
            }
            Self::IgnoresCommissioning => policy.commissioning = Commissioning::Waived,
            Self::BelievesAtOnce => policy.checks.iter_mut().for_each(|check| check.rise = 1),
            _ => {}
        }
        policy
    }

    /// The node's next action, as this mistake lets it through. `last` is the one before.
    pub(super) fn next_action(self, node: &mut Node, last: Option<&Action>) -> Option<Action> {
        let kicked = matches!(last, Some(Action::Kick { .. }));
        if self == Self::KicksTwice && kicked {
            return last.cloned();
        }
        if self == Self::CutsOnStart && matches!(last, Some(Action::Configure { .. })) {
            return Some(Action::Cut {
                segment: 0,
                state: CutState::Bypass,
            });
        }
        let action = node.poll_action()?;
        let hidden = matches!(
            &action,
            Action::Record(record) if matches!(record.fact, Fact::Cut { .. })
        );
        if self == Self::Unrecorded && hidden {
            return self.next_action(node, None);
        }
        Some(action)
    }

    /// An order, as this mistake lets it through to the driver.
    pub(super) fn order(self, order: Action) -> Action {
        match (self, order) {
            (Self::LateKicks, Action::Kick { .. }) => Action::Kick {
                alive_until: Instant::from_millis(1_000_000_000),
            },
            (Self::LosesCuts, Action::Cut { .. }) => Action::Read,
            (Self::LongPeriod, Action::Arm { period }) => Action::Arm {
                period: period * 10,
            },
            (_, order) => order,
        }
    }

    /// The answer to an order, as this mistake tells it.
    pub(super) fn answer(self, event: Event) -> Event {
        match (self, event) {
            (Self::LongPeriod, Event::DeadManArmed { outcome: Ok(armed) }) => Event::DeadManArmed {
                outcome: Ok(Armed {
                    effective: armed.effective / 10,
                    ..armed
                }),
            },
            (_, event) => event,
        }
    }

    /// When the node is woken.
    pub(super) fn wakes_at(self, node: &Node, now: Instant) -> Option<Instant> {
        let wakes_at = node.poll_timeout().map(|(due, _)| due);
        match self {
            Self::Spins => wakes_at.map(|due| due.min(now)),
            _ => wakes_at,
        }
    }

    pub(super) fn status(self, mut status: Status) -> Status {
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
