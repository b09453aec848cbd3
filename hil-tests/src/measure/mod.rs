//! `hil bench`: how fast the product is, measured at native speed beside what it replaces, in one table.
//!
//! The agent runs as a process of this machine against a virtual board over a Unix socket (`crate::socket`); the peer runs on a board of
//! its own during the same run. Contacts are the board model's. Numbers are reported, never asserted: a slow machine gives a slow table, and
//! the table names the machine. What could not be measured is a row that says so.

pub mod failures;
pub mod load;
pub mod numbers;
pub mod peer;
pub mod process;
pub mod punctuality;
pub mod subject;
pub mod table;

use std::path::Path;

use crate::appliance::model::MODELS;
use crate::error::Result;
use table::Table;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Kills of the agent on each board.
    pub kills: usize,
    /// Failing checks on each board.
    pub check_failures: usize,
    /// How long punctuality and resources are watched in each setting, seconds.
    pub watch_s: u64,
    /// Failures given to each setting of the peer.
    pub peer_failures: usize,
}

impl Plan {
    /// Less than five minutes.
    pub const USUAL: Self = Self {
        kills: 10,
        check_failures: 25,
        watch_s: 10,
        peer_failures: 6,
    };
    /// To see that everything works.
    pub const QUICK: Self = Self {
        kills: 2,
        check_failures: 3,
        watch_s: 3,
        peer_failures: 1,
    };
}

/// Measures everything; `say` hears what is being done.
///
/// # Errors
/// The rig itself failed. A board on which the agent does not come to Normal is a row of the table.
pub fn run(plan: Plan, program: &Path, say: &mut dyn FnMut(&str)) -> Result<Table> {
    let mut table = Table::begin(program);
    // The peer sleeps nearly all the time: it can run beside everything else but the starved part.
    let peers = peer::start(plan.peer_failures);
    for model in MODELS {
        say(&format!("{}: agent killed, check fails", model.name));
        table.boards.push(failures::measure(&model, program, plan));
    }
    say("the peer's shell loop (waiting for it)");
    table.peers = peers.finish();
    for setting in punctuality::SETTINGS {
        for burden in [load::Burden::None, load::Burden::Starved] {
            say(&format!(
                "control loop, {} settings, {burden}",
                setting.name
            ));
            table
                .loops
                .push(punctuality::measure(setting, burden, program, plan.watch_s));
        }
    }
    Ok(table)
}
