//! Contents that have arrived, or are arriving, by their hash.
//!
//! A content under way is a file `HASH.part` with a map `HASH.have` of the blocks that are there; both outlive a cut and
//! a restart. The map may be ahead of the disk after a power cut: the hash of the whole decides, and a part that does
//! not match is dropped. A complete, verified content is the file `HASH`.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::error::{StoreError, io};
use crate::blocks::{self, BLOCK_BYTES, Run};
use crate::digest::Digest;
use crate::resolve::{self, Dir, Status, absent};
use crate::scan::read::hash;

/// Largest map of blocks in bytes.
const MAP_BYTES_MAX: usize = 1 << 29;

/// The directory of contents.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) dir: Dir,
    parts: BTreeMap<Digest, Part>,
}

#[derive(Debug)]
struct Part {
    file: OwnedFd,
    map: OwnedFd,
    size: u64,
    /// One bit per block.
    have: Vec<u8>,
    /// Whether what is not there yet is all hole, so that zeros need not be written.
    hollow: bool,
}

impl Staging {
    pub(super) fn open(home: &Dir) -> rustix::io::Result<Self> {
        Ok(Self {
            dir: home.ensure_dir(b"contents")?,
            parts: BTreeMap::new(),
        })
    }

    /// Whether a content is here, complete.
    pub(super) fn holds(&self, content: &Digest) -> bool {
        matches!(self.dir.look(&name(content)), Ok(Some(_)))
    }

    /// A whole content at once.
    pub(super) fn put_whole(&mut self, content: Digest, bytes: &[u8]) -> Result<(), StoreError> {
        if Digest::of_file(bytes) != content {
            return Err(StoreError::Mismatch(content));
        }
        if self.holds(&content) {
            return Ok(());
        }
        let written = || {
            let part = part_name(&content);
            absent(self.dir.remove(&part))?;
            let file = self.dir.create(&part)?;
            resolve::write_at(&file, bytes, 0)?;
            self.dir.move_over(&part, &self.dir, &name(&content))
        };
        written().map_err(io("stage content", content))
    }

    /// Begins or resumes a content of this size. What `base` has of it need not travel: all but the runs.
    pub(super) fn begin(
        &mut self,
        content: Digest,
        size: u64,
        base: Option<(OwnedFd, &[Run])>,
    ) -> Result<(), StoreError> {
        if self.parts.contains_key(&content) || self.holds(&content) {
            return Ok(());
        }
        let count = blocks::count(size).ok_or(StoreError::Block(u32::MAX))?;
        let part = match self.resume(&content, size, count) {
            Ok(Some(part)) => part,
            Ok(None) | Err(_) => {
                let made = self.start(&content, size, count, base);
                made.map_err(io("stage content", content))?
            }
        };
        self.parts.insert(content, part);
        Ok(())
    }

    /// Blocks of a content under way that are not there yet.
    pub(super) fn missing(&self, content: &Digest) -> Vec<Run> {
        let Some(part) = self.parts.get(content) else {
            return Vec::new();
        };
        let count = blocks::count(part.size).unwrap_or(0);
        blocks::runs((0..count).map(|block| !part.has(block)))
    }

    /// Neighbouring blocks, whole ones but for the file's last.
    pub(super) fn put_blocks(
        &mut self,
        content: &Digest,
        first: u32,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let part = self.parts.get_mut(content);
        let part = part.ok_or(StoreError::Block(first))?;
        let start = u64::from(first) * BLOCK_BYTES as u64;
        let end = start + bytes.len() as u64;
        let whole = bytes.len().is_multiple_of(BLOCK_BYTES) || end == part.size;
        if bytes.is_empty() || end > part.size || !whole {
            return Err(StoreError::Block(first));
        }
        let failed = |error| io("stage content", content)(error);
        if !part.hollow || bytes.iter().any(|byte| *byte != 0) {
            resolve::write_at(&part.file, bytes, start).map_err(failed)?;
        }
        let blocks = first..first + blocks::count(bytes.len() as u64).unwrap_or(0);
        blocks.clone().for_each(|block| part.set(block, true));
        let (from, to) = (byte_of(blocks.start), byte_of(blocks.end - 1));
        let changed = &part.have[from..=to];
        resolve::write_at(&part.map, changed, from as u64).map_err(failed)
    }

