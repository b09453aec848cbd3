//! Whose data is the newer: the commits each node remembers, and what two such memories say of each other.
//!
//! Roots alone cannot tell (a setting may be changed and changed back), so a commit is known by all of its record.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Commits remembered.
pub const RECORDS_MAX: usize = 1024;

/// The owner number of the pair, raised before each takeover; a lower one is refused.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Epoch(pub u64);

/// A node of the pair: derived by the caller from what identifies it, equal on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// One commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitRecord {
    /// Under which the author was Active.
    pub epoch: Epoch,
    /// Generation: one more than the commit's before it, from 1.
    pub seq: u64,
    /// Content root before.
    pub parent: Option<Digest>,
    /// Content root after.
    pub root: Digest,
    /// Who made it.
    pub author: NodeId,
}

/// The newest commits of one category on one node, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage(VecDeque<CommitRecord>);

/// What two memories say of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Both end in the same commit.
    Same,
    /// The peer lacks what came after this commit of ours; all of it if `None`.
    PeerBehind(Option<CommitRecord>),
    /// We lack what the peer has.
    IAmStale,
    /// Both went on from this common commit, each its own way.
    SplitBrain(CommitRecord),
    /// Nothing in common: another pair's node, or apart for more than [`RECORDS_MAX`] commits.
    Foreign,
}

/// A record that does not follow the newest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineageError {
    /// A number that is not the next.
    #[error("generation {found}; expected {expected}")]
    Sequence {
        /// The record's.
        found: u64,
        /// The one that follows.
        expected: u64,
    },
    /// A parent that is not the newest root.
    #[error("its parent is not the newest generation held here")]
    Parent,
    /// An epoch lower than the newest record's.
    #[error("epoch {} is older than {}, under which data was committed here", found.0, held.0)]
    Epoch {
        /// The record's.
        found: Epoch,
        /// The newest one's.
        held: Epoch,
    },
}

impl Lineage {
    /// Of no commit.
    pub fn new() -> Self {
        Self::default()
    }

    /// The newest commit.
    pub fn newest(&self) -> Option<CommitRecord> {
        self.0.back().copied()
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &CommitRecord> {
        self.0.iter()
    }

    /// The record of the next commit.
    pub fn next(&self, epoch: Epoch, root: Digest, author: NodeId) -> CommitRecord {
        let newest = self.newest();
        CommitRecord {
            epoch,
            seq: newest.map_or(1, |record| record.seq.saturating_add(1)),
            parent: newest.map(|record| record.root),
            root,
            author,
        }
    }

    /// Remembers a commit, and forgets the oldest beyond [`RECORDS_MAX`].
    pub fn push(&mut self, record: CommitRecord) -> Result<(), LineageError> {
        if let Some(newest) = self.newest() {
            let expected = newest.seq.saturating_add(1);
            let (found, held) = (record.epoch, newest.epoch);
            if record.seq != expected {
                let found = record.seq;
                return Err(LineageError::Sequence { found, expected });
            } else if record.parent != Some(newest.root) {
                return Err(LineageError::Parent);
            } else if found < held {
                return Err(LineageError::Epoch { found, held });
            }
        }
        self.0.push_back(record);
        while self.0.len() > RECORDS_MAX {
            self.0.pop_front();
        }
        Ok(())
    }

    /// Takes the place of what is remembered: after a full sync from a node whose data was chosen.
    pub fn replace(&mut self, records: impl IntoIterator<Item = CommitRecord>) {
        self.0 = records.into_iter().collect();
        while self.0.len() > RECORDS_MAX {
            self.0.pop_front();
        }
    }

    /// What this memory and the peer's say of each other.
    pub fn relation(&self, peer: &Self) -> Relation {
        let (mine, theirs) = match (self.newest(), peer.newest()) {
            (None, None) => return Relation::Same,
            (Some(_), None) => return Relation::PeerBehind(None),
            (None, Some(_)) => return Relation::IAmStale,
            (Some(mine), Some(theirs)) => (mine, theirs),
        };
        if mine == theirs {
            Relation::Same
        } else if self.0.contains(&theirs) {
            Relation::PeerBehind(Some(theirs))
        } else if peer.0.contains(&mine) {
            Relation::IAmStale
        } else {
            let common = self.iter().rev().find(|record| peer.0.contains(record));
            common.map_or(Relation::Foreign, |record| Relation::SplitBrain(*record))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(number: u8) -> Digest {
        Digest::from_bytes([number; 32])
    }

    fn grown(from: &Lineage, node: u64, epoch: u64, roots: &[u8]) -> Lineage {
        let mut lineage = from.clone();
        for number in roots {
            let record = lineage.next(Epoch(epoch), root(*number), NodeId(node));
            lineage.push(record).unwrap();
        }
        lineage
    }

    #[test]
    fn each_relation() {
        let old = grown(&Lineage::new(), 1, 1, &[1, 2]);
        let newer = grown(&old, 1, 1, &[3]);
        let mine = grown(&old, 2, 2, &[4]);
        assert_eq!(old.relation(&old), Relation::Same);
        assert_eq!(newer.relation(&old), Relation::PeerBehind(old.newest()));
        assert_eq!(old.relation(&newer), Relation::IAmStale);
        let fork = old.newest().unwrap();
        assert_eq!(mine.relation(&newer), Relation::SplitBrain(fork));
        assert_eq!(newer.relation(&mine), Relation::SplitBrain(fork));
        let stranger = grown(&Lineage::new(), 9, 1, &[7]);
        assert_eq!(mine.relation(&stranger), Relation::Foreign);
        assert_eq!(mine.relation(&Lineage::new()), Relation::PeerBehind(None));
        assert_eq!(Lineage::new().relation(&mine), Relation::IAmStale);
        assert_eq!(Lineage::new().relation(&Lineage::new()), Relation::Same);
    }

    /// The peer committed root 1 again in a life of its own: the root is in our memory, the commit is not.
    #[test]
    fn a_root_seen_before_is_not_a_commit_seen_before() {
        let old = grown(&Lineage::new(), 1, 1, &[1, 2]);
        let mine = grown(&old, 1, 1, &[1, 3]);
        let theirs = grown(&old, 2, 2, &[1]);
        let fork = old.newest().unwrap();
        assert_eq!(mine.relation(&theirs), Relation::SplitBrain(fork));
    }

    #[test]
    fn a_record_follows_the_newest_one_or_is_refused() {
        let lineage = grown(&Lineage::new(), 1, 5, &[1]);
        let next = lineage.next(Epoch(5), root(2), NodeId(1));
        let refused = |change: fn(&mut CommitRecord)| {
            let mut record = next;
            change(&mut record);
            lineage.clone().push(record).unwrap_err()
        };
        let skipped = refused(|record| record.seq = 3);
        assert_eq!(skipped.to_string(), "generation 3; expected 2");
        assert_eq!(refused(|record| record.parent = None), LineageError::Parent);
        let stale = refused(|record| record.epoch = Epoch(4));
        assert!(matches!(stale, LineageError::Epoch { .. }));
    }

    #[test]
    fn memory_is_bounded() {
        let roots: Vec<u8> = (0..=255).collect();
        let mut lineage = Lineage::new();
        for _ in 0..5 {
            lineage = grown(&lineage, 1, 1, &roots);
        }
        assert_eq!(lineage.iter().count(), RECORDS_MAX);
        assert_eq!(lineage.newest().unwrap().seq, 1280);
    }
}
