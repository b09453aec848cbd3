//! The staging area of a tree: a directory for us alone, on the tree's own file system, so that what is staged gets to
//! its place by a rename. It lies beside the tree's directory, or inside if that is a mount point; the filter leaves
//! out its name everywhere.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, StatxFlags, statx};
use rustix::io::{Errno, Result};

use super::error::{StoreError, io};
use super::sweep::name_of_commit;
use crate::category_id::CategoryId;
use crate::resolve::{Dir, absent};
use crate::scan::ScanError;
use crate::tree::Tree;

/// A tree's directory and its staging area, held open.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) tree: Tree,
    pub(super) root: Dir,
    area: Dir,
    /// Of one commit.
    pub(super) slots: Dir,
}

impl Area {
    /// The area of a tree, with the slots of the commit of this number; both are made if they are not there.
    pub(super) fn open(
        tree: &Tree,
        category: &CategoryId,
        number: u64,
    ) -> std::result::Result<Self, StoreError> {
        let failed = |source| ScanError::Root {
            tree: tree.name().clone(),
            root: tree.root.clone(),
            source,
        };
        let root = Dir::open(&tree.root).map_err(failed)?;
        let name = name(tree, category);
        let at = |error| io("open the staging area of", tree.root.display())(error);
        let area = place(&root, &tree.root, &name).map_err(at)?;
        let status = area.own_status().map_err(at)?;
        if status.mode & 0o077 != 0 {
            return Err(at(Errno::PERM));
        }
        Ok(Self {
            tree: tree.clone(),
            root,
            slots: area.ensure_dir(&name_of_commit(number)).map_err(at)?,
            area,
        })
    }

    /// Whether the file system exchanges two names in one step.
    pub(super) fn probe(&self) -> std::result::Result<(), StoreError> {
        let (one, two) = (b"probe-1", b"probe-2");
        let tried = || {
            for name in [one, two] {
                self.slots.remove_all(name)?;
                self.slots.make_dir(name)?;
            }
            let exchanged = self.slots.exchange(one, &self.slots, two);
            self.slots.remove_dir(one)?;
            self.slots.remove_dir(two)?;
            exchanged
        };
        match tried() {
            Err(Errno::INVAL | Errno::NOSYS) => {
                Err(StoreError::NoExchange(self.tree.name().clone()))
            }
            tried => tried.map_err(io("write to the staging area of", self.tree.root.display())),
        }
    }

    /// Drops the slots of all commits, and begins those of this one anew.
    pub(super) fn clear(&mut self, number: u64) -> std::result::Result<(), StoreError> {
        let cleared = self.area.clear();
        let cleared = cleared.and_then(|()| self.area.ensure_dir(&name_of_commit(number)));
        self.slots = cleared.map_err(io("clear the staging area of", self.tree.root.display()))?;
        Ok(())
    }
}

fn name(tree: &Tree, category: &CategoryId) -> Vec<u8> {
    let start = format!(".fencepost-{category}-").into_bytes();
    [&start, tree.name().as_bytes()].concat()
}

/// Where the area is, or else where it can be: what is staged must be found again after a crash.
fn place(root: &Dir, path: &Path, name: &[u8]) -> Result<Dir> {
    if let Some(inside) = absent(root.dir(name))? {
        return Ok(inside);
    }
    match beside(root, path, name) {
        Err(Errno::XDEV | Errno::ACCESS | Errno::PERM | Errno::INVAL) => root.ensure_dir(name),
        area => area,
    }
}

/// The area beside the tree's directory, if that is on the same mount.
fn beside(root: &Dir, path: &Path, name: &[u8]) -> Result<Dir> {
    let parent = path.parent().ok_or(Errno::INVAL)?;
    let parent = Dir::open(parent)?;
    if mount_of(&parent)? != mount_of(root)? {
        return Err(Errno::XDEV);
    }
    parent.ensure_dir(name)
}

/// Device and mount of an open directory: renames do not cross either.
fn mount_of(dir: impl AsFd) -> Result<(u32, u32, u64)> {
    let found = statx(dir, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    Ok((found.stx_dev_major, found.stx_dev_minor, found.stx_mnt_id))
}
