//! The single changes that a commit is made of. Each is one rename, can be done twice, and can be taken back.
//!
//! What is new lies in a slot of the tree's staging area, complete; what is old ends up in that slot. So whether a step
//! was done can always be read from its slot, whatever a crash kept of the others.

use rustix::io::{Errno, Result};
use serde::{Deserialize, Serialize};

use super::area::Area;
use crate::entry::Entry;
use crate::path::RelPath;
use crate::policy::Policy;
use crate::resolve::{self, Dir};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    /// Where, with the tree's name.
    pub(super) path: RelPath,
    pub(super) action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Action {
    /// The slot's content moves to a free path.
    Place { slot: u32, inode: u64 },
    /// The slot's content and what is at the path change places.
    Exchange { slot: u32, inode: u64 },
    /// What is at the path moves to the slot.
    Remove { slot: u32 },
    /// A directory gets its metadata.
    SetDirectory { old: Option<Entry>, new: Entry },
}

impl Step {
    /// Does it, unless it is done.
    pub(super) fn forward(&self, area: &Area, policy: &Policy) -> Result<()> {
        let below = self.path.split_tree().1;
        match &self.action {
            Action::Place { slot, inode } => {
                let (parent, name) = area.root.parent(below)?;
                match area.slots.look(&name_of(*slot))? {
                    Some(_) => area.slots.move_to(&name_of(*slot), &parent, name),
                    None if inode_at(&parent, name)? == Some(*inode) => Ok(()),
                    None => Err(Errno::NOENT),
                }
            }
            Action::Exchange { slot, inode } => {
                if inode_at(&area.slots, &name_of(*slot))? != Some(*inode) {
                    return Ok(());
                }
                let (parent, name) = area.root.parent(below)?;
                area.slots.exchange(&name_of(*slot), &parent, name)
            }
            Action::Remove { slot } => {
                if area.slots.look(&name_of(*slot))?.is_some() {
                    return Ok(());
                }
                let (parent, name) = area.root.parent(below)?;
                let moved = parent.move_to(name, &area.slots, &name_of(*slot));
                resolve::absent(moved).map(|_| ())
            }
            Action::SetDirectory { new, .. } => set_directory(&area.root.dir(below)?, new, policy),
        }
    }

    /// Takes it back, if it was done.
    pub(super) fn back(&self, area: &Area, policy: &Policy) -> Result<()> {
        let below = self.path.split_tree().1;
        match &self.action {
            Action::Place { slot, inode } => {
                if area.slots.look(&name_of(*slot))?.is_some() {
                    return Ok(());
                }
                let (parent, name) = area.root.parent(below)?;
                match inode_at(&parent, name)? == Some(*inode) {
                    true => parent.move_to(name, &area.slots, &name_of(*slot)),
                    false => Ok(()),
                }
            }
            Action::Exchange { slot, inode } => {
                if inode_at(&area.slots, &name_of(*slot))? == Some(*inode) {
                    return Ok(());
                }
                let (parent, name) = area.root.parent(below)?;
                area.slots.exchange(&name_of(*slot), &parent, name)
            }
            Action::Remove { slot } => {
                if area.slots.look(&name_of(*slot))?.is_none() {
                    return Ok(());
                }
                let (parent, name) = area.root.parent(below)?;
                area.slots.move_to(&name_of(*slot), &parent, name)
            }
            Action::SetDirectory { old, .. } => match (old, area.root.dir(below)) {
                (Some(old), Ok(dir)) => set_directory(&dir, old, policy),
                // What is no directory any more was not made one by us.
                (None, _) | (_, Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => Ok(()),
                (_, Err(error)) => Err(error),
            },
        }
    }

    /// The slot in which something old lies once it is done.
    pub(super) fn displaced(&self) -> Option<u32> {
        match self.action {
            Action::Exchange { slot, .. } | Action::Remove { slot } => Some(slot),
            Action::Place { .. } | Action::SetDirectory { .. } => None,
        }
    }
}

/// Gives an open directory its metadata but for the time: what happens in it here is news here, and there are programs
/// that look for news by the time of a directory.
pub(super) fn set_directory(dir: &Dir, entry: &Entry, policy: &Policy) -> Result<()> {
    resolve::own(dir, (entry.uid, entry.gid), entry.mode)?;
    resolve::set_xattrs(dir, &entry.xattrs, |name| policy.allows_xattr(name))
}

/// Name of a slot.
pub(super) fn name_of(slot: u32) -> Vec<u8> {
    slot.to_string().into_bytes()
}

fn inode_at(dir: &Dir, name: &[u8]) -> Result<Option<u64>> {
    Ok(dir.look(name)?.map(|status| status.stamp.ino))
}
