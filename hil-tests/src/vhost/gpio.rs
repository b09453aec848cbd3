//! virtio GPIO (device 41): the board's lines as `/dev/gpiochip0` of the guest.
//!
//! Closing a line's descriptor makes the guest's driver send direction *none*, and the line floats. A guest that
//! panics sends nothing: its lines stay as they are, as a real controller's would, until it is reset or loses power.
//! Interrupts are not offered: QEMU 7.2 does not pass them on, and boards behind SMBus have none either.

use std::io::Read;

use fencepost::sim::port::LineDirection;
use vm_memory::Bytes;

use super::device::{Chain, Device};
use crate::board::Board;

/// Request types, virtio 1.2, 5.18.6.
mod request {
    pub(super) const LINE_NAMES: u16 = 1;
    pub(super) const GET_DIRECTION: u16 = 2;
    pub(super) const SET_DIRECTION: u16 = 3;
    pub(super) const GET_VALUE: u16 = 4;
    pub(super) const SET_VALUE: u16 = 5;
}

/// Direction values on the wire, virtio 1.2, 5.18.6.
mod direction {
    pub(super) const NONE: u8 = 0;
    pub(super) const OUT: u8 = 1;
    pub(super) const IN: u8 = 2;
}

const STATUS_OK: u8 = 0;
const STATUS_ERROR: u8 = 1;

/// The device.
pub struct Gpio {
    board: Board,
    directions: Vec<u8>,
    /// Names of the lines, each ended by NUL, as the guest reads them.
    names: Vec<u8>,
}

impl Gpio {
    /// All lines of `board`.
    pub fn new(board: Board) -> Self {
        let mut names = Vec::new();
        for name in board.with(|port, _| port.line_names()) {
            names.extend_from_slice(name.as_bytes());
            names.push(0);
        }
        let directions = vec![direction::NONE; board.lines()];
        Self {
            board,
            directions,
            names,
        }
    }

    /// The answer to one request: status and payload.
    fn answer(&mut self, kind: u16, line: usize, value: u32) -> (u8, Vec<u8>) {
        if kind == request::LINE_NAMES {
            return (STATUS_OK, self.names.clone());
        }
        if line >= self.directions.len() {
            return (STATUS_ERROR, vec![0]);
        }
        let value = match kind {
            request::GET_DIRECTION => Some(self.directions[line]),
            request::SET_DIRECTION => self.set_direction(line, value),
            request::GET_VALUE => Some(u8::from(
                self.board.with(|port, now| port.line_get(now, line)),
            )),
            request::SET_VALUE => {
                // The driver sends the level before it turns the line into an output, so that no other level shows.
                self.board
                    .with(|port, now| port.line_set(now, line, value != 0));
                Some(0)
            }
            _ => None,
        };
        value.map_or((STATUS_ERROR, vec![0]), |value| (STATUS_OK, vec![value]))
    }

    fn set_direction(&mut self, line: usize, value: u32) -> Option<u8> {
        let (wire, wanted) = match u8::try_from(value).ok()? {
            direction::NONE => (direction::NONE, LineDirection::Released),
            direction::OUT => (direction::OUT, LineDirection::Output),
            direction::IN => (direction::IN, LineDirection::Input),
            _ => return None,
        };
        self.directions[line] = wire;
        self.board
            .with(|port, now| port.line_direction(now, line, wanted));
        Some(0)
    }
}

impl Device for Gpio {
    const NAME: &'static str = "gpio";
    // Requests and (unused) events.
    const QUEUES: usize = 2;

    fn features(&self) -> u64 {
        0
    }

    fn config(&self) -> Vec<u8> {
        // struct virtio_gpio_config: ngpio (le16), padding (2), gpio_names_size (le32).
        let lines = u16::try_from(self.directions.len()).unwrap_or(u16::MAX);
        let names = u32::try_from(self.names.len()).unwrap_or(0);
        let mut config = lines.to_le_bytes().to_vec();
        config.extend_from_slice(&[0, 0]);
        config.extend_from_slice(&names.to_le_bytes());
        config
    }

    fn handle(&mut self, requests: Vec<Chain>) -> Vec<(u16, u32)> {
        requests
            .into_iter()
            .map(|chain| (chain.head_index(), self.handle_one(&chain).unwrap_or(0)))
            .collect()
    }

    fn host_gone(&mut self) {
        self.directions.fill(direction::NONE);
        self.board.release_lines();
    }
}

impl Gpio {
    /// `None`: the chain is not a GPIO request, and is given back empty.
    fn handle_one(&mut self, chain: &Chain) -> Option<u32> {
        let memory = chain.memory();
        let mut head = [0; 8];
        chain
            .clone()
            .reader(memory)
            .ok()?
            .read_exact(&mut head)
            .ok()?;
        let kind = u16::from_le_bytes([head[0], head[1]]);
        let line = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let value = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);

        let (status, payload) = self.answer(kind, line, value);
        tracing::trace!(kind, line, value, status, "gpio request");
        let target = chain.clone().writable().next()?;
        let mut answer = vec![status];
        answer.extend_from_slice(&payload);
        answer.truncate(target.len() as usize);
        memory.write_slice(&answer, target.addr()).ok()?;
        u32::try_from(answer.len()).ok()
    }
}
