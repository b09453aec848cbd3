//! What can be read, as types and as bytes. Fields stand on the wire in the order in which they are declared.

use super::{Block, Register};

mod board;
mod history;
mod state;

pub use board::{Capabilities, Identity, SettingReport, Settings};
pub use history::{BusTally, Counters, LogEntry, LogRange, OrderResult, Wear};
pub use state::{Flags, SegmentReport, Segments, Status};

/// A readable register's contents.
pub trait Report: Sized {
    /// The register it is read from.
    const REGISTER: Register;

    /// The payload.
    fn encode(&self) -> Block;

    /// From the payload; `None` if it has another length or a byte this version does not know.
    fn decode(payload: &[u8]) -> Option<Self>;
}

/// Stands in every byte of a segment or field that is not there.
const ABSENT: u8 = 0xFF;
