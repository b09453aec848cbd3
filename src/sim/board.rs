//! A whole board under explicit time: bus, lines, controllers, relays, power and faults.
//!
//! It outlives its host, as a controller does: whoever serves it keeps ticking while the host is gone. It
//! never fails by itself; what a host does wrong ends as an event in its journal.

use core::time::Duration;

use embedded_hal::i2c::Operation;

use super::bus::Bus;
use super::chips::{Chip, Drive, Power};
use super::fault::{BoardFault, NotApplicable};
use super::journal::{BoardEvent, BoardFact, Journal};
use super::lines::{BoardLine, LineWire};
use super::port::{HostPort, I2cFault, LineDirection};
use super::relay::Relay;
use crate::board::RelayState;
use crate::node::Instant;

/// Which relay of which chip a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentWire {
    /// Chip index.
    pub chip: usize,
    /// Relay index in the chip.
    pub relay: usize,
}

/// Fence wires as one board drives or sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FenceSignals {
    /// Latch the other one.
    pub order: bool,
    /// Our relays are open and latched.
    pub acknowledge: bool,
}

/// Pins of the chip that holds both ends of the fence wires itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FencePins {
    /// Chip index.
    pub chip: usize,
    /// Input: the peer's order.
    pub order_in: usize,
    /// Input: the peer's acknowledge.
    pub acknowledge_in: usize,
    /// Output: our order.
    pub order_out: usize,
    /// Output: our acknowledge.
    pub acknowledge_out: usize,
}

/// One appliance's board.
pub struct VirtualBoard {
    pub(super) chips: Vec<Box<dyn Chip>>,
    pub(super) bus: Bus,
    pub(super) lines: Vec<BoardLine>,
    pub(super) segments: Vec<SegmentWire>,
    pub(super) fence: Option<FencePins>,
    pub(super) journal: Journal,
    pub(super) power: Power,
    pub(super) nack_burst: u32,
    pub(super) stuck: bool,
    pub(super) delay: Duration,
}

impl Default for VirtualBoard {
    fn default() -> Self {
        Self::bare()
    }
}

impl VirtualBoard {
    /// A powered board with nothing on it; parts are added with `add_*`.
    pub fn bare() -> Self {
        Self {
            chips: Vec::new(),
            bus: Bus::default(),
            lines: Vec::new(),
            segments: Vec::new(),
            fence: None,
            journal: Journal::default(),
            power: Power::On,
            nack_burst: 0,
            stuck: false,
            delay: Duration::ZERO,
        }
    }

    /// Adds a controller; its index.
    pub fn add_chip(&mut self, chip: Box<dyn Chip>) -> usize {
        self.chips.push(chip);
        self.chips.len() - 1
    }

    /// Puts a controller on the bus, behind muxes or (with an empty path) on the root.
    pub fn add_to_bus(&mut self, path: &[(u8, u8)], address: u8, chip: usize) {
        self.bus.attach(path, address, chip);
    }

    /// Adds a line; its offset.
    pub fn add_line(&mut self, line: BoardLine) -> usize {
        self.lines.push(line);
        self.lines.len() - 1
    }

    /// Says which relay the next segment is.
    pub fn add_segment(&mut self, chip: usize, relay: usize) {
        self.segments.push(SegmentWire { chip, relay });
    }

    /// Number of segments.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// True position of a segment's data contacts as of the last tick; `Unknown` if there is none.
    pub fn segment_state(&self, segment: usize) -> RelayState {
        self.relay(segment)
            .map_or(RelayState::Unknown, Relay::contacts)
    }

    /// A segment's relay.
    pub fn relay(&self, segment: usize) -> Option<&Relay> {
        let wire = self.segments.get(segment)?;
        self.chips.get(wire.chip)?.body().relays.get(wire.relay)
    }

    /// The state machine of our own controller, for checkers; none on other boards, off, or hung.
    pub fn firmware(&self) -> Option<&fencepost_firmware::Controller> {
        self.chips.iter().find_map(|chip| chip.firmware())
    }

