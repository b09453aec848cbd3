//! Builds what is staged: files, links and directories as the manifest says, from contents that are here already.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;

use rustix::io::{Errno, Result};

use super::error::StoreError;
use super::staging;
use super::steps::set_directory;
use crate::digest::Digest;
use crate::entry::{Entry, Kind};
use crate::manifest::Manifest;
use crate::path::RelPath;
use crate::policy::Policy;
use crate::resolve::{self, Dir};
use crate::scan::read::hash;

/// Where contents are looked for.
pub(super) struct Sources<'a> {
    /// Contents that arrived.
    pub(super) arrived: &'a Dir,
    /// Contents of earlier generations.
    pub(super) earlier: &'a Dir,
    /// What the trees hold.
    pub(super) live: &'a Manifest,
    /// Their directories.
    pub(super) roots: BTreeMap<RelPath, &'a Dir>,
    /// Paths in `live` by content; made when first asked for.
    pub(super) index: Option<HashMap<Digest, RelPath>>,
    /// How many files are still to be made of a content that arrived; the last one takes it.
    pub(super) uses: HashMap<Digest, usize>,
    /// Whether each file and directory is made durable as it is made.
    pub(super) sync_each: bool,
}

/// Builds a path of a manifest and all below it as `name` in `dir`.
pub(super) fn subtree(
    sources: &mut Sources<'_>,
    policy: &Policy,
    manifest: &Manifest,
    top: &RelPath,
    dir: &Dir,
    name: &[u8],
) -> std::result::Result<(), StoreError> {
    let mut open: Vec<(&RelPath, Dir, &Entry)> = Vec::new();
    for (path, entry) in manifest.within(top) {
        let failed = |source| failed(path, source);
        while let Some((done, dir, entry)) = open.pop_if(|(above, ..)| !path.is_within(above)) {
            finish_directory(&dir, entry, policy, sources.sync_each)
                .map_err(|source| self::failed(done, source))?;
        }
        let into = open.last().map_or(dir, |(_, dir, _)| dir);
        let name = if path == top { name } else { path.name() };
        if entry.is_dir() {
            let made = into.make_dir(name).and_then(|()| into.dir(name));
            open.push((path, made.map_err(failed)?, entry));
        } else {
            leaf(sources, policy, path, entry, into, name)?;
        }
    }
    while let Some((path, dir, entry)) = open.pop() {
        finish_directory(&dir, entry, policy, sources.sync_each)
            .map_err(|source| failed(path, source))?;
    }
    Ok(())
}

/// Metadata of a new directory, when all that is in it is built.
fn finish_directory(dir: &Dir, entry: &Entry, policy: &Policy, sync: bool) -> Result<()> {
    set_directory(dir, entry, policy)?;
    resolve::set_mtime(dir, entry.mtime_ns)?;
    if sync { dir.sync() } else { Ok(()) }
}

/// Builds a file or link.
fn leaf(
    sources: &mut Sources<'_>,
    policy: &Policy,
    path: &RelPath,
    entry: &Entry,
    into: &Dir,
    name: &[u8],
) -> std::result::Result<(), StoreError> {
    let failed = |source| failed(path, source);
    let owner = (entry.uid, entry.gid);
    match &entry.kind {
        Kind::Symlink { target } => {
            let made = into.make_link(name, target, owner, entry.mtime_ns);
            made.map_err(failed)
        }
        Kind::File { size, content } => {
            let sync_each = sources.sync_each;
            let file = sources.fetch(path, *content, *size, into, name)?;
            let finished = || {
                resolve::own(&file, owner, entry.mode)?;
                resolve::set_xattrs(&file, &entry.xattrs, |name| is_ours(name, policy))?;
                resolve::set_mtime(&file, entry.mtime_ns)?;
                if sync_each {
                    resolve::sync_all(&file)
                } else {
                    Ok(())
                }
            };
            finished().map_err(failed)
        }
        Kind::Dir => Ok(()),
    }
}

/// Attributes of a new file that are ours to take away: also an access list that it only inherited.
fn is_ours(name: &[u8], policy: &Policy) -> bool {
    policy.allows_xattr(name) || name.starts_with(b"system.posix_acl_")
}

impl Sources<'_> {
    /// A new file with this content: the one that arrived, or a verified copy of one that is here.
    fn fetch(
        &mut self,
        path: &RelPath,
        content: Digest,
        size: u64,
        into: &Dir,
        name: &[u8],
    ) -> std::result::Result<OwnedFd, StoreError> {
        let failed = |source| failed(path, source);
        let key = staging::name(&content);
        let left = self.uses.get_mut(&content).map(|left| {
            *left = left.saturating_sub(1);
            *left
        });
        if left == Some(0) && self.arrived.move_to(&key, into, name).is_ok() {
            return into.reopen(name).map_err(failed);
        }
        let live = self.live.get(path).and_then(Entry::content);
        let same = live.is_some_and(|(_, held)| held == content);
        let elsewhere = if same { None } else { self.elsewhere(&content) };
        let candidates = [
            self.arrived.file(&key).ok(),
            same.then(|| self.open_live(path)).flatten(),
            elsewhere.and_then(|path| self.open_live(&path)),
            self.earlier.file(&key).ok(),
        ];
        for from in candidates.into_iter().flatten() {
            let to = into.create(name).map_err(failed)?;
            resolve::copy(&from, &to, size).map_err(failed)?;
            if hash(&to, size).map_err(failed)? == (content, size) {
                return Ok(to);
            }
            into.remove(name).map_err(failed)?;
        }
        Err(StoreError::Missing(path.clone(), content))
    }

    /// A file of the trees, to read.
    fn open_live(&self, path: &RelPath) -> Option<OwnedFd> {
        let (name, below) = path.split_tree();
        let name = RelPath::new(name).ok()?;
        let (parent, name) = self.roots.get(&name)?.parent(below).ok()?;
        parent.file(name).ok()
    }

    fn elsewhere(&mut self, content: &Digest) -> Option<RelPath> {
        let live = self.live;
        let index = self.index.get_or_insert_with(|| {
            let files = live.iter();
            let files = files.filter_map(|(path, entry)| Some((entry.content()?.1, path.clone())));
            files.collect()
        });
        index.get(content).cloned()
    }
}

fn failed(path: &RelPath, source: Errno) -> StoreError {
    StoreError::Io {
        what: "stage",
        place: path.to_string(),
        source,
    }
}

/// How often each content is a file's in these parts of a manifest.
pub(super) fn uses<'a>(files: impl Iterator<Item = &'a Entry>) -> HashMap<Digest, usize> {
    let mut uses = HashMap::new();
    for (_, content) in files.filter_map(Entry::content) {
        *uses.entry(content).or_default() += 1;
    }
    uses
}

/// The inode of what was built.
pub(super) fn inode(dir: &Dir, name: &[u8]) -> Result<u64> {
    Ok(dir.status(name)?.stamp.ino)
}
