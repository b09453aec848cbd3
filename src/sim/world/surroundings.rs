//! The agent's disk and checks, and the operators who order.

use core::time::Duration;

use super::{Due, Seen, World};
use crate::node::{Actor, Command, Event, PersistentState, Verdict};
use crate::sim::mutant::Mutant;

/// The ledger's disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) durable: Option<PersistentState>,
    /// What it holds is unreadable.
    pub(super) torn: bool,
    pub(super) full: bool,
    pub(super) latency: Option<Duration>,
}

impl Disk {
    /// The machine went down: saves under way never happened.
    pub(super) fn lose_unsaved(&mut self) {
        self.latency = None;
    }
}

/// What the checks find.
#[derive(Debug)]
pub(super) struct Checks {
    pub(super) states: Vec<CheckState>,
}

/// What one check finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum CheckState {
    /// All well.
    #[default]
    Well,
    /// It is broken.
    Broken,
    /// It says nothing.
    Silent,
    /// Now this, now that.
    Flapping,
}

impl Checks {
    pub(super) fn new(count: usize) -> Self {
        Self {
            states: vec![CheckState::default(); count],
        }
    }
}

impl World {
    pub(super) fn check(&mut self, life: u64, check: usize) {
        if life != self.life || self.agent.is_none() {
            return;
        }
        let every = self.scenario.habits.check_every;
        let jitter = self.dice.micros(0, 5_000);
        self.put_after(every + jitter, Due::Check { life, check });
        let verdict = match self.checks.states[check] {
            CheckState::Silent => return,
            CheckState::Broken => Verdict::Critical,
            CheckState::Flapping if self.dice.chance(500) => Verdict::Critical,
            CheckState::Flapping if self.dice.chance(100) => Verdict::Unknown,
            CheckState::Well | CheckState::Flapping => Verdict::Ok,
        };
        let event = Event::CheckReported {
            check,
            verdict,
            output: String::new(),
        };
        self.deliver(life, event);
    }

    pub(super) fn persist(&mut self, sequence: u64, state: PersistentState) {
        let most = self.scenario.habits.save;
        let ordinary = u64::try_from(most.as_micros()).unwrap_or(0);
        let drawn = self.dice.micros(200, ordinary.max(201));
        let latency = self.disk.latency.map_or(drawn, |slow| slow + drawn);
        let (life, done) = (self.life, !self.disk.full);
        if self.mutant == Mutant::SavesLater {
            let outcome = Ok(());
            return self.deliver(life, Event::Persisted { sequence, outcome });
        }
        let saved = Box::new(state);
        let due = Due::Saved {
            life,
            sequence,
            saved,
            done,
        };
        self.put_after(latency, due);
    }

    /// A save is over. If its agent is gone, it may or may not have come through: here it has not.
    pub(super) fn saved(&mut self, life: u64, sequence: u64, saved: PersistentState, done: bool) {
        if life != self.life {
            return;
        }
        let outcome = if done {
            self.see(&Seen::Durable(&saved));
            self.disk.durable = Some(saved);
            self.disk.torn = false;
            Ok(())
        } else {
            Err("no space left on device".to_owned())
        };
        self.deliver(life, Event::Persisted { sequence, outcome });
    }

    pub(super) fn operator(&mut self, command: &Command, times: u32) {
        for _ in 0..times {
            self.requests += 1;
            let actor = Actor {
                uid: 0,
                pid: 1,
                name: "root".to_owned(),
            };
            let event = Event::OperatorRequested {
                request: self.requests,
                actor,
                command: command.clone(),
            };
            self.deliver(self.life, event);
        }
    }
}
