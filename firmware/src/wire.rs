//! Protocol version 1: registers, payloads and framing, for both ends of the bus.
//!
//! # Bus
//! I2C target, 7-bit address [`ADDRESS`]. Every access is one SMBus-shaped transaction; one command byte is one
//! register. Multi-byte values are little-endian. CRC-8 (PEC, polynomial 0x07) as SMBus defines it: over address and
//! direction byte(s), command, count and data.
//!
//! # Three ways in, same registers
//! 1. *Plain I2C*: raw write `[command, count, data…, pec]`; write `[command]`, repeated start, read
//!    `[count, data…, pec]`.
//! 2. *SMBus with block transfers*: block write with PEC; block read. The same bytes.
//! 3. *SMBus with byte and word data only*: the [window](crate::window). Its contents are the same bytes again, and
//!    they end with the same PEC, so an adapter without PEC loses nothing.
//!
//! PEC is mandatory on block writes (they change things) and offered on every read. Window accesses may omit it: what
//! they carry is checked at the end. A frame with a bad PEC, an unknown command or a wrong length is refused
//! ([`crate::Nack`]), counted, and changes nothing.
//!
//! # Orders and answers
//! An order carries a sequence number of the host's choice. Its outcome appears in [`Register::Result`] with that
//! number, so a host can tell its own answer from an old one. A host that starts anew should start with a random
//! number.
//!
//! # Compatibility
//! Version 1 is frozen by `tests/wire_v1.rs`. A later version keeps [`Register::Identity`] as it is.

pub mod codes;
pub mod frame;
pub mod payload;
pub mod register;
pub mod report;
pub mod request;

pub use frame::{
    Frame, FrameError, parse_block, parse_word, pec, write_block, write_byte, write_word,
};
pub use payload::{Block, BlockFull};
pub use register::{Register, Shape};
pub use report::{
    BusTally, Capabilities, Counters, Identity, LogEntry, LogRange, OrderResult, Report,
    SegmentReport, Segments, SettingReport, Settings, Status, Wear,
};
pub use request::{LogCursor, Malformed, Request};

/// 7-bit bus address of the reference board.
pub const ADDRESS: u8 = 0x42;

/// Protocol version in [`Identity`].
pub const PROTOCOL: u8 = 1;

/// First bytes of [`Identity`].
pub const MAGIC: [u8; 4] = *b"FPBC";

/// Most data bytes of a block (SMBus).
pub const BLOCK_MAX: usize = 32;
