//! How punctual the agent's control loop is, and what the agent costs: idle, and with every core and the disk starved.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::load::{Burden, Load};
use super::process::{self, Cost};
use super::subject::{Setting, Subject};
use crate::appliance::model::Model;
use crate::error::{Result, RigError};

/// As it comes, and as fast as a pair will want it.
pub const SETTINGS: [Setting; 2] = [
    Setting {
        name: "default",
        dead_man: "",
        check_every_ms: 1_000,
    },
    Setting {
        name: "fast (kick every 10 ms)",
        dead_man: "period_ms = 100\nkick_every_ms = 10\n",
        check_every_ms: 1_000,
    },
];

/// What was seen.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Row {
    /// Setting.
    pub setting: String,
    /// What else the machine did.
    pub burden: String,
    /// Worst lateness of the control loop since the agent started, milliseconds.
    pub worst_late_ms: f64,
    /// Longest turn, milliseconds.
    pub worst_turn_ms: f64,
    /// Deadlines, and how many of them were met within 1 ms.
    pub deadlines: u64,
    /// Of them, no more than 1 ms late.
    pub within_1_ms: u64,
    /// Whether the control thread has real-time scheduling, in words.
    pub realtime: String,
    /// Expiries of the dead-man while the agent lived: false trips.
    pub false_trips: usize,
    /// Moves the agent ordered: its check was too slow for its own time-out.
    pub ordered_moves: usize,
    /// What the agent cost.
    pub cost: Option<Cost>,
    /// What stopped the measurement.
    pub broken: Option<String>,
}

/// Watches an agent on the reference board for `watch_s` seconds.
pub fn measure(setting: Setting, burden: Burden, program: &Path, watch_s: u64) -> Row {
    let mut row = Row {
        setting: setting.name.to_owned(),
        burden: burden.to_string(),
        ..Row::default()
    };
    if let Err(error) = fill(&mut row, setting, burden, program, watch_s) {
        row.broken = Some(error.to_string());
    }
    row
}

fn fill(
    row: &mut Row,
    setting: Setting,
    burden: Burden,
    program: &Path,
    watch_s: u64,
) -> Result<()> {
    let gone = || RigError::Gone {
        what: "the agent".to_owned(),
        reason: "it does not answer".to_owned(),
    };
    let model = Model::named("reference")
        .ok_or_else(|| RigError::Input("no board `reference`".to_owned()))?;
    let mut subject = Subject::prepare(&model, setting, program)?;
    subject.start()?;
    subject.hardware.forget();
    let pid = subject.pid().ok_or_else(gone)?;
    let before = process::processor_s(pid).ok_or_else(gone)?;
    let load = Load::start(burden);
    let begun = std::time::Instant::now();
    std::thread::sleep(Duration::from_secs(watch_s));
    row.cost = process::cost(pid, before, begun.elapsed().as_secs_f64());
    drop(load);
    (row.false_trips, row.ordered_moves) = subject.hardware.moves();
    let status = subject.status().ok_or_else(gone)?;
    let seen = status.control_loop;
    let late: Vec<u64> = seen.late_counts.to_vec();
    row.worst_late_ms = seen.worst_late_us as f64 / 1000.0;
    row.worst_turn_ms = seen.worst_turn_us as f64 / 1000.0;
    row.deadlines = seen.deadlines;
    // Classes are up to 100 µs, 1 ms, and so on.
    row.within_1_ms = late.iter().take(2).sum();
    row.realtime = format!("{:?}", seen.realtime).to_lowercase();
    Ok(())
}