    /// Ends a content under way: verified, or dropped.
    pub(super) fn finish(&mut self, content: &Digest) -> Result<(), StoreError> {
        if self.holds(content) {
            return Ok(());
        }
        let Some(part) = self.parts.remove(content) else {
            return Err(StoreError::Mismatch(*content));
        };
        let failed = |error| io("stage content", content)(error);
        let found = hash(&part.file, part.size).map_err(failed)?;
        if found != (*content, part.size) {
            self.drop_part(content).map_err(failed)?;
            return Err(StoreError::Mismatch(*content));
        }
        let kept = self
            .dir
            .move_over(&part_name(content), &self.dir, &name(content));
        kept.map_err(failed)?;
        absent(self.dir.remove(&map_name(content))).map_err(failed)?;
        Ok(())
    }

    /// Drops all that is not of these contents.
    pub(super) fn keep(&mut self, wanted: &BTreeSet<Digest>) -> Result<(), StoreError> {
        let failed = |error| io("clear", "staged contents")(error);
        self.parts.retain(|content, _| wanted.contains(content));
        for file in self.dir.names().map_err(failed)? {
            let stem = file.split(|byte| *byte == b'.').next().unwrap_or_default();
            let content = Digest::from_hex(stem);
            if !content.is_some_and(|content| wanted.contains(&content)) {
                self.dir.remove_all(&file).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn resume(&self, content: &Digest, size: u64, count: u32) -> rustix::io::Result<Option<Part>> {
        let Some(map) = absent(self.dir.reopen(&map_name(content)))? else {
            return Ok(None);
        };
        let file = self.dir.reopen(&part_name(content))?;
        let have = resolve::read_all(&map, MAP_BYTES_MAX)?;
        let same = Status::of_file(&file)?.stamp.size == size && have.len() == map_bytes(count);
        Ok(same.then_some(Part {
            file,
            map,
            size,
            have,
            hollow: false,
        }))
    }

    fn start(
        &self,
        content: &Digest,
        size: u64,
        count: u32,
        base: Option<(OwnedFd, &[Run])>,
    ) -> rustix::io::Result<Part> {
        self.drop_part(content)?;
        let mut part = Part {
            file: self.dir.create(&part_name(content))?,
            map: self.dir.create(&map_name(content))?,
            size,
            have: vec![0; map_bytes(count)],
            hollow: base.is_none(),
        };
        resolve::set_length(&part.file, size)?;
        if let Some((base, changed)) = base {
            let length = Status::of_file(&base)?.stamp.size.min(size);
            resolve::copy(&base, &part.file, length)?;
            resolve::set_length(&part.file, size)?;
            (0..count).for_each(|block| part.set(block, true));
            for run in changed {
                let end = run.first.checked_add(run.count).filter(|end| *end <= count);
                (run.first..end.ok_or(Errno::INVAL)?).for_each(|block| part.set(block, false));
            }
        }
        resolve::write_at(&part.map, &part.have, 0)?;
        Ok(part)
    }

    fn drop_part(&self, content: &Digest) -> rustix::io::Result<()> {
        absent(self.dir.remove(&part_name(content)))?;
        absent(self.dir.remove(&map_name(content)))?;
        Ok(())
    }
}

impl Part {
    fn has(&self, block: u32) -> bool {
        let byte = self.have.get(byte_of(block));
        byte.is_some_and(|byte| byte & bit_of(block) != 0)
    }

    fn set(&mut self, block: u32, there: bool) {
        if let Some(byte) = self.have.get_mut(byte_of(block)) {
            match there {
                true => *byte |= bit_of(block),
                false => *byte &= !bit_of(block),
            }
        }
    }
}

fn byte_of(block: u32) -> usize {
    usize::try_from(block / 8).unwrap_or(usize::MAX)
}

fn bit_of(block: u32) -> u8 {
    1 << (block % 8)
}

fn map_bytes(count: u32) -> usize {
    byte_of(count.div_ceil(8).saturating_mul(8))
}

/// The name under which a content is kept.
pub(super) fn name(content: &Digest) -> Vec<u8> {
    content.to_string().into_bytes()
}

fn part_name(content: &Digest) -> Vec<u8> {
    format!("{content}.part").into_bytes()
}

fn map_name(content: &Digest) -> Vec<u8> {
    format!("{content}.have").into_bytes()
}
