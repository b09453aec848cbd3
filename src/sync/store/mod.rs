//! What a node holds of a category: the generation that is applied, how the next one gets there, and the ones before.
//!
//! The Backup: [`Store::missing`] says which contents to fetch, [`Store::begin`] and its fellows take them,
//! [`Store::stage`] builds the next generation aside and makes it durable, the caller validates it,
//! [`Store::commit`] puts it in place or leaves everything as it was. The Active: [`Store::publish`] makes what a scan
//! found the next generation. Both sides thus have the same lineage.
//!
//! A commit under the lock: the epoch, then the caller's check; the intent into the journal, durable; one rename per
//! changed path, deletions last; the directories synced; *done* into the journal, durable. Opening the store finishes,
//! or takes back, what a crash interrupted. Readers may see some paths new and others old while the renames run, some
//! tens of microseconds each; a reload afterwards hides that, nothing else does.
//!
//! One `Store` per category and host, behind one lock of the caller's.

mod area;
mod build;
mod commit;
mod error;
mod history;
mod journal;
mod plan;
mod secure;
mod snapshot;
mod stage;
mod staging;
mod steps;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

pub use commit::Committed;
pub use error::StoreError;
pub use history::Generation;
pub use stage::{Staged, Target, Want};
pub use sweep::LocalEdit;

use crate::category_id::CategoryId;
use crate::diff::{Change, diff};
use crate::digest::Digest;
use crate::lineage::{CommitRecord, Epoch, Lineage, NodeId};
use crate::manifest::Manifest;
use crate::path::RelPath;
use crate::policy::Policy;
use crate::resolve::{Dir, absent};
use crate::scan::{Scan, ScanError, Scanner, Trust};
use crate::tree::Tree;
use error::io;
use history::History;
use journal::{Intent, Journal, Record};
use staging::Staging;

/// Where a store is.
#[derive(Debug, Clone)]
pub struct StoreSpec {
    /// Of which category.
    pub category: CategoryId,
    /// Its own directory, outside of all trees; made if only its last name is missing.
    pub state: PathBuf,
    /// Generations kept, besides the one that is applied.
    pub history: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Store {
    category: CategoryId,
    state: PathBuf,
    scanner: Scanner,
    home: Dir,
    aside: Dir,
    staging: Staging,
    history: History,
    journal: Journal,
    applied: Applied,
    epoch: Epoch,
    /// The last commit, while what it displaced is not all put away.
    unswept: Option<Box<Intent>>,
    /// Contents asked for, with their sizes.
    wanted: BTreeMap<Digest, u64>,
    /// Contents that the trees should hold but do not.
    absent: BTreeSet<Digest>,
    probed: bool,
    /// See [`Store::owed`].
    owed: Option<u64>,
    /// The journal could not be written: only opening the store again tells what is in it.
    broken: bool,
}

/// The generation that is applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Commits of this store so far.
    pub number: u64,
    /// Their records, and the peer's before.
    pub lineage: Lineage,
    /// What the trees hold unless somebody edited them.
    pub manifest: Manifest,
    /// Directories that are not in the manifest and stay for what is not replicated in them.
    pub kept: BTreeSet<RelPath>,
}

/// What opening a store found unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovered {
    /// Nothing.
    Clean,
    /// A commit, which is now complete.
    Forward(CommitRecord),
    /// A commit, which could not be completed and was taken back.
    Back(CommitRecord),
}

const APPLIED: &[u8] = b"applied";
const EPOCH: &[u8] = b"epoch";
const OWED: &[u8] = b"owed";

