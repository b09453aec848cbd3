//! Operators' orders: saved before they are applied, in force after a restart, shown as they are.

use std::collections::BTreeMap;

use super::{Moment, Seen, Verdict, broken};
use crate::board::RelayState;
use crate::node::status::{SegmentMode, Status};
use crate::node::{Action, Command, Event, PersistentState, Saved};

/// Orders asked for, in force, and durable.
#[derive(Debug, Default)]
pub(super) struct Orders {
    asked: BTreeMap<u64, (String, Command)>,
    in_force: PersistentState,
    durable: PersistentState,
}

impl Orders {
    /// What operators were told is in force.
    pub(super) fn in_force(&self) -> &PersistentState {
        &self.in_force
    }

    pub(super) fn see(&mut self, _at: Moment, seen: &Seen<'_>) -> Verdict {
        match seen {
            Seen::Started(saved) => {
                self.asked.clear();
                self.in_force = match saved {
                    Saved::State(state) => state.clone(),
                    Saved::Nothing | Saved::Unreadable(_) => PersistentState::default(),
                };
                if matches!(saved, Saved::Unreadable(_)) {
                    self.durable = PersistentState::default();
                }
                self.invariant_orders_survive()
            }
            Seen::Durable(state) => {
                self.durable = (*state).clone();
                Ok(())
            }
            Seen::Told(Event::OperatorRequested {
                request,
                actor,
                command,
            }) => {
                self.asked
                    .insert(*request, (actor.name.clone(), command.clone()));
                Ok(())
            }
            Seen::Decided(Action::Reply { request, answer }) => self.replied(*request, answer),
            Seen::Turned(turn) => turn
                .status
                .map_or(Ok(()), |status| self.invariant_orders_are_shown(status)),
            _ => Ok(()),
        }
    }

    fn replied(&mut self, request: u64, answer: &Result<String, String>) -> Verdict {
        let Some((by, command)) = self.asked.remove(&request) else {
            return broken(
                "invariant_one_answer",
                format!("request {request} was answered twice or never asked"),
            );
        };
        if let Ok(text) = answer {
            apply(&mut self.in_force, &by, &command);
            return self.invariant_saved_before_applied(&command, text);
        }
        Ok(())
    }

    /// An order that is confirmed is durable, or takes the host off the wire and says that it is not.
    fn invariant_saved_before_applied(&self, command: &Command, text: &str) -> Verdict {
        let durable = match command {
            Command::Acknowledge => true,
            Command::Maintenance { on, .. } => self.durable.maintenance.is_some() == *on,
            Command::Disarm { on, .. } => self.durable.disarmed.is_some() == *on,
            Command::Bypass { segment, state } => {
                self.durable.forced.get(segment).map(|forced| forced.state) == *state
            }
        };
        let off_the_wire = match command {
            Command::Maintenance { on, .. } => *on,
            Command::Bypass { state, .. } => {
                matches!(state, Some(RelayState::Bypass | RelayState::Disconnect))
            }
            Command::Disarm { .. } | Command::Acknowledge => false,
        };
        if durable || off_the_wire && text.contains("NOT saved") {
            return Ok(());
        }
        broken(
            "invariant_saved_before_applied",
            format!("{command:?} was confirmed and is not durable"),
        )
    }

    /// A new agent is given what was last durable, never something else.
    fn invariant_orders_survive(&self) -> Verdict {
        if self.in_force == self.durable {
            return Ok(());
        }
        broken(
            "invariant_orders_survive",
            format!(
                "started with {:?}, durable was {:?}",
                self.in_force, self.durable
            ),
        )
    }

    /// The status shows the orders in force, and no others.
    fn invariant_orders_are_shown(&self, status: &Status) -> Verdict {
        let in_force = &self.in_force;
        let modes = status.segments.iter().all(|segment| {
            let forced = matches!(segment.mode, SegmentMode::Forced { .. });
            let disarmed = in_force.disarmed.is_some();
            forced == (in_force.forced.contains_key(&segment.name) && !disarmed)
        });
        if modes
            && status.maintenance.is_some() == in_force.maintenance.is_some()
            && status.disarmed.is_some() == in_force.disarmed.is_some()
        {
            return Ok(());
        }
        broken(
            "invariant_orders_are_shown",
            format!("in force: {in_force:?}; shown otherwise"),
        )
    }
}

fn apply(state: &mut PersistentState, by: &str, command: &Command) {
    let standing = |reason: &String| crate::node::event::Standing {
        by: by.to_owned(),
        reason: reason.clone(),
    };
    match command {
        Command::Bypass {
            segment,
            state: Some(to),
        } => {
            let forced = crate::node::event::Forced {
                state: *to,
                by: by.to_owned(),
            };
            state.forced.insert(segment.clone(), forced);
        }
        Command::Bypass {
            segment,
            state: None,
        } => {
            state.forced.remove(segment);
        }
        Command::Maintenance { on, reason } => state.maintenance = on.then(|| standing(reason)),
        Command::Disarm { on, reason } => state.disarmed = on.then(|| standing(reason)),
        Command::Acknowledge => {}
    }
}
