//! The Active reads what the Backup wants, and sends it: a file that is no longer what it was when the tree was looked at
//! is not sent to its end.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use crate::blocks::{
    self, BLOCK_BYTES, Question, Run, Search, Short, Signature, Step, WHOLE_BYTES_MAX,
};
use crate::digest::{Digest, Domain, Hasher};
use crate::frame::{CHUNK_BYTES_MAX, Capped, Content, Message, RUNS_MAX, TransferId, pack};
use crate::path::RelPath;
use crate::resolve::Dir;
use crate::session::Wanted;
use crate::tree::Tree;

/// Most bytes of files whose signatures are kept, together: 16 MiB of signatures. Others are asked for.
const SIGNED_BYTES_MAX: u64 = 1 << 30;

/// Why a file was not sent to its end.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It cannot be read.
    #[error("{0}: cannot be read: {1}")]
    Unreadable(RelPath, std::io::Error),
    /// It changed since the tree was looked at.
    #[error("{0}: changed while it was sent")]
    Changed(RelPath),
    /// The connection is over, or nobody wants it any more.
    #[error("not wanted any more")]
    Unwanted,
}

/// Signatures of large files that were sent: of a file that changes again, only blocks that differ travel.
#[derive(Debug, Clone, Default)]
pub struct Signatures(Arc<Mutex<BTreeMap<Digest, (Signature, u64)>>>);

impl Signatures {
    fn get(&self, content: &Digest) -> Option<Signature> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(content).map(|(signature, _)| signature.clone())
    }

    fn put(&self, content: Digest, signature: Signature, size: u64) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(content, (signature, size));
        while held.values().map(|(_, size)| size).sum::<u64>() > SIGNED_BYTES_MAX {
            held.pop_first();
        }
    }
}

/// The way to the Backup. Blocks.
pub trait Line {
    /// Says something, when there is room; whether the transfer is still wanted.
    fn say(&mut self, message: Message) -> bool;

    /// Asks about a base, and waits; nothing if the transfer is no longer wanted, or the answer does not come.
    fn ask(&mut self, content: Digest, question: Message) -> Option<Vec<Short>>;
}

/// Sends one file. Blocks.
///
/// # Errors
/// See [`ContentError`].
pub fn send_file(
    trees: &[Tree],
    signatures: &Signatures,
    transfer: TransferId,
    wanted: &Wanted,
    line: &mut dyn Line,
) -> Result<(), ContentError> {
    let unreadable =
        |error: rustix::io::Errno| ContentError::Unreadable(wanted.path.clone(), error.into());
    let file = open(trees, &wanted.path).map_err(unreadable)?;
    let mut sending = Sending {
        file,
        transfer,
        wanted,
        line,
    };
    if wanted.size <= WHOLE_BYTES_MAX {
        return sending.whole();
    }
    let new = sending.sign()?;
    let runs = match wanted.base {
        None => None,
        Some(base) => match signatures.get(&base) {
            Some(old) => Some((base, new.changed_from(&old))),
            None => sending.search(base, new.clone())?.map(|runs| (base, runs)),
        },
    };
    signatures.put(wanted.content, new, wanted.size);
    match runs {
        Some((base, runs)) if runs.len() <= RUNS_MAX => sending.blocks(base, &runs),
        _ => sending.all(),
    }
}

fn open(trees: &[Tree], path: &RelPath) -> rustix::io::Result<OwnedFd> {
    let tree = trees.iter().find(|tree| tree.holds(path));
    let tree = tree.ok_or(rustix::io::Errno::NOENT)?;
    let root = Dir::open(&tree.root)?;
    let (parent, name) = root.parent(path.split_tree().1)?;
    parent.file(name)
}

struct Sending<'a> {
    file: OwnedFd,
    transfer: TransferId,
    wanted: &'a Wanted,
    line: &'a mut dyn Line,
}

