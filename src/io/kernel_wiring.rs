//! Buses and lines of this machine, for [`crate::board::open()`].
//!
//! Keeps a second descriptor of every line request, so that the agent can give them to the service manager's store:
//! drivers own their lines and do not know of processes.
//!
//! What if the agent dies here? Lines it gave to the store stay requested and keep their levels until the next agent
//! adopts them or the store is emptied; all others float.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use super::gpio::{Direction, LineGroup};
use super::i2c;
use crate::board::bus::{BusError, Clock, Lines, SmBus};
use crate::board::open::Wiring;
use crate::board::profile::{AdapterRef, LineRef};

/// The kernel's buses and lines.
pub struct KernelWiring {
    lock_dir: PathBuf,
    clock: Box<dyn Fn() -> Box<dyn Clock>>,
    inherited: BTreeMap<String, OwnedFd>,
    kept: Vec<(String, OwnedFd)>,
}

impl KernelWiring {
    /// `lock_dir` holds the adapters' lock files; `inherited` are descriptors from an earlier agent, by name.
    pub fn new(
        lock_dir: PathBuf,
        clock: impl Fn() -> Box<dyn Clock> + 'static,
        inherited: BTreeMap<String, OwnedFd>,
    ) -> Self {
        Self {
            lock_dir,
            clock: Box::new(clock),
            inherited,
            kept: Vec::new(),
        }
    }

    /// Descriptors of all lines requested so far, with their names for the store. Giving a name to the store again
    /// is harmless.
    pub fn descriptors(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        self.kept
            .iter()
            .map(|(name, descriptor)| (name.as_str(), descriptor.as_fd()))
    }

    /// Names of inherited descriptors that no line group asked for. They keep lines requested that nobody drives:
    /// the store should be told to let go of them.
    pub fn leftovers(&self) -> impl Iterator<Item = &str> {
        self.inherited.keys().map(String::as_str)
    }

    fn lines(
        &mut self,
        lines: &[LineRef],
        direction: Direction,
    ) -> Result<Box<dyn Lines>, BusError> {
        let group = LineGroup::open(lines, direction, &mut self.inherited)?;
        for (name, descriptor) in group.descriptors() {
            let copy = descriptor
                .try_clone_to_owned()
                .map_err(|error| BusError::Io {
                    what: format!("keeping descriptor {name}"),
                    error: error.to_string(),
                })?;
            self.kept.push((name.to_owned(), copy));
        }
        Ok(Box::new(group))
    }
}

impl Wiring for KernelWiring {
    fn smbus(&mut self, adapter: &AdapterRef) -> Result<Box<dyn SmBus>, BusError> {
        i2c::open(adapter, &self.lock_dir)
    }

    fn outputs(&mut self, lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError> {
        self.lines(lines, Direction::Outputs)
    }

    fn inputs(&mut self, lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError> {
        self.lines(lines, Direction::Inputs)
    }

    fn clock(&self) -> Box<dyn Clock> {
        (self.clock)()
    }
}
