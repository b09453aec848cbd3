//! What the Backup's side is told, and what it wants done.

use std::sync::Arc;

use crate::blocks::{Question, Run, Short};
use crate::category_id::CategoryId;
use crate::digest::Digest;
use crate::frame::{Content, Look, Message, Needed, Refusal, Text, TransferId};
use crate::lineage::{CommitRecord, Epoch};
use crate::manifest::Manifest;
use crate::session::{Local, RunId, RunOutcome, Standing};

/// What happened.
#[derive(Debug)]
pub enum ReceiverEvent {
    /// The peer said something.
    Received(Message),
    /// A tree was looked at; for which question, if for one.
    Scanned {
        /// Whose.
        category: CategoryId,
        /// What is there; nothing if it cannot be told.
        local: Option<Local>,
    },
    /// All trees were looked at as a question wanted.
    Looked {
        /// The question.
        round: u32,
    },
    /// The stage is open; what is missing, or why it is not.
    Opened {
        /// Which transfer.
        transfer: TransferId,
        /// Contents neither in place nor staged.
        missing: Result<Vec<Needed>, Refusal>,
    },
    /// Groups of blocks of a base were hashed.
    Hashed {
        /// For which transfer.
        transfer: TransferId,
        /// For the sake of which content.
        content: Digest,
        /// As far as the base reaches; none if it is no longer there.
        hashes: Vec<Short>,
    },
    /// Bytes of a content were staged.
    Stored {
        /// Of which transfer.
        transfer: TransferId,
        /// The content, if it is complete now.
        complete: Result<Option<Digest>, Refusal>,
    },
    /// Everything is durable and validated, or is not.
    Prepared {
        /// Which transfer.
        transfer: TransferId,
        /// How it went.
        outcome: Result<(), Refusal>,
    },
    /// It was committed, or was not.
    Committed {
        /// Which transfer.
        transfer: TransferId,
        /// How it went.
        outcome: Result<(), Refusal>,
    },
    /// The answer to [`ReceiverAction::Run`].
    Ran {
        /// Which.
        run: RunId,
        /// How it ended.
        outcome: RunOutcome,
    },
    /// What the programs of this node made of the generation in place.
    TakenUp {
        /// Of which category.
        category: CategoryId,
        /// Why they did not take it up, if they did not.
        failed: Option<String>,
    },
    /// The agent says something else of this node.
    Standing(Standing),
}

/// What to do, in order.
#[derive(Debug)]
pub enum ReceiverAction {
    /// Say this.
    Send(Message),
    /// Look at all trees like this, then tell [`ReceiverEvent::Scanned`] of each and [`ReceiverEvent::Looked`].
    Scan {
        /// For which question.
        round: u32,
        /// How.
        look: Look,
    },
    /// Open a stage.
    Open {
        /// Its transfer.
        transfer: TransferId,
        /// Of which category.
        category: CategoryId,
        /// The tree there shall be.
        next: Arc<Manifest>,
    },
    /// Hash groups of blocks of what is in a content's place, then tell [`ReceiverEvent::Hashed`].
    Hash {
        /// Of which transfer.
        transfer: TransferId,
        /// Hash of the whole file.
        content: Digest,
        /// Hash of what must be in its place.
        base: Digest,
        /// What to hash; no more than fits an answer.
        question: Question,
    },
    /// Begin a content with the blocks of what is in its place.
    Rebase {
        /// Of which transfer.
        transfer: TransferId,
        /// Hash of the whole file.
        content: Digest,
        /// Hash of what must be in its place.
        base: Digest,
        /// Blocks that will come.
        runs: Vec<Run>,
    },
    /// Stage these bytes.
    Store(Content),
    /// Build it aside, make it durable, validate it.
    Prepare {
        /// Which transfer.
        transfer: TransferId,
        /// The commits that lead to it, oldest first.
        records: Vec<CommitRecord>,
        /// They take the place of what is remembered.
        replace: bool,
        /// What goes is meant to go.
        force: bool,
    },
    /// Commit, if the agent still says Backup and knows no higher epoch: asked under the commit lock.
    Commit {
        /// Which transfer.
        transfer: TransferId,
        /// Under which.
        epoch: Epoch,
    },
    /// Give the transfer up; contents may stay staged.
    Discard {
        /// Which.
        transfer: TransferId,
    },
    /// Run what is configured under this name, if the agent still says Backup and knows no higher epoch.
    Run {
        /// Which order.
        run: RunId,
        /// Under which.
        epoch: Epoch,
        /// The name.
        name: Text,
    },
    /// Hang up.
    Close(String),
}
