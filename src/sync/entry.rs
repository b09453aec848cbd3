//! One entry of a manifest: all of a file, directory or link that the pair agrees on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Domain, Hasher};

/// Extended attributes by name.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// Set-user-id bit of a mode.
pub const SETUID: u32 = 0o4000;
/// Set-group-id bit of a mode.
pub const SETGID: u32 = 0o2000;
/// Highest mode: twelve bits.
pub const MODE_MAX: u32 = 0o7777;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A regular file.
    File {
        /// In bytes.
        size: u64,
        /// Of its bytes, in [`Domain::File`].
        content: Digest,
    },
    /// A symbolic link; never followed.
    Symlink {
        /// What it points to, as it is; 1 to 4,095 bytes without a NUL.
        target: Vec<u8>,
    },
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-user-id, set-group-id and sticky: 0 to [`MODE_MAX`]. Links have 0o777.
    pub mode: u32,
    /// Owner, by number.
    pub uid: u32,
    /// Group, by number.
    pub gid: u32,
    /// Last change of the content, in nanoseconds since 1970. Of directories and links it is carried when they are new, and
    /// compared never.
    pub mtime_ns: i64,
    /// Those that the category's policy lets through; none on links.
    pub xattrs: Xattrs,
}

/// Hashes of an entry or a subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roots {
    /// Of type, mode, owner, group, size, content or target, and extended attributes: what *in sync* means.
    pub content: Digest,
    /// Of all that and the times.
    pub meta: Digest,
}

impl Entry {
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Dir
    }

    /// Size and content, of a file.
    pub fn content(&self) -> Option<(u64, Digest)> {
        match &self.kind {
            Kind::File { size, content } => Some((*size, *content)),
            Kind::Dir | Kind::Symlink { .. } => None,
        }
    }

    /// Whether they differ in nothing but the time.
    pub fn same_content(&self, other: &Self) -> bool {
        let owned = |entry: &Self| (entry.mode, entry.uid, entry.gid);
        self.kind == other.kind && owned(self) == owned(other) && self.xattrs == other.xattrs
    }

    /// Hashes of the entry alone.
    pub fn leaves(&self) -> Roots {
        let mut content = Hasher::new(Domain::ContentLeaf);
        self.hash_into(&mut content);
        let mut meta = Hasher::new(Domain::MetaLeaf);
        meta.update(content.finish().as_bytes());
        // The time of a directory is what happened in it; the time of a link cannot be seen by who follows it.
        if matches!(self.kind, Kind::File { .. }) {
            meta.update(&self.mtime_ns.to_le_bytes());
        }
        Roots {
            content: content.finish(),
            meta: meta.finish(),
        }
    }

    fn hash_into(&self, hasher: &mut Hasher) {
        match &self.kind {
            Kind::Dir => hasher.update(b"d"),
            Kind::File { size, content } => {
                hasher.update(b"f");
                hasher.update(&size.to_le_bytes());
                hasher.update(content.as_bytes());
            }
            Kind::Symlink { target } => {
                hasher.update(b"l");
                hasher.field(target);
            }
        }
        for number in [self.mode, self.uid, self.gid] {
            hasher.update(&number.to_le_bytes());
        }
        for (name, value) in &self.xattrs {
            hasher.field(name);
            hasher.field(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Entry {
        Entry {
            kind: Kind::File {
                size: 1,
                content: Digest::of_file(b"x"),
            },
            mode: 0o644,
            uid: 1,
            gid: 2,
            mtime_ns: 3,
            xattrs: Xattrs::new(),
        }
    }

    #[test]
    fn each_field_changes_the_content_root() {
        let changed: [fn(&mut Entry); 5] = [
            |entry| entry.kind = Kind::Dir,
            |entry| entry.mode = 0o4644,
            |entry| entry.uid = 9,
            |entry| entry.gid = 9,
            |entry| drop(entry.xattrs.insert(b"user.a".to_vec(), vec![])),
        ];
        for change in changed {
            let mut entry = file();
            change(&mut entry);
            assert_ne!(entry.leaves().content, file().leaves().content);
            assert!(!entry.same_content(&file()));
        }
    }

    #[test]
    fn the_time_is_in_the_meta_root_alone() {
        let mut later = file();
        later.mtime_ns = 4;
        assert_eq!(later.leaves().content, file().leaves().content);
        assert_ne!(later.leaves().meta, file().leaves().meta);
        assert!(later.same_content(&file()));
    }
}
