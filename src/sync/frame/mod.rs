//! Frames: one message each, behind four bytes of length.
//!
//! A length over the cap is refused before anything is read or set aside for it; every list inside is refused by its stated
//! count. What is left over after a message is an error too: both ends must read the same thing.

mod capped;
mod message;
pub mod pack;

pub use capped::{Capped, TEXT_BYTES_MAX, Text};
pub use message::*;

/// Bytes of the length in front, big-endian.
pub const LENGTH_BYTES: usize = 4;
/// Longest message in bytes. Bulk stays under 64 KiB so that control never waits long; the one thing that can be longer
/// is an entry with the most and largest extended attributes at the longest path.
pub const FRAME_BYTES_MAX: usize = 128 * 1024;
/// A part of a list is closed when it holds this much.
pub const PART_BYTES: usize = 48 * 1024;

/// Which queue a message waits in. Control never waits behind bulk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// First.
    Control,
    /// When no control waits.
    Bulk,
}

/// Bytes that are no frame of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length over [`FRAME_BYTES_MAX`], or of nothing.
    #[error("frame of {0} bytes; expected 1 to {FRAME_BYTES_MAX}")]
    Length(u64),
    /// Not a message, or one over a limit.
    #[error("frame of {0} bytes that is no message of this protocol")]
    Garbage(usize),
    /// More than a message.
    #[error("frame with {0} bytes after its message")]
    Trailing(usize),
}

impl Message {
    /// Where it waits: what is large or much is bulk.
    pub const fn priority(&self) -> Priority {
        match self {
            Self::Changes { .. }
            | Self::Content(_)
            | Self::Base { .. }
            | Self::Directory { .. } => Priority::Bulk,
            _ => Priority::Control,
        }
    }

    /// As a frame, length included.
    ///
    /// # Errors
    /// Longer than a frame may be: an entry that breaks the manifest's limits.
    pub fn to_frame(&self) -> Result<Vec<u8>, FrameError> {
        let frame = vec![0; LENGTH_BYTES];
        let mut frame = postcard::to_extend(self, frame).map_err(|_| FrameError::Garbage(0))?;
        let length = frame.len() - LENGTH_BYTES;
        match u32::try_from(length) {
            Ok(prefix) if length <= FRAME_BYTES_MAX => {
                frame[..LENGTH_BYTES].copy_from_slice(&prefix.to_be_bytes());
                Ok(frame)
            }
            _ => Err(FrameError::Length(
                u64::try_from(length).unwrap_or(u64::MAX),
            )),
        }
    }

    /// From the bytes behind the length.
    ///
    /// # Errors
    /// See [`FrameError`].
    pub fn from_body(body: &[u8]) -> Result<Self, FrameError> {
        let (message, rest) =
            postcard::take_from_bytes(body).map_err(|_| FrameError::Garbage(body.len()))?;
        match rest.len() {
            0 => Ok(message),
            more => Err(FrameError::Trailing(more)),
        }
    }
}

/// The length in front of a message.
///
/// # Errors
/// Nothing, or more than may come.
pub fn body_length(prefix: [u8; LENGTH_BYTES]) -> Result<usize, FrameError> {
    let stated = u32::from_be_bytes(prefix);
    match usize::try_from(stated) {
        Ok(length @ 1..=FRAME_BYTES_MAX) => Ok(length),
        _ => Err(FrameError::Length(stated.into())),
    }
}

/// Items in parts that fit a frame each: at most `MAX` and about [`PART_BYTES`]. Never empty.
pub fn parts<T: serde::Serialize, const MAX: usize>(
    items: impl IntoIterator<Item = T>,
) -> Vec<Capped<T, MAX>> {
    let mut parts = Vec::new();
    let (mut part, mut bytes) = (Vec::new(), 0);
    for item in items {
        let size = postcard::experimental::serialized_size(&item).unwrap_or(PART_BYTES);
        if part.len() == MAX || (bytes + size > PART_BYTES && !part.is_empty()) {
            parts.push(Capped::new(std::mem::take(&mut part)));
            bytes = 0;
        }
        bytes += size;
        part.push(item);
    }
    parts.push(Capped::new(part));
    parts
}

#[cfg(test)]
mod tests;
