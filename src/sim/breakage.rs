//! How each fault takes hold of a board, and lets go.

use core::time::Duration;

use super::board::VirtualBoard;
use super::bus::Noise;
use super::chips::{Chip, Health, Power};
use super::fault::{BoardFault, NotApplicable};
use crate::node::Instant;

impl VirtualBoard {
    pub(super) fn set_fault(
        &mut self,
        now: Instant,
        fault: &BoardFault,
        begins: bool,
    ) -> Result<(), NotApplicable> {
        match fault {
            BoardFault::NackBurst { transactions } => {
                self.nack_burst = if begins { *transactions } else { 0 };
            }
            BoardFault::BusStuck => self.stuck = begins,
            BoardFault::BusSlow { delay } => {
                self.delay = if begins { *delay } else { Duration::ZERO };
            }
            BoardFault::Relay { segment, fault } => {
                let (chip, relay) = self.part(*segment)?;
                if let Some(relay) = chip.body_mut().relays.get_mut(relay) {
                    relay.set_fault(now, begins.then_some(*fault));
                }
            }
            BoardFault::ReadBackLies { segment, shows } => {
                let (chip, relay) = self.part(*segment)?;
                chip.lie(relay, begins.then_some(*shows))?;
            }
            BoardFault::ControllerReset => self.restart(now, begins)?,
            BoardFault::ControllerDead => self.die(now, begins)?,
            BoardFault::FlipBit { replies, bit } => {
                self.needs_bus("bit flips")?;
                let replies = if begins { *replies } else { 0 };
                self.bus.noise = Noise { replies, bit: *bit };
            }
            BoardFault::ExternalWrite { segment, state } => {
                let (chip, relay) = self.part(*segment)?;
                if begins {
                    chip.external_write(now, relay, *state)?;
                }
            }
            BoardFault::LineBusy { line } => {
                let found = self.lines.iter().position(|known| known.name == *line);
                let Some(index) = found else {
                    return Err(NotApplicable::new(format!("busy {line}"), "no such line"));
                };
                self.lines[index].busy = begins;
                // Free again: what the host holds reaches the board.
                self.drive_line(now, index);
            }
        }
        Ok(())
    }

    fn part(&mut self, segment: usize) -> Result<(&mut Box<dyn Chip>, usize), NotApplicable> {
        let missing =
            || NotApplicable::new(format!("fault of segment {segment}"), "no such segment");
        let wire = *self.segments.get(segment).ok_or_else(missing)?;
        let chip = self.chips.get_mut(wire.chip).ok_or_else(missing)?;
        Ok((chip, wire.relay))
    }

    fn needs_bus(&self, what: &str) -> Result<(), NotApplicable> {
        if self.bus.is_empty() {
            return Err(NotApplicable::new(what, "nothing is on the I2C bus"));
        }
        Ok(())
    }

    fn needs_chip(&self, what: &str) -> Result<(), NotApplicable> {
        if self.chips.is_empty() {
            return Err(NotApplicable::new(what, "there is no controller"));
        }
        Ok(())
    }

    fn restart(&mut self, now: Instant, begins: bool) -> Result<(), NotApplicable> {
        self.needs_chip("controller reset")?;
        if begins && self.power == Power::On {
            self.chips
                .iter_mut()
                .for_each(|chip| chip.power(now, Power::On));
        }
        Ok(())
    }

    fn die(&mut self, now: Instant, begins: bool) -> Result<(), NotApplicable> {
        self.needs_chip("controller death")?;
        for chip in &mut self.chips {
            if begins {
                chip.die(now);
            } else if chip.body().health == Health::Dead {
                // Nothing but a restart revives a hung controller.
                chip.power(now, Power::On);
            }
        }
        Ok(())
    }
}
