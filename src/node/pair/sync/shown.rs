//! State sync as people and programs see it in the agent's status.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::super::Pair;
use super::{BELIEVED_FOR, CategoryNews, NO_ROOT, Root};
use crate::node::time::Instant;

/// What the two nodes announce that they hold, compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Roots {
    /// The same.
    Equal,
    /// Not the same, which is so for a moment after every save.
    Differ,
    /// One of the two does not say.
    #[default]
    Unknown,
}

/// State sync, as the agent knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SyncStatus {
    /// What both announce.
    pub roots: Roots,
    /// When the sync service last answered.
    pub told_at: Option<Instant>,
    /// Why it did not answer since.
    pub fault: Option<String>,
    /// Its categories; none if it said nothing lately.
    pub categories: Vec<SyncCategoryStatus>,
    /// Why a takeover that nobody ordered would be withheld; empty if it would not.
    pub withholds: Vec<String>,
}

/// One category, as the agent knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncCategoryStatus {
    /// Name.
    pub name: String,
    /// Whether both nodes hold the same; `None`: not known.
    pub in_sync: Option<bool>,
    /// When they were last seen to.
    pub verified_at: Option<Instant>,
    /// Why they do not.
    pub why: Option<String>,
    /// A takeover waits for it.
    pub required: bool,
}

impl Pair {
    pub(in crate::node::pair) fn sync_status(&self, now: Instant) -> Option<SyncStatus> {
        let policy = self.policy.sync.as_ref()?;
        let news = self.sync.fresh(now, now);
        let categories = news.map_or(&[][..], |news| &news.categories);
        Some(SyncStatus {
            roots: self.compare_roots(now),
            told_at: self.sync.news.as_ref().map(|(at, _)| *at),
            fault: self.sync.fault.clone(),
            categories: categories
                .iter()
                .map(|one| self.category_status(now, one, &policy.required))
                .collect(),
            withholds: match self.active {
                Some(_) => Vec::new(),
                None => self.sync_withholds(now),
            },
        })
    }

    fn category_status(
        &self,
        now: Instant,
        one: &CategoryNews,
        required: &BTreeSet<String>,
    ) -> SyncCategoryStatus {
        let compared = self.sync.compared.get(&one.name);
        let fresh = compared.filter(|compared| now.since(compared.at) <= BELIEVED_FOR);
        let same = compared.filter(|compared| compared.outcome.is_ok());
        SyncCategoryStatus {
            name: one.name.clone(),
            in_sync: fresh.map(|compared| compared.outcome.is_ok()),
            verified_at: same.map(|compared| compared.at),
            why: fresh.and_then(|compared| compared.outcome.clone().err()),
            required: required.contains(&one.name),
        }
    }

    /// What the two announce, side by side.
    fn compare_roots(&self, now: Instant) -> Roots {
        let own = self.sync.announce(now);
        let heard = self.peer.silent_for(&self.clock) < self.policy.timing.suspect_after;
        let theirs = self.peer.last().filter(|_| heard);
        let theirs = theirs.map_or(&[][..], |peer| &peer.sync_roots);
        if own.is_empty() || own.len() != theirs.len() || [&own, theirs].iter().any(unknown) {
            Roots::Unknown
        } else if own == theirs {
            Roots::Equal
        } else {
            Roots::Differ
        }
    }
}

fn unknown(roots: &&[Root]) -> bool {
    roots.contains(&NO_ROOT)
}
