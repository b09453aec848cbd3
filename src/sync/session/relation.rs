//! Whether the Active may send, going by what both nodes remember.

use serde::{Deserialize, Serialize};

use crate::frame::{Capped, RECORDS_MAX};
use crate::lineage::{CommitRecord, Lineage, Relation};

/// What somebody has to decide before anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The backup has commits that this node lacks.
    Stale,
    /// Both went on without each other.
    SplitBrain,
    /// The two share no history.
    Foreign,
}

impl Choice {
    /// What it means and what can be done.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Stale => {
                "the backup holds commits that this node never had: its data is newer; switch over to it, or overwrite it with `fencepost sync now --overwrite`"
            }
            Self::SplitBrain => {
                "both nodes were changed without each other; switch over to the one that counts, then run `fencepost sync now --overwrite` there"
            }
            Self::Foreign => {
                "the two nodes share no history; if this node's data counts, run `fencepost sync now --overwrite`"
            }
        }
    }
}

/// How to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The backup lacks these commits, oldest first.
    Behind(Vec<CommitRecord>),
    /// Its newest commit alone does not tell: ask for all it remembers.
    Ask,
    /// Somebody has to decide.
    Choose(Choice),
}

/// By its newest commit.
pub(super) fn by_newest(mine: &Lineage, newest: Option<CommitRecord>) -> Verdict {
    let mut theirs = Lineage::new();
    theirs.replace(newest);
    match mine.relation(&theirs) {
        Relation::Same => Verdict::Behind(Vec::new()),
        Relation::PeerBehind(common) => Verdict::Behind(after(mine, common)),
        Relation::IAmStale | Relation::SplitBrain(_) | Relation::Foreign => Verdict::Ask,
    }
}

/// By all it remembers.
pub(super) fn by_all(mine: &Lineage, theirs: &Lineage) -> Verdict {
    match mine.relation(theirs) {
        Relation::Same => Verdict::Behind(Vec::new()),
        Relation::PeerBehind(common) => Verdict::Behind(after(mine, common)),
        Relation::IAmStale => Verdict::Choose(Choice::Stale),
        Relation::SplitBrain(_) => Verdict::Choose(Choice::SplitBrain),
        Relation::Foreign => Verdict::Choose(Choice::Foreign),
    }
}

fn after(mine: &Lineage, common: Option<CommitRecord>) -> Vec<CommitRecord> {
    let known = common.and_then(|common| mine.iter().position(|record| *record == common));
    mine.iter()
        .skip(known.map_or(0, |at| at + 1))
        .copied()
        .collect()
}

/// The newest that fit a message, and whether any were left out.
pub(super) fn history(records: Vec<CommitRecord>) -> (Capped<CommitRecord, RECORDS_MAX>, bool) {
    let skipped = records.len().saturating_sub(RECORDS_MAX);
    (Capped::new(records.into_iter().skip(skipped)), skipped > 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

    use super::*;
    use crate::digest::Digest;
    use crate::lineage::{Epoch, NodeId};

    const ME: NodeId = NodeId(1);
    const PEER: NodeId = NodeId(2);

    fn grown(from: &Lineage, epoch: u64, author: NodeId, roots: &[u8]) -> Lineage {
        let mut lineage = from.clone();
        for root in roots {
            let root = Digest::from_bytes([*root; 32]);
            lineage
                .push(lineage.next(Epoch(epoch), root, author))
                .unwrap();
        }
        lineage
    }

    #[test]
    fn who_lacks_what() {
        let base = grown(&Lineage::new(), 1, ME, &[1, 2]);
        let more = grown(&base, 1, ME, &[3, 4]);
        let Verdict::Behind(lacks) = by_newest(&more, base.newest()) else {
            panic!("the peer is behind");
        };
        assert_eq!(lacks.len(), 2);
        assert_eq!(by_newest(&base, base.newest()), Verdict::Behind(vec![]));
        let Verdict::Behind(all) = by_newest(&more, None) else {
            panic!("a new node lacks all");
        };
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn what_nobody_but_people_can_decide() {
        let base = grown(&Lineage::new(), 1, ME, &[1]);
        let (mine, theirs) = (grown(&base, 2, ME, &[2]), grown(&base, 3, PEER, &[3, 4]));
        let choose = |mine: &Lineage, theirs: &Lineage| by_all(mine, theirs);
        assert_eq!(choose(&base, &theirs), Verdict::Choose(Choice::Stale));
        assert_eq!(choose(&mine, &theirs), Verdict::Choose(Choice::SplitBrain));
        let foreign = grown(&Lineage::new(), 9, PEER, &[9]);
        assert_eq!(choose(&mine, &foreign), Verdict::Choose(Choice::Foreign));
        // An empty Active must not wipe a backup that holds data.
        assert_eq!(
            choose(&Lineage::new(), &theirs),
            Verdict::Choose(Choice::Stale)
        );
    }
}