impl Sending<'_> {
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ContentError> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match rustix::io::pread(&self.file, &mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) => {
                    let path = self.wanted.path.clone();
                    return Err(ContentError::Unreadable(path, error.into()));
                }
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn changed(&self) -> ContentError {
        ContentError::Changed(self.wanted.path.clone())
    }

    fn say(&mut self, message: Message) -> Result<(), ContentError> {
        if self.line.say(message) {
            Ok(())
        } else {
            Err(ContentError::Unwanted)
        }
    }

    fn chunk(&mut self, offset: u64, bytes: Vec<u8>, last: bool) -> Result<(), ContentError> {
        let small = self.wanted.size <= WHOLE_BYTES_MAX;
        let packed = if small { pack::pack(&bytes) } else { None };
        let message = Message::Content(Content {
            transfer: self.transfer,
            content: self.wanted.content,
            offset,
            last,
            packed: packed.is_some(),
            bytes: Capped::new(packed.unwrap_or(bytes)),
        });
        self.say(message)
    }

    fn whole(&mut self) -> Result<(), ContentError> {
        let size = usize::try_from(self.wanted.size).map_err(|_| self.changed())?;
        let bytes = self.read(0, size + 1)?;
        if bytes.len() != size || Digest::of_file(&bytes) != self.wanted.content {
            return Err(self.changed());
        }
        let mut offset = 0;
        loop {
            let end = size.min(offset + CHUNK_BYTES_MAX);
            self.chunk(offset as u64, bytes[offset..end].to_vec(), end == size)?;
            if end == size {
                return Ok(());
            }
            offset = end;
        }
    }

    /// Its signature, if it is what it was.
    fn sign(&self) -> Result<Signature, ContentError> {
        let file = self.file.try_clone().map(std::fs::File::from);
        let signed = file.and_then(blocks::signature);
        match signed {
            Ok((signature, content, _)) if content == self.wanted.content => Ok(signature),
            Ok(_) => Err(self.changed()),
            Err(error) => Err(ContentError::Unreadable(self.wanted.path.clone(), error)),
        }
    }

    fn all(&mut self) -> Result<(), ContentError> {
        let mut hasher = Hasher::new(Domain::File);
        let size = self.wanted.size;
        let mut offset = 0;
        while offset < size {
            let length = usize::try_from(size - offset)
                .map_or(CHUNK_BYTES_MAX, |left| left.min(CHUNK_BYTES_MAX));
            let bytes = self.read(offset, length)?;
            hasher.update(&bytes);
            let end = offset + bytes.len() as u64;
            let spoiled =
                bytes.len() != length || (end == size && hasher.finish() != self.wanted.content);
            if spoiled {
                return Err(self.changed());
            }
            self.chunk(offset, bytes, end == size)?;
            offset = end;
        }
        Ok(())
    }

    /// Blocks that differ from a base that only the Backup has; nothing if it has it no longer.
    fn search(&mut self, base: Digest, new: Signature) -> Result<Option<Vec<Run>>, ContentError> {
        let (mut search, mut question) = Search::begin(new);
        let mut first = true;
        loop {
            let Question { level, groups } = question;
            let message = Message::AskBlocks {
                transfer: self.transfer,
                content: self.wanted.content,
                base,
                level,
                groups: Capped::new(groups),
            };
            let hashes = self.line.ask(self.wanted.content, message);
            let hashes = hashes.ok_or(ContentError::Unwanted)?;
            if std::mem::take(&mut first) && hashes.is_empty() {
                return Ok(None);
            }
            match search.answered(&hashes) {
                Step::Ask(next) => question = next,
                Step::Found(runs) => return Ok(Some(runs)),
            }
        }
    }

    /// A base, and the blocks that differ from it. The Backup checks the whole.
    fn blocks(&mut self, base: Digest, runs: &[Run]) -> Result<(), ContentError> {
        self.say(Message::Base {
            transfer: self.transfer,
            content: self.wanted.content,
            base,
            runs: Capped::new(runs.iter().copied()),
        })?;
        for (number, run) in runs.iter().enumerate() {
            let begin = u64::from(run.first) * BLOCK_BYTES as u64;
            let end = (begin + u64::from(run.count) * BLOCK_BYTES as u64).min(self.wanted.size);
            let mut offset = begin;
            while offset < end {
                let length = usize::try_from(end - offset)
                    .map_or(CHUNK_BYTES_MAX, |left| left.min(CHUNK_BYTES_MAX));
                let bytes = self.read(offset, length)?;
                if bytes.len() != length {
                    return Err(self.changed());
                }
                let after = offset + length as u64;
                let last = after >= end && number + 1 == runs.len();
                self.chunk(offset, bytes, last)?;
                offset = after;
            }
        }
        match runs.is_empty() {
            true => self.chunk(0, Vec::new(), true),
            false => Ok(()),
        }
    }
}
