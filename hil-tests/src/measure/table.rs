//! The table: for people as Markdown, for programs as JSON. Honest about the machine and about what is missing.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::numbers::Samples;
use super::{failures, load, peer, punctuality};

/// Where it was measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Cores we may use.
    pub cores: usize,
    /// Processor, by its own name.
    pub processor: String,
    /// Kernel release.
    pub kernel: String,
    /// Load average of the minute before: what else was going on.
    pub load_before: String,
    /// The agent's program.
    pub program: String,
}

/// Everything that was measured in one run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Table {
    /// Where.
    pub machine: Machine,
    /// Failure to relay, by board.
    pub boards: Vec<failures::Row>,
    /// The peer's loops.
    pub peers: Vec<peer::Row>,
    /// Punctuality and cost.
    pub loops: Vec<punctuality::Row>,
}

fn said(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

impl Table {
    /// An empty table of this machine.
    pub(super) fn begin(program: &Path) -> Self {
        let cpu = said("/proc/cpuinfo");
        let name = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load: Vec<String> = said("/proc/loadavg")
            .split(' ')
            .take(1)
            .map(str::to_owned)
            .collect();
        // The build, not the path: which profile it was built with is what matters.
        let kind = match program
            .components()
            .any(|part| part.as_os_str() == "release")
        {
            true => "release build",
            false => "development build",
        };
        Self {
            machine: Machine {
                cores: load::cores(),
                processor: name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
                kernel: said("/proc/sys/kernel/osrelease"),
                load_before: load.concat(),
                program: kind.to_owned(),
            },
            ..Self::default()
        }
    }

    /// For people.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let machine = &self.machine;
        let _ = writeln!(
            text,
            "Machine: {} cores ({}), Linux {}, load average before the run {}; {} of the agent.\n\
             Milliseconds as median / p99 / worst; p99 only from 100 samples on. Nothing here is asserted.\n",
            machine.cores, machine.processor, machine.kernel, machine.load_before, machine.program
        );
        self.failures(&mut text);
        self.side_by_side(&mut text);
        self.loops(&mut text);
        text
    }

    fn failures(&self, text: &mut String) {
        text.push_str(
            "### From a failure to the relay\n\n\
             | board | dead-man | agent killed → contacts | failed check → coil | failed check → contacts | samples |\n\
             |---|---|---|---|---|---|\n",
        );
        for row in &self.boards {
            let period = row
                .period_ms
                .map_or_else(|| "none".to_owned(), |ms| format!("{ms:.0} ms"));
            let killed = row.killed_not.clone().unwrap_or_else(|| row.killed.cell());
            let _ = writeln!(
                text,
                "| {} | {period} | {killed} | {} | {} | {} kills, {} checks{} |",
                row.board,
                row.check_to_coil.cell(),
                row.check_to_contacts.cell(),
                row.killed.ms.len(),
                row.check_to_contacts.ms.len(),
                match row.undated {
                    0 => String::new(),
                    undated => format!(" (and {undated} that timed out first)"),
                }
            );
            if let Some(broken) = &row.broken {
                let _ = writeln!(
                    text,
                    "| {} | stopped: {} | | | | |",
                    row.board,
                    line(broken)
                );
            }
        }
        text.push('\n');
    }

    fn side_by_side(&self, text: &mut String) {
        text.push_str(
            "### Beside the field's shell loop (ours, after vendors' practice), same run\n\n\
             | | application fails → contacts | failed check → contacts | killed → contacts | peak memory | of one core |\n\
             |---|---|---|---|---|---|\n",
        );
        let ours = self.boards.iter().find(|row| row.board == "reference");
        let cost = self.loops.first().and_then(|row| row.cost);
        if let Some(ours) = ours {
            let (memory, core) = cost_cells(cost);
            let _ = writeln!(
                text,
                "| fencepost, check every 100 ms, dead-man 1 s | {} | {} | {} | {memory} | {core} |",
                ours.application.cell(),
                ours.check_to_contacts.cell(),
                ours.killed.cell()
            );
        }
        for row in &self.peers {
            let (memory, core) = cost_cells(row.cost);
            let _ = writeln!(
                text,
                "| shell loop, every {} s, timer {} s | {} | {} | {} | {memory} (bash alone) | {core} |",
                row.every_s,
                row.timer_s,
                row.application.cell(),
                row.verdict.cell(),
                row.killed.cell()
            );
            if let Some(broken) = &row.broken {
                let _ = writeln!(
                    text,
                    "| shell loop, every {} s | stopped: {} | | | | |",
                    row.every_s,
                    line(broken)
                );
            }
        }
        text.push('\n');
        for row in &self.peers {
            let Some(ours) = ours else { continue };
            let ratio = |theirs: &Samples, ours: &Samples| Some(theirs.median()? / ours.median()?);
            if let (Some(killed), Some(fails)) = (
                ratio(&row.killed, &ours.killed),
                ratio(&row.application, &ours.application),
            ) {
                let _ = writeln!(
                    text,
                    "The loop of {} s takes {fails:.1} times as long as fencepost from an application's failure, {killed:.1} times from its own \
                     end (medians).\n",
                    row.every_s
                );
            }
        }
        text.push('\n');
    }

    fn loops(&self, text: &mut String) {
        text.push_str(
            "### The control loop, and what the agent costs\n\n\
             | settings | machine | worst lateness | longest turn | within 1 ms | false trips | cut by slow check | peak memory | of one core | real-time |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.loops {
            let (memory, core) = cost_cells(row.cost);
            let _ = writeln!(
                text,
                "| {} | {} | {:.2} ms | {:.2} ms | {} of {} | {} | {} | {memory} | {core} | {} |",
                row.setting,
                row.burden,
                row.worst_late_ms,
                row.worst_turn_ms,
                row.within_1_ms,
                row.deadlines,
                row.false_trips,
                row.ordered_moves,
                row.realtime
            );
            if let Some(broken) = &row.broken {
                let _ = writeln!(
                    text,
                    "| {} | stopped: {} | | | | | | | | |",
                    row.setting,
                    line(broken)
                );
            }
        }
        text.push('\n');
    }
}

fn cost_cells(cost: Option<super::process::Cost>) -> (String, String) {
    cost.map_or_else(
        || ("not measured".to_owned(), "not measured".to_owned()),
        |cost| {
            (
                format!("{:.1} MiB", cost.peak_mib),
                format!("{:.2} %", cost.core_percent),
            )
        },
    )
}

/// Text that fits in a cell.
fn line(text: &str) -> String {
    text.replace('\n', " ").replace('|', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let table = Table {
            boards: vec![failures::Row {
                board: "gpio-latching".to_owned(),
                killed_not: Some("gpio-latching has no dead-man".to_owned()),
                broken: Some("no\nagent | here".to_owned()),
                ..failures::Row::default()
            }],
            loops: vec![punctuality::Row::default()],
            ..Table::default()
        };
        let text = table.markdown();
        for wanted in [
            "gpio-latching has no dead-man",
            "stopped: no agent / here",
            "not measured",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing:\n{text}");
        }
    }
}
