//! The key file while it changes: staged beside the old one, put in place by one rename.
//!
//! Beside it stays where the peer was met, `.peer`: no secret, and kept when the keys go, so that a node that left finds back.
//!
//! Two marks beside the key file: `.new` is staged and not in force; `.unfinished` says that the other node has not
//! been heard to have the key too. What if the power fails here? The key file is the old one or the new one, whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::Terms;
use crate::wire::keys::KEYS_MAX;

/// Why the key file could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The kernel said no.
    #[error("key file {file}: {error}")]
    Io {
        /// Path.
        file: String,
        /// The kernel's words.
        error: io::Error,
    },
    /// This node is half of a pair already.
    #[error(
        "key file {file}: it is there already; if this node is to change its partner, `fencepost pair leave` first (on \
         the node that stays: `fencepost pair replace`); for a change of keys, `fencepost pair rotate`"
    )]
    There {
        /// Path.
        file: String,
    },
    /// Nobody was ever met from here.
    #[error(
        "{file} names no peer: this node was never paired over the network; `fencepost pair join ADDRESS`"
    )]
    NoPeer {
        /// Path.
        file: String,
    },
    /// There is no key to add another to.
    #[error("key file {file}: there is none to add a key to; pair the nodes first")]
    Missing {
        /// Path.
        file: String,
    },
}

/// One key file.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// The key file at this path, there or not.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// The key file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A pairing was begun and the other node was not heard to have the key.
    pub fn unfinished(&self) -> bool {
        self.beside("unfinished").exists()
    }

    /// Whether a first key may be made here.
    ///
    /// # Errors
    /// There is one already, and it is no leftover of a pairing that was cut off.
    pub fn must_be_free(&self) -> Result<(), StoreError> {
        if self.path.exists() && !self.unfinished() {
            let file = self.path.display().to_string();
            return Err(StoreError::There { file });
        }
        Ok(())
    }

    /// Whether a key may be added here.
    ///
    /// # Errors
    /// There is none yet.
    pub fn must_be_there(&self) -> Result<(), StoreError> {
        if !self.path.exists() {
            let file = self.path.display().to_string();
            return Err(StoreError::Missing { file });
        }
        Ok(())
    }

    /// Writes the new content beside the key file. Nothing is in force yet.
    pub(super) fn stage(&self, terms: Terms, secret: &[u8; 32]) -> Result<(), StoreError> {
        let mut text = match terms {
            Terms::New => {
                "# Fencepost: whoever has this can speak for a node of the pair.\n".to_owned()
            }
            Terms::Add => kept(&fs::read_to_string(&self.path).map_err(|e| self.io(e))?),
        };
        text.extend(secret.iter().map(|byte| format!("{byte:02x}")));
        text.push('\n');
        let staged = self.beside("new");
        self.remove(&staged)?;
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&staged)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error| self.io(error))
    }

    /// Remembers where the peer was met, for [`Store::remembered_peer`].
    ///
    /// # Errors
    /// The kernel said no; the pairing stands all the same.
    pub fn remember_peer(&self, peer: SocketAddr) -> Result<(), StoreError> {
        let text = format!(
            "# Where the other half of the pair was met; for `fencepost pair rejoin`.\n{peer}\n"
        );
        let (staged, file) = (self.beside("peer.new"), self.beside("peer"));
        let write = || {
            let mut file = File::create(&staged)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error| self.io(error))?;
        fs::rename(staged, file).map_err(|error| self.io(error))?;
        self.sync_folder()
    }

    /// Where the peer was met last.
    ///
    /// # Errors
    /// Nowhere, as far as this node knows.
    pub fn remembered_peer(&self) -> Result<SocketAddr, StoreError> {
        let file = self.beside("peer");
        let text = fs::read_to_string(&file).unwrap_or_default();
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let peer = lines.next().and_then(|line| line.trim().parse().ok());
        peer.ok_or_else(|| StoreError::NoPeer {
            file: file.display().to_string(),
        })
    }

    /// From here on the pairing counts as unfinished, through a power cut too.
    pub(super) fn begin(&self) -> Result<(), StoreError> {
        let mark = self.beside("unfinished");
        let write = || File::create(&mark)?.sync_all();
        write().map_err(|error| self.io(error))
    }

    /// What was staged becomes the key file.
    pub(super) fn put_in_place(&self) -> Result<(), StoreError> {
        fs::rename(self.beside("new"), &self.path).map_err(|error| self.io(error))?;
        self.sync_folder()
    }

    /// The other node has it too.
    pub(super) fn finish(&self) -> Result<(), StoreError> {
        self.remove(&self.beside("unfinished"))?;
        self.sync_folder()
    }

    /// Forgets the keys, and what was staged.
    ///
    /// # Errors
    /// There is nothing to forget, or the kernel said no.
    pub fn forget(&self) -> Result<(), StoreError> {
        self.must_be_there()?;
        for path in [&self.path, &self.beside("new"), &self.beside("unfinished")] {
            self.remove(path)?;
        }
        self.sync_folder()
    }

    fn beside(&self, mark: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(mark);
        name.into()
    }

    fn remove(&self, path: &Path) -> Result<(), StoreError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.io(error)),
            _ => Ok(()),
        }
    }

    fn sync_folder(&self) -> Result<(), StoreError> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let sync = || File::open(folder)?.sync_all();
        sync().map_err(|error| self.io(error))
    }

    fn io(&self, error: io::Error) -> StoreError {
        StoreError::Io {
            file: self.path.display().to_string(),
            error,
        }
    }
}

