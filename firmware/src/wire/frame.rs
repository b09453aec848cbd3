//! Framing: what stands on the bus around a payload. Used by the host to build and check, by the target to check
//! and build.

use core::fmt;

use super::{BLOCK_MAX, Block, Register};

/// Longest frame after the address: command, count, 32 data bytes, PEC.
pub const FRAME_MAX: usize = BLOCK_MAX + 3;

/// Bytes of one write, after the address byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    bytes: [u8; FRAME_MAX],
    len: usize,
}

/// A read that cannot be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Fewer bytes than the frame needs, or a count that is not this register's.
    Length {
        /// Register read.
        register: Register,
    },
    /// The PEC does not match.
    Pec {
        /// Register read.
        register: Register,
        /// PEC computed over the bytes received.
        expected: u8,
        /// PEC received.
        found: u8,
    },
}

/// CRC-8 of SMBus: polynomial x^8+x^2+x+1, start 0, no reflection.
#[must_use]
pub fn pec(bytes: &[u8]) -> u8 {
    pec_of(bytes.iter().copied())
}

/// Block write: `[command, count, data…, pec]`.
#[must_use]
pub fn write_block(address: u8, register: Register, data: &Block) -> Frame {
    Frame::empty()
        .put(&[register.code(), data.count()])
        .put(data.as_slice())
        .close(address)
}

/// Byte write: `[command, value, pec]`. Without the last byte it is the same write without PEC.
#[must_use]
pub fn write_byte(address: u8, register: Register, value: u8) -> Frame {
    Frame::empty().put(&[register.code(), value]).close(address)
}

/// Word write: `[command, low, high, pec]`. Without the last byte it is the same write without PEC.
#[must_use]
pub fn write_word(address: u8, register: Register, low: u8, high: u8) -> Frame {
    Frame::empty()
        .put(&[register.code(), low, high])
        .close(address)
}

/// Checks the raw bytes of a block read, `[count, data…, pec]`; bytes after the PEC are ignored.
pub fn parse_block(address: u8, register: Register, raw: &[u8]) -> Result<Block, FrameError> {
    let wrong_length = FrameError::Length { register };
    let (count, rest) = raw.split_first().ok_or(wrong_length)?;
    let (data, rest) = rest
        .split_at_checked(usize::from(*count))
        .ok_or(wrong_length)?;
    let found = *rest.first().ok_or(wrong_length)?;
    let block = Block::from_slice(data).map_err(|_| wrong_length)?;
    let expected = read_pec(address, register, &[*count], data);
    if expected == found {
        Ok(block)
    } else {
        Err(FrameError::Pec {
            register,
            expected,
            found,
        })
    }
}

/// Checks the raw bytes of a word read, `[low, high, pec]`.
pub fn parse_word(address: u8, register: Register, raw: &[u8]) -> Result<[u8; 2], FrameError> {
    let [low, high, found, ..] = *raw else {
        return Err(FrameError::Length { register });
    };
    let expected = read_pec(address, register, &[low, high], &[]);
    if expected == found {
        Ok([low, high])
    } else {
        Err(FrameError::Pec {
            register,
            expected,
            found,
        })
    }
}

/// PEC of a write: address with write bit, then everything after it.
#[must_use]
pub fn write_pec(address: u8, bytes: &[u8]) -> u8 {
    pec_of([address << 1].into_iter().chain(bytes.iter().copied()))
}

/// PEC of a read: address with write bit, command, address with read bit, then everything read.
#[must_use]
pub fn read_pec(address: u8, register: Register, head: &[u8], data: &[u8]) -> u8 {
    let selected = [address << 1, register.code(), address << 1 | 1];
    pec_of(
        selected
            .into_iter()
            .chain(head.iter().copied())
            .chain(data.iter().copied()),
    )
}

impl Frame {
    /// The bytes, PEC included.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    fn empty() -> Self {
        Self {
            bytes: [0; FRAME_MAX],
            len: 0,
        }
    }

    fn put(mut self, data: &[u8]) -> Self {
        for byte in data {
            if let Some(slot) = self.bytes.get_mut(self.len) {
                *slot = *byte;
                self.len += 1;
            }
        }
        self
    }

    fn close(self, address: u8) -> Self {
        let check = write_pec(address, self.as_slice());
        self.put(&[check])
    }
}

fn pec_of(bytes: impl Iterator<Item = u8>) -> u8 {
    bytes.fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| {
            if crc & 0x80 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x07
            }
        })
    })
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { register } => {
                write!(
                    f,
                    "reading {register:?}: a length that register does not have"
                )
            }
            Self::Pec {
                register,
                expected,
                found,
            } => write!(
                f,
                "reading {register:?}: PEC {found:#04x}, expected {expected:#04x}; the bus is disturbed"
            ),
        }
    }
}

impl core::error::Error for FrameError {}
