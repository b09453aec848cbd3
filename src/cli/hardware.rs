//! The way to this site's hardware, for the agent and for the commands that work without it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use fencepost::board::controller::{Controller, Fault};
use fencepost::board::open::{Wiring, open as open_board};
use fencepost::board::profile::{AdapterRef, LineRef};
use fencepost::board::{BusError, Clock as BoardClock, Lines, SmBus};
use fencepost::config::Site;
use fencepost::io::clock::Clock;

/// Where the agent's lock is: whoever holds it may touch the hardware.
pub(crate) fn lock_path(site: &Site) -> PathBuf {
    site.config.state.runtime_dir.join("agent.lock")
}

/// Where the site's buses and lines come from.
pub(crate) fn wiring(_site: &Site) -> NoWiring {
    NoWiring
}

/// Open the site's controller. Moves nothing.
pub(crate) fn open(site: &Site) -> Result<Box<dyn Controller>, Fault> {
    let used: BTreeSet<usize> = (0..site.board.segments.len()).collect();
    open_board(&site.board, &used, &mut wiring(site))
}

/// Placeholder until the machine's adapters are there.
pub(crate) struct NoWiring;

fn absent() -> BusError {
    BusError::Absent {
        what: "a way to the hardware".to_owned(),
        advice: "this build has none".to_owned(),
    }
}

impl Wiring for NoWiring {
    fn smbus(&mut self, _adapter: &AdapterRef) -> Result<Box<dyn SmBus>, BusError> {
        Err(absent())
    }

    fn outputs(&mut self, _lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError> {
        Err(absent())
    }

    fn inputs(&mut self, _lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError> {
        Err(absent())
    }

    fn clock(&self) -> Box<dyn BoardClock> {
        Box::new(Clock)
    }
}
