//! The manifest of a category: every replicated path with its entry, and the hashes over all of it.
//!
//! Two manifests with one content root hold the same. A manifest from a peer is checked as a whole by [`Manifest::check`]
//! before anything is made of it: parents exist and are directories, sizes and counts are bounded.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::diff::Change;
use crate::digest::{Domain, Hasher};
use crate::entry::{Entry, Kind, MODE_MAX, Roots};
use crate::path::RelPath;

/// Most entries of one category.
pub const ENTRIES_MAX: usize = 1_000_000;
/// Largest link target in bytes.
pub const TARGET_BYTES_MAX: usize = 4095;
/// Most extended attributes of one entry.
pub const XATTRS_MAX: usize = 64;
/// Longest name of an extended attribute in bytes.
pub const XATTR_NAME_BYTES_MAX: usize = 255;
/// Most bytes of values of one entry's extended attributes together.
pub const XATTR_BYTES_MAX: usize = 65_536;

/// Entries by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest(BTreeMap<RelPath, Leaf>);

/// An entry with its hashes: they are asked for far more often than entries change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Leaf {
    entry: Entry,
    leaves: Roots,
}

/// Why a manifest cannot be of a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More than [`ENTRIES_MAX`].
    #[error("more than {ENTRIES_MAX} entries in one category")]
    TooMany,
    /// An entry whose directory is not there.
    #[error("{0}: its directory is not in the manifest")]
    Orphan(RelPath),
    /// An entry inside something else than a directory.
    #[error("{0}: it is inside something that is no directory")]
    NotInDirectory(RelPath),
    /// A mode beyond twelve bits.
    #[error("{0}: mode {1:o}; expected at most 7777")]
    Mode(RelPath, u32),
    /// A link target that is empty, too long or holds a NUL.
    #[error("{0}: not a link target: expected 1 to {TARGET_BYTES_MAX} bytes without a NUL")]
    Target(RelPath),
    /// Too many or too large attributes, or a name that is none.
    #[error("{0}: its extended attributes are more than {XATTRS_MAX}, too large, or misnamed")]
    Xattrs(RelPath),
    /// A tree whose own directory is something else.
    #[error("{0}: a tree of a category is a directory")]
    TreeNotDirectory(RelPath),
}

impl Manifest {
    /// Of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the entry at a path.
    pub fn insert(&mut self, path: RelPath, entry: Entry) -> Option<Entry> {
        let leaves = entry.leaves();
        let old = self.0.insert(path, Leaf { entry, leaves });
        old.map(|leaf| leaf.entry)
    }

    /// Takes out the entry at a path; what is below it stays.
    pub fn remove(&mut self, path: &RelPath) -> Option<Entry> {
        self.0.remove(path).map(|leaf| leaf.entry)
    }

    /// Takes out a path and all below it.
    pub fn remove_within(&mut self, path: &RelPath) {
        let gone: Vec<RelPath> = self.within(path).map(|(path, _)| path.clone()).collect();
        gone.iter().for_each(|path| drop(self.0.remove(path)));
    }

    /// The entry at a path.
    pub fn get(&self, path: &RelPath) -> Option<&Entry> {
        self.0.get(path).map(|leaf| &leaf.entry)
    }

    /// All entries: a directory comes right before what is in it.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&RelPath, &Entry)> {
        self.0.iter().map(|(path, leaf)| (path, &leaf.entry))
    }

    /// A path and all below it, in order.
    pub fn within(&self, path: &RelPath) -> impl Iterator<Item = (&RelPath, &Entry)> {
        let entries = self.0.range(path.clone()..);
        let inside = entries.take_while(|(other, _)| other.is_within(path));
        inside.map(|(path, leaf)| (path, &leaf.entry))
    }

    /// How many entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sizes of all files together, in bytes.
    pub fn bytes(&self) -> u64 {
        let sizes = self.iter().filter_map(|(_, entry)| entry.content());
        sizes.fold(0, |sum, (size, _)| sum.saturating_add(size))
    }

    /// Hashes over everything.
    pub fn roots(&self) -> Roots {
        self.walk(|_, _| ())
    }

    /// Hashes of every directory with all that is in it, for a comparison that descends only where they differ.
    pub fn directories(&self) -> BTreeMap<RelPath, Roots> {
        let mut found = BTreeMap::new();
        self.walk(|path, roots| {
            found.insert(path.clone(), roots);
        });
        found
    }

    /// Whether it can be of a tree.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.len() > ENTRIES_MAX {
            return Err(ManifestError::TooMany);
        }
        self.iter()
            .try_for_each(|(path, entry)| self.check_one(path, entry))
    }

    /// Whether it can be of a tree, given that it comes from one that can, by these changes.
    pub(crate) fn check_changed(&self, changes: &[Change]) -> Result<(), ManifestError> {
        if self.len() > ENTRIES_MAX {
            return Err(ManifestError::TooMany);
        }
        for Change { path, old, new } in changes {
            if let Some(entry) = new {
                self.check_one(path, entry)?;
            }
            let was_dir = old.as_ref().is_some_and(Entry::is_dir);
            if was_dir && !new.as_ref().is_some_and(Entry::is_dir) {
                let mut inside = self.within(path).filter(|(below, _)| *below != path);
                if let Some((below, entry)) = inside.next() {
                    self.check_one(below, entry)?;
                }
            }
        }
        Ok(())
    }

    fn check_one(&self, path: &RelPath, entry: &Entry) -> Result<(), ManifestError> {
        check_entry(path, entry)?;
        match path.parent() {
            None if entry.is_dir() => Ok(()),
            None => Err(ManifestError::TreeNotDirectory(path.clone())),
            Some(parent) => match self.get(&parent).map(Entry::is_dir) {
                Some(true) => Ok(()),
                Some(false) => Err(ManifestError::NotInDirectory(path.clone())),
                None => Err(ManifestError::Orphan(path.clone())),
            },
        }
    }

    /// Hashes bottom-up in one pass: entries come in order, so a directory is complete when a path outside it comes.
    fn walk<'a>(&'a self, mut seen: impl FnMut(&'a RelPath, Roots)) -> Roots {
        let mut open: Vec<Open<'a>> = Vec::new();
        let mut top = Node::new();
        for (path, leaf) in &self.0 {
            while let Some(last) = open.pop_if(|open| !path.is_within(open.path)) {
                close(last, &mut open, &mut top, &mut seen);
            }
            if leaf.entry.is_dir() {
                let mut node = Node::new();
                node.add(b"", leaf.leaves);
                open.push(Open { path, node });
            } else {
                let parent = open.last_mut().map_or(&mut top, |open| &mut open.node);
                parent.add(path.name(), leaf.leaves);
            }
        }
        while let Some(last) = open.pop() {
            close(last, &mut open, &mut top, &mut seen);
        }
        top.finish()
    }
}

