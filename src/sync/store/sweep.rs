//! What becomes of what a commit displaced. What the generation before had goes to the history; what it did not have
//! was edited here, and is laid aside with who and when. Nothing is dropped that is in neither.

use std::collections::{BTreeMap, BTreeSet};

use rustix::fs::FileType;
use rustix::io::{Errno, Result};
use serde::{Deserialize, Serialize};

use super::area::Area;
use super::journal::Intent;
use super::staging;
use super::steps::name_of;
use crate::digest::Digest;
use crate::entry::{Entry, Kind};
use crate::manifest::Manifest;
use crate::path::RelPath;
use crate::resolve::{self, Dir, Status, absent};
use crate::scan::read::hash;

/// Something that was edited on this node and gave way to a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalEdit {
    /// Where.
    pub path: RelPath,
    /// Its owner then: who most likely made it.
    pub uid: u32,
    /// When it was last changed, in nanoseconds since 1970.
    pub mtime_ns: i64,
}

/// Takes what one commit displaced out of the slots.
pub(super) struct Sweep<'a> {
    /// The commit.
    pub(super) intent: &'a Intent,
    /// What there is after it.
    pub(super) manifest: &'a Manifest,
    /// Contents of earlier generations.
    pub(super) earlier: &'a Dir,
    /// Where edits are laid aside; made when first needed.
    pub(super) aside: &'a Dir,
    pub(super) edits: Vec<LocalEdit>,
    old: BTreeMap<&'a RelPath, Option<&'a Entry>>,
    fresh: BTreeSet<Digest>,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(
        intent: &'a Intent,
        manifest: &'a Manifest,
        earlier: &'a Dir,
        aside: &'a Dir,
    ) -> Self {
        let changes = intent.changes.iter();
        Self {
            intent,
            manifest,
            earlier,
            aside,
            edits: Vec::new(),
            old: changes
                .map(|change| (&change.path, change.old.as_ref()))
                .collect(),
            fresh: BTreeSet::new(),
        }
    }

    /// Empties the slots of one tree.
    pub(super) fn tree(&mut self, area: &Area) -> Result<()> {
        for step in self
            .intent
            .steps
            .iter()
            .filter(|step| area.tree.holds(&step.path))
        {
            if let Some(slot) = step.displaced() {
                self.one(&area.slots, &name_of(slot), &step.path)?;
            }
        }
        Ok(())
    }

    fn one(&mut self, dir: &Dir, name: &[u8], path: &RelPath) -> Result<()> {
        let Some(status) = dir.look(name)? else {
            return Ok(());
        };
        match status.file_type {
            FileType::Directory => {
                let inner = dir.dir(name)?;
                for below in inner.names()? {
                    let path = path.join(&below).map_err(|_| Errno::NAMETOOLONG)?;
                    self.one(&inner, &below, &path)?;
                }
                drop(inner);
                dir.remove_dir(name)
            }
            FileType::RegularFile => self.file(dir, name, path, &status),
            FileType::Symlink => {
                let target = dir.target(name)?;
                let kind = Kind::Symlink { target };
                match self.before(path).is_some_and(|entry| entry.kind == kind) {
                    true => dir.remove(name),
                    false => self.lay_aside(dir, name, path, &status),
                }
            }
            _ => self.lay_aside(dir, name, path, &status),
        }
    }

    fn file(&mut self, dir: &Dir, name: &[u8], path: &RelPath, status: &Status) -> Result<()> {
        let file = dir.file(name)?;
        let (content, size) = hash(&file, status.stamp.size)?;
        let expected = self.before(path).and_then(Entry::content);
        if expected != Some((size, content)) {
            return self.lay_aside(dir, name, path, status);
        }
        let key = staging::name(&content);
        if self.fresh.contains(&content) || self.earlier.look(&key)?.is_some() {
            return dir.remove(name);
        }
        self.fresh.insert(content);
        transfer(dir, name, self.earlier, &key)
    }

    /// What the generation before had at a path.
    fn before(&self, path: &RelPath) -> Option<&'a Entry> {
        match self.old.get(path) {
            Some(old) => *old,
            None => self.manifest.get(path),
        }
    }

    fn lay_aside(&mut self, dir: &Dir, name: &[u8], path: &RelPath, status: &Status) -> Result<()> {
        self.edits.push(LocalEdit {
            path: path.clone(),
            uid: status.uid,
            mtime_ns: status.stamp.mtime_ns,
        });
        let mut into = self.aside.ensure_dir(&name_of_commit(self.intent.number))?;
        let parent = path.parent();
        for name in parent.iter().flat_map(RelPath::components) {
            into = into.ensure_dir(name)?;
        }
        transfer(dir, name, &into, path.name())
    }
}

/// What lies in the directory of a commit's edits.
pub(super) fn laid_aside(aside: &Dir, number: u64) -> Result<Vec<LocalEdit>> {
    let mut found = Vec::new();
    if let Some(dir) = absent(aside.dir(&name_of_commit(number)))? {
        find(&dir, None, &mut found)?;
    }
    Ok(found)
}

fn find(dir: &Dir, at: Option<&RelPath>, found: &mut Vec<LocalEdit>) -> Result<()> {
    for name in dir.names()? {
        let path = match at {
            Some(at) => at.join(&name),
            None => RelPath::new(name.clone()),
        };
        let (path, status) = (path.map_err(|_| Errno::NAMETOOLONG)?, dir.status(&name)?);
        if status.file_type == FileType::Directory {
            find(&dir.dir(&name)?, Some(&path), found)?;
        } else {
            found.push(LocalEdit {
                path,
                uid: status.uid,
                mtime_ns: status.stamp.mtime_ns,
            });
        }
    }
    Ok(())
}

/// Name of a commit's directory.
pub(super) fn name_of_commit(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// Moves an entry, by copy if it is on another file system; over what an interrupted move left.
fn transfer(dir: &Dir, name: &[u8], into: &Dir, new: &[u8]) -> Result<()> {
    match dir.move_over(name, into, new) {
        Err(Errno::XDEV) => {}
        moved => return moved,
    }
    let status = dir.status(name)?;
    into.remove_all(new)?;
    match status.file_type {
        FileType::RegularFile => {
            let (from, to) = (dir.file(name)?, into.create(new)?);
            resolve::copy(&from, &to, status.stamp.size)?;
            // Never a set-user-id file outside of its tree.
            resolve::own(&to, (status.uid, status.gid), status.mode & 0o777)?;
            resolve::set_mtime(&to, status.stamp.mtime_ns)?;
        }
        FileType::Symlink => {
            let owner = (status.uid, status.gid);
            into.make_link(new, &dir.target(name)?, owner, status.stamp.mtime_ns)?;
        }
        // A pipe, socket or device holds nothing that could be lost.
        _ => {}
    }
    into.sync_file_system()?;
    absent(dir.remove(name)).map(|_| ())
}