    /// When something next happens on the board by itself.
    pub fn deadline(&self) -> Option<Instant> {
        let timers = self.chips.iter().filter_map(|chip| chip.deadline());
        let relays = self.chips.iter().flat_map(|chip| &chip.body().relays);
        timers.chain(relays.filter_map(Relay::deadline)).min()
    }

    /// How long every bus transaction must take on top: the server sleeps it, a simulated clock adds it.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Power of the controllers comes or goes.
    pub fn power(&mut self, now: Instant, power: Power) {
        self.tick(now);
        if self.power == power {
            return;
        }
        self.power = power;
        let fact = match power {
            Power::On => BoardFact::PowerOn,
            Power::Off => BoardFact::PowerOff,
        };
        self.journal.note(now, fact);
        self.bus.reset();
        for chip in &mut self.chips {
            chip.power(now, power);
        }
        // Lines the host holds reach a board that has power again.
        for line in 0..self.lines.len() {
            self.drive_line(now, line);
        }
        self.collect();
    }

    /// The host was reset: it holds no line any more. Controllers keep their power.
    pub fn host_reset(&mut self, now: Instant) {
        self.tick(now);
        self.journal.note(now, BoardFact::HostReset);
        for line in 0..self.lines.len() {
            self.line_direction(now, line, LineDirection::Released);
        }
    }

    /// Presses or lets go of a button.
    ///
    /// # Errors
    /// If the board has no such button.
    pub fn button(&mut self, name: &str, pressed: bool) -> Result<(), NotApplicable> {
        let found =
            (self.lines.iter_mut()).find(|line| line.name == name && line.wire == LineWire::Button);
        let Some(line) = found else {
            return Err(NotApplicable::new(format!("button {name}"), "no such line"));
        };
        line.board_active = pressed;
        Ok(())
    }

    /// Whether an LED is lit; `None` if the board has no such LED.
    pub fn led(&self, name: &str) -> Option<bool> {
        (self.lines.iter())
            .find(|line| line.name == name && line.wire == LineWire::Led)
            .map(|line| line.drive() == Drive::Active)
    }

    /// Whether another consumer holds a line, so that a server can report it busy.
    pub fn line_busy(&self, line: usize) -> bool {
        self.lines.get(line).is_some_and(|line| line.busy)
    }

    /// What this board puts on its fence wires.
    pub fn fence_out(&self) -> FenceSignals {
        if let Some(pins) = self.fence {
            let asserts = |pin| {
                self.chips
                    .get(pins.chip)
                    .is_some_and(|chip| chip.asserts(pin))
            };
            return FenceSignals {
                order: asserts(pins.order_out),
                acknowledge: asserts(pins.acknowledge_out),
            };
        }
        let drives = |wire| {
            (self.lines.iter()).any(|line| line.wire == wire && line.drive() == Drive::Active)
        };
        FenceSignals {
            order: drives(LineWire::FenceOrder),
            acknowledge: false,
        }
    }

    /// What arrives on its fence wires.
    pub fn set_fence_in(&mut self, now: Instant, signals: FenceSignals) {
        self.tick(now);
        if let Some(pins) = self.fence
            && let Some(chip) = self.chips.get_mut(pins.chip)
        {
            chip.drive(now, pins.order_in, drive_of(signals.order));
            chip.drive(now, pins.acknowledge_in, drive_of(signals.acknowledge));
        }
        for line in &mut self.lines {
            if line.wire == LineWire::FenceAcknowledge {
                line.board_active = signals.acknowledge;
            }
        }
        self.collect();
    }

    /// Events since the last call, in order of time.
    pub fn take_log(&mut self) -> Vec<BoardEvent> {
        self.collect();
        self.journal.take()
    }

    /// Lets a fault begin; one-shot faults happen now.
    ///
    /// # Errors
    /// If the board has no part in which it could happen.
    pub fn inject(&mut self, now: Instant, fault: BoardFault) -> Result<(), NotApplicable> {
        self.tick(now);
        self.set_fault(now, &fault, true)?;
        self.journal.note(now, BoardFact::FaultInjected { fault });
        self.collect();
        Ok(())
    }

