//! Ways into the reference controller's registers: block transfers, or the window where the adapter has none.
//!
//! Both carry the same bytes under the same packet error code, so what is above does not know which one is used.
//! The first transaction the adapter cannot do changes over for good; that costs one failed call per process.
//!
//! An order carries a number. When the bus fails after the order was sent, nobody knows whether it was executed;
//! so the answer register is read *before* the order is sent again, and an answer with our number ends the matter.
//! Sending a close twice would otherwise turn a success into "ticket was used".

use fencepost_firmware::command::Reply;
use fencepost_firmware::wire::report::Report;
use fencepost_firmware::wire::{
    Block, OrderResult, Register, Request, parse_block, write_block as write_frame,
};
use fencepost_firmware::{Command, Refusal};

use super::super::bus::{BusError, Pec, SmBus};
use super::super::controller::Fault;
use super::super::retrying::Retrying;
use crate::node::Instant;

/// The controller's registers.
pub(super) struct Transport {
    pub(super) io: Retrying,
    address: u8,
    way: Way,
    sequence: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Blocks,
    Window,
}

/// An order's outcome, and the controller's tick at which it was executed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) reply: Result<Reply, Refusal>,
    pub(super) tick: u64,
    /// Node time at which the answer was in; the tick is older than that.
    pub(super) seen: Instant,
}

impl Transport {
    pub(super) fn new(io: Retrying, address: u8) -> Self {
        // Two agents, or one and its successor, must not take each other's answers for their own. The low bits of
        // a nanosecond clock are as good as dice for that.
        let [low, high, ..] = io.now().as_nanos().wrapping_div(1_000).to_le_bytes();
        let sequence = u16::from_le_bytes([low, high]);
        Self {
            io,
            address,
            way: Way::Blocks,
            sequence,
        }
    }

    /// Read a register, and say when the answer was in.
    pub(super) fn read<R: Report>(&mut self) -> Result<(R, Instant), Fault> {
        let (way, address) = (&mut self.way, self.address);
        let report = self.io.attempt(|bus| read::<R>(way, bus, address))?;
        Ok((report, self.io.now()))
    }

    /// Give an order. `before` bounds when it may still be sent.
    pub(super) fn order(
        &mut self,
        command: Command,
        before: Option<Instant>,
    ) -> Result<Outcome, Fault> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = Request {
            sequence: self.sequence,
            command,
        };
        let (way, address) = (&mut self.way, self.address);
        let mut sent = false;
        let sequence = |bus: &mut dyn SmBus| {
            if sent && let Ok(answer) = answer(way, bus, address, request) {
                return Ok(answer);
            }
            sent = true;
            write(way, bus, address, request.register(), &request.encode())?;
            answer(way, bus, address, request)
        };
        let (reply, tick) = match before {
            Some(limit) => self.io.attempt_before(limit, sequence)?,
            None => self.io.attempt(sequence)?,
        };
        Ok(Outcome {
            reply,
            tick,
            seen: self.io.now(),
        })
    }
}

/// The answer to this very request.
fn answer(
    way: &mut Way,
    bus: &mut dyn SmBus,
    address: u8,
    request: Request,
) -> Result<(Result<Reply, Refusal>, u64), Fault> {
    let result: OrderResult = read(way, bus, address)?;
    match result.outcome {
        Some(reply)
            if result.sequence == request.sequence
                && result.register == request.register().code() =>
        {
            Ok((reply, result.tick))
        }
        _ => Err(Fault::Integrity {
            what: "answer of the controller (RESULT)".to_owned(),
            expected: format!("order {} to {:?}", request.sequence, request.register()),
            got: format!(
                "order {} to register 0x{:02x}",
                result.sequence, result.register
            ),
        }),
    }
}

fn read<R: Report>(way: &mut Way, bus: &mut dyn SmBus, address: u8) -> Result<R, Fault> {
    let register = R::REGISTER;
    let payload = match *way {
        Way::Blocks => match bus.block_read(address, register.code(), Pec::Checked) {
            Err(BusError::Unsupported { .. }) => {
                *way = Way::Window;
                read_window(bus, address, register)?
            }
            outcome => outcome?,
        },
        Way::Window => read_window(bus, address, register)?,
    };
    R::decode(&payload).ok_or_else(|| Fault::Integrity {
        what: format!("register {register:?} of the controller"),
        expected: "protocol version 1".to_owned(),
        got: format!("{} bytes that mean nothing in it", payload.len()),
    })
}

fn write(
    way: &mut Way,
    bus: &mut dyn SmBus,
    address: u8,
    register: Register,
    block: &Block,
) -> Result<(), Fault> {
    if *way == Way::Blocks {
        match bus.block_write(address, register.code(), block.as_slice(), Pec::Checked) {
            Err(BusError::Unsupported { .. }) => *way = Way::Window,
            outcome => return Ok(outcome?),
        }
    }
    write_window(bus, address, register, block)
}

/// Select, then one word per byte; the bytes end with the code a block read would have had.
fn read_window(bus: &mut dyn SmBus, address: u8, register: Register) -> Result<Vec<u8>, Fault> {
    bus.write_byte_data(address, Register::WindowSelect.code(), register.code())?;
    let count = window_byte(bus, address, 0)?;
    let mut raw = vec![count];
    for index in 1..=count.saturating_add(1) {
        raw.push(window_byte(bus, address, index)?);
    }
    let block = parse_block(address, register, &raw).map_err(|error| Fault::Integrity {
        what: "window of the controller".to_owned(),
        expected: "a complete register".to_owned(),
        got: error.to_string(),
    })?;
    Ok(block.as_slice().to_vec())
}

fn window_byte(bus: &mut dyn SmBus, address: u8, index: u8) -> Result<u8, Fault> {
    let word = bus.read_word_data(address, Register::WindowData.code())?;
    let [byte, at] = word.to_le_bytes();
    if at == index {
        return Ok(byte);
    }
    Err(Fault::Integrity {
        what: "place in the controller's window".to_owned(),
        expected: index.to_string(),
        got: format!("{at}: a word was lost or read twice"),
    })
}

fn write_window(
    bus: &mut dyn SmBus,
    address: u8,
    register: Register,
    block: &Block,
) -> Result<(), Fault> {
    let frame = write_frame(address, register, block);
    let code = frame.as_slice().last().copied().unwrap_or(0);
    bus.write_byte_data(address, Register::WindowSelect.code(), register.code())?;
    for (index, byte) in (0_u8..).zip(block.as_slice()) {
        let word = u16::from_le_bytes([*byte, index]);
        bus.write_word_data(address, Register::WindowData.code(), word)?;
    }
    let commit = u16::from_le_bytes([block.count(), code]);
    Ok(bus.write_word_data(address, Register::WindowCommit.code(), commit)?)
}
