//! The log of commits: what is about to be done is in it, durably, before anything is done.
//!
//! Records follow each other, each with its length and a checksum. A record cut short by a crash was never durable, so
//! nothing it speaks of has begun; it and what follows it are dropped. Commits are also how the applied manifest is
//! kept: a snapshot, and the finished commits after it.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use rustix::io::Result;
use serde::{Deserialize, Serialize};

use crate::diff::Change;
use crate::digest::{Digest, Domain};
use crate::lineage::CommitRecord;
use crate::path::RelPath;
use crate::resolve::{self, Dir};

use super::steps::Step;

/// A log longer than this in bytes is made into a snapshot.
pub(super) const SNAPSHOT_AT_BYTES: u64 = 4 << 20;
/// A longer log is none of ours.
const LOG_BYTES_MAX: usize = 1 << 30;
/// Length and checksum.
const HEAD_BYTES: usize = 4 + 32;
const FILE: &[u8] = b"journal";

/// All that is needed to finish a commit, or to take it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Intent {
    /// Counts this store's commits from 1.
    pub(super) number: u64,
    /// Of the new manifest.
    pub(super) record: CommitRecord,
    /// Commits that this one brings, oldest first; none if the trees are only made what they were.
    pub(super) records: Vec<CommitRecord>,
    /// Whether they take the place of the lineage held instead of following it.
    pub(super) replace: bool,
    /// From the applied manifest to the new one.
    pub(super) changes: Vec<Change>,
    /// What is done to the trees, in order.
    pub(super) steps: Vec<Step>,
    /// Directories that are no longer replicated but hold what is not replicated.
    pub(super) kept: BTreeSet<RelPath>,
    /// Wall clock in seconds since 1970, for people.
    pub(super) at: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Record {
    /// This is about to be done.
    Intent(Box<Intent>),
    /// The intent before was carried out.
    Done(u64),
    /// The intent before was taken back.
    Undone(u64),
}

/// The log, open at its end.
#[derive(Debug)]
pub(super) struct Journal {
    file: OwnedFd,
    length: u64,
}

impl Journal {
    /// The log in a directory, made if it is not there, and what is in it.
    pub(super) fn open(home: &Dir) -> Result<(Self, Vec<Record>)> {
        let file = match resolve::absent(home.reopen(FILE))? {
            Some(file) => file,
            None => {
                let file = home.create(FILE)?;
                home.sync()?;
                file
            }
        };
        let bytes = resolve::read_all(&file, LOG_BYTES_MAX)?;
        let (mut records, mut at) = (Vec::new(), 0);
        while let Some((record, length)) = parse(&bytes[at..]) {
            records.push(record);
            at += length;
        }
        let length = at as u64;
        if at < bytes.len() {
            resolve::set_length(&file, length)?;
        }
        Ok((Self { file, length }, records))
    }

    /// Adds records, durably.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<()> {
        let frames: Option<Vec<Vec<u8>>> = records.iter().map(frame).collect();
        let bytes = frames.ok_or(rustix::io::Errno::FBIG)?.concat();
        resolve::write_at(&self.file, &bytes, self.length)?;
        resolve::sync_file(&self.file)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Whether a snapshot is due.
    pub(super) fn is_long(&self) -> bool {
        self.length >= SNAPSHOT_AT_BYTES
    }

    /// Forgets everything: a snapshot has it.
    pub(super) fn clear(&mut self) -> Result<()> {
        resolve::set_length(&self.file, 0)?;
        self.length = 0;
        resolve::sync_file(&self.file)
    }
}

fn frame(record: &Record) -> Option<Vec<u8>> {
    let body = postcard::to_stdvec(record).ok()?;
    let length = u32::try_from(body.len()).ok()?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(Digest::of(Domain::Record, &body).as_bytes());
    bytes.extend_from_slice(&body);
    Some(bytes)
}

fn parse(bytes: &[u8]) -> Option<(Record, usize)> {
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
    let (length, sum) = head.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let body = rest.get(..length)?;
    let whole = Digest::of(Domain::Record, body).as_bytes()[..] == *sum;
    let record = whole.then(|| postcard::from_bytes(body).ok()).flatten()?;
    Some((record, HEAD_BYTES + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_cut_short_anywhere_is_dropped_and_the_log_goes_on() {
        let place = tempfile::tempdir().unwrap();
        let home = Dir::open(place.path()).unwrap();
        let (mut journal, _) = Journal::open(&home).unwrap();
        journal.append(&[Record::Done(1)]).unwrap();
        let whole = std::fs::read(place.path().join("journal")).unwrap();
        let two: Vec<u8> = [whole.clone(), frame(&Record::Undone(2)).unwrap()].concat();
        for cut in whole.len()..two.len() {
            std::fs::write(place.path().join("journal"), &two[..cut]).unwrap();
            let (mut journal, records) = Journal::open(&home).unwrap();
            assert_eq!(records, [Record::Done(1)], "cut at {cut}");
            journal.append(&[Record::Done(3)]).unwrap();
            let (_, records) = Journal::open(&home).unwrap();
            assert_eq!(records, [Record::Done(1), Record::Done(3)]);
        }
        let mut flipped = two.clone();
        *flipped.last_mut().unwrap() ^= 1;
        std::fs::write(place.path().join("journal"), &flipped).unwrap();
        assert_eq!(Journal::open(&home).unwrap().1, [Record::Done(1)]);
    }
}
