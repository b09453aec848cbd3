//! What a category lets through, decided without touching anything.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::diff::Change;
use crate::entry::{Entry, SETGID, SETUID};
use crate::manifest::Manifest;
use crate::path::RelPath;

/// Who may own what is replicated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owners {
    /// Any number, as it is on the Active.
    AsFound,
    /// These numbers alone: an owner whom the other node does not know rejects the generation.
    Listed {
        /// User numbers.
        uids: BTreeSet<u32>,
        /// Group numbers.
        gids: BTreeSet<u32>,
    },
    /// All is taken to be, and made to be, of this owner on both nodes.
    Fixed {
        /// User number.
        uid: u32,
        /// Group number.
        gid: u32,
    },
}

/// When a generation takes away too much to be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionGuard {
    /// Most entries gone, in percent of those there were: 0 to 100.
    pub percent_max: u8,
    /// Most entries gone.
    pub entries_max: u32,
    /// As few as this may always go, whatever the percentage.
    pub always_allowed: u32,
}

/// Sizes and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Most entries.
    pub entries_max: u32,
    /// Largest file in bytes.
    pub file_bytes_max: u64,
    /// All files together in bytes.
    pub total_bytes_max: u64,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Who may own.
    pub owners: Owners,
    /// Whether files may be set-user-id or set-group-id. On directories set-group-id is harmless and always allowed.
    pub setuid: bool,
    /// Names of extended attributes that are replicated, or their starts if they end in `.`. All others are not seen.
    pub xattrs: BTreeSet<String>,
    /// Guard against mass deletion.
    pub deletions: DeletionGuard,
    /// Sizes and counts.
    pub limits: Limits,
}

/// Why a manifest is not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// An owner or group who is not listed.
    #[error(
        "{path}: owner {uid}:{gid} is not one the category lists; create the user on both nodes, or list it"
    )]
    Owner {
        /// Where.
        path: RelPath,
        /// User number.
        uid: u32,
        /// Group number.
        gid: u32,
    },
    /// A set-user-id or set-group-id file.
    #[error("{path}: mode {mode:o}; the category does not allow set-user-id files")]
    Setuid {
        /// Where.
        path: RelPath,
        /// Its mode.
        mode: u32,
    },
    /// An attribute that the category does not replicate.
    #[error("{0}: extended attribute {1:?} is not one the category allows")]
    Xattr(RelPath, String),
    /// A file over the limit.
    #[error("{0}: {1} bytes; the category allows {2} a file")]
    FileTooLarge(RelPath, u64, u64),
    /// All files over the limit.
    #[error("{0} bytes in all; the category allows {1}")]
    TooLarge(u64, u64),
    /// Too many entries.
    #[error("{0} entries; the category allows {1}")]
    TooMany(usize, u32),
}

/// A generation that would take away too much.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeletionRefused {
    /// A tree that held something is empty.
    #[error("{0}: the tree is empty on the Active but not here; if that is meant, force it")]
    Emptied(RelPath),
    /// A tree is not there at all.
    #[error("{0}: the tree is missing from what the Active sent")]
    Missing(RelPath),
    /// More than the guard allows.
    #[error(
        "{gone} of {held} entries would be deleted; the category allows {allowed}; if that is meant, force it"
    )]
    TooMany {
        /// Entries that would go.
        gone: usize,
        /// Entries there are.
        held: usize,
        /// How many may.
        allowed: usize,
    },
}

impl Default for Policy {
    /// Owners as found, no set-user-id, access lists, a tenth may go at once, a million entries, 4 GiB a file.
    fn default() -> Self {
        let xattrs = ["system.posix_acl_access", "system.posix_acl_default"];
        Self {
            owners: Owners::AsFound,
            setuid: false,
            xattrs: xattrs.map(str::to_owned).into(),
            deletions: DeletionGuard {
                percent_max: 10,
                entries_max: 1000,
                always_allowed: 16,
            },
            limits: Limits {
                entries_max: 1_000_000,
                file_bytes_max: 4 << 30,
                total_bytes_max: 64 << 30,
            },
        }
    }
}