    /// Ends a fault; the payload only says which one.
    ///
    /// # Errors
    /// If the board has no part in which it could have happened.
    pub fn clear(&mut self, now: Instant, fault: BoardFault) -> Result<(), NotApplicable> {
        self.tick(now);
        self.set_fault(now, &fault, false)?;
        self.journal.note(now, BoardFact::FaultCleared { fault });
        self.collect();
        Ok(())
    }

    /// Moves what the chips report into the journal.
    pub(super) fn collect(&mut self) {
        for (index, chip) in self.chips.iter_mut().enumerate() {
            // Called several times in every transaction, and nearly always for nothing.
            if !chip.body().has_news() {
                continue;
            }
            let body = chip.body_mut();
            for (at, fact) in body.take_facts() {
                self.journal.note(at, fact);
            }
            for (relay, coil) in body.relays.iter_mut().enumerate() {
                if !coil.has_moved() {
                    continue;
                }
                let wire = SegmentWire { chip: index, relay };
                // A pair the profile does not name has no one to tell.
                let Some(segment) = self.segments.iter().position(|known| *known == wire) else {
                    coil.take_moves();
                    continue;
                };
                for moved in coil.take_moves() {
                    let fact = BoardFact::RelayMoved {
                        segment,
                        from: moved.from,
                        to: moved.to,
                        cause: moved.cause,
                        commanded_at: moved.commanded_at,
                    };
                    self.journal.note(moved.at, fact);
                }
            }
        }
    }

    pub(super) fn drive_line(&mut self, now: Instant, line: usize) {
        if let Some(line) = self.lines.get(line)
            && let LineWire::ToChip { chip, pin } = line.wire
            && !line.busy
            && self.power == Power::On
            && let Some(chip) = self.chips.get_mut(chip)
        {
            chip.drive(now, pin, line.drive());
            self.collect();
        }
    }
}

impl HostPort for VirtualBoard {
    fn i2c(
        &mut self,
        now: Instant,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), I2cFault> {
        self.tick(now);
        if self.stuck {
            self.journal.note(now, BoardFact::BusHung { address });
            return Err(I2cFault::Stuck);
        }
        let outcome = if self.nack_burst > 0 {
            self.nack_burst -= 1;
            Err(I2cFault::Nack)
        } else if self.power == Power::Off {
            Err(I2cFault::Nack)
        } else {
            let (chips, journal) = (&mut self.chips, &mut self.journal);
            self.bus.transact(now, address, operations, chips, journal)
        };
        self.collect();
        if outcome == Err(I2cFault::Nack) {
            self.journal.note(now, BoardFact::Nacked { address });
        }
        outcome
    }

    fn line_names(&self) -> Vec<String> {
        self.lines.iter().map(|line| line.name.clone()).collect()
    }

    fn line_direction(&mut self, now: Instant, line: usize, direction: LineDirection) {
        self.tick(now);
        if let Some(line) = self.lines.get_mut(line) {
            line.direction = direction;
        }
        self.drive_line(now, line);
    }

    fn line_set(&mut self, now: Instant, line: usize, level: bool) {
        self.tick(now);
        if let Some(line) = self.lines.get_mut(line) {
            line.level = level;
        }
        self.drive_line(now, line);
    }

    fn line_get(&mut self, now: Instant, line: usize) -> bool {
        self.tick(now);
        let Some(line) = self.lines.get(line) else {
            return false;
        };
        if line.direction == LineDirection::Output {
            return line.level;
        }
        let active = match line.wire {
            LineWire::FromChip { chip, pin } => {
                self.power == Power::On && self.chips.get(chip).is_some_and(|c| c.asserts(pin))
            }
            LineWire::Button | LineWire::FenceAcknowledge => line.board_active,
            LineWire::ToChip { .. } | LineWire::Led | LineWire::FenceOrder => false,
        };
        line.level_of(active)
    }

    fn transaction_delay(&self) -> Duration {
        self.delay()
    }

    fn tick(&mut self, now: Instant) {
        for chip in &mut self.chips {
            chip.tick(now);
        }
        self.collect();
    }
}

fn drive_of(active: bool) -> Drive {
    if active {
        Drive::Active
    } else {
        Drive::Inactive
    }
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