/// The file so far, without its oldest keys where there would be too many.
fn kept(text: &str) -> String {
    let is_key = |line: &&str| !line.split('#').next().unwrap_or_default().trim().is_empty();
    let mut surplus = (text.lines().filter(is_key).count() + 1).saturating_sub(KEYS_MAX);
    let mut kept = String::with_capacity(text.len() + 65);
    for line in text.lines() {
        if surplus > 0 && is_key(&line) {
            surplus -= 1;
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_key_goes_where_there_would_be_too_many() {
        let text = "# first\naa\nbb # of May\n\ncc\ndd\n";
        assert_eq!(kept(text), "# first\nbb # of May\n\ncc\ndd\n");
        assert_eq!(kept("aa\nbb"), "aa\nbb\n");
    }

    #[test]
    fn the_peer_is_remembered_when_the_keys_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(&folder.path().join("pair.key"));
        assert!(matches!(
            store.remembered_peer(),
            Err(StoreError::NoPeer { .. })
        ));
        let peer = "[2001:db8::1]:7694".parse().unwrap();
        store.remember_peer(peer).unwrap();
        store.stage(Terms::New, &[7; 32]).unwrap();
        store.put_in_place().unwrap();
        store.forget().unwrap();
        assert_eq!(store.remembered_peer().unwrap(), peer);
        fs::write(folder.path().join("pair.key.peer"), "# nothing\nnowhere\n").unwrap();
        assert!(matches!(
            store.remembered_peer(),
            Err(StoreError::NoPeer { .. })
        ));
    }

    #[test]
    fn a_file_is_refused_or_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(&folder.path().join("pair.key"));
        store.must_be_free().unwrap();
        assert!(matches!(
            store.must_be_there(),
            Err(StoreError::Missing { .. })
        ));
        assert!(matches!(store.forget(), Err(StoreError::Missing { .. })));
        store.stage(Terms::New, &[7; 32]).unwrap();
        store.must_be_free().unwrap();
        store.begin().unwrap();
        store.put_in_place().unwrap();
        store.must_be_free().unwrap();
        store.finish().unwrap();
        assert!(matches!(
            store.must_be_free(),
            Err(StoreError::There { .. })
        ));
        store.forget().unwrap();
        store.must_be_free().unwrap();
    }
}
