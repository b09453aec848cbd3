//! The walk through one tree, from descriptor to descriptor.

use std::collections::{BTreeSet, HashSet};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::cache::Cache;
use super::read::{Outcome, content, xattrs};
use super::{NOTES_MAX, Note, Scan, ScanError};
use crate::digest::Digest;
use crate::entry::{Entry, Kind, Xattrs};
use crate::filter::Verdict;
use crate::manifest::Manifest;
use crate::path::RelPath;
use crate::policy::{Policy, PolicyError};
use crate::resolve::{Dir, Status, absent};
use crate::tree::Tree;

/// Permission bits of every link.
const LINK_MODE: u32 = 0o777;

/// What walks found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<(RelPath, Entry)>,
    pub(super) scan: Scan,
    /// Device and inode of every file seen.
    pub(super) stamps: HashSet<(u64, u64)>,
}

pub(super) struct Walk<'a> {
    pub(super) tree: &'a Tree,
    pub(super) policy: &'a Policy,
    pub(super) cache: &'a mut Cache,
    /// What was there before: what an unstable file is taken to be.
    pub(super) before: &'a Manifest,
    /// Directories that count only for what is replicated in them.
    pub(super) kept: &'a BTreeSet<RelPath>,
    pub(super) found: &'a mut Found,
}

