//! What is in the trees of a category, as a manifest.
//!
//! Truth is a walk with `stat`, and a hash of every file whose stamp is not known. Whoever watches the trees only
//! says where to look. What cannot be read is an error and never an absence: a directory that is not readable, a tree
//! whose directory is missing, was exchanged for another file system's, or lost all it had, ends the scan, and the
//! manifest stays what it was.

mod cache;
pub(crate) mod read;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rustix::io::Errno;

use crate::entry::Entry;
use crate::filter::Verdict;
use crate::manifest::Manifest;
use crate::path::{PathError, RelPath};
use crate::policy::{Policy, PolicyError};
use crate::resolve::{Dir, Status};
use crate::tree::Tree;
use cache::Cache;
use walk::{Found, Walk};

/// Most notes of one scan.
pub const NOTES_MAX: usize = 256;

/// Looks at the trees of one category.
#[derive(Debug)]
pub struct Scanner {
    trees: Vec<Tree>,
    policy: Policy,
    cache: Cache,
    manifest: Manifest,
    kept: BTreeSet<RelPath>,
    /// What each tree was when it was last seen.
    seen: BTreeMap<RelPath, Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    /// File system; none if only a manifest of earlier is known.
    dev: Option<u64>,
    /// Whether something was in it.
    filled: bool,
}

/// Whether earlier hashes may stand for files that look unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// They may.
    Cache,
    /// Every byte is read again.
    Nothing,
}

/// What a scan found besides the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Files that changed while they were read, also when tried again: they are as they were, and to be looked at again.
    pub unstable: Vec<RelPath>,
    /// What is not replicated as it is, or not at all; at most [`NOTES_MAX`].
    pub notes: Vec<Note>,
    /// Files that were read.
    pub hashed: usize,
}

/// Something that people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Neither file, directory nor link: left out.
    Special(RelPath),
    /// A file with more than one name: each becomes a file of its own on the peer.
    HardLinked(RelPath),
}

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// A tree's directory that cannot be opened.
    #[error("{tree}: cannot open {}: {source}; nothing of it is taken for deleted", root.display())]
    Root {
        /// Which tree.
        tree: RelPath,
        /// Its directory.
        root: PathBuf,
        /// What the system said.
        source: Errno,
    },
    /// A tree's directory on another file system than before.
    #[error("{tree}: {} is on another file system than before; is it mounted? Nothing of it is taken for deleted", root.display())]
    Remounted {
        /// Which tree.
        tree: RelPath,
        /// Its directory.
        root: PathBuf,
    },
    /// A tree that lost all it had.
    #[error("{tree}: {} is empty and was not before; is it mounted? If it is meant to be empty, say so", root.display())]
    Emptied {
        /// Which tree.
        tree: RelPath,
        /// Its directory.
        root: PathBuf,
    },
    /// Something in a tree that cannot be read.
    #[error("{path}: cannot be read: {source}; nothing in it is taken for deleted")]
    Unreadable {
        /// Where.
        path: RelPath,
        /// What the system said.
        source: Errno,
    },
    /// A mount point inside a tree.
    #[error("{0}: another file system is mounted here; exclude it, or make it a tree of its own")]
    OtherFileSystem(RelPath),
    /// A name that cannot be replicated.
    #[error("in {0}: {1}")]
    Name(RelPath, PathError),
    /// Extended attributes larger than can be replicated.
    #[error("{0}: its extended attributes are larger than can be replicated")]
    Xattrs(RelPath),
    /// What the category does not allow.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A path of no tree.
    #[error("{0}: no tree of the category has this name")]
    NoTree(RelPath),
}

impl Scanner {
    /// Of these trees; nothing is looked at yet.
    pub fn new(trees: Vec<Tree>, policy: Policy) -> Self {
        Self {
            trees,
            policy,
            cache: Cache::default(),
            manifest: Manifest::new(),
            kept: BTreeSet::new(),
            seen: BTreeMap::new(),
        }
    }

    /// What was there at the end of the last life: a tree that had something and is now empty is an error.
    pub fn remember(&mut self, manifest: &Manifest) {
        for tree in &self.trees {
            let filled = manifest.within(tree.name()).nth(1).is_some();
            self.seen
                .insert(tree.name().clone(), Seen { dev: None, filled });
        }
    }

    /// Lets the next scan find trees empty, or on another file system.
    pub fn accept_empty(&mut self) {
        self.seen.clear();
    }

    /// Whether there was a scan.
    pub fn is_scanned(&self) -> bool {
        !self.manifest.is_empty() || self.trees.is_empty()
    }

    /// What the last scan found.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The trees.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Looks at everything.
    pub fn scan(&mut self, trust: Trust) -> Result<Scan, ScanError> {
        let mut found = Found::default();
        let mut seen = BTreeMap::new();
        if trust == Trust::Nothing {
            self.cache = Cache::default();
        }
        for tree in self.trees.clone() {
            let (root, status) = self.open(&tree)?;
            let before = found.entries.len();
            self.walk(&tree, &mut found).tree(&root)?;
            let filled = found.entries.len() > before + 1;
            self.judge_emptiness(&tree, filled)?;
            let dev = Some(status.stamp.dev);
            seen.insert(tree.name().clone(), Seen { dev, filled });
        }
        let manifest: Manifest = found.entries.drain(..).collect();
        self.policy.check(&manifest)?;
        self.cache.keep(&found.stamps);
        self.seen = seen;
        self.manifest = manifest;
        Ok(found.scan)
    }

