//! What was measured, as a table for people and as JSON for programs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Serialize;

use super::{BURST, CASES, Case, Plan, none};
use crate::measure::load;
use crate::measure::numbers::Samples;
use crate::measure::process;

/// One system in one case.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// Who.
    pub system: String,
    /// What.
    pub case: Case,
    /// Until it had followed, milliseconds.
    pub took: Samples,
    /// Bytes over the cable with all headers, both ways, one count per sample.
    pub bytes: Vec<u64>,
    /// What it did not manage, and why.
    pub failed: Vec<String>,
}

impl Cell {
    pub(super) fn add(&mut self, took: Duration, bytes: u64) {
        self.took.ms.push(took.as_secs_f64() * 1_000.0);
        self.bytes.push(bytes);
    }

    fn median_bytes(&self) -> Option<u64> {
        let mut sorted = self.bytes.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len().saturating_sub(1) / 2).copied()
    }
}

/// What a process costs.
#[derive(Debug, Clone, Serialize)]
pub struct Memory {
    /// Whose.
    pub process: String,
    /// Greatest resident memory, mebibytes.
    pub peak_mib: f64,
    /// Resident at the end that belongs to no file, mebibytes.
    pub anonymous_mib: f64,
}

impl Memory {
    /// Of a process that runs.
    pub(super) fn of(name: &str, pid: u32) -> Option<Self> {
        let cost = process::cost(pid, 0.0, 1.0)?;
        Some(Self {
            process: name.to_owned(),
            peak_mib: cost.peak_mib,
            anonymous_mib: cost.anonymous_mib,
        })
    }
}

/// Where it was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Cores we may use.
    pub cores: usize,
    /// Kernel release.
    pub kernel: String,
    /// Load average of the minute before, and of the last minute of the run: what else was going on, and we.
    pub load: [String; 2],
    /// The others' versions, by their own words.
    pub versions: Vec<String>,
    /// The product's program was built for release.
    pub release: bool,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    /// Where.
    pub machine: Machine,
    /// Files of each tree.
    pub files: usize,
    /// Bytes of the large file.
    pub large_bytes: u64,
    /// Cells, in the order in which they were first measured.
    pub cells: Vec<Cell>,
    /// Memory.
    pub memory: Vec<Memory>,
}

fn load_now() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn version(program: &str) -> String {
    let told = Command::new(program).arg("--version").output();
    let told = told.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
    let first = told
        .ok()
        .and_then(|it| it.lines().next().map(str::to_owned));
    let first = first.unwrap_or_else(|| "not installed".to_owned());
    let known = first.to_lowercase().contains(program);
    if known {
        first
    } else {
        format!("{program} {first}")
    }
}

impl Table {
    /// Nothing measured yet.
    pub(super) fn begin(plan: Plan, program: &Path) -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            machine: Machine {
                cores: load::cores(),
                kernel: kernel.trim().to_owned(),
                load: [load_now(), String::new()],
                versions: ["rsync", "lsyncd"].map(version).to_vec(),
                release: program.iter().any(|part| part == "release"),
            },
            files: plan.files,
            large_bytes: plan.large_bytes,
            cells: Vec::new(),
            memory: Vec::new(),
        }
    }

    pub(super) fn cell(&mut self, system: &str, case: Case) -> &mut Cell {
        self.machine.load[1] = load_now();
        let known = |cell: &Cell| cell.system == system && cell.case == case;
        let at = self.cells.iter().position(known).unwrap_or_else(|| {
            self.cells.push(Cell {
                system: system.to_owned(),
                case,
                took: none(),
                bytes: Vec::new(),
                failed: Vec::new(),
            });
            self.cells.len() - 1
        });
        &mut self.cells[at]
    }

    /// For people.
    pub fn markdown(&self) -> String {
        let machine = &self.machine;
        let build = if machine.release {
            "release build"
        } else {
            "NOT a release build"
        };
        let mut text = format!(
            "# State sync beside rsync and lsyncd\n\n{} cores, Linux {}, load average {} before the run and {} at its end; {}; fencepost is a {build}. \
             Trees of {} files, a large file of {} MiB, a burst of {BURST}. Milliseconds from the begin of the change, \
             median / p99 / worst; p99 from 100 samples on. Bytes over the cable both ways with all headers, median. Fencepost: until \
             it is durable on the Backup and both are known to be the same; the others: until it is seen, which is \
             durable only with `--fsync`.\n",
            machine.cores,
            machine.kernel,
            machine.load[0],
            machine.load[1],
            machine.versions.join("; "),
            self.files,
            self.large_bytes >> 20,
        );
        for case in CASES {
            // Writing to a string does not fail.
            let _infallible = writeln!(
                text,
                "\n## {case}\n\n| system | ms | samples | bytes |\n|---|---|---|---|"
            );
            for cell in self.cells.iter().filter(|cell| cell.case == case) {
                let _infallible = writeln!(text, "{}", row(cell));
            }
        }
        text.push_str(
            "\n## Memory\n\n| process | peak MiB | at the end, its own MiB |\n|---|---|---|\n",
        );
        for memory in &self.memory {
            let _infallible = writeln!(
                text,
                "| {} | {:.1} | {:.1} |",
                memory.process, memory.peak_mib, memory.anonymous_mib
            );
        }
        text
    }
}

fn row(cell: &Cell) -> String {
    let failed = match cell.failed.as_slice() {
        [] => String::new(),
        [first, ..] => format!(" {} failed: {first}", cell.failed.len()),
    };
    let bytes = cell
        .median_bytes()
        .map_or("–".to_owned(), |it| it.to_string());
    format!(
        "| {} | {} | {} | {bytes} |{failed}",
        cell.system,
        cell.took.cell(),
        cell.took.ms.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_its_rows_and_failures_are_told() {
        let mut table = Table::begin(Plan::QUICK, Path::new("target/release/fencepost"));
        let cell = table.cell("fencepost", Case::Save);
        cell.add(Duration::from_millis(5), 700);
        cell.add(Duration::from_millis(9), 900);
        let cell = table.cell("lsyncd, delay 0", Case::Save);
        cell.failed.push("nothing was seen".to_owned());
        let text = table.markdown();
        assert!(
            text.contains("| fencepost | 5.00 / – / 9.00 | 2 | 700 |"),
            "{text}"
        );
        assert!(text.contains("1 failed: nothing was seen"), "{text}");
        for case in CASES {
            assert!(text.contains(&format!("## {case}")), "{text}");
        }
        assert!(text.contains("fencepost is a release build"), "{text}");
    }
}
