//! virtio I2C (device 34): the board's bus as `/dev/i2c-0` of the guest.
//!
//! The guest sends each message of a transaction as one request and links them with *fail next*; here they become one
//! transaction again, so that a repeated START is one. What virtio-i2c cannot say: *why* a transaction failed. "No
//! acknowledge" and "bus stuck" are one error status; the guest's driver then returns **fewer messages than asked, without an
//! error number**: `I2C_RDWR` gives 0, the SMBus calls give `EIO`. An agent must count what `I2C_RDWR` returns.
//! SMBus calls reach us as plain messages: the adapter says it can do both. [`Shape::SmbusOnly`] refuses all that a
//! pure SMBus adapter could not have sent.

use std::io::Read;

use embedded_hal::i2c::Operation;
use vm_memory::Bytes;

use super::device::{Chain, Device};
use crate::board::Board;

/// `VIRTIO_I2C_F_ZERO_LENGTH_REQUEST`: mandatory for the guest's driver.
const ZERO_LENGTH_REQUEST: u64 = 1;
const FLAG_FAIL_NEXT: u32 = 1;
const FLAG_READ: u32 = 2;
const STATUS_OK: u8 = 0;
const STATUS_ERROR: u8 = 1;
/// Longest block of SMBus 2, with command, count and PEC.
const SMBUS_LONGEST: usize = 32 + 3;

/// Which transactions the adapter accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// Any.
    #[default]
    Plain,
    /// Only what SMBus knows: one message, or a command followed by a read; at most a block long.
    SmbusOnly,
}

impl Shape {
    /// Whether the adapter can do a transaction of these messages: whether each is a read, and its length in bytes.
    pub fn accepts(self, messages: &[(bool, usize)]) -> bool {
        let short = messages.iter().all(|(_, length)| *length <= SMBUS_LONGEST);
        let known = match messages {
            [_] => true,
            [(false, 1), (true, _)] => true,
            // Process call: a command and a word, then the answering word.
            [(false, 3), (true, 2 | 3)] => true,
            _ => false,
        };
        self == Self::Plain || (short && known)
    }
}

/// The device.
pub struct I2c {
    board: Board,
    shape: Shape,
}

/// One message of the guest.
struct Message {
    head: u16,
    address: u8,
    read: bool,
    bytes: Vec<u8>,
    last: bool,
    chain: Chain,
}

impl I2c {
    /// The board's bus.
    pub fn new(board: Board, shape: Shape) -> Self {
        Self { board, shape }
    }

    /// One START … STOP. Returns the bytes written to each request.
    fn transact(&mut self, messages: &mut [Message]) -> Vec<(u16, u32)> {
        let status = if self.accepts(messages) {
            self.on_bus(messages)
        } else {
            STATUS_ERROR
        };
        messages
            .iter()
            .map(|message| (message.head, message.reply(status)))
            .collect()
    }

    fn accepts(&self, messages: &[Message]) -> bool {
        let shapes: Vec<_> = messages
            .iter()
            .map(|message| (message.read, message.bytes.len()))
            .collect();
        self.shape.accepts(&shapes)
    }

    fn on_bus(&self, messages: &mut [Message]) -> u8 {
        let Some(address) = messages.first().map(|message| message.address) else {
            return STATUS_ERROR;
        };
        let mut operations: Vec<Operation<'_>> = messages
            .iter_mut()
            .map(|message| match message.read {
                true => Operation::Read(&mut message.bytes),
                false => Operation::Write(&message.bytes),
            })
            .collect();
        match self.board.i2c(address, &mut operations) {
            Ok(()) => STATUS_OK,
            Err(fault) => {
                tracing::debug!("i2c {address:#04x}: {fault}");
                STATUS_ERROR
            }
        }
    }
}

impl Message {
    /// `None`: not an I2C request.
    fn parse(chain: Chain) -> Option<Self> {
        let memory = chain.memory();
        let mut reader = chain.clone().reader(memory).ok()?;
        let mut head = [0; 8];
        reader.read_exact(&mut head).ok()?;
        let address = u8::try_from(u16::from_le_bytes([head[0], head[1]]) >> 1).ok()?;
        let flags = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let read = flags & FLAG_READ != 0;
        let mut bytes = vec![0; reader.available_bytes()];
        if read {
            // All that the guest gave us to write to, but for the status byte that ends it.
            let room: usize = chain
                .clone()
                .writable()
                .map(|target| target.len() as usize)
                .sum();
            bytes = vec![0; room.checked_sub(1)?];
        } else {
            reader.read_exact(&mut bytes).ok()?;
        }
        Some(Self {
            head: chain.head_index(),
            address,
            read,
            bytes,
            last: flags & FLAG_FAIL_NEXT == 0,
            chain,
        })
    }

    /// Gives the request back. Returns the bytes written to it.
    fn reply(&self, status: u8) -> u32 {
        let mut answer = if self.read {
            self.bytes.clone()
        } else {
            Vec::new()
        };
        answer.push(status);
        let mut written = 0;
        for target in self.chain.clone().writable() {
            let part = &answer[written..];
            let part = &part[..part.len().min(target.len() as usize)];
            if self
                .chain
                .memory()
                .write_slice(part, target.addr())
                .is_err()
            {
                break;
            }
            written += part.len();
        }
        u32::try_from(written).unwrap_or(0)
    }
}

impl Device for I2c {
    const NAME: &'static str = "i2c";
    const QUEUES: usize = 1;

    fn features(&self) -> u64 {
        ZERO_LENGTH_REQUEST
    }

    fn config(&self) -> Vec<u8> {
        Vec::new()
    }

    fn handle(&mut self, requests: Vec<Chain>) -> Vec<(u16, u32)> {
        let mut done = Vec::new();
        let mut open: Vec<Message> = Vec::new();
        for chain in requests {
            let head = chain.head_index();
            let Some(message) = Message::parse(chain) else {
                done.push((head, 0));
                continue;
            };
            let last = message.last;
            open.push(message);
            if last {
                done.extend(self.transact(&mut open));
                open.clear();
            }
        }
        // The driver queues a whole transaction before it kicks; what is open now was cut short by a full ring.
        if !open.is_empty() {
            done.extend(self.transact(&mut open));
        }
        done
    }

    fn host_gone(&mut self) {
        // A bus without its host is idle: every transaction here runs to its STOP.
    }
}
