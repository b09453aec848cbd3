//! Blocks of at most 32 bytes, and the cursor that reads them. Little-endian throughout.

use super::BLOCK_MAX;

/// The data bytes of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    bytes: [u8; BLOCK_MAX],
    len: u8,
}

/// More bytes than a block can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockFull;

impl Default for Block {
    fn default() -> Self {
        Self::new()
    }
}

impl Block {
    /// An empty block.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: [0; BLOCK_MAX],
            len: 0,
        }
    }

    /// A block of these bytes.
    pub fn from_slice(data: &[u8]) -> Result<Self, BlockFull> {
        let mut block = Self::new();
        block
            .bytes
            .get_mut(..data.len())
            .ok_or(BlockFull)?
            .copy_from_slice(data);
        block.len = u8::try_from(data.len()).map_err(|_| BlockFull)?;
        Ok(block)
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// Number of bytes, as the count byte carries it.
    #[must_use]
    pub fn count(&self) -> u8 {
        self.len
    }

    /// Appends. Every payload of this protocol is at most 32 bytes (asserted by the frozen-bytes tests); a byte too
    /// many would be left out rather than stop a controller.
    pub(crate) fn put(mut self, data: &[u8]) -> Self {
        for byte in data {
            if let Some(slot) = self.bytes.get_mut(usize::from(self.len)) {
                *slot = *byte;
                self.len += 1;
            }
        }
        self
    }

    pub(crate) fn put_u16(self, value: u16) -> Self {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn put_u32(self, value: u32) -> Self {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn put_u64(self, value: u64) -> Self {
        self.put(&value.to_le_bytes())
    }
}

/// Reads a payload front to back; `None` as soon as a field is missing.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// `value`, if nothing is left over.
    pub(crate) fn end<T>(&self, value: T) -> Option<T> {
        self.rest.is_empty().then_some(value)
    }
}
