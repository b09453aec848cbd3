//! Standing orders of operators: forced states, maintenance, disarmed. Saved before they are applied.
//!
//! One exception, for the safe direction: an order that takes the host *off* a wire is carried out even if
//! it cannot be saved, and the answer says that it will not survive a restart. A full disk must not stand
//! between an operator and a wire.

use std::collections::VecDeque;

use super::action::Action;
use super::event::{Actor, Command, Forced, PersistentState, Standing};
use super::outbox::Outbox;
use super::record::{Fact, Level};
use super::time::Instant;
use crate::board::controller::RelayState;

/// More orders than this waiting for the disk are refused: somebody's script runs wild.
const WAITING_MAX: usize = 16;

/// Standing orders in force, and those waiting to be saved.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders {
    in_force: PersistentState,
    waiting: VecDeque<Waiting>,
    saving: Option<u64>,
    saves: u64,
    pub(super) ledger_fault: Option<String>,
    pub(super) history_fault: Option<String>,
}

#[derive(Debug, Clone)]
struct Waiting {
    request: u64,
    actor: Actor,
    command: Command,
    next: PersistentState,
}

/// An order that has just come into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Applied {
    /// This segment's forced state changed.
    Forced(String),
    /// Something that concerns every segment.
    All,
}

impl Orders {
    pub(super) fn restore(&mut self, saved: PersistentState) {
        self.in_force = saved;
    }

    pub(super) fn forced(&self, segment: &str) -> Option<&Forced> {
        self.in_force.forced.get(segment)
    }

    pub(super) fn maintenance(&self) -> Option<&Standing> {
        self.in_force.maintenance.as_ref()
    }

    pub(super) fn disarmed(&self) -> Option<&Standing> {
        self.in_force.disarmed.as_ref()
    }

    /// Take an order in: it waits until it is saved.
    pub(super) fn requested(
        &mut self,
        request: u64,
        actor: Actor,
        command: Command,
        out: &mut Outbox,
    ) {
        if self.waiting.len() == WAITING_MAX {
            let answer = Err(format!(
                "{WAITING_MAX} orders are already waiting for the disk; try again when they are done"
            ));
            return out.push(Action::Reply { request, answer });
        }
        let base = self
            .waiting
            .back()
            .map_or(&self.in_force, |last| &last.next);
        let next = after(base, &command, &actor);
        self.waiting.push_back(Waiting {
            request,
            actor,
            command,
            next,
        });
        self.save(out);
    }

    fn save(&mut self, out: &mut Outbox) {
        if self.saving.is_some() {
            return;
        }
        if let Some(first) = self.waiting.front() {
            self.saves += 1;
            self.saving = Some(self.saves);
            out.push(Action::Persist {
                sequence: self.saves,
                state: first.next.clone(),
            });
        }
    }

    /// The disk answered. Returns the order that came into force.
    pub(super) fn persisted(
        &mut self,
        now: Instant,
        sequence: u64,
        outcome: Result<(), String>,
        out: &mut Outbox,
    ) -> Option<Applied> {
        if self.saving != Some(sequence) {
            return None;
        }
        self.saving = None;
        let order = self.waiting.pop_front()?;
        let applied = self.finish(now, order, outcome, out);
        self.save(out);
        applied
    }

    fn finish(
        &mut self,
        now: Instant,
        order: Waiting,
        outcome: Result<(), String>,
        out: &mut Outbox,
    ) -> Option<Applied> {
        let saved = outcome.is_ok();
        let request = order.request;
        self.ledger(now, outcome.clone(), out);
        if let Err(error) = outcome
            && !takes_off_the_wire(&order.command)
        {
            let answer = Err(format!("not done, because it could not be saved: {error}"));
            out.push(Action::Reply { request, answer });
            // Orders taken in behind this one were built on it; each is built on the one before it.
            let mut base = self.in_force.clone();
            for waiting in &mut self.waiting {
                waiting.next = after(&base, &waiting.command, &waiting.actor);
                base.clone_from(&waiting.next);
            }
            return None;
        }
        self.in_force = order.next;
        let (mode, reason, applied) = describe(&order.command);
        let by = order.actor.name;
        out.record(
            now,
            Level::Info,
            Fact::ModeChanged {
                mode: mode.clone(),
                by,
                reason,
            },
        );
        let answer = if saved {
            Ok(mode)
        } else {
            Ok(format!(
                "{mode}; NOT saved, it will not survive a restart of the agent"
            ))
        };
        out.push(Action::Reply { request, answer });
        Some(applied)
    }

    fn ledger(&mut self, now: Instant, outcome: Result<(), String>, out: &mut Outbox) {
        tell_change(now, &mut self.ledger_fault, outcome, out);
    }

    /// The event history's own disk trouble.
    pub(super) fn history(&mut self, now: Instant, outcome: Result<(), String>, out: &mut Outbox) {
        tell_change(now, &mut self.history_fault, outcome, out);
    }
}

fn tell_change(
    now: Instant,
    fault: &mut Option<String>,
    outcome: Result<(), String>,
    out: &mut Outbox,
) {
    match outcome {
        Ok(()) => {
            if fault.take().is_some() {
                out.record(now, Level::Info, Fact::LedgerBack);
            }
        }
        Err(error) => {
            if fault.as_ref() != Some(&error) {
                out.record(
                    now,
                    Level::Alarm,
                    Fact::LedgerFailed {
                        error: error.clone(),
                    },
                );
            }
            *fault = Some(error);
        }
    }
}

/// What the standing orders are once `command` is in force.
fn after(base: &PersistentState, command: &Command, actor: &Actor) -> PersistentState {
    let mut next = base.clone();
    let standing = |reason: &String| Standing {
        by: actor.name.clone(),
        reason: reason.clone(),
    };
    match command {
        Command::Bypass {
            segment,
            state: Some(state),
        } => {
            let forced = Forced {
                state: *state,
                by: actor.name.clone(),
            };
            next.forced.insert(segment.clone(), forced);
        }
        Command::Bypass {
            segment,
            state: None,
        } => {
            next.forced.remove(segment);
        }
        Command::Maintenance { on, reason } => next.maintenance = on.then(|| standing(reason)),
        Command::Disarm { on, reason } => next.disarmed = on.then(|| standing(reason)),
        Command::Acknowledge => {}
    }
    next
}

fn takes_off_the_wire(command: &Command) -> bool {
    match command {
        Command::Bypass { state, .. } => {
            matches!(state, Some(RelayState::Bypass | RelayState::Disconnect))
        }
        Command::Maintenance { on, .. } => *on,
        Command::Disarm { .. } | Command::Acknowledge => false,
    }
}

fn describe(command: &Command) -> (String, String, Applied) {
    match command {
        Command::Bypass {
            segment,
            state: Some(state),
        } => (
            format!("segment {segment} forced to {state}"),
            String::new(),
            Applied::Forced(segment.clone()),
        ),
        Command::Bypass {
            segment,
            state: None,
        } => (
            format!("segment {segment} back to auto"),
            String::new(),
            Applied::Forced(segment.clone()),
        ),
        Command::Maintenance { on, reason } => {
            let mode = if *on {
                "maintenance on"
            } else {
                "maintenance off"
            };
            (mode.to_owned(), reason.clone(), Applied::All)
        }
        Command::Disarm { on, reason } => {
            let mode = if *on { "disarmed" } else { "armed" };
            (mode.to_owned(), reason.clone(), Applied::All)
        }
        Command::Acknowledge => (
            "alarms acknowledged".to_owned(),
            String::new(),
            Applied::All,
        ),
    }
}
