//! NXP PCA9559 as CASwell uses it: six non-volatile bits, one byte sent to write, one received to read.
//!
//! Fact: vendor source, settings access by one-byte send and receive. Every write wears the cells, equal or
//! not; the part does not compare.

/// Bits the part has.
const BITS: u8 = 0x3F;

/// The settings cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pca9559 {
    value: u8,
    writes: u64,
}

impl Pca9559 {
    /// A part that left the factory with `value`.
    pub fn new(value: u8) -> Self {
        Self {
            value: value & BITS,
            writes: 0,
        }
    }

    /// One byte sent.
    pub fn store(&mut self, value: u8) {
        self.value = value & BITS;
        self.writes += 1;
    }

    /// One byte received.
    pub fn value(&self) -> u8 {
        self.value
    }

    /// Whether a bit is set.
    pub fn bit(&self, bit: u8) -> bool {
        self.value >> bit.min(7) & 1 == 1
    }

    /// How often it was written.
    pub fn writes(&self) -> u64 {
        self.writes
    }
}
