//! The bus side: I2C transactions in, register accesses out.
//!
//! Written to be called from an interrupt handler or from a virtual bus: one call per transaction, nothing kept
//! half-done between two. A refused frame is counted and changes nothing; a transaction cut short by a dying host is
//! a frame of the wrong length.
//!
//! [`crate::Controller::inputs`] must have been called lately, see there.

use core::fmt;

use crate::Tick;
use crate::command::Refusal;
use crate::machine::Controller;
use crate::registers::{self, BusState};
use crate::window::Window;
use crate::wire::frame::{read_pec, write_pec};
use crate::wire::{Block, LogCursor, Register, Request, Shape};

/// A controller on its bus.
#[derive(Clone, Debug)]
pub struct I2cTarget {
    controller: Controller,
    address: u8,
    selected: Register,
    window: Window,
    bus: BusState,
}

/// A frame that was refused: on a real bus, the last byte is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nack {
    /// Bad PEC, or bad CRC of a window commit.
    BadPec,
    /// No such register, or it cannot be accessed this way.
    BadRegister,
    /// Wrong number of bytes, or a count that is not this register's. A block write without PEC is one.
    BadLength,
}

impl I2cTarget {
    /// `controller` at 7-bit `address` (normally [`crate::wire::ADDRESS`]; it is part of every PEC).
    #[must_use]
    pub fn new(controller: Controller, address: u8) -> Self {
        Self {
            controller,
            address,
            selected: Register::Identity,
            window: Window::new(),
            bus: BusState::new(),
        }
    }

    /// The machine behind the registers.
    #[must_use]
    pub fn controller(&self) -> &Controller {
        &self.controller
    }

    /// The machine behind the registers, to give it inputs and time.
    pub fn controller_mut(&mut self) -> &mut Controller {
        &mut self.controller
    }

    /// Its 7-bit address.
    #[must_use]
    pub fn address(&self) -> u8 {
        self.address
    }

    /// A write: the bytes after the address byte. No byte at all is a probe; the command alone selects what
    /// [`I2cTarget::read`] returns.
    pub fn write(&mut self, now: Tick, bytes: &[u8]) -> Result<(), Nack> {
        self.controller.tick(now);
        let outcome = self.accept(bytes);
        if let Err(nack) = outcome {
            let tally = &mut self.bus.tally;
            let counter = match nack {
                Nack::BadPec => &mut tally.bad_pec,
                Nack::BadRegister => &mut tally.bad_register,
                Nack::BadLength => &mut tally.bad_length,
            };
            *counter = counter.saturating_add(1);
        }
        outcome
    }

    /// A read of the register last selected, as raw bus bytes: `count, data…, pec` for blocks, `low, high, pec` for
    /// words; 0xFF (an idle bus) past the end. A host may stop early.
    pub fn read(&mut self, now: Tick, out: &mut [u8]) {
        self.controller.tick(now);
        out.fill(0xFF);
        if self.selected == Register::WindowData {
            let word = self.window.read();
            let check = read_pec(self.address, self.selected, &word, &[]);
            put(out, word.into_iter().chain([check]));
            return;
        }
        if let Some(block) = registers::read(&self.controller, &self.bus, self.selected) {
            put(out, self.raw_read(self.selected, &block));
        }
    }

    fn accept(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        let Some((code, rest)) = bytes.split_first() else {
            return Ok(());
        };
        let register = Register::from_code(*code).ok_or(Nack::BadRegister)?;
        if rest.is_empty() {
            return self.select(register);
        }
        match register.shape() {
            Shape::ReadBlock(_) => Err(Nack::BadRegister),
            Shape::WriteBlock(_) => self.write_block(register, bytes),
            Shape::WriteByte => {
                let [value] = self.short(bytes)?;
                self.write_byte(register, value)
            }
            Shape::Word => {
                let [low, high] = self.short(bytes)?;
                self.write_word(register, low, high)
            }
        }
    }

    fn select(&mut self, register: Register) -> Result<(), Nack> {
        match register.shape() {
            Shape::ReadBlock(_) => {}
            Shape::Word if register == Register::WindowData => {}
            _ => return Err(Nack::BadRegister),
        }
        self.selected = register;
        Ok(())
    }

