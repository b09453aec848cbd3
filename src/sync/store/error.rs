//! What can go wrong with what the Backup holds.

use rustix::io::Errno;

use crate::digest::Digest;
use crate::lineage::{Epoch, LineageError};
use crate::manifest::ManifestError;
use crate::path::RelPath;
use crate::policy::{DeletionRefused, PolicyError};
use crate::scan::ScanError;

/// Why something was not done. Unless it says otherwise, the trees are as they were.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store's own files.
    #[error("cannot {what} {place}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        place: String,
        /// What the system said.
        source: Errno,
    },
    /// Another process has the store.
    #[error("another process holds {0}; expected one `fencepost sync` per host")]
    Locked(String),
    /// A file of the store that is not what was written.
    #[error("{0} is damaged; move it away, and the next sync is a full one")]
    Damaged(String),
    /// No manifest of a tree.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// What the category does not allow.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Too much would go.
    #[error(transparent)]
    Deletion(#[from] DeletionRefused),
    /// The trees cannot be looked at.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A generation that does not follow the one held.
    #[error(transparent)]
    Lineage(#[from] LineageError),
    /// No record, or a record of another manifest.
    #[error("the commit record is not of this manifest")]
    Root,
    /// Sent under an older right to serve.
    #[error("epoch {} is over: {} is in force here; the sender is no longer the Active", found.0, held.0)]
    Fenced {
        /// The sender's.
        found: Epoch,
        /// The highest seen here.
        held: Epoch,
    },
    /// The agent does not let it through.
    #[error("refused at the commit: {0}")]
    Refused(String),
    /// Something else was committed after it was staged.
    #[error("another generation was committed since this one was staged")]
    Overtaken,
    /// A path that this node does not replicate.
    #[error("{0}: not replicated on this node; the two nodes' configurations differ")]
    NotChosen(RelPath),
    /// No bytes for a file.
    #[error("{0}: its content {1} has not arrived")]
    Missing(RelPath, Digest),
    /// Bytes that are not what they were said to be.
    #[error("content {0} does not match its hash; it is fetched again")]
    Mismatch(Digest),
    /// A content that nobody asked for.
    #[error("content {0} was not asked for")]
    Unasked(Digest),
    /// Nobody looked at the trees yet.
    #[error("the trees were not scanned since the start")]
    Unscanned,
    /// The journal could not be written.
    #[error("the journal could not be written; it is read again at the next start")]
    Broken,
    /// A block outside of its file, or of a wrong length.
    #[error("block {0} does not fit its file")]
    Block(u32),
    /// A path taken by something that is not replicated.
    #[error("{0}: something that is not replicated is in its place; move it away")]
    InTheWay(RelPath),
    /// A file system without exchange of names.
    #[error(
        "{0}: its file system cannot exchange two names in one step; expected ext4, xfs, btrfs or tmpfs"
    )]
    NoExchange(RelPath),
    /// A commit failed on the way; all of it was taken back.
    #[error("{path}: {source}; the commit was taken back")]
    Undone {
        /// Where it failed.
        path: RelPath,
        /// What the system said.
        source: Errno,
    },
    /// A commit failed on the way and so did taking it back; the journal has both, and the next start tries again.
    #[error(
        "{path}: {source}, and it could not be taken back; it is tried again at the next start"
    )]
    Torn {
        /// Where it failed.
        path: RelPath,
        /// What the system said.
        source: Errno,
    },
    /// No such generation in the history.
    #[error("generation {0} is not in the history")]
    NoGeneration(u64),
}

/// Turns what the system said into an error about a place.
pub(super) fn io(
    what: &'static str,
    place: impl std::fmt::Display,
) -> impl FnOnce(Errno) -> StoreError {
    let place = place.to_string();
    move |source| StoreError::Io {
        what,
        place,
        source,
    }
}
