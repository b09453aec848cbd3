//! The way to this site's hardware, for the agent and for the commands that work without it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use fencepost::board::controller::{Controller, Fault};
use fencepost::board::open::{Wiring, open as open_board};
use fencepost::board::profile::{AdapterRef, LineRef};
use fencepost::board::{BusError, Clock as BoardClock, Lines, SmBus};
use fencepost::config::{Adapter, Site};
use fencepost::io::clock::Clock;
use fencepost::io::kernel_wiring::KernelWiring;
use fencepost::io::remote_board::{Adapter as RemoteAdapter, RemoteBoard};
use fencepost::io::systemd;

/// Where the agent's lock is: whoever holds it may touch the hardware.
pub(crate) fn lock_path(site: &Site) -> PathBuf {
    site.config.state.runtime_dir.join("agent.lock")
}

/// Open the site's controller for one command. Moves nothing.
pub(crate) fn open(site: &Site) -> Result<Box<dyn Controller>, Fault> {
    let used: BTreeSet<usize> = (0..site.board.segments.len()).collect();
    open_board(&site.board, &used, &mut SiteWiring::new(site))
}

/// The agent's way: lines that systemd kept through a restart are taken back, and new ones are given to it.
/// Before anything else opens files.
pub(crate) fn agent_wiring(site: &Site) -> SiteWiring {
    let mut wiring = SiteWiring::new(site);
    if let SiteWiring::Machine(machine) = &mut wiring {
        machine.keeping = Keeping::InStore;
        for (name, mut copies) in systemd::pick_up() {
            // All copies of one name are one request; any of them keeps the lines.
            machine.held.extend(copies.pop().map(|copy| (name, copy)));
        }
    }
    wiring
}

/// Where the site's buses and lines come from.
pub(crate) enum SiteWiring {
    /// The kernel.
    Machine(Machine),
    /// A virtual board behind a socket.
    Socket(PathBuf),
}

/// The kernel's buses and lines, with a descriptor of every line request. Opening the controller again must not find
/// its lines busy by ourselves, nor let them float in between.
pub(crate) struct Machine {
    lock_dir: PathBuf,
    held: BTreeMap<String, OwnedFd>,
    keeping: Keeping,
}

/// Whether line descriptors outlive this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    /// systemd gets a copy.
    InStore,
    /// They end with this command.
    Ours,
}

impl SiteWiring {
    fn new(site: &Site) -> Self {
        match &site.config.adapter {
            Some(Adapter::Socket(path)) => Self::Socket(path.clone()),
            Some(Adapter::Machine(_)) | None => Self::Machine(Machine {
                lock_dir: site.config.state.runtime_dir.clone(),
                held: BTreeMap::new(),
                keeping: Keeping::Ours,
            }),
        }
    }
}

impl Wiring for SiteWiring {
    fn smbus(&mut self, adapter: &AdapterRef) -> Result<Box<dyn SmBus>, BusError> {
        match self {
            Self::Machine(machine) => machine.kernel()?.smbus(adapter),
            Self::Socket(path) => remote(path)?.smbus(adapter),
        }
    }

    fn outputs(&mut self, lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError> {
        match self {
            Self::Machine(machine) => machine.lines(|kernel| kernel.outputs(lines)),
            Self::Socket(path) => remote(path)?.outputs(lines),
        }
    }

    fn inputs(&mut self, lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError> {
        match self {
            Self::Machine(machine) => machine.lines(|kernel| kernel.inputs(lines)),
            Self::Socket(path) => remote(path)?.inputs(lines),
        }
    }

    fn clock(&self) -> Box<dyn BoardClock> {
        clock()
    }
}

impl Machine {
    fn kernel(&self) -> Result<KernelWiring, BusError> {
        let inherited = self
            .held
            .iter()
            .map(|(name, descriptor)| Ok((name.clone(), descriptor.try_clone()?)))
            .collect::<std::io::Result<_>>()
            .map_err(|error| io_error("line descriptors", &error))?;
        Ok(KernelWiring::new(self.lock_dir.clone(), clock, inherited))
    }

    fn lines(
        &mut self,
        request: impl FnOnce(&mut KernelWiring) -> Result<Box<dyn Lines>, BusError>,
    ) -> Result<Box<dyn Lines>, BusError> {
        let mut kernel = self.kernel()?;
        let lines = request(&mut kernel)?;
        for (name, descriptor) in kernel.descriptors() {
            if self.held.contains_key(name) {
                continue;
            }
            let copy = descriptor
                .try_clone_to_owned()
                .map_err(|error| io_error(name, &error))?;
            if self.keeping == Keeping::InStore
                && let Err(error) = systemd::store(name, &copy)
            {
                tracing::error!(
                    "GPIO lines {name} will float when the agent restarts: systemd did not take them: {error}"
                );
            }
            self.held.insert(name.to_owned(), copy);
        }
        Ok(lines)
    }
}

fn io_error(what: &str, error: &std::io::Error) -> BusError {
    BusError::Io {
        what: format!("keeping {what}"),
        error: error.to_string(),
    }
}

/// A virtual board has lines and bus for each connection; lines float when it ends, like ours with this process.
fn remote(path: &std::path::Path) -> Result<RemoteBoard, BusError> {
    RemoteBoard::connect(path, RemoteAdapter::Plain, clock)
}

fn clock() -> Box<dyn BoardClock> {
    Box::new(Clock)
}
