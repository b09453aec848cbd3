//! What the node shows and records is what it knows, no more and no less.

use super::{Ground, Moment, Seen, Verdict, broken};
use crate::board::RelayState;
use crate::node::status::{SegmentStatus, Status};
use crate::node::{Action, Cause, Event, Fact, Policy};

/// Alarms shown at once.
const ALARMS_MAX: usize = 64;

/// Moves that must be recorded in this turn.
#[derive(Debug)]
pub(super) struct Telling {
    policy: Policy,
    moved: Option<(usize, RelayState)>,
}

impl Telling {
    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            policy: policy.clone(),
            moved: None,
        }
    }

    pub(super) fn see(&mut self, ground: &Ground, at: Moment, seen: &Seen<'_>) -> Verdict {
        match seen {
            Seen::Started(_) => self.moved = None,
            Seen::Told(Event::SegmentCut {
                segment,
                state,
                outcome: Ok(moved),
            }) if moved.commanded && moved.after.state == (*state).into() => {
                self.moved = Some((*segment, (*state).into()));
            }
            Seen::Told(Event::SegmentClosed {
                segment,
                outcome: Ok(moved),
            }) if moved.commanded && moved.after.state == RelayState::Normal => {
                self.moved = Some((*segment, RelayState::Normal));
            }
            Seen::Decided(Action::Record(record)) => return self.recorded(&record.fact),
            Seen::Turned(turn) => {
                self.invariant_moves_are_recorded()?;
                if let Some(status) = turn.status {
                    invariant_lost_controller_is_unknown(ground, status)?;
                    invariant_bounded(status)?;
                    return self.invariant_status_never_infers(ground, at, status);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn recorded(&mut self, fact: &Fact) -> Verdict {
        let (segment, to, cause) = match fact {
            Fact::Cut {
                segment,
                state,
                cause,
                ..
            } => (segment, RelayState::from(*state), cause),
            Fact::Closed { segment, cause, .. } => (segment, RelayState::Normal, cause),
            _ => return Ok(()),
        };
        if let Some((index, state)) = self.moved
            && self.policy.segments[index].name == *segment
            && state == to
        {
            self.moved = None;
        }
        invariant_causes_fit(segment, to, cause)
    }

    /// A move that the agent commanded is in the record in the turn in which it learned of it.
    fn invariant_moves_are_recorded(&self) -> Verdict {
        let Some((segment, to)) = self.moved else {
            return Ok(());
        };
        broken(
            "invariant_moves_are_recorded",
            format!("segment {segment} was moved to {to} and no record says so"),
        )
    }

    /// `Normal` is shown only if the last reading said so and is young enough to kick on.
    fn invariant_status_never_infers(
        &self,
        ground: &Ground,
        at: Moment,
        status: &Status,
    ) -> Verdict {
        let name = "invariant_status_never_infers";
        let fresh_for = self.policy.read_every * 3 + self.policy.dead_man.period;
        for (index, segment) in status.segments.iter().enumerate() {
            if segment.state != RelayState::Normal {
                continue;
            }
            let told = &ground.segments[index];
            if told.told != RelayState::Normal {
                return broken(
                    name,
                    format!(
                        "segment {index} is shown in Normal, last told {}",
                        told.told
                    ),
                );
            }
            let old = at.host.since(told.told_at);
            if old > fresh_for {
                return broken(
                    name,
                    format!(
                        "segment {index} is shown in Normal from a reading {} ms old",
                        old.as_millis()
                    ),
                );
            }
        }
        Ok(())
    }
}

/// A cause that is recorded explains the direction of its move.
fn invariant_causes_fit(segment: &str, to: RelayState, cause: &Cause) -> Verdict {
    let fits = match cause {
        Cause::PathProven | Cause::Adopted => to == RelayState::Normal,
        Cause::Operator(_) => true,
        _ => to != RelayState::Normal,
    };
    if fits {
        return Ok(());
    }
    broken(
        "invariant_causes_fit",
        format!("segment {segment} moved to {to}, recorded because: {cause}"),
    )
}

/// While the controller is lost, no state is shown that was not told since.
fn invariant_lost_controller_is_unknown(ground: &Ground, status: &Status) -> Verdict {
    let Some(fault) = &status.controller_fault else {
        return Ok(());
    };
    let told = |(index, segment): (usize, &SegmentStatus)| {
        segment.state == RelayState::Unknown || segment.state == ground.segments[index].told
    };
    if status.segments.iter().enumerate().all(told) {
        return Ok(());
    }
    broken(
        "invariant_lost_controller_is_unknown",
        format!("an old state is shown although the controller is lost: {fault}"),
    )
}

/// Nothing that is kept grows without end.
fn invariant_bounded(status: &Status) -> Verdict {
    if status.alarms.len() <= ALARMS_MAX {
        return Ok(());
    }
    broken(
        "invariant_bounded",
        format!("{} alarms are kept", status.alarms.len()),
    )
}
