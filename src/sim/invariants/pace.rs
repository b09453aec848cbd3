//! The node rests: no spinning, no flood of actions, no deadline in the past.

use super::{Moment, Seen, Turn, Verdict, broken};
use crate::node::Instant;

/// Turns at one instant of the host's clock without anything decided.
const IDLE_TURNS_MAX: u32 = 2;
/// Actions of one turn: every verb for every segment, with a record each, and orders answered.
const ACTIONS_MAX: usize = 100;

/// How often it turned without progress.
#[derive(Debug, Default)]
pub(super) struct Pace {
    idle: u32,
    last: Instant,
}

impl Pace {
    pub(super) fn see(&mut self, at: Moment, seen: &Seen<'_>) -> Verdict {
        match seen {
            Seen::Started(_) => {
                *self = Self::default();
                Ok(())
            }
            Seen::Turned(turn) => {
                invariant_few_actions(turn)?;
                self.invariant_no_spin(at, turn)
            }
            _ => Ok(()),
        }
    }

    /// A turn that decided nothing asks to be woken later than now.
    fn invariant_no_spin(&mut self, at: Moment, turn: &Turn<'_>) -> Verdict {
        let due = turn.wakes_at.is_some_and(|wakes| wakes <= at.host);
        let idle = turn.by_deadline && turn.actions == 0 && due;
        self.idle = if idle { self.idle + 1 } else { 0 };
        self.last = at.host;
        if self.idle <= IDLE_TURNS_MAX {
            return Ok(());
        }
        broken(
            "invariant_no_spin",
            format!(
                "{} turns in a row without an action, and due again",
                self.idle
            ),
        )
    }
}

fn invariant_few_actions(turn: &Turn<'_>) -> Verdict {
    if turn.actions <= ACTIONS_MAX {
        return Ok(());
    }
    broken(
        "invariant_few_actions",
        format!("{} actions in one turn", turn.actions),
    )
}
