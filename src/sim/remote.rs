//! A virtual board over a Unix socket: what an agent without kernel devices says to it.
//!
//! Contract: one [`Request`], one [`Reply`], in order, on one stream socket. A connection stands for one process holding
//! kernel handles: a line asked for belongs to that connection until it releases the line **or the connection ends**, and then
//! the line floats. So an agent that dies, however it dies, lets go of its lines exactly as with `/dev/gpiochipN`.
//! What if the board dies? The socket closes and every call fails, as with a controller whose bus is gone.
//!
//! Frame: length of the body in bytes (`u32`, little-endian), then the body as JSON. At most [`FRAME_MAX`] bytes.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest frame body, bytes. The longest I2C message of the kernel (8 KiB), written as JSON numbers, fits.
pub const FRAME_MAX: u32 = 64 * 1024;

/// What the agent asks of its board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Names of all GPIO lines, by offset. Answered by [`Reply::Names`].
    LineNames,
    /// One transaction (START … STOP) on bus `bus` with a 7-bit `address`. Answered by [`Reply::I2c`].
    I2c {
        /// Index of the bus on this board.
        bus: usize,
        /// 7-bit address.
        address: u8,
        /// Messages, with a repeated START between them. A message of no bytes is an address probe.
        operations: Vec<I2cOperation>,
    },
    /// Take lines, all or none. Refused with [`Fault::Busy`] if another connection holds one of them. Asking again for
    /// a line already held by this connection changes its direction. Answered by [`Reply::Done`].
    RequestLines {
        /// Lines and what they become.
        lines: Vec<LineRequest>,
    },
    /// Let lines go: they float. Lines not held are ignored. Answered by [`Reply::Done`].
    ReleaseLines {
        /// Offsets.
        lines: Vec<usize>,
    },
    /// Drive output lines held by this connection, in one step as the board sees it. Answered by [`Reply::Done`].
    SetLines {
        /// Offset and physical level.
        values: Vec<(usize, bool)>,
    },
    /// Read lines held by this connection, in one step. Answered by [`Reply::Levels`].
    GetLines {
        /// Offsets.
        lines: Vec<usize>,
    },
}

/// One message of an I2C transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum I2cOperation {
    /// Bytes to write.
    Write(Vec<u8>),
    /// How many bytes to read.
    Read(usize),
}

/// One line to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineRequest {
    /// Offset of the line.
    pub line: usize,
    /// What it becomes.
    pub mode: LineMode,
}

/// What a line becomes when it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineMode {
    /// Read only.
    Input,
    /// Driven. The level is set before the direction, so that the line never shows another level.
    Output {
        /// Physical level.
        level: bool,
    },
}

/// The board's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Done, nothing to say.
    Done,
    /// Names of the lines, by offset; empty where a line has none.
    Names(Vec<String>),
    /// The bytes of each read operation, in order.
    I2c {
        /// One entry for each [`I2cOperation::Read`].
        read: Vec<Vec<u8>>,
    },
    /// Levels, in the order asked.
    Levels(Vec<bool>),
    /// Not done.
    Failed(Fault),
}

/// Why the board did not do it, in terms of what a kernel would have said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// No chip acknowledged (kernel: `ENXIO`).
    #[error("no acknowledge on the I2C bus: is the chip powered and at this address?")]
    Nack,
    /// The bus did not come free (kernel: `ETIMEDOUT`).
    #[error("I2C bus stuck: a chip holds it; power-cycle the board if it lasts")]
    Stuck,
    /// The adapter cannot do this transaction (kernel: `EOPNOTSUPP`), as an SMBus-only one.
    #[error("this I2C adapter cannot do such a transaction")]
    Unsupported,
    /// Another process holds the line (kernel: `EBUSY`).
    #[error("GPIO line {line} is held by another process: stop it first")]
    Busy {
        /// Offset of the line.
        line: usize,
    },
    /// No such line (kernel: `EINVAL`).
    #[error("the board has no GPIO line {line}")]
    NoSuchLine {
        /// Offset asked for.
        line: usize,
    },
    /// The line was not taken by this connection, or not as output (kernel: `EPERM`).
    #[error("GPIO line {line} was not taken for this by this connection")]
    NotHeld {
        /// Offset of the line.
        line: usize,
    },
    /// No such bus (kernel: `ENODEV`).
    #[error("the board has no I2C bus {bus}")]
    NoSuchBus {
        /// Index asked for.
        bus: usize,
    },
}

/// Writes one frame, in one call, so that a peer never sees half of it unless we die.
pub fn write_frame<T: Serialize>(to: &mut impl Write, body: &T) -> io::Result<()> {
    let body = serde_json::to_vec(body)?;
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    if length > FRAME_MAX {
        let what = format!("frame of {length} bytes: at most {FRAME_MAX} go to a virtual board");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut frame = length.to_le_bytes().to_vec();
    frame.extend_from_slice(&body);
    to.write_all(&frame)
}

/// Reads one frame. `Ok(None)`: the peer closed between two frames.
pub fn read_frame<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    // The first byte alone tells an orderly end from a frame cut short.
    if from.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..])?;
    let length = u32::from_le_bytes(length);
    if length > FRAME_MAX {
        let what = format!(
            "frame of {length} bytes: at most {FRAME_MAX} come from a virtual board's peer"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let mut body = vec![0; length as usize];
    from.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_the_socket() {
        let request = Request::I2c {
            bus: 0,
            address: 0x42,
            operations: vec![I2cOperation::Write(vec![1]), I2cOperation::Read(2)],
        };
        let mut stream = Vec::new();
        write_frame(&mut stream, &request).unwrap();
        write_frame(&mut stream, &Reply::Failed(Fault::Busy { line: 3 })).unwrap();

        let mut from = stream.as_slice();
        assert_eq!(read_frame::<Request>(&mut from).unwrap(), Some(request));
        assert_eq!(
            read_frame::<Reply>(&mut from).unwrap(),
            Some(Reply::Failed(Fault::Busy { line: 3 }))
        );
        assert_eq!(read_frame::<Reply>(&mut from).unwrap(), None);
    }

    #[test]
    fn longest_kernel_message_fits() {
        let request = Request::I2c {
            bus: 0,
            address: 0x7f,
            operations: vec![I2cOperation::Write(vec![255; 8192])],
        };
        write_frame(&mut Vec::new(), &request).unwrap();
    }

    #[test]
    fn a_frame_cut_short_is_an_error_and_a_huge_one_is_refused() {
        let mut stream = Vec::new();
        write_frame(&mut stream, &Request::LineNames).unwrap();
        stream.pop();
        assert!(read_frame::<Request>(&mut stream.as_slice()).is_err());
        assert!(read_frame::<Request>(&mut [0xff; 8].as_slice()).is_err());
    }
}
