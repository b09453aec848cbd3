//! Files by blocks: what of a large file has to travel.
//!
//! Blocks are fixed, [`BLOCK_BYTES`] long, the last one shorter. Files that change in place or grow (databases, images,
//! logs) need no rolling hash: a block is compared with the one at the same place. The sender keeps the [`Signature`] of
//! what it sent last, so one changed byte costs one block and half a round trip; of a file that it has not sent in this
//! life it asks the receiver, who has it, from large groups of blocks down to single ones ([`Levels`], [`Search`]). The
//! receiver copies its own file and takes only the blocks that differ. Block hashes are short, for they only choose what
//! travels: what was put together is always verified against the hash of the whole file.
//!
//! In order: the sender computes `target.changed_from(&base)`; the receiver calls `Store::begin` with it, answers with
//! `Store::missing_blocks` (after a cut these are fewer), takes each frame by `Store::put_blocks`, and ends
//! with `Store::finish`, which verifies. Files up to [`WHOLE_BYTES_MAX`] go whole, by `Store::put_whole`.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Domain, Hasher};

/// Length of a block in bytes: a database's changed page is four of them, a changed word costs no more than one.
pub const BLOCK_BYTES: usize = 1024;
/// Files up to this many bytes travel whole.
pub const WHOLE_BYTES_MAX: u64 = 64 * 1024;
/// Bytes kept of a block's hash.
const SHORT_BYTES: usize = 16;

mod levels;
mod search;

pub use levels::{LEVELS_MAX, Levels};
pub use search::{HASHES_MAX, Question, Search, Step};

/// What is kept of the hash of a block, or of a group of blocks.
pub type Short = [u8; SHORT_BYTES];

/// Neighbouring blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Number of the first one, from 0.
    pub first: u32,
    /// How many, at least 1.
    pub count: u32,
}

/// Short hashes of a file's blocks, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature(Vec<Short>);

/// How many blocks a file of this size has; none if it has more than can be numbered (4 TiB).
pub fn count(size: u64) -> Option<u32> {
    u32::try_from(size.div_ceil(BLOCK_BYTES as u64)).ok()
}

/// Signature, content hash and size of what is read, in one pass.
pub fn signature(mut file: impl Read) -> io::Result<(Signature, Digest, u64)> {
    let mut blocks = Vec::new();
    let (mut whole, mut size) = (Hasher::new(Domain::File), 0);
    let mut buffer = vec![0; 256 * BLOCK_BYTES];
    loop {
        let length = fill(&mut file, &mut buffer)?;
        whole.update(&buffer[..length]);
        size += length as u64;
        blocks.extend(buffer[..length].chunks(BLOCK_BYTES).map(short));
        if length < buffer.len() {
            return Ok((Signature(blocks), whole.finish(), size));
        }
    }
}

impl Signature {
    /// Blocks of this file that are not the same in `base`.
    pub fn changed_from(&self, base: &Self) -> Vec<Run> {
        let mut base = base.0.iter();
        let differs = self.0.iter().map(|block| base.next() != Some(block));
        runs(differs)
    }
}

/// The places where `wanted` is true, as runs.
pub(crate) fn runs(wanted: impl Iterator<Item = bool>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (number, wanted) in (0..).zip(wanted) {
        match runs.last_mut() {
            _ if !wanted => {}
            Some(run) if run.first + run.count == number => run.count += 1,
            _ => runs.push(Run {
                first: number,
                count: 1,
            }),
        }
    }
    runs
}

fn short(block: &[u8]) -> Short {
    cut(Digest::of(Domain::Block, block))
}

fn cut(digest: Digest) -> Short {
    let mut short = [0; SHORT_BYTES];
    short.copy_from_slice(&digest.as_bytes()[..SHORT_BYTES]);
    short
}

/// Reads until the buffer is full or the end.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Signature {
        let (blocks, digest, size) = signature(bytes).unwrap();
        assert_eq!(digest, Digest::of_file(bytes));
        assert_eq!(size, bytes.len() as u64);
        assert_eq!(count(size), u32::try_from(blocks.0.len()).ok());
        blocks
    }

    fn run(first: u32, count: u32) -> Run {
        Run { first, count }
    }

    #[test]
    fn borders_of_blocks() {
        let base: Vec<u8> = (0..300_000_u32)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect();
        let last = count(base.len() as u64).unwrap() - 1;
        let changed = |at: usize| {
            let mut bytes = base.clone();
            bytes[at] ^= 1;
            of(&bytes).changed_from(&of(&base))
        };
        assert_eq!(changed(BLOCK_BYTES - 1), [run(0, 1)]);
        assert_eq!(changed(BLOCK_BYTES), [run(1, 1)]);
        assert_eq!(changed(base.len() - 1), [run(last, 1)]);
        let cut = |length: usize| of(&base[..length]).changed_from(&of(&base));
        let two = 2 * BLOCK_BYTES;
        assert_eq!(cut(two), []);
        assert_eq!(cut(two - 1), [run(1, 1)]);
        assert_eq!(cut(two + 1), [run(2, 1)]);
        assert_eq!(cut(0), []);
        let grown = of(&base).changed_from(&of(&base[..two + 1]));
        assert_eq!(grown, [run(2, last - 1)]);
        assert_eq!(
            of(&base).changed_from(&Signature::default()),
            [run(0, last + 1)]
        );
    }

    #[test]
    fn sizes_that_cannot_be_numbered() {
        assert_eq!(count(0), Some(0));
        assert_eq!(count(1), Some(1));
        assert_eq!(count(u64::MAX), None);
    }
}
