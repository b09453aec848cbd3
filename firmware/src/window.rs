//! The window: all registers through byte and word transfers, for SMBus adapters that have no block transfers.
//!
//! | register | transfer | meaning |
//! |---|---|---|
//! | WINDOW_SELECT | write byte | names a register. A readable one is snapshot: the window then holds `count, data…, pec`, exactly as a block read gives it. A writable one empties the window. |
//! | WINDOW_INDEX | write byte | where the next read starts; SELECT sets 0 |
//! | WINDOW_DATA | read word | low: the byte at the index, high: the index. Then the index moves on. |
//! | WINDOW_DATA | write word | low: the byte, high: its index. Names its own place, so a repeat is harmless. |
//! | WINDOW_COMMIT | write word | low: number of data bytes, high: CRC. Executes the selected write, once. |
//!
//! The CRC of a commit is the PEC the block write would have had (over address, register, count, data), the last byte
//! of a snapshot the PEC of the block read: one definition, end to end, whether or not the adapter knows PEC. A read
//! whose high byte is not the index expected was lost or repeated: set the index and go on.
//!
//! There is one window. Whoever uses it must hold the bus lock of the host from SELECT to the end; two users mixing
//! theirs get a CRC error, not a mixture.

use crate::wire::{BLOCK_MAX, Block, Register};

/// Count, data, PEC.
const SIZE: usize = BLOCK_MAX + 2;

/// The window's contents.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    selected: Option<Register>,
    bytes: [u8; SIZE],
    index: u8,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            selected: None,
            bytes: [0xFF; SIZE],
            index: 0,
        }
    }

    /// Starts over: `contents` are the raw bytes of a block read, or nothing for a write.
    pub(crate) fn select(&mut self, register: Register, contents: &[u8]) {
        *self = Self {
            selected: Some(register),
            ..Self::new()
        };
        for (slot, byte) in self.bytes.iter_mut().zip(contents) {
            *slot = *byte;
        }
    }

    pub(crate) fn set_index(&mut self, index: u8) {
        self.index = index;
    }

    /// The byte at the index, and the index; then moves on.
    pub(crate) fn read(&mut self) -> [u8; 2] {
        let index = self.index;
        self.index = index.saturating_add(1);
        [
            self.bytes.get(usize::from(index)).copied().unwrap_or(0xFF),
            index,
        ]
    }

    /// Stores a data byte; `None` if there is no such place.
    pub(crate) fn write(&mut self, byte: u8, index: u8) -> Option<()> {
        *self
            .bytes
            .get_mut(..BLOCK_MAX)?
            .get_mut(usize::from(index))? = byte;
        Some(())
    }

    /// Takes the write out of the window, so that a repeated commit finds nothing.
    pub(crate) fn take(&mut self, count: u8) -> Option<(Register, Block)> {
        let register = self.selected.take()?;
        let data = self.bytes.get(..usize::from(count))?;
        Block::from_slice(data).ok().map(|block| (register, block))
    }
}
