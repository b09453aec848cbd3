//! The simplest board: a patch cable and a memory chip. For looking at the rig itself.
//!
//! Lines 0-7 are patched to lines 8-15: what is driven on one is read on the other; an end nobody drives reads low.
//! At I2C address [`MEMORY_ADDRESS`] answer 256 registers with an address pointer, as of a small EEPROM.

use embedded_hal::i2c::Operation;
use fencepost::node::Instant;
use fencepost::sim::port::{HostPort, I2cFault, LineDirection};

/// Where the memory answers.
pub const MEMORY_ADDRESS: u8 = 0x42;
/// Number of lines: two ends of eight wires.
pub const LINES: usize = 16;

/// The board.
pub struct Bench {
    registers: [u8; 256],
    pointer: u8,
    directions: [LineDirection; LINES],
    levels: [bool; LINES],
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            registers: [0; 256],
            pointer: 0,
            directions: [LineDirection::Released; LINES],
            levels: [false; LINES],
        }
    }
}

impl HostPort for Bench {
    fn i2c(
        &mut self,
        _now: Instant,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), I2cFault> {
        if address != MEMORY_ADDRESS {
            return Err(I2cFault::Nack);
        }
        for operation in operations {
            match operation {
                Operation::Write([pointer, values @ ..]) => {
                    self.pointer = *pointer;
                    for value in values.iter() {
                        self.registers[usize::from(self.pointer)] = *value;
                        self.pointer = self.pointer.wrapping_add(1);
                    }
                }
                Operation::Write([]) => {}
                Operation::Read(values) => {
                    for value in values.iter_mut() {
                        *value = self.registers[usize::from(self.pointer)];
                        self.pointer = self.pointer.wrapping_add(1);
                    }
                }
            }
        }
        Ok(())
    }

    fn line_names(&self) -> Vec<String> {
        (0..LINES).map(|line| format!("bench-{line}")).collect()
    }

    fn line_direction(&mut self, _now: Instant, line: usize, direction: LineDirection) {
        self.directions[line] = direction;
    }

    fn line_set(&mut self, _now: Instant, line: usize, level: bool) {
        self.levels[line] = level;
    }

    fn line_get(&mut self, _now: Instant, line: usize) -> bool {
        let driven =
            |line: usize| self.directions[line] == LineDirection::Output && self.levels[line];
        driven(line) || driven((line + LINES / 2) % LINES)
    }

    fn tick(&mut self, _now: Instant) {}
}