impl Walk<'_> {
    /// All of the tree.
    pub(super) fn tree(&mut self, root: &Dir) -> Result<(), ScanError> {
        let name = self.tree.name().clone();
        self.inside(root, &name, self.tree.filter.top())
    }

    /// One path and what is below it. `false` if the directory it is in is gone, or is none any more.
    pub(super) fn entry(&mut self, root: &Dir, path: &RelPath) -> Result<bool, ScanError> {
        let below = path.split_tree().1;
        let dir = match root.parent(below) {
            Ok((dir, _)) => dir,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
            Err(source) => return Err(unreadable(path, source)),
        };
        let above = &below[..below.len() - path.name().len()];
        let parent = self
            .tree
            .filter
            .judge(above.strip_suffix(b"/").unwrap_or(above), true);
        self.one(&dir, path, parent)?;
        Ok(true)
    }

    /// An open directory and all that is in it.
    fn inside(&mut self, dir: &Dir, path: &RelPath, verdict: Verdict) -> Result<(), ScanError> {
        let failed = |source| unreadable(path, source);
        let status = dir.own_status().map_err(failed)?;
        let xattrs = xattrs(dir, self.policy).map_err(failed)?;
        let names = dir.names().map_err(failed)?;
        let at = self.found.entries.len();
        let own = self.entry_of(&status, Kind::Dir, xattrs);
        self.add(path.clone(), own)?;
        for name in names {
            let below = path.join(&name);
            let below = below.map_err(|fault| ScanError::Name(path.clone(), fault))?;
            self.one(dir, &below, verdict)?;
        }
        let only_way = verdict == Verdict::Descend || self.kept.contains(path);
        if only_way && path.depth() > 1 && self.found.entries.len() == at + 1 {
            self.found.entries.pop();
        }
        Ok(())
    }

    /// Whatever is at a path, if it is replicated. What vanishes meanwhile was not there.
    fn one(&mut self, dir: &Dir, path: &RelPath, parent: Verdict) -> Result<(), ScanError> {
        let failed = |source| unreadable(path, source);
        let Some(status) = dir.look(path.name()).map_err(failed)? else {
            return Ok(());
        };
        let directory = status.file_type == FileType::Directory;
        let below = path.split_tree().1;
        let verdict = self.tree.filter.verdict(below, directory, parent);
        match status.file_type {
            _ if verdict == Verdict::Skip => Ok(()),
            FileType::Directory => match dir.dir(path.name()) {
                Ok(inner) => self.inside(&inner, path, verdict),
                Err(Errno::NOENT) => Ok(()),
                Err(Errno::XDEV) => Err(ScanError::OtherFileSystem(path.clone())),
                // Another thing took its place: looked at again, as that.
                Err(Errno::NOTDIR | Errno::LOOP) => self.unstable(path),
                Err(source) => Err(failed(source)),
            },
            FileType::RegularFile => self.file(dir, path, &status),
            FileType::Symlink => match absent(dir.target(path.name())) {
                Ok(Some(target)) => {
                    let kind = Kind::Symlink { target };
                    let mut link = self.entry_of(&status, kind, Xattrs::new());
                    link.mode = LINK_MODE;
                    self.add(path.clone(), link)
                }
                Ok(None) => Ok(()),
                Err(Errno::INVAL) => self.unstable(path),
                Err(source) => Err(failed(source)),
            },
            _ => {
                self.note(Note::Special(path.clone()));
                Ok(())
            }
        }
    }

    fn file(&mut self, dir: &Dir, path: &RelPath, status: &Status) -> Result<(), ScanError> {
        let limit = self.policy.limits.file_bytes_max;
        if status.stamp.size > limit {
            let size = status.stamp.size;
            return Err(PolicyError::FileTooLarge(path.clone(), size, limit).into());
        }
        if let Some((digest, xattrs)) = self.cache.get(&status.stamp) {
            let xattrs = xattrs.clone();
            return self.add_file(path, status, digest, xattrs);
        }
        match content(dir, path.name(), self.policy) {
            Ok(Outcome::Stable(content)) => {
                let (digest, xattrs) = (content.digest, content.xattrs);
                let stamp = content.status.stamp;
                self.cache
                    .put_at(content.read_ns, stamp, digest, xattrs.clone());
                self.found.scan.hashed += 1;
                self.add_file(path, &content.status, digest, xattrs)
            }
            Ok(Outcome::Unstable | Outcome::Other) | Err(Errno::LOOP) => self.unstable(path),
            Err(Errno::NOENT) => Ok(()),
            Err(Errno::TOOBIG | Errno::RANGE) => Err(ScanError::Xattrs(path.clone())),
            Err(source) => Err(unreadable(path, source)),
        }
    }

    fn add_file(
        &mut self,
        path: &RelPath,
        status: &Status,
        content: Digest,
        xattrs: Xattrs,
    ) -> Result<(), ScanError> {
        if status.links > 1 {
            self.note(Note::HardLinked(path.clone()));
        }
        self.found
            .stamps
            .insert((status.stamp.dev, status.stamp.ino));
        let size = status.stamp.size;
        let entry = self.entry_of(status, Kind::File { size, content }, xattrs);
        self.add(path.clone(), entry)
    }

    /// Leaves a path as it was, to be looked at again.
    fn unstable(&mut self, path: &RelPath) -> Result<(), ScanError> {
        self.found.scan.unstable.push(path.clone());
        let before: Vec<(RelPath, Entry)> = self
            .before
            .within(path)
            .map(|(path, entry)| (path.clone(), entry.clone()))
            .collect();
        before
            .into_iter()
            .try_for_each(|(path, entry)| self.add(path, entry))
    }

    fn entry_of(&self, status: &Status, kind: Kind, xattrs: Xattrs) -> Entry {
        let (uid, gid) = self.policy.owner(status.uid, status.gid);
        Entry {
            kind,
            mode: status.mode,
            uid,
            gid,
            mtime_ns: status.stamp.mtime_ns,
            xattrs,
        }
    }

    fn add(&mut self, path: RelPath, entry: Entry) -> Result<(), ScanError> {
        self.found.entries.push((path, entry));
        let (held, most) = (self.found.entries.len(), self.policy.limits.entries_max);
        if u32::try_from(held).map_or(true, |held| held > most) {
            return Err(PolicyError::TooMany(held, most).into());
        }
        Ok(())
    }

    fn note(&mut self, note: Note) {
        if self.found.scan.notes.len() < NOTES_MAX {
            self.found.scan.notes.push(note);
        }
    }
}

fn unreadable(path: &RelPath, source: Errno) -> ScanError {
    ScanError::Unreadable {
        path: path.clone(),
        source,
    }
}