    fn write_block(&mut self, register: Register, bytes: &[u8]) -> Result<(), Nack> {
        let [_, count, rest @ ..] = bytes else {
            return Err(Nack::BadLength);
        };
        let (check, data) = rest.split_last().ok_or(Nack::BadLength)?;
        if data.len() != usize::from(*count) {
            return Err(Nack::BadLength);
        }
        let block = Block::from_slice(data).map_err(|_| Nack::BadLength)?;
        self.execute(register, &block, *check)
    }

    /// The one place where an order gets in, by block or by window.
    fn execute(&mut self, register: Register, block: &Block, check: u8) -> Result<(), Nack> {
        let Shape::WriteBlock(length) = register.shape() else {
            return Err(Nack::BadRegister);
        };
        if write_pec_of(self.address, register, block) != check {
            return Err(Nack::BadPec);
        }
        if block.count() != length {
            return Err(Nack::BadLength);
        }
        if register == Register::LogCursor {
            let LogCursor(cursor) = LogCursor::decode(block.as_slice()).ok_or(Nack::BadLength)?;
            self.bus.cursor = cursor;
            return Ok(());
        }
        let (sequence, outcome) = match Request::decode(register, block.as_slice()) {
            Ok(request) => {
                let outcome = self
                    .controller
                    .command(self.controller.now(), request.command);
                (request.sequence, outcome)
            }
            Err(malformed) => (
                malformed.sequence.ok_or(Nack::BadLength)?,
                Err(Refusal::Malformed),
            ),
        };
        self.bus.note(sequence, register, outcome, &self.controller);
        Ok(())
    }

    fn write_byte(&mut self, register: Register, value: u8) -> Result<(), Nack> {
        if register == Register::WindowIndex {
            self.window.set_index(value);
            return Ok(());
        }
        let wanted = Register::from_code(value).ok_or(Nack::BadRegister)?;
        match wanted.shape() {
            Shape::ReadBlock(_) => {
                let block = registers::read(&self.controller, &self.bus, wanted);
                let block = block.ok_or(Nack::BadRegister)?;
                let mut raw = [0xFF; crate::wire::BLOCK_MAX + 2];
                put(&mut raw, self.raw_read(wanted, &block));
                self.window.select(wanted, &raw);
            }
            Shape::WriteBlock(_) => self.window.select(wanted, &[]),
            Shape::WriteByte | Shape::Word => return Err(Nack::BadRegister),
        }
        Ok(())
    }

    fn write_word(&mut self, register: Register, low: u8, high: u8) -> Result<(), Nack> {
        if register == Register::WindowData {
            return self.window.write(low, high).ok_or(Nack::BadLength);
        }
        let (wanted, block) = self.window.take(low).ok_or(Nack::BadLength)?;
        self.execute(wanted, &block, high)
    }

    /// Data of a byte or word write, with or without PEC behind it.
    fn short<const N: usize>(&self, bytes: &[u8]) -> Result<[u8; N], Nack> {
        let (data, check) = bytes
            .split_first()
            .and_then(|(_, rest)| rest.split_first_chunk::<N>())
            .ok_or(Nack::BadLength)?;
        match *check {
            [] => Ok(*data),
            [found] => {
                let body = bytes.split_last().map_or(bytes, |(_, body)| body);
                let expected = write_pec(self.address, body);
                if found == expected {
                    Ok(*data)
                } else {
                    Err(Nack::BadPec)
                }
            }
            _ => Err(Nack::BadLength),
        }
    }

    fn raw_read(&self, register: Register, block: &Block) -> impl Iterator<Item = u8> {
        let check = read_pec(self.address, register, &[block.count()], block.as_slice());
        let data = *block;
        [data.count()]
            .into_iter()
            .chain(
                (0..usize::from(data.count())).filter_map(move |n| data.as_slice().get(n).copied()),
            )
            .chain([check])
    }
}

fn write_pec_of(address: u8, register: Register, block: &Block) -> u8 {
    let frame = crate::wire::write_block(address, register, block);
    frame.as_slice().last().copied().unwrap_or(0)
}

fn put(out: &mut [u8], bytes: impl Iterator<Item = u8>) {
    for (slot, byte) in out.iter_mut().zip(bytes) {
        *slot = byte;
    }
}

impl fmt::Display for Nack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadPec => "the PEC does not match; the frame was disturbed, send it again",
            Self::BadRegister => "no such register, or it cannot be accessed this way",
            Self::BadLength => "wrong number of bytes for this register, or the PEC is missing",
        })
    }
}

impl core::error::Error for Nack {}
