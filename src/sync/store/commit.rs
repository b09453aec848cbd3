//! Putting a staged generation in place, all of it or nothing; and after a crash, finishing or taking back.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::io::Errno;

use super::area::Area;
use super::error::{StoreError, io};
use super::journal::{Intent, Record};
use super::secure::secure;
use super::stage::{Staged, snapshot_applied};
use super::sweep::{LocalEdit, Sweep, laid_aside, name_of_commit};
use super::{Recovered, Store, snapshot};
use crate::lineage::{CommitRecord, Epoch};
use crate::path::RelPath;

/// More directories than this are synced by syncing their file system.
const SYNC_EACH_MAX: usize = 8;
/// Commits whose laid-aside edits are kept.
const ASIDE_MAX: usize = 64;
/// End of the name of a list of edits.
pub(super) const EDITS: &str = ".edits";

/// What was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its record.
    pub record: CommitRecord,
    /// Counts this store's commits from 1.
    pub number: u64,
    /// What had been edited here and gave way; laid aside.
    pub edits: Vec<LocalEdit>,
    /// What could not be put away after the commit; tried again before the next. The commit itself is complete.
    pub leftover: Option<String>,
}

impl Store {
    /// Puts a staged generation in place. `check` is called under the lock, right before anything is done; what it says
    /// against the epoch is the last word. On any error but [`StoreError::Torn`] and [`StoreError::Broken`] the trees
    /// are as they were.
    pub fn commit(
        &mut self,
        staged: Staged,
        check: impl FnOnce(Epoch) -> Result<(), String>,
    ) -> Result<Committed, StoreError> {
        self.usable()?;
        if staged.intent.number != self.applied.number + 1 {
            return Err(StoreError::Overtaken);
        }
        self.fence(staged.epoch)?;
        check(staged.epoch).map_err(StoreError::Refused)?;
        self.raise_epoch(staged.epoch)?;
        let Staged {
            intent,
            manifest,
            areas,
            ..
        } = staged;
        let secured = secure(&intent, &areas);
        secured.map_err(|(path, source)| io("make durable", path)(source))?;
        self.log(&[Record::Intent(Box::new(intent.clone()))])?;
        self.carry_out(&intent, &areas)?;
        self.log(&[Record::Done(intent.number)])?;
        self.apply(&intent)?;
        self.scanner.replace(manifest, intent.kept.clone());
        self.absent.clear();
        let (number, record) = (intent.number, intent.record);
        self.unswept = Some(Box::new(intent));
        let swept = self.sweep(&areas);
        let (edits, leftover) = match swept {
            Ok(edits) => (edits, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        Ok(Committed {
            record,
            number,
            edits,
            leftover,
        })
    }

    /// Replays the journal, and ends what it says was begun.
    pub(super) fn recover(&mut self, records: Vec<Record>) -> Result<Recovered, StoreError> {
        let damaged = || StoreError::Damaged("journal".to_owned());
        let mut pending: Option<Box<Intent>> = None;
        for record in records {
            match record {
                // Nothing is staged before what the commit before displaced is put away.
                Record::Intent(intent) => (pending, self.unswept) = (Some(intent), None),
                Record::Undone(_) => pending = None,
                Record::Done(number) => {
                    let intent = pending.take().filter(|intent| intent.number == number);
                    let intent = intent.ok_or_else(damaged)?;
                    if number > self.applied.number {
                        self.apply(&intent)?;
                    }
                    self.unswept = Some(intent);
                }
            }
        }
        let recovered = match pending {
            Some(intent) => self.end(intent)?,
            None => Recovered::Clean,
        };
        // A tree that cannot be opened now is tried again before the next commit.
        self.sweep_last().ok();
        Ok(recovered)
    }

    fn end(&mut self, intent: Box<Intent>) -> Result<Recovered, StoreError> {
        let record = intent.record;
        let areas = match intent.steps.is_empty() {
            true => BTreeMap::new(),
            false => self.open_areas(intent.number)?,
        };
        match self.carry_out(&intent, &areas) {
            Ok(()) => {
                self.log(&[Record::Done(intent.number)])?;
                self.apply(&intent)?;
                self.unswept = Some(intent);
                Ok(Recovered::Forward(record))
            }
            Err(StoreError::Undone { .. }) => Ok(Recovered::Back(record)),
            Err(error) => Err(error),
        }
    }

    /// All steps, durably; or none, and the journal says so.
    fn carry_out(
        &mut self,
        intent: &Intent,
        areas: &BTreeMap<RelPath, Area>,
    ) -> Result<(), StoreError> {
        let Err((path, source)) = self.all_forward(intent, areas) else {
            return Ok(());
        };
        let back = intent.steps.iter().rev().try_for_each(|step| {
            let area = area_of(areas, &step.path)?;
            step.back(area, self.scanner.policy())
        });
        let sync = |area: &Area| area.slots.sync_file_system();
        let back = back.and_then(|()| areas.values().try_for_each(sync));
        if back.is_err() {
            self.broken = true;
            return Err(StoreError::Torn { path, source });
        }
        self.log(&[Record::Undone(intent.number)])?;
        Err(StoreError::Undone { path, source })
    }

    fn all_forward(
        &self,
        intent: &Intent,
        areas: &BTreeMap<RelPath, Area>,
    ) -> Result<(), (RelPath, Errno)> {
        for step in &intent.steps {
            let area = area_of(areas, &step.path);
            let done = area.and_then(|area| step.forward(area, self.scanner.policy()));
            done.map_err(|source| (step.path.clone(), source))?;
        }
        let Some(first) = intent.steps.first() else {
            return Ok(());
        };
        let synced = sync_touched(intent, areas);
        synced.map_err(|source| (first.path.clone(), source))
    }

    /// Puts away what the last commit displaced, if that is still to do.
    pub(super) fn sweep_last(&mut self) -> Result<(), StoreError> {
        let areas = match &self.unswept {
            Some(intent) if !intent.steps.is_empty() => self.open_areas(intent.number)?,
            _ => BTreeMap::new(),
        };
        self.sweep(&areas).map(|_| ())
    }

    /// Puts away what the last commit displaced, and writes it into the history.
    pub(super) fn sweep(
        &mut self,
        areas: &BTreeMap<RelPath, Area>,
    ) -> Result<Vec<LocalEdit>, StoreError> {
        let Some(intent) = self.unswept.take() else {
            return Ok(Vec::new());
        };
        let swept = self.put_away(&intent, areas);
        if swept.is_err() {
            self.unswept = Some(intent);
        }
        swept
    }

    fn put_away(
        &mut self,
        intent: &Intent,
        areas: &BTreeMap<RelPath, Area>,
    ) -> Result<Vec<LocalEdit>, StoreError> {
        let manifest = &self.applied.manifest;
        let mut sweep = Sweep::new(intent, manifest, &self.history.contents, &self.aside);
        for area in areas.values() {
            let swept = sweep.tree(area);
            swept.map_err(io(
                "put away what was replaced in",
                area.tree.root.display(),
            ))?;
        }
        let edits = sweep.edits;
        self.list_edits(intent.number, &edits)?;
        self.history.add(intent)?;
        if self.journal.is_long() {
            snapshot_applied(self)?;
        }
        Ok(edits)
    }

    /// Durable, and listed: also what a sweep that a crash interrupted had laid aside and not listed yet.
    fn list_edits(&self, number: u64, edits: &[LocalEdit]) -> Result<(), StoreError> {
        let lies = self.aside.look(&name_of_commit(number));
        let lies = lies
            .map_err(io("look at", "what was laid aside"))?
            .is_some();
        if edits.is_empty() && !lies {
            return Ok(());
        }
        let synced = self.aside.sync_file_system();
        synced.map_err(io("sync", "what was laid aside"))?;
        let file = edits_file(number);
        let mut all: Vec<LocalEdit> = snapshot::read(&self.aside, &file)?.unwrap_or_default();
        let found = laid_aside(&self.aside, number).map_err(io("read", "what was laid aside"))?;
        for edit in edits.iter().cloned().chain(found) {
            if !all.iter().any(|listed| listed.path == edit.path) {
                all.push(edit);
            }
        }
        snapshot::write(&self.aside, &file, &all)?;
        let failed = |error| io("clear", "what was laid aside")(error);
        let lists = self.laid_aside()?;
        for (number, _) in &lists[..lists.len().saturating_sub(ASIDE_MAX)] {
            self.aside
                .remove_all(&name_of_commit(*number))
                .map_err(failed)?;
            self.aside
                .remove_all(&edits_file(*number))
                .map_err(failed)?;
        }
        Ok(())
    }
}

/// Makes the renames of a commit durable.
fn sync_touched(intent: &Intent, areas: &BTreeMap<RelPath, Area>) -> Result<(), Errno> {
    for (name, area) in areas {
        let steps = intent.steps.iter().filter(|step| step.path.is_within(name));
        let mut parents: Vec<RelPath> = steps
            .map(|step| step.path.parent().unwrap_or_else(|| step.path.clone()))
            .collect();
        parents.sort();
        parents.dedup();
        if parents.len() > SYNC_EACH_MAX {
            area.slots.sync_file_system()?;
            continue;
        }
        for parent in &parents {
            area.root.dir(parent.split_tree().1)?.sync()?;
        }
        if !parents.is_empty() {
            area.slots.sync()?;
        }
    }
    Ok(())
}

fn area_of<'a>(areas: &'a BTreeMap<RelPath, Area>, path: &RelPath) -> Result<&'a Area, Errno> {
    let mut all = areas.iter();
    let area = all.find(|(name, _)| path.is_within(name));
    area.map(|(_, area)| area).ok_or(Errno::NOENT)
}

/// Name of the list of a commit's edits.
pub(super) fn edits_file(number: u64) -> Vec<u8> {
    format!("{number}{EDITS}").into_bytes()
}

/// Wall clock in seconds since 1970, for people.
pub(super) fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