/// A directory whose entries are still coming.
struct Open<'a> {
    path: &'a RelPath,
    node: Node,
}

fn close<'a>(
    last: Open<'a>,
    open: &mut [Open<'a>],
    top: &mut Node,
    seen: &mut impl FnMut(&'a RelPath, Roots),
) {
    let roots = last.node.finish();
    seen(last.path, roots);
    let parent = open.last_mut().map_or(top, |open| &mut open.node);
    parent.add(last.path.name(), roots);
}

struct Node {
    content: Hasher,
    meta: Hasher,
}

impl Node {
    fn new() -> Self {
        let hasher = Hasher::new(Domain::Node);
        Self {
            content: hasher.clone(),
            meta: hasher,
        }
    }

    fn add(&mut self, name: &[u8], roots: Roots) {
        for (hasher, digest) in [
            (&mut self.content, roots.content),
            (&mut self.meta, roots.meta),
        ] {
            hasher.field(name);
            hasher.update(digest.as_bytes());
        }
    }

    fn finish(self) -> Roots {
        Roots {
            content: self.content.finish(),
            meta: self.meta.finish(),
        }
    }
}

fn check_entry(path: &RelPath, entry: &Entry) -> Result<(), ManifestError> {
    if entry.mode > MODE_MAX {
        return Err(ManifestError::Mode(path.clone(), entry.mode));
    }
    if let Kind::Symlink { target } = &entry.kind {
        let sized = (1..=TARGET_BYTES_MAX).contains(&target.len());
        if !sized || target.contains(&0) {
            return Err(ManifestError::Target(path.clone()));
        }
    }
    let named =
        |name: &Vec<u8>| (1..=XATTR_NAME_BYTES_MAX).contains(&name.len()) && !name.contains(&0);
    let bytes: usize = entry.xattrs.values().map(Vec::len).sum();
    let small = entry.xattrs.len() <= XATTRS_MAX && bytes <= XATTR_BYTES_MAX;
    let on_link = matches!(entry.kind, Kind::Symlink { .. }) && !entry.xattrs.is_empty();
    if !small || on_link || !entry.xattrs.keys().all(named) {
        return Err(ManifestError::Xattrs(path.clone()));
    }
    Ok(())
}

impl FromIterator<(RelPath, Entry)> for Manifest {
    fn from_iter<I: IntoIterator<Item = (RelPath, Entry)>>(entries: I) -> Self {
        let mut manifest = Self::new();
        for (path, entry) in entries {
            manifest.insert(path, entry);
        }
        manifest
    }
}

impl Serialize for Manifest {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let entries = BTreeMap::<RelPath, Entry>::deserialize(input)?;
        let manifest: Self = entries.into_iter().collect();
        manifest.check().map_err(D::Error::custom)?;
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::{Difference, diff};
    use crate::digest::Digest;
    use crate::entry::Xattrs;

    fn path(text: &str) -> RelPath {
        RelPath::try_from(text).unwrap()
    }

    fn entry(kind: Kind) -> Entry {
        Entry {
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime_ns: 0,
            xattrs: Xattrs::new(),
        }
    }

    fn file(text: &str) -> Entry {
        entry(Kind::File {
            size: text.len() as u64,
            content: Digest::of_file(text.as_bytes()),
        })
    }

    fn of(entries: &[(&str, Entry)]) -> Manifest {
        let entries = entries.iter().cloned();
        entries.map(|(name, entry)| (path(name), entry)).collect()
    }

    fn sample() -> Vec<(&'static str, Entry)> {
        vec![
            ("t", entry(Kind::Dir)),
            ("t/a", entry(Kind::Dir)),
            ("t/a/b", entry(Kind::Dir)),
            ("t/a/b/c", file("x")),
            ("t/a-b", file("x")),
        ]
    }

    #[test]
    fn moving_a_file_up_or_down_changes_the_root() {
        let roots = of(&sample()).roots();
        let mut moved = sample();
        moved[3].0 = "t/a/c";
        assert_ne!(of(&moved).roots().content, roots.content);
        let mut renamed = sample();
        renamed[4].0 = "t/a-c";
        assert_ne!(of(&renamed).roots().content, roots.content);
        assert_eq!(of(&sample()).roots(), roots);
        assert_ne!(Manifest::new().roots(), roots);
    }

    #[test]
    fn directories_differ_only_above_a_change() {
        let mut changed = sample();
        changed[3].1 = file("y");
        let (old, new) = (of(&sample()).directories(), of(&changed).directories());
        let differs = |name: &str| old[&path(name)] != new[&path(name)];
        assert!(differs("t") && differs("t/a") && differs("t/a/b"));
        changed[3].1 = file("x");
        changed[4].1 = file("y");
        let new = of(&changed).directories();
        assert_ne!(old[&path("t")], new[&path("t")]);
        assert_eq!(old[&path("t/a")], new[&path("t/a")]);
    }

    #[test]
    fn what_can_be_of_no_tree_is_refused() {
        let with = |name: &str, entry: Entry| {
            let mut entries = sample();
            entries.push((name, entry));
            of(&entries).check()
        };
        assert_eq!(of(&sample()).check(), Ok(()));
        let (orphan, inside) = (path("t/x/y"), path("t/a-b/y"));
        assert_eq!(with("t/x/y", file("")), Err(ManifestError::Orphan(orphan)));
        let refused = Err(ManifestError::NotInDirectory(inside));
        assert_eq!(with("t/a-b/y", file("")), refused);
        let mut high = file("");
        high.mode = 0o10_000;
        assert!(matches!(with("t/h", high), Err(ManifestError::Mode(..))));
        let link = |target: Vec<u8>| entry(Kind::Symlink { target });
        for bad in [vec![], b"a\0b".to_vec(), vec![b'a'; 4096]] {
            assert!(matches!(
                with("t/l", link(bad)),
                Err(ManifestError::Target(_))
            ));
        }
        let mut fat = file("");
        fat.xattrs.insert(b"user.a".to_vec(), vec![0; 65_537]);
        assert!(matches!(with("t/f", fat), Err(ManifestError::Xattrs(_))));
        assert!(matches!(
            with("u", file("")),
            Err(ManifestError::TreeNotDirectory(_))
        ));
    }

    /// Whatever the change, the short check says what the long one says.
    #[test]
    fn checking_what_changed_is_checking_all() {
        let mut candidates = vec![of(&[]), of(&sample()[..1])];
        for gone in 0..sample().len() {
            let mut entries = sample();
            entries.remove(gone);
            candidates.push(of(&entries));
            let mut entries = sample();
            entries[gone].1 = file("in place of it");
            candidates.push(of(&entries));
        }
        for name in ["t/x/y", "t/a-b/y", "t/a/b/c/d", "u", "t/a/new"] {
            let mut entries = sample();
            entries.push((name, file("")));
            candidates.push(of(&entries));
        }
        let (mut good, mut bad) = (0, 0);
        for next in candidates {
            let short = next.check_changed(&diff(&of(&sample()), &next));
            assert_eq!(short.is_ok(), next.check().is_ok(), "{next:?}");
            if short.is_ok() { good += 1 } else { bad += 1 }
        }
        assert!(good > 3 && bad > 3, "{good} {bad}");
    }

    #[test]
    fn what_a_peer_sends_is_checked_as_it_is_read() {
        let orphan = BTreeMap::from([(path("t/x"), file(""))]);
        let bytes = postcard::to_stdvec(&orphan).unwrap();
        assert!(postcard::from_bytes::<Manifest>(&bytes).is_err());
        let bytes = postcard::to_stdvec(&of(&sample())).unwrap();
        assert_eq!(postcard::from_bytes(&bytes), Ok(of(&sample())));
    }

    #[test]
    fn changes_made_to_the_old_give_the_new() {
        let mut entries = sample();
        entries[2] = ("t/a/b", file("now a file"));
        entries[3] = ("t/new", file("x"));
        entries[4].1.mtime_ns = 5;
        let (old, new) = (of(&sample()), of(&entries));
        let changes = diff(&old, &new);
        let kinds: Vec<Difference> = changes.iter().map(|change| change.difference()).collect();
        use Difference::{Added, Kind, Removed, Time};
        assert_eq!(kinds, [Kind, Removed, Time, Added]);
        assert_eq!(old.with(&changes), new);
        assert_eq!(diff(&new, &new), []);
    }
}