impl Policy {
    /// Whether an extended attribute is replicated.
    pub fn allows_xattr(&self, name: &[u8]) -> bool {
        self.xattrs.iter().any(|rule| {
            let rule = rule.as_bytes();
            rule == name || (rule.ends_with(b".") && name.starts_with(rule))
        })
    }

    /// The owner an entry has for the pair.
    pub fn owner(&self, uid: u32, gid: u32) -> (u32, u32) {
        match self.owners {
            Owners::Fixed { uid, gid } => (uid, gid),
            Owners::AsFound | Owners::Listed { .. } => (uid, gid),
        }
    }

    /// Whether a manifest is let through.
    pub fn check(&self, manifest: &Manifest) -> Result<(), PolicyError> {
        self.check_sizes(manifest)?;
        manifest
            .iter()
            .try_for_each(|(path, entry)| self.check_entry(path, entry))
    }

    /// Whether a manifest is let through that comes from one that was, by these changes.
    pub(crate) fn check_changed(
        &self,
        manifest: &Manifest,
        changes: &[Change],
    ) -> Result<(), PolicyError> {
        self.check_sizes(manifest)?;
        let news = changes
            .iter()
            .filter_map(|change| Some((&change.path, change.new.as_ref()?)));
        news.into_iter()
            .try_for_each(|(path, entry)| self.check_entry(path, entry))
    }

    fn check_sizes(&self, manifest: &Manifest) -> Result<(), PolicyError> {
        let limits = self.limits;
        if u32::try_from(manifest.len()).map_or(true, |held| held > limits.entries_max) {
            return Err(PolicyError::TooMany(manifest.len(), limits.entries_max));
        }
        let bytes = manifest.bytes();
        if bytes > limits.total_bytes_max {
            return Err(PolicyError::TooLarge(bytes, limits.total_bytes_max));
        }
        Ok(())
    }

    fn check_entry(&self, path: &RelPath, entry: &Entry) -> Result<(), PolicyError> {
        let (uid, gid) = (entry.uid, entry.gid);
        let owned = match &self.owners {
            Owners::AsFound => true,
            Owners::Listed { uids, gids } => uids.contains(&uid) && gids.contains(&gid),
            Owners::Fixed { .. } => (uid, gid) == self.owner(uid, gid),
        };
        if !owned {
            let path = path.clone();
            return Err(PolicyError::Owner { path, uid, gid });
        }
        let special = if entry.is_dir() {
            SETUID
        } else {
            SETUID | SETGID
        };
        if entry.mode & special != 0 && !self.setuid {
            return Err(PolicyError::Setuid {
                path: path.clone(),
                mode: entry.mode,
            });
        }
        if let Some(name) = entry.xattrs.keys().find(|name| !self.allows_xattr(name)) {
            let name = String::from_utf8_lossy(name).into_owned();
            return Err(PolicyError::Xattr(path.clone(), name));
        }
        match entry.content() {
            Some((size, _)) if size > self.limits.file_bytes_max => Err(PolicyError::FileTooLarge(
                path.clone(),
                size,
                self.limits.file_bytes_max,
            )),
            _ => Ok(()),
        }
    }
}

impl DeletionGuard {
    /// Whether going from `held` to `next` takes away no more than may go.
    pub fn check(&self, held: &Manifest, next: &Manifest) -> Result<(), DeletionRefused> {
        self.check_trees(held, next)?;
        let gone = held.iter().filter(|(path, _)| next.get(path).is_none());
        let (gone, held) = (gone.count(), held.len());
        let share = held * usize::from(self.percent_max) / 100;
        let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let most = share.min(size(self.entries_max));
        let allowed = most.max(size(self.always_allowed));
        if gone > allowed {
            return Err(DeletionRefused::TooMany {
                gone,
                held,
                allowed,
            });
        }
        Ok(())
    }

