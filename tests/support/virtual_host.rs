//! A host's hands on a virtual board, under simulated time: the third wiring, beside the kernel's and the socket's.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use fencepost::board::bus::{BusError, Clock, Lines, SmBus};
use fencepost::board::open::Wiring;
use fencepost::board::plain_i2c::{Alone, PlainI2c};
use fencepost::board::profile::{Active, AdapterRef, LineRef};
use fencepost::node::Instant;
use fencepost::sim::VirtualBoard;
use fencepost::sim::port::{HostPort, I2cFault, LineDirection};

/// What one bus transaction takes: a word at 100 kHz.
const TRANSACTION: Duration = Duration::from_micros(500);

/// What an adapter takes to give up on a stuck bus.
const GIVE_UP: Duration = Duration::from_millis(50);

/// A board, its time, and everybody who holds it.
#[derive(Clone)]
pub(crate) struct Host(Arc<Mutex<State>>);

struct State {
    board: VirtualBoard,
    now: Instant,
    blocks: bool,
}

impl Host {
    /// `blocks`: whether the adapter has block transfers.
    pub(crate) fn new(board: VirtualBoard, blocks: bool) -> Self {
        let now = Instant::from_millis(60_000);
        let host = Self(Arc::new(Mutex::new(State { board, now, blocks })));
        host.pass(Duration::ZERO);
        host
    }

    pub(crate) fn now(&self) -> Instant {
        self.state().now
    }

    /// Time passes; the board does what it does at each instant.
    pub(crate) fn pass(&self, span: Duration) {
        self.state().pass(span);
    }

    /// The board itself.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut VirtualBoard, Instant) -> T) -> T {
        let mut state = self.state();
        let now = state.now;
        act(&mut state.board, now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        // Our own controller counts milliseconds, so it is shown each of them.
        while self.now < end {
            self.now = (self.now + Duration::from_millis(1)).min(end);
            self.board.tick(self.now);
        }
        self.board.tick(self.now);
    }
}

impl Wiring for Host {
    fn smbus(&mut self, _adapter: &AdapterRef) -> Result<Box<dyn SmBus>, BusError> {
        let blocks = self.state().blocks;
        let bus = PlainI2c::new(Bus(self.clone()), Alone, "virtual bus");
        Ok(if blocks {
            Box::new(bus)
        } else {
            Box::new(bus.without_blocks())
        })
    }

    fn outputs(&mut self, lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError> {
        let group = Group::new(self, lines)?;
        // As they are: a line that an earlier agent still holds keeps its level.
        let levels = group.levels();
        for (line, level) in group.offsets.iter().zip(levels) {
            self.with(|board, now| board.line_set(now, *line, level));
        }
        group.request(LineDirection::Output);
        Ok(Box::new(group))
    }

    fn inputs(&mut self, lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError> {
        let group = Group::new(self, lines)?;
        group.request(LineDirection::Input);
        Ok(Box::new(group))
    }

    fn clock(&self) -> Box<dyn Clock> {
        Box::new(self.clone())
    }
}

impl DelayNs for Host {
    fn delay_ns(&mut self, ns: u32) {
        self.pass(Duration::from_nanos(ns.into()));
    }
}

impl Clock for Host {
    fn now(&self) -> Instant {
        Host::now(self)
    }
}

struct Bus(Host);

impl ErrorType for Bus {
    type Error = ErrorKind;
}

impl I2c for Bus {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        let slow = self.0.with(|board, _| board.delay());
        self.0.pass(TRANSACTION + slow);
        let outcome = self
            .0
            .with(|board, now| board.i2c(now, address, operations));
        match outcome {
            Ok(()) => Ok(()),
            Err(I2cFault::Nack) => Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown)),
            Err(I2cFault::Stuck) => {
                self.0.pass(GIVE_UP);
                Err(ErrorKind::Bus)
            }
        }
    }
}

/// Requested lines; they float when the group is dropped.
struct Group {
    host: Host,
    names: Vec<String>,
    actives: Vec<Active>,
    offsets: Vec<usize>,
}

impl Group {
    fn new(host: &Host, lines: &[LineRef]) -> Result<Self, BusError> {
        let all = host.with(|board, _| board.line_names());
        let offset = |line: &LineRef| {
            let found = all.iter().position(|name| *name == line.name);
            found.ok_or_else(|| BusError::Absent {
                what: format!("GPIO line `{}`", line.name),
                advice: all.join(", "),
            })
        };
        Ok(Self {
            host: host.clone(),
            names: lines.iter().map(|line| line.name.clone()).collect(),
            actives: lines.iter().map(|line| line.active).collect(),
            offsets: lines.iter().map(offset).collect::<Result<_, _>>()?,
        })
    }

    fn request(&self, direction: LineDirection) {
        for line in &self.offsets {
            self.host
                .with(|board, now| board.line_direction(now, *line, direction));
        }
    }

    fn levels(&self) -> Vec<bool> {
        let level = |line: &usize| self.host.with(|board, now| board.line_get(now, *line));
        self.offsets.iter().map(level).collect()
    }
}

impl Lines for Group {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn set(&mut self, levels: &[bool]) -> Result<(), BusError> {
        for ((line, active), level) in self.offsets.iter().zip(&self.actives).zip(levels) {
            let physical = *level == (*active == Active::High);
            self.host
                .with(|board, now| board.line_set(now, *line, physical));
        }
        Ok(())
    }

    fn get(&mut self) -> Result<Vec<bool>, BusError> {
        let levels = self.levels();
        let pairs = levels.iter().zip(&self.actives);
        Ok(pairs
            .map(|(level, active)| *level == (*active == Active::High))
            .collect())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.request(LineDirection::Released);
    }
}