    /// Looks at these paths and all below them; the rest is taken to be as it was.
    pub fn rescan(&mut self, dirty: &[RelPath]) -> Result<Scan, ScanError> {
        let mut tops: Vec<RelPath> = dirty.to_vec();
        tops.sort();
        tops.dedup_by(|path, above| path.is_within(above));
        let mut found = Found::default();
        let mut looked: Vec<RelPath> = Vec::new();
        for path in tops {
            if !looked.iter().any(|above| path.is_within(above)) {
                looked.push(self.look(&path, &mut found)?);
            }
        }
        let before = self.put(&looked, found.entries);
        let judged = self.judge();
        if judged.is_err() {
            self.put(&looked, before);
        }
        judged.map(|()| found.scan)
    }

    /// Directories that count only for what is replicated in them.
    pub(crate) fn set_kept(&mut self, kept: BTreeSet<RelPath>) {
        self.kept = kept;
    }

    /// Takes note of what we ourselves put in place.
    pub(crate) fn replace(&mut self, manifest: Manifest, kept: BTreeSet<RelPath>) {
        self.manifest = manifest;
        self.kept = kept;
    }

    /// Puts entries in the place of all that is at and below these paths, and of hollow directories above; what was there.
    fn put(&mut self, at: &[RelPath], entries: Vec<(RelPath, Entry)>) -> Vec<(RelPath, Entry)> {
        let mut before = Vec::new();
        for path in at {
            let inside = self.manifest.within(path);
            before.extend(inside.map(|(path, entry)| (path.clone(), entry.clone())));
            self.manifest.remove_within(path);
        }
        for (path, entry) in entries {
            self.manifest.insert(path, entry);
        }
        self.drop_hollow(at, &mut before);
        before
    }

    fn judge(&self) -> Result<(), ScanError> {
        for tree in &self.trees {
            let filled = self.manifest.within(tree.name()).nth(1).is_some();
            self.judge_emptiness(tree, filled)?;
        }
        Ok(self.policy.check(&self.manifest)?)
    }

    /// Looks at a path, or at the nearest directory above it that is known. What was looked at.
    fn look(&mut self, path: &RelPath, found: &mut Found) -> Result<RelPath, ScanError> {
        let tree = self.tree_of(path)?.clone();
        let (root, _) = self.open(&tree)?;
        let mut at = path.clone();
        loop {
            let Some(parent) = at.parent() else {
                self.walk(&tree, found).tree(&root)?;
                return Ok(at);
            };
            let known = self.manifest.get(&parent).is_some_and(Entry::is_dir);
            if known && self.walk(&tree, found).entry(&root, &at)? {
                return Ok(at);
            }
            at = parent;
        }
    }

    /// Directories that are there only for what was chosen in them go when nothing is left in them.
    fn drop_hollow(&mut self, looked: &[RelPath], gone: &mut Vec<(RelPath, Entry)>) {
        for path in looked {
            let mut above = path.parent();
            while let Some(dir) = above.filter(|dir| dir.depth() > 1) {
                let Ok(tree) = self.tree_of(&dir) else { break };
                let verdict = tree.filter.judge(dir.split_tree().1, true);
                let only_way = verdict == Verdict::Descend || self.kept.contains(&dir);
                if !only_way || self.manifest.within(&dir).nth(1).is_some() {
                    break;
                }
                let entry = self.manifest.remove(&dir);
                above = dir.parent();
                gone.extend(entry.map(|entry| (dir, entry)));
            }
        }
    }

    fn walk<'a>(&'a mut self, tree: &'a Tree, found: &'a mut Found) -> Walk<'a> {
        Walk {
            tree,
            policy: &self.policy,
            cache: &mut self.cache,
            before: &self.manifest,
            kept: &self.kept,
            found,
        }
    }

    fn open(&self, tree: &Tree) -> Result<(Dir, Status), ScanError> {
        let failed = |source| ScanError::Root {
            tree: tree.name().clone(),
            root: tree.root.clone(),
            source,
        };
        let root = Dir::open(&tree.root).map_err(failed)?;
        let status = root.own_status().map_err(failed)?;
        let dev = self.seen.get(tree.name()).and_then(|seen| seen.dev);
        if dev.is_some_and(|dev| dev != status.stamp.dev) {
            return Err(ScanError::Remounted {
                tree: tree.name().clone(),
                root: tree.root.clone(),
            });
        }
        Ok((root, status))
    }

    fn judge_emptiness(&self, tree: &Tree, filled: bool) -> Result<(), ScanError> {
        let was_filled = self.seen.get(tree.name()).is_some_and(|seen| seen.filled);
        if was_filled && !filled {
            return Err(ScanError::Emptied {
                tree: tree.name().clone(),
                root: tree.root.clone(),
            });
        }
        Ok(())
    }

    fn tree_of(&self, path: &RelPath) -> Result<&Tree, ScanError> {
        let tree = self.trees.iter().find(|tree| tree.holds(path));
        tree.ok_or_else(|| ScanError::NoTree(path.clone()))
    }
}
