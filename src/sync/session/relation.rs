//! Whether the Active may send, going by what both nodes remember.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
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
    /// The backup's memory gives way to these, oldest first: its tree holds nothing that this node's memory lacks.
    GivesWay(Vec<CommitRecord>),
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

/// By all it remembers, and the content roots of both trees. Where the backup's tree is this node's, or the one that both
/// last had in common, overwriting it loses nothing, whatever led there: a setting was changed and changed back.
pub(super) fn by_all(mine: &Lineage, theirs: &Lineage, here: Digest, there: Digest) -> Verdict {
    let (choice, common) = match mine.relation(theirs) {
        Relation::Same => return Verdict::Behind(Vec::new()),
        Relation::PeerBehind(common) => return Verdict::Behind(after(mine, common)),
        Relation::IAmStale => (Choice::Stale, mine.newest()),
        Relation::SplitBrain(common) => (Choice::SplitBrain, Some(common)),
        Relation::Foreign => (Choice::Foreign, None),
    };
    let held_before = common.is_some_and(|common| common.root == there);
    if here == there || held_before {
        Verdict::GivesWay(mine.iter().copied().collect())
    } else {
        Verdict::Choose(choice)
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
    use crate::lineage::{Epoch, NodeId};

    const ME: NodeId = NodeId(1);
    const PEER: NodeId = NodeId(2);

    fn root(number: u8) -> Digest {
        Digest::from_bytes([number; 32])
    }

    fn grown(from: &Lineage, epoch: u64, author: NodeId, roots: &[u8]) -> Lineage {
        let mut lineage = from.clone();
        for root in roots {
            let next = lineage.next(Epoch(epoch), self::root(*root), author);
            lineage.push(next).unwrap();
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
        let choose = |mine: &Lineage, theirs: &Lineage| by_all(mine, theirs, root(2), root(4));
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
    #[test]
    fn a_tree_that_holds_nothing_of_its_own_gives_way() {
        let base = grown(&Lineage::new(), 1, ME, &[1]);
        let theirs = grown(&base, 1, PEER, &[2, 1]);
        let gives_way = |mine: &Lineage, here: u8, there: u8| {
            let verdict = by_all(mine, &theirs, root(here), root(there));
            verdict == Verdict::GivesWay(mine.iter().copied().collect())
        };
        let mine = grown(&base, 2, ME, &[3]);
        assert!(gives_way(&base, 1, 1), "there and back again");
        assert!(gives_way(&mine, 3, 1), "the same, and a change here since");
        assert!(gives_way(&mine, 3, 3), "both came to the same");
        assert!(!gives_way(&mine, 3, 2), "not back again");
        let foreign = grown(&Lineage::new(), 2, ME, &[5]);
        assert!(gives_way(&foreign, 5, 5));
        assert!(!gives_way(&foreign, 5, 1));
    }
}
