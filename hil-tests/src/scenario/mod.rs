//! The scenarios: one function each, of what is done to a healthy appliance and what must then be true.
//!
//! A scenario says what it needs of a board ([`Capability`]); a board without it is skipped with the profile's own fact. Bounds are
//! seconds or multiples of the dead-man's period: an emulated machine is slow, and speed is measured elsewhere.

mod agent_lives;
mod boot;
mod bus;
mod checks;
mod config;
mod loss;
mod relays;
mod rivals;
mod state;
mod stress;

use anyhow::Result;
use fencepost::board::Board;

use crate::capability::Capability;
use crate::trial::Trial;

/// What is left of the appliance afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aftermath {
    /// It can be brought back to rest; the next scenario uses the same boot.
    Rest,
    /// It gets a new disk and boots.
    Rubble,
}

/// A scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Name, as on the command line.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub shows: &'static str,
    /// What a board must be able to do.
    pub needs: &'static [Capability],
    /// What is left.
    pub aftermath: Aftermath,
    /// Does it.
    pub run: fn(&mut Trial<'_>) -> Result<()>,
}

impl Scenario {
    /// Why it cannot be shown on this board; `None`: it can.
    pub fn skipped_on(&self, board: &Board) -> Option<String> {
        self.needs
            .iter()
            .find_map(|capability| capability.missing(board))
    }

    /// All of them, in an order that wastes no boot: what ends the machine comes last.
    pub fn all() -> Vec<Self> {
        let parts = [
            boot::SCENARIOS,
            agent_lives::SCENARIOS,
            checks::SCENARIOS,
            bus::SCENARIOS,
            relays::SCENARIOS,
            rivals::SCENARIOS,
            state::SCENARIOS,
            config::SCENARIOS,
            stress::SCENARIOS,
            loss::SCENARIOS,
        ];
        parts.into_iter().flatten().copied().collect()
    }

    /// By name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all()
            .into_iter()
            .find(|scenario| scenario.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::model::MODELS;

    /// Every scenario of the plan, by name.
    const PLANNED: [&str; 26] = [
        "boot-to-normal",
        "agent-killed",
        "agent-hung",
        "agent-restarted",
        "agent-upgraded",
        "orderly-stop",
        "kernel-panic",
        "machine-paused",
        "power-cut",
        "control-loop-stuck",
        "check-fails",
        "check-plugin-hangs",
        "i2c-nack-burst",
        "i2c-stuck",
        "i2c-slow",
        "relay-stuck",
        "read-back-lies",
        "expander-changed",
        "line-busy",
        "two-agents",
        "disk-full",
        "ledger-unwritable",
        "clock-jumps",
        "starved",
        "bad-config",
        "forged-request",
    ];

    #[test]
    fn every_planned_scenario_is_there_once() {
        let mut names: Vec<&str> = Scenario::all()
            .iter()
            .map(|scenario| scenario.name)
            .collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for planned in PLANNED {
            assert!(names.contains(&planned), "{planned} is missing");
        }
    }

    #[test]
    fn every_scenario_runs_on_some_board_and_every_board_runs_some() {
        let boards: Vec<Board> = MODELS.iter().map(|model| model.load().unwrap()).collect();
        for scenario in Scenario::all() {
            assert!(
                boards
                    .iter()
                    .any(|board| scenario.skipped_on(board).is_none()),
                "{} runs nowhere",
                scenario.name
            );
        }
        for board in &boards {
            let runs = Scenario::all()
                .iter()
                .filter(|scenario| scenario.skipped_on(board).is_none())
                .count();
            assert!(runs >= 12, "{} runs only {runs}", board.id);
        }
    }
}