impl Store {
    /// Opens the store and finishes, or takes back, what was interrupted.
    pub fn open(
        spec: &StoreSpec,
        trees: Vec<Tree>,
        policy: Policy,
    ) -> Result<(Self, Recovered), StoreError> {
        let shown = spec.state.display();
        let failed = |error| io("open", &shown)(error);
        let home = open_home(spec).map_err(failed)?;
        match flock(&home, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(StoreError::Locked(shown.to_string())),
            locked => locked.map_err(failed)?,
        }
        let (journal, records) = Journal::open(&home).map_err(failed)?;
        let mut store = Self {
            category: spec.category.clone(),
            state: spec.state.clone(),
            scanner: Scanner::new(trees, policy),
            aside: home.ensure_dir(b"aside").map_err(failed)?,
            staging: Staging::open(&home).map_err(failed)?,
            history: History::open(&home, spec.history).map_err(failed)?,
            applied: snapshot::read(&home, APPLIED)?.unwrap_or_default(),
            epoch: snapshot::read(&home, EPOCH)?.unwrap_or_default(),
            owed: snapshot::read(&home, OWED)?,
            home,
            journal,
            unswept: None,
            wanted: BTreeMap::new(),
            absent: BTreeSet::new(),
            probed: false,
            broken: false,
        };
        let recovered = store.recover(records)?;
        store.scanner.remember(&store.applied.manifest);
        store.scanner.set_kept(store.applied.kept.clone());
        Ok((store, recovered))
    }

    /// Looks at all of the trees.
    pub fn scan(&mut self, trust: Trust) -> Result<Scan, ScanError> {
        self.scanner.scan(trust)
    }

    /// Looks at these paths and all below them.
    pub fn rescan(&mut self, dirty: &[RelPath]) -> Result<Scan, ScanError> {
        self.scanner.rescan(dirty)
    }

    /// Lets the next scan find trees empty, or on another file system: somebody said that it is meant.
    pub fn accept_empty(&mut self) {
        self.scanner.accept_empty();
    }

    /// What the last scan found, or the last commit left.
    pub fn live(&self) -> &Manifest {
        self.scanner.manifest()
    }

    /// The generation that is applied.
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// The highest epoch seen.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Takes note of an epoch, durably: nothing of an older one is committed from now on.
    pub fn raise_epoch(&mut self, epoch: Epoch) -> Result<(), StoreError> {
        if epoch > self.epoch {
            snapshot::write(&self.home, EPOCH, &epoch)?;
            self.epoch = epoch;
        }
        Ok(())
    }

    /// The generation that the programs of this node have still to take up, if they owe it.
    pub fn owed(&self) -> Option<u64> {
        self.owed
    }

    /// Takes note of that, durably; that nothing is owed any more may be forgotten by a power cut.
    pub fn owe(&mut self, generation: Option<u64>) -> Result<(), StoreError> {
        match generation {
            Some(generation) => snapshot::write(&self.home, OWED, &generation)?,
            None => drop(absent(self.home.remove(OWED)).map_err(io("clear", "what is owed"))?),
        }
        self.owed = generation;
        Ok(())
    }

    /// Where the trees differ from the generation that is applied: on the Backup, what somebody edited there.
    pub fn local_edits(&self) -> Vec<Change> {
        diff(&self.applied.manifest, self.scanner.manifest())
    }

    /// Makes what the last scan found the next generation. `None` if it is the one there is.
    pub fn publish(
        &mut self,
        epoch: Epoch,
        author: NodeId,
    ) -> Result<Option<CommitRecord>, StoreError> {
        let changes = diff(&self.applied.manifest, self.scanner.manifest());
        if changes.is_empty() && self.applied.lineage.newest().is_some() {
            return Ok(None);
        }
        self.publish_anew(epoch, author).map(Some)
    }

