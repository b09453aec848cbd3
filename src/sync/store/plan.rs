//! From what the trees hold to what they shall hold, as few renames as possible: what is new appears whole, what goes
//! goes whole, and what is not replicated stays where it is.

use std::collections::{BTreeMap, BTreeSet};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::area::Area;
use super::error::StoreError;
use crate::diff::{Change, diff};
use crate::manifest::Manifest;
use crate::path::RelPath;
use crate::resolve::{Dir, absent};

/// What to do, by path. Deletions come after all else, and directories' metadata last.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// New where nothing is.
    pub(super) place: Vec<RelPath>,
    /// New in place of something else.
    pub(super) exchange: Vec<RelPath>,
    /// To go, whole.
    pub(super) remove: Vec<RelPath>,
    /// Directories whose metadata is set; those inside others first.
    pub(super) directories: Vec<RelPath>,
    /// Directories that would go but hold what is not replicated.
    pub(super) kept: BTreeSet<RelPath>,
}

/// Compares, and looks at what is really there.
pub(super) fn plan(
    live: &Manifest,
    next: &Manifest,
    areas: &BTreeMap<RelPath, Area>,
) -> Result<Plan, StoreError> {
    let mut planner = Planner {
        live,
        areas,
        plan: Plan::default(),
        whole: None,
    };
    let mut directories = BTreeSet::new();
    for change in diff(live, next) {
        planner.change(&change, &mut directories)?;
    }
    let mut plan = planner.plan;
    plan.directories = directories.into_iter().rev().collect();
    Ok(plan)
}

struct Planner<'a> {
    live: &'a Manifest,
    areas: &'a BTreeMap<RelPath, Area>,
    plan: Plan,
    /// The subtree that was just planned as a whole.
    whole: Option<RelPath>,
}

impl Planner<'_> {
    fn change(
        &mut self,
        change: &Change,
        directories: &mut BTreeSet<RelPath>,
    ) -> Result<(), StoreError> {
        let path = &change.path;
        if self
            .whole
            .as_ref()
            .is_some_and(|whole| path.is_within(whole))
        {
            return Ok(());
        }
        match (&change.old, &change.new) {
            (Some(old), Some(new)) if old.is_dir() && new.is_dir() => {
                directories.insert(path.clone());
            }
            (None, Some(new)) => match self.there(path)? {
                None => self.whole(path, |plan| &mut plan.place),
                Some(FileType::Directory) if new.is_dir() => {
                    directories.insert(path.clone());
                }
                Some(_) => return Err(StoreError::InTheWay(path.clone())),
            },
            (Some(old), Some(_)) => {
                if old.is_dir()
                    && let Some(stranger) = self.stranger(path)?
                {
                    return Err(StoreError::InTheWay(stranger));
                }
                self.whole(path, |plan| &mut plan.exchange);
            }
            (Some(old), None) => {
                if old.is_dir() && self.stranger(path)?.is_some() {
                    self.plan.kept.insert(path.clone());
                } else {
                    self.whole(path, |plan| &mut plan.remove);
                }
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn whole(&mut self, path: &RelPath, list: fn(&mut Plan) -> &mut Vec<RelPath>) {
        list(&mut self.plan).push(path.clone());
        self.whole = Some(path.clone());
    }

    /// What is really at a path.
    fn there(&self, path: &RelPath) -> Result<Option<FileType>, StoreError> {
        if path.depth() == 1 {
            return Ok(Some(FileType::Directory));
        }
        let look = || {
            let (parent, name) = self.area(path)?.root.parent(path.split_tree().1)?;
            parent.look(name)
        };
        match absent(look()) {
            Ok(found) => Ok(found.flatten().map(|status| status.file_type)),
            Err(source) => Err(failed(path, source)),
        }
    }

    /// Something below a directory that is not in the live manifest: not replicated, so not to be moved.
    fn stranger(&self, path: &RelPath) -> Result<Option<RelPath>, StoreError> {
        let open = || self.area(path)?.root.dir(path.split_tree().1);
        match absent(open()) {
            Ok(Some(dir)) => self.stranger_in(&dir, path),
            Ok(None) => Ok(None),
            Err(source) => Err(failed(path, source)),
        }
    }

    fn stranger_in(&self, dir: &Dir, path: &RelPath) -> Result<Option<RelPath>, StoreError> {
        let failed = |source| failed(path, source);
        for name in dir.names().map_err(failed)? {
            let below = path.join(&name).map_err(|_| failed(Errno::NAMETOOLONG))?;
            match self.live.get(&below) {
                None => return Ok(Some(below)),
                Some(entry) if entry.is_dir() => {
                    let inner = absent(dir.dir(&name)).map_err(failed)?;
                    let found = inner.map(|inner| self.stranger_in(&inner, &below));
                    if let Some(stranger) = found.transpose()?.flatten() {
                        return Ok(Some(stranger));
                    }
                }
                Some(_) => {}
            }
        }
        Ok(None)
    }

    fn area(&self, path: &RelPath) -> rustix::io::Result<&Area> {
        let mut areas = self.areas.iter();
        let area = areas.find(|(name, _)| path.is_within(name));
        area.map(|(_, area)| area).ok_or(Errno::NOENT)
    }
}

impl Plan {
    /// Paths of `next` that are built anew, each with all below it.
    pub(super) fn built(&self) -> impl Iterator<Item = &RelPath> {
        self.place.iter().chain(&self.exchange)
    }
}

fn failed(path: &RelPath, source: Errno) -> StoreError {
    StoreError::Io {
        what: "look at",
        place: path.to_string(),
        source,
    }
}
