//! What a driver needs of the machine: SMBus transactions, GPIO lines, and a clock with delays.
//!
//! `SmBus` exists beside `embedded_hal::i2c::I2c` because chipset SMBus controllers (Intel i801, AMD
//! FCH) do not do plain I2C at all: they refuse `I2C_RDWR`. Where an adapter does speak plain I2C,
//! an embedded-hal bus is adapted to this trait, so every driver is written once.

use embedded_hal::delay::DelayNs;
use serde::{Deserialize, Serialize};

use crate::node::Instant;

/// Longest payload of an SMBus block transaction, in bytes (SMBus 2.0, 5.5.7).
pub const BLOCK_BYTES_MAX: usize = 32;

/// SMBus transactions to one adapter. Addresses are 7-bit. One call is one bus transaction, tried once.
pub trait SmBus: Send {
    /// The adapter as an operator knows it, for error texts: its name or stable device path.
    fn adapter(&self) -> &str;

    /// Send byte: a command with no data; used by muxes.
    fn send_byte(&mut self, address: u8, value: u8) -> Result<(), BusError>;
    /// Receive byte.
    fn receive_byte(&mut self, address: u8) -> Result<u8, BusError>;
    /// Write byte data.
    fn write_byte_data(&mut self, address: u8, command: u8, value: u8) -> Result<(), BusError>;
    /// Read byte data.
    fn read_byte_data(&mut self, address: u8, command: u8) -> Result<u8, BusError>;
    /// Read word data, low byte first on the wire.
    fn read_word_data(&mut self, address: u8, command: u8) -> Result<u16, BusError>;
    /// Write word data, low byte first on the wire.
    fn write_word_data(&mut self, address: u8, command: u8, value: u16) -> Result<(), BusError>;
    /// Block write of 1..=32 bytes, with a packet error code if asked.
    fn block_write(
        &mut self,
        address: u8,
        command: u8,
        data: &[u8],
        pec: Pec,
    ) -> Result<(), BusError>;
    /// Block read of up to 32 bytes; the target says how many. The packet error code is verified.
    fn block_read(&mut self, address: u8, command: u8, pec: Pec) -> Result<Vec<u8>, BusError>;

    /// Hold the bus for a sequence that must not be interleaved (mux selection and the command behind
    /// it), against other processes of this agent's family too. Released when the guard's scope ends.
    fn lock(&mut self) -> Result<(), BusError>;
    /// End of the sequence begun by [`SmBus::lock`].
    fn unlock(&mut self);
}

/// Whether a transaction carries a packet error code (SMBus 2.0, 5.4: CRC-8, polynomial 0x07).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pec {
    /// Appended and checked.
    Checked,
    /// The part has none.
    None,
}

/// A group of GPIO lines requested together, so that a latching pair changes in one step.
pub trait Lines: Send {
    /// Names, in the order levels are given.
    fn names(&self) -> &[String];
    /// Drive all output lines of the group at once; `true` is *asserted* (the profile's active level).
    fn set(&mut self, levels: &[bool]) -> Result<(), BusError>;
    /// Read all lines of the group; outputs read as last driven by whoever drove them.
    fn get(&mut self) -> Result<Vec<bool>, BusError>;
}

/// Monotonic time and delays, so that drivers run under simulated time.
pub trait Clock: DelayNs + Send {
    /// Now, on the same clock as the node's events.
    fn now(&self) -> Instant;
}

/// Why a bus transaction or a line operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum BusError {
    /// Nobody acknowledged.
    #[error("no acknowledge from 0x{address:02x} on {adapter} ({transaction})")]
    Nack {
        /// Adapter name.
        adapter: String,
        /// 7-bit address.
        address: u8,
        /// Which transaction.
        transaction: String,
    },
    /// The bus or the adapter hung until a time-out.
    #[error("time-out at 0x{address:02x} on {adapter} ({transaction}): the bus may be stuck low")]
    Timeout {
        /// Adapter name.
        adapter: String,
        /// 7-bit address.
        address: u8,
        /// Which transaction.
        transaction: String,
    },
    /// Packet error code did not match.
    #[error("packet error code mismatch at 0x{address:02x} on {adapter} ({transaction})")]
    Pec {
        /// Adapter name.
        adapter: String,
        /// 7-bit address.
        address: u8,
        /// Which transaction.
        transaction: String,
    },
    /// The adapter cannot do this transaction.
    #[error("{adapter} cannot do {transaction}; it offers: {offers}")]
    Unsupported {
        /// Adapter name.
        adapter: String,
        /// The transaction that is missing.
        transaction: String,
        /// What it can do.
        offers: String,
    },
    /// Somebody else holds it: a kernel driver the address, another consumer the line.
    #[error("{what} is held by {holder}")]
    Busy {
        /// The line or address.
        what: String,
        /// Who, as far as the kernel tells.
        holder: String,
    },
    /// The device, adapter or line is not there.
    #[error("{what} not found; {advice}")]
    Absent {
        /// What was looked for.
        what: String,
        /// What to do about it.
        advice: String,
    },
    /// Anything else the kernel reported.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// The kernel's words.
        error: String,
    },
}
