//! What the Active's side is told, and what it wants done.

use crate::blocks::Short;
use crate::category_id::CategoryId;
use crate::diff::Change;
use crate::digest::Digest;
use crate::frame::{Changed, Look, Message, TransferId};
use crate::lineage::{CommitRecord, Lineage};
use crate::path::RelPath;
use crate::session::{Local, Meant, RunId, RunOutcome};

/// What happened.
#[derive(Debug)]
pub enum SenderEvent {
    /// The peer said something.
    Received(Message),
    /// A tree was looked at.
    Scanned {
        /// Whose.
        category: CategoryId,
        /// What is there.
        local: Local,
        /// What was committed; the newest commit is of this tree.
        lineage: Lineage,
    },
    /// A tree cannot be looked at: nothing is known of it until it can.
    Unseen {
        /// Whose.
        category: CategoryId,
    },
    /// Bytes of contents went out.
    Sent {
        /// Of which transfer.
        transfer: TransferId,
        /// How many, before packing.
        bytes: u64,
    },
    /// A content could not be read, or is no longer what it was when the tree was looked at.
    Unreadable {
        /// Of which transfer.
        transfer: TransferId,
    },
    /// Somebody wants it now, and says what is meant.
    Wanted {
        /// Which; all if `None`.
        category: Option<CategoryId>,
        /// What is meant.
        meant: Meant,
    },
    /// Somebody wants both sides to look thoroughly.
    Verify(Look),
    /// Somebody wants to know what differs, of one category.
    Diff(CategoryId),
    /// Somebody wants the Backup to run a command; answered by [`SenderAction::Ran`].
    Run {
        /// Never used before on this connection.
        run: RunId,
        /// The command's name.
        name: String,
    },
    /// This node is no longer Active under the session's epoch.
    Demoted,
}

/// What to do, in order.
#[derive(Debug)]
pub enum SenderAction {
    /// Say this.
    Send(Message),
    /// Say this, in parts, as bulk.
    SendChanges {
        /// Of which transfer.
        transfer: TransferId,
        /// All of them.
        changes: Vec<Changed>,
    },
    /// Send these files, as bulk, each as long as it is what its hash says.
    SendContents {
        /// For which transfer.
        transfer: TransferId,
        /// Of which category.
        category: CategoryId,
        /// Which.
        files: Vec<Wanted>,
    },
    /// The answer to a question about a base that [`SenderAction::SendContents`] led to.
    Hashes {
        /// For which transfer.
        transfer: TransferId,
        /// For the sake of which content.
        content: Digest,
        /// As far as the base reaches; none if the Backup has it no longer.
        hashes: Vec<Short>,
    },
    /// Send no more of this transfer.
    StopSending {
        /// Which.
        transfer: TransferId,
    },
    /// Make a commit of the tree that follows the newest one, even if nothing differs, then tell
    /// [`SenderEvent::Scanned`].
    Publish {
        /// Of which category.
        category: CategoryId,
        /// The newest commit as this machine knows it; if there is a newer one by now, that one is told instead.
        after: Option<CommitRecord>,
    },
    /// The answer to [`SenderEvent::Diff`]: from what the Backup has to what is here.
    Differs {
        /// Of which category.
        category: CategoryId,
        /// All of it.
        changes: Vec<Change>,
    },
    /// The answer to [`SenderEvent::Run`].
    Ran {
        /// Which.
        run: RunId,
        /// How it ended.
        outcome: RunOutcome,
    },
    /// Hang up.
    Close(String),
}

/// A file that the Backup wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where it is.
    pub path: RelPath,
    /// What it must hold.
    pub content: Digest,
    /// In bytes.
    pub size: u64,
    /// What the Backup has in its place, if blocks of it may serve.
    pub base: Option<Digest>,
}
