//! The last generations: what each commit changed, so that any of them can be had back, and the contents for it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::error::{StoreError, io};
use super::journal::Intent;
use super::snapshot;
use super::sweep::name_of_commit;
use crate::diff::Change;
use crate::digest::Digest;
use crate::entry::Entry;
use crate::lineage::CommitRecord;
use crate::manifest::Manifest;
use crate::resolve::{Dir, absent};

/// One commit of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Counts this store's commits from 1.
    pub number: u64,
    /// Its record.
    pub record: CommitRecord,
    /// What it changed.
    pub changes: Vec<Change>,
    /// Wall clock in seconds since 1970, for people.
    pub at: u64,
}

/// Two directories: of commits, and of the contents that they took away.
#[derive(Debug)]
pub(super) struct History {
    commits: Dir,
    pub(super) contents: Dir,
    /// How many commits are kept.
    most: usize,
}

impl History {
    pub(super) fn open(home: &Dir, most: usize) -> rustix::io::Result<Self> {
        Ok(Self {
            commits: home.ensure_dir(b"history")?,
            contents: home.ensure_dir(b"history-contents")?,
            most,
        })
    }

    /// Adds a commit, and forgets the oldest with the contents that no other needs.
    pub(super) fn add(&self, intent: &Intent) -> Result<(), StoreError> {
        let generation = Generation {
            number: intent.number,
            record: intent.record,
            changes: intent.changes.clone(),
            at: intent.at,
        };
        snapshot::write(&self.commits, &name_of_commit(intent.number), &generation)?;
        let numbers = self.numbers()?;
        let beyond = numbers.len().saturating_sub(self.most);
        for number in &numbers[..beyond] {
            let gone = absent(self.commits.remove(&name_of_commit(*number)));
            gone.map_err(io("clear", "the history"))?;
        }
        if beyond > 0 {
            self.drop_contents()?;
        }
        if intent.steps.is_empty() {
            return Ok(());
        }
        // What was moved here must not depend on what the file system writes first: the slots it came from, and the
        // journal that tells of them, are cleared next.
        self.contents.sync().map_err(io("sync", "the history"))
    }

    /// The commits, oldest first.
    pub(super) fn list(&self) -> Result<Vec<Generation>, StoreError> {
        let read = |number: &u64| snapshot::read(&self.commits, &name_of_commit(*number));
        let found: Result<Vec<Option<Generation>>, StoreError> =
            self.numbers()?.iter().map(read).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// What there was right after a commit, reckoned back from the newest.
    pub(super) fn manifest(&self, number: u64, newest: &Manifest) -> Result<Manifest, StoreError> {
        let list = self.list()?;
        let newer = list
            .iter()
            .rev()
            .take_while(|generation| generation.number > number);
        let count = newer.clone().count();
        let mut manifest = newest.clone();
        for change in newer.flat_map(|generation| &generation.changes) {
            match &change.old {
                Some(entry) => drop(manifest.insert(change.path.clone(), entry.clone())),
                None => drop(manifest.remove(&change.path)),
            }
        }
        // The commit before the oldest that is kept can be reckoned too.
        let oldest = list
            .first()
            .map(|generation| generation.number.saturating_sub(1));
        let reached = oldest.is_some_and(|oldest| number >= oldest.max(1));
        let known = list.last().is_some_and(|newest| number <= newest.number);
        let gapless = list
            .windows(2)
            .all(|pair| pair[0].number + 1 == pair[1].number);
        if !reached || !known || !gapless || count > list.len() {
            return Err(StoreError::NoGeneration(number));
        }
        Ok(manifest)
    }

    fn numbers(&self) -> Result<Vec<u64>, StoreError> {
        let names = self.commits.names().map_err(io("read", "the history"))?;
        let texts = names
            .iter()
            .filter_map(|name| std::str::from_utf8(name).ok());
        let mut numbers: Vec<u64> = texts.filter_map(|text| text.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn drop_contents(&self) -> Result<(), StoreError> {
        let list = self.list()?;
        let olds = list.iter().flat_map(|generation| &generation.changes);
        let contents = olds.filter_map(|change| change.old.as_ref().and_then(Entry::content));
        let needed: BTreeSet<Digest> = contents.map(|(_, content)| content).collect();
        let failed = |error| io("clear", "the history")(error);
        for name in self.contents.names().map_err(failed)? {
            if !Digest::from_hex(&name).is_some_and(|content| needed.contains(&content)) {
                self.contents.remove_all(&name).map_err(failed)?;
            }
        }
        Ok(())
    }
}