    /// Makes what the last scan found the next generation, even if nothing changed: the Backup takes up only what
    /// follows the newest generation it has, under the epoch of now.
    pub fn publish_anew(
        &mut self,
        epoch: Epoch,
        author: NodeId,
    ) -> Result<CommitRecord, StoreError> {
        self.usable()?;
        self.fence(epoch)?;
        let live = self.scanner.manifest();
        let changes = diff(&self.applied.manifest, live);
        let record = self
            .applied
            .lineage
            .next(epoch, live.roots().content, author);
        self.raise_epoch(epoch)?;
        let intent = Intent {
            number: self.applied.number + 1,
            record,
            records: vec![record],
            replace: false,
            changes,
            steps: Vec::new(),
            kept: self.applied.kept.clone(),
            at: commit::now_s(),
        };
        let number = intent.number;
        self.log(&[
            Record::Intent(Box::new(intent.clone())),
            Record::Done(number),
        ])?;
        self.apply(&intent)?;
        self.unswept = Some(Box::new(intent));
        self.sweep(&BTreeMap::new())?;
        Ok(record)
    }

    /// The last commits, oldest first.
    pub fn history(&self) -> Result<Vec<Generation>, StoreError> {
        self.history.list()
    }

    /// What there was right after a commit of the history.
    pub fn generation(&self, number: u64) -> Result<Manifest, StoreError> {
        self.history.manifest(number, &self.applied.manifest)
    }

    /// Stages an earlier generation as the next one.
    pub fn rollback(
        &mut self,
        number: u64,
        epoch: Epoch,
        author: NodeId,
    ) -> Result<Staged, StoreError> {
        let manifest = self.generation(number)?;
        let root = manifest.roots().content;
        self.stage(Target {
            manifest,
            epoch,
            records: vec![self.applied.lineage.next(epoch, root, author)],
            replace: false,
            force: true,
            view: false,
        })
    }

    /// Edits that gave way to commits and were laid aside, oldest first, with the directory each lies in, below `aside`
    /// in the store's own.
    pub fn laid_aside(&self) -> Result<Vec<(u64, Vec<LocalEdit>)>, StoreError> {
        let names = self
            .aside
            .names()
            .map_err(io("read", "what was laid aside"))?;
        let texts = names
            .iter()
            .filter_map(|name| std::str::from_utf8(name).ok());
        let stems = texts.filter_map(|text| text.strip_suffix(commit::EDITS)?.parse().ok());
        let mut numbers: Vec<u64> = stems.collect();
        numbers.sort_unstable();
        let read = |number: u64| {
            let edits = snapshot::read(&self.aside, &commit::edits_file(number))?;
            Ok((number, edits.unwrap_or_default()))
        };
        numbers.into_iter().map(read).collect()
    }

    fn fence(&self, epoch: Epoch) -> Result<(), StoreError> {
        if epoch < self.epoch {
            return Err(StoreError::Fenced {
                found: epoch,
                held: self.epoch,
            });
        }
        Ok(())
    }

    fn usable(&self) -> Result<(), StoreError> {
        match self.broken {
            true => Err(StoreError::Broken),
            false if !self.scanner.is_scanned() => Err(StoreError::Unscanned),
            false => Ok(()),
        }
    }

    /// Takes a finished commit into what is applied.
    fn apply(&mut self, intent: &Intent) -> Result<(), StoreError> {
        let lineage = &mut self.applied.lineage;
        if intent.replace {
            lineage.replace(intent.records.iter().copied());
        } else {
            for record in &intent.records {
                lineage.push(*record)?;
            }
        }
        let manifest = std::mem::take(&mut self.applied.manifest);
        self.applied.manifest = manifest.with(&intent.changes);
        self.applied.kept = intent.kept.clone();
        self.applied.number = intent.number;
        Ok(())
    }

    fn log(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let logged = self.journal.append(records);
        self.broken |= logged.is_err();
        logged.map_err(io("write", "the journal"))
    }
}

/// The store's own directory, which may be a mount of its own.
fn open_home(spec: &StoreSpec) -> rustix::io::Result<Dir> {
    if let Some(home) = absent(Dir::open(&spec.state))? {
        return Ok(home);
    }
    let parent = spec.state.parent().ok_or(Errno::INVAL)?;
    let name = spec.state.file_name().ok_or(Errno::INVAL)?;
    Dir::open(parent)?.ensure_dir(name.as_encoded_bytes())
}
