//! The same faults to Fencepost and to keepalived, in turn, on the same bed.
//!
//! Both pairs have closed relays, the same network and the same neighbour. What differs is what is measured: how long nobody answers,
//! and for how long both do. The rig's own pauses stand beside each figure: an outage of that size says nothing.

mod picture;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::Port;
use super::host::Kind;
use super::site::Wishes;
use super::trial::Trial;
use crate::error::Result;
use crate::measure::numbers::Samples;

pub use picture::draw;

/// Who is put through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum System {
    /// Fencepost with this timing profile.
    Fencepost(&'static str),
    /// keepalived with this version of VRRP and this interval, seconds.
    Keepalived(u8, &'static str),
}

/// What befalls the Active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Fault {
    /// Power.
    PowerCut,
    /// The data port's carrier.
    PortLost,
    /// The process, for good.
    Killed,
    /// The process sleeps for three seconds.
    Frozen,
    /// The process, and its supervisor starts it again.
    Restarted,
    /// An ordered stop.
    Stopped,
}

/// Systems, in the table's order.
pub const SYSTEMS: [System; 5] = [
    System::Fencepost("fast"),
    System::Fencepost("default"),
    System::Keepalived(3, "0.01"),
    System::Keepalived(3, "0.1"),
    System::Keepalived(2, "1"),
];
/// Faults, in the table's order.
pub const FAULTS: [Fault; 6] = [
    Fault::PowerCut,
    Fault::PortLost,
    Fault::Killed,
    Fault::Frozen,
    Fault::Restarted,
    Fault::Stopped,
];

/// How long a sleeper sleeps.
const SLEEP: Duration = Duration::from_secs(3);
/// Watched from the fault on: more than the slowest takeover.
const WATCH: Duration = Duration::from_secs(5);
/// One owner must have answered for so long before anything is done to it.
const CALM: Duration = Duration::from_millis(1_500);

/// One system under one fault.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// Who.
    pub system: System,
    /// What.
    pub fault: Fault,
    /// Nobody answered, milliseconds, one per run.
    pub outage_ms: Samples,
    /// Both answered, milliseconds, one per run.
    pub dual_ms: Samples,
    /// The rig's own longest pause, milliseconds, one per run.
    pub rig_gap_ms: Samples,
    /// Runs that could not be carried out, and why.
    pub failed: Vec<String>,
}

/// All of them.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    /// Runs of each.
    pub rounds: usize,
    /// Cells, by fault and then by system.
    pub cells: Vec<Cell>,
}

impl core::fmt::Display for System {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Fencepost(profile) => write!(f, "fencepost {profile}"),
            Self::Keepalived(version, advert) => write!(f, "keepalived v{version} {advert} s"),
        }
    }
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::PowerCut => "power cut",
            Self::PortLost => "data port lost",
            Self::Killed => "killed, not restarted",
            Self::Frozen => "frozen for 3 s",
            Self::Restarted => "killed, restarted at once",
            Self::Stopped => "stopped in order",
        })
    }
}

/// Runs it all, systems alternating, and tells how it goes.
pub fn run(program: &Path, rounds: usize, say: &mut dyn FnMut(&str)) -> Table {
    let mut cells: Vec<Cell> = Vec::new();
    for fault in FAULTS {
        cells.extend(SYSTEMS.map(|system| Cell {
            system,
            fault,
            outage_ms: Samples::default(),
            dual_ms: Samples::default(),
            rig_gap_ms: Samples::default(),
            failed: Vec::new(),
        }));
    }
    for round in 1..=rounds {
        for cell in &mut cells {
            say(&format!(
                "round {round} of {rounds}: {}, {}",
                cell.fault, cell.system
            ));
            if let Err(error) = one(program, cell) {
                cell.failed.push(error.to_string());
            }
        }
    }
    Table { rounds, cells }
}

fn one(program: &Path, cell: &mut Cell) -> Result<()> {
    let mut trial = match cell.system {
        System::Fencepost(profile) => {
            let wishes = Wishes {
                profile,
                ..Wishes::default()
            };
            Trial::prepare(Kind::Namespaces, program, &wishes)?
        }
        System::Keepalived(version, advert) => Trial::keepalived(version, advert)?,
    };
    let active = match cell.system {
        System::Fencepost(_) => trial.stand_ready()?,
        System::Keepalived(..) => trial.stand_by_answers(CALM)?,
    };
    let from = trial.bed.now();
    match cell.fault {
        Fault::PowerCut => trial.power_off(active)?,
        Fault::PortLost => trial.side(active).carrier(Port::Lan, false)?,
        Fault::Killed => trial.hosts[active].kill()?,
        Fault::Frozen => {
            trial.hosts[active].freeze()?;
            trial.pass(SLEEP);
            trial.hosts[active].thaw()?;
        }
        Fault::Restarted => {
            trial.hosts[active].kill()?;
            trial.start(active)?;
        }
        Fault::Stopped => trial.hosts[active].terminate()?,
    }
    trial.pass(WATCH);
    let seen = trial.since(from).seen;
    cell.outage_ms.ms.push(seen.outage_ms);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a run")]
    cell.dual_ms.ms.push(seen.dual_ms as f64);
    cell.rig_gap_ms.ms.push(seen.rig_gap_ms);
    Ok(())
}

impl Table {
    /// For people.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# Outage per fault, Fencepost and keepalived\n\nMedian / worst of {} runs, milliseconds. *outage*: nobody answers for the \
             vip, asked each millisecond. *both*: two nodes answer for it at once. *rig*: the rig itself asked nothing for so long; an \
             outage of that size says nothing.\n\n",
            self.rounds
        );
        for fault in FAULTS {
            // Writing to a string does not fail.
            let _infallible = writeln!(
                text,
                "## {fault}\n\n| system | outage | both | rig |\n|---|---|---|---|"
            );
            for cell in self.cells.iter().filter(|cell| cell.fault == fault) {
                let failed = match cell.failed.as_slice() {
                    [] => String::new(),
                    [first, ..] => format!(" ({} runs failed: {first})", cell.failed.len()),
                };
                let _infallible = writeln!(
                    text,
                    "| {} | {} | {} | {} |{failed}",
                    cell.system,
                    two(&cell.outage_ms),
                    two(&cell.dual_ms),
                    two(&cell.rig_gap_ms)
                );
            }
            text.push('\n');
        }
        text
    }
}

fn two(samples: &Samples) -> String {
    match (samples.median(), samples.worst()) {
        (Some(median), Some(worst)) => format!("{median:.0} / {worst:.0}"),
        _ => "-".to_owned(),
    }
}
