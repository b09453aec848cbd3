//! What a driver of the simulated host holds of its board: a bus, lines, and a clock that its delays advance.
//!
//! Every transaction passes through [`Shop::begin`], so that it takes time, can be interrupted, and reaches a
//! board that has lived until then.

use std::sync::{Arc, Mutex};

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{Error, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

use super::board::VirtualBoard;
use super::ideal::lock;
use super::plant::{Hardware, Shop};
use super::port::{HostPort as _, I2cFault, LineDirection};
use crate::board::bus::{BusError, Clock, Lines, SmBus};
use crate::board::open::Wiring;
use crate::board::plain_i2c::{Alone, PlainI2c};
use crate::board::profile::{Active, AdapterRef, LineRef};
use crate::node::Instant;

/// An adapter gives up on a hung bus after this.
const BUS_TIMEOUT: core::time::Duration = core::time::Duration::from_millis(30);

/// The way from a driver to the board.
pub(super) struct Hands(pub(super) Arc<Mutex<Shop>>);

impl Wiring for Hands {
    fn smbus(&mut self, _adapter: &AdapterRef) -> Result<Box<dyn SmBus>, BusError> {
        Ok(Box::new(PlainI2c::new(
            SimBus(self.0.clone()),
            Alone,
            "sim",
        )))
    }

    fn outputs(&mut self, lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError> {
        SimLines::request(&self.0, lines, LineDirection::Output)
    }

    fn inputs(&mut self, lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError> {
        SimLines::request(&self.0, lines, LineDirection::Input)
    }

    fn clock(&self) -> Box<dyn Clock> {
        Box::new(SimClock(self.0.clone()))
    }
}

impl Shop {
    /// One transaction with the board.
    fn transact<T>(&mut self, verb: impl FnOnce(&mut VirtualBoard, Instant) -> T) -> Option<T> {
        let now = self.begin()?;
        match &mut self.plant.hardware {
            Hardware::Board(board) => Some(verb(board, now)),
            Hardware::Ideal(_) => None,
        }
    }
}

/// The host's adapter.
struct SimBus(Arc<Mutex<Shop>>);

/// What the adapter reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SimBusError {
    Fault(I2cFault),
    /// There is no host any more.
    Gone,
}

impl Error for SimBusError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Fault(I2cFault::Nack) => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            Self::Fault(I2cFault::Stuck) => ErrorKind::Bus,
            Self::Gone => ErrorKind::Other,
        }
    }
}

impl ErrorType for SimBus {
    type Error = SimBusError;
}

impl I2c for SimBus {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), SimBusError> {
        let mut shop = lock(&self.0);
        let outcome = shop.transact(|board, now| board.i2c(now, address, operations));
        if outcome == Some(Err(I2cFault::Stuck)) {
            shop.pass(BUS_TIMEOUT);
        }
        outcome
            .ok_or(SimBusError::Gone)?
            .map_err(SimBusError::Fault)
    }
}

/// The host's clock, as a job on the controller thread sees it.
struct SimClock(Arc<Mutex<Shop>>);

impl DelayNs for SimClock {
    fn delay_ns(&mut self, ns: u32) {
        lock(&self.0).pass(core::time::Duration::from_nanos(ns.into()));
    }
}

impl Clock for SimClock {
    fn now(&self) -> Instant {
        lock(&self.0).host_now()
    }
}

/// Lines held by the host.
struct SimLines {
    shop: Arc<Mutex<Shop>>,
    names: Vec<String>,
    lines: Vec<(usize, Active)>,
}

impl SimLines {
    fn request(
        shop: &Arc<Mutex<Shop>>,
        wanted: &[LineRef],
        direction: LineDirection,
    ) -> Result<Box<dyn Lines>, BusError> {
        let mut guard = lock(shop);
        let known = guard
            .transact(|board, _| board.line_names())
            .ok_or_else(gone)?;
        let mut lines = Vec::with_capacity(wanted.len());
        for line in wanted {
            let index = known.iter().position(|name| *name == line.name);
            let absent = || BusError::Absent {
                what: format!("line {}", line.name),
                advice: "see `gpioinfo`".to_owned(),
            };
            lines.push((index.ok_or_else(absent)?, line.active));
        }
        let taken = guard.transact(|board, now| {
            for (line, _) in &lines {
                if direction == LineDirection::Output {
                    let level = board.line_get(now, *line);
                    board.line_set(now, *line, level);
                }
                board.line_direction(now, *line, direction);
            }
        });
        taken.ok_or_else(gone)?;
        drop(guard);
        Ok(Box::new(Self {
            shop: shop.clone(),
            names: wanted.iter().map(|line| line.name.clone()).collect(),
            lines,
        }))
    }
}

impl Lines for SimLines {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn set(&mut self, levels: &[bool]) -> Result<(), BusError> {
        let done = lock(&self.shop).transact(|board, now| {
            for ((line, active), asserted) in self.lines.iter().zip(levels) {
                board.line_set(now, *line, *asserted == (*active == Active::High));
            }
        });
        done.ok_or_else(gone)
    }

    fn get(&mut self) -> Result<Vec<bool>, BusError> {
        let levels = lock(&self.shop).transact(|board, now| {
            let asserted = |(line, active): &(usize, Active)| {
                board.line_get(now, *line) == (*active == Active::High)
            };
            self.lines.iter().map(asserted).collect()
        });
        levels.ok_or_else(gone)
    }
}

impl Drop for SimLines {
    /// Descriptors close, unless somebody keeps them.
    fn drop(&mut self) {
        let mut shop = lock(&self.shop);
        if shop.keeps_lines {
            return;
        }
        let shop = &mut *shop;
        let now = shop.plant.board_time(shop.plant.lived_until);
        if let Hardware::Board(board) = &mut shop.plant.hardware {
            for (line, _) in &self.lines {
                board.line_direction(now, *line, LineDirection::Released);
            }
        }
    }
}

fn gone() -> BusError {
    BusError::Io {
        what: "line".to_owned(),
        error: "the process is gone".to_owned(),
    }
}