    /// Whether every tree of `held` is in `next`, and none that had something is empty.
    pub fn check_trees(&self, held: &Manifest, next: &Manifest) -> Result<(), DeletionRefused> {
        for (tree, _) in held.iter().filter(|(path, _)| path.depth() == 1) {
            let some = |manifest: &Manifest| manifest.within(tree).take(2).count();
            match (some(next), some(held)) {
                (0, _) => return Err(DeletionRefused::Missing(tree.clone())),
                (1, 2..) => return Err(DeletionRefused::Emptied(tree.clone())),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Kind, Xattrs};

    fn path(text: &str) -> RelPath {
        RelPath::try_from(text).unwrap()
    }

    fn dir() -> Entry {
        Entry {
            kind: Kind::Dir,
            mode: 0o2755,
            uid: 7,
            gid: 8,
            mtime_ns: 0,
            xattrs: Xattrs::new(),
        }
    }

    fn file(mode: u32) -> Entry {
        let content = crate::digest::Digest::of_file(b"");
        let kind = Kind::File { size: 100, content };
        Entry {
            kind,
            mode,
            ..dir()
        }
    }

    fn one(entry: Entry) -> Manifest {
        [(path("t"), dir()), (path("t/f"), entry)]
            .into_iter()
            .collect()
    }

    fn many(count: usize) -> Manifest {
        let files = (0..count).map(|at| (path(&format!("t/{at}")), file(0o644)));
        files.chain([(path("t"), dir())]).collect()
    }

    #[test]
    fn what_the_category_does_not_allow_is_refused_by_name() {
        let mut policy = Policy::default();
        assert_eq!(policy.check(&one(file(0o644))), Ok(()));
        let refused = policy.check(&one(file(0o4755))).unwrap_err();
        assert!(refused.to_string().contains("t/f: mode 4755"), "{refused}");
        policy.setuid = true;
        assert_eq!(policy.check(&one(file(0o4755))), Ok(()));
        let mut capable = file(0o755);
        capable
            .xattrs
            .insert(b"security.capability".to_vec(), vec![1]);
        assert!(matches!(
            policy.check(&one(capable)),
            Err(PolicyError::Xattr(..))
        ));
        policy.limits.file_bytes_max = 99;
        assert!(matches!(
            policy.check(&one(file(0))),
            Err(PolicyError::FileTooLarge(..))
        ));
        policy.limits.total_bytes_max = 99;
        assert!(matches!(
            policy.check(&one(file(0))),
            Err(PolicyError::TooLarge(..))
        ));
        policy.limits.entries_max = 1;
        assert!(matches!(
            policy.check(&one(file(0))),
            Err(PolicyError::TooMany(2, 1))
        ));
    }

    #[test]
    fn an_unknown_owner_rejects() {
        let mut policy = Policy::default();
        let listed = |uids: [u32; 1], gids: [u32; 1]| Owners::Listed {
            uids: uids.into(),
            gids: gids.into(),
        };
        policy.owners = listed([7], [8]);
        assert_eq!(policy.check(&one(file(0))), Ok(()));
        for other in [
            listed([0], [8]),
            listed([7], [0]),
            Owners::Fixed { uid: 0, gid: 0 },
        ] {
            policy.owners = other;
            assert!(matches!(
                policy.check(&one(file(0))),
                Err(PolicyError::Owner { .. })
            ));
        }
    }

    #[test]
    fn starts_of_attribute_names() {
        let mut policy = Policy::default();
        policy.xattrs.insert("user.".to_owned());
        assert!(policy.allows_xattr(b"user.anything"));
        assert!(policy.allows_xattr(b"system.posix_acl_access"));
        assert!(!policy.allows_xattr(b"system.posix_acl_access2"));
        assert!(!policy.allows_xattr(b"trusted.x"));
    }

    #[test]
    fn mass_deletion_is_refused_and_an_emptied_tree_always() {
        let guard = Policy::default().deletions;
        assert_eq!(guard.check(&many(1000), &many(900)), Ok(()));
        let refused = guard.check(&many(1000), &many(800)).unwrap_err();
        let said = "200 of 1001 entries would be deleted; the category allows 100";
        assert!(refused.to_string().starts_with(said), "{refused}");
        assert_eq!(guard.check(&many(16), &many(1)), Ok(()));
        let emptied = guard.check(&many(2), &many(0));
        assert_eq!(emptied, Err(DeletionRefused::Emptied(path("t"))));
        let missing = guard.check(&many(2), &Manifest::new());
        assert_eq!(missing, Err(DeletionRefused::Missing(path("t"))));
        assert_eq!(guard.check(&Manifest::new(), &many(5)), Ok(()));
    }
}
