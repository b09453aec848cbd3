//! What a commit is about to displace is durable before it is displaced: an edit that was made here a moment ago and gives
//! way must not be lost with the page cache.

use std::collections::BTreeMap;

use rustix::fs::FileType;
use rustix::io::{Errno, Result};

use super::area::Area;
use super::journal::Intent;
use crate::path::RelPath;
use crate::resolve::{self, absent};

/// Up to this many files of a tree are synced one by one.
const SYNC_EACH_MAX: usize = 8;

/// Makes durable what is at the paths that these steps empty. What was committed here before is, already; then this
/// costs next to nothing.
pub(super) fn secure(
    intent: &Intent,
    areas: &BTreeMap<RelPath, Area>,
) -> std::result::Result<(), (RelPath, Errno)> {
    for (name, area) in areas {
        let steps = intent.steps.iter();
        let emptied = steps.filter(|step| step.displaced().is_some() && step.path.is_within(name));
        let paths: Vec<&RelPath> = emptied.map(|step| &step.path).collect();
        let whole = paths.len() > SYNC_EACH_MAX;
        let one_by_one = || {
            let each = paths.iter().take_while(|_| !whole);
            each.map(|path| one(area, path).map_err(|source| ((*path).clone(), source)))
                .try_fold(whole, |all, one| Ok(all | one?))
        };
        if one_by_one()? {
            let synced = area.root.sync_file_system();
            synced.map_err(|source| (name.clone(), source))?;
        }
    }
    Ok(())
}

/// Syncs a file. Whether it takes a sync of the file system instead: of a directory, with all that is in it.
fn one(area: &Area, path: &RelPath) -> Result<bool> {
    let (parent, name) = match area.root.parent(path.split_tree().1) {
        Ok(found) => found,
        // Something else took the directory's place; the step itself refuses it.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Ok(false),
        Err(error) => return Err(error),
    };
    let file_type = parent.look(name)?.map(|status| status.file_type);
    if file_type == Some(FileType::RegularFile) {
        // One that went meanwhile is missed by the step itself.
        if let Some(file) = absent(parent.file(name))? {
            resolve::sync_all(file)?;
        }
    }
    Ok(file_type == Some(FileType::Directory))
}
