//! What the two nodes say to each other, version 1.
//!
//! The side that is Active speaks first and drives: it compares roots, stages, commits. The Backup answers. Variants are
//! appended, never moved: their numbers are the wire format. A change that an older version cannot ignore is a new
//! major version, and a new name in ALPN.

use serde::{Deserialize, Serialize};

use super::capped::{Capped, Text};
use crate::blocks::{BLOCK_BYTES, HASHES_MAX, Run, Short};
use crate::category_id::CategoryId;
use crate::digest::Digest;
use crate::entry::{Entry, Roots};
use crate::hooks::OUTPUT_BYTES_MAX;
use crate::lineage::{CommitRecord, Epoch, NodeId};
use crate::path::RelPath;

/// Most categories of one pair.
pub const CATEGORIES_MAX: usize = 64;
/// Most changes in one [`Message::Changes`]; their size ends a part long before.
pub const CHANGES_MAX: usize = 1024;
/// Most directories asked for at once.
pub const DIRS_MAX: usize = 256;
/// Most children in one [`Message::Directory`].
pub const CHILDREN_MAX: usize = 1024;
/// Most contents named in one [`Message::Need`].
pub const NEEDS_MAX: usize = 1024;
/// Most commit records at once.
pub const RECORDS_MAX: usize = 256;
/// Most bytes of a file in one [`Message::Content`]: whole blocks, and a frame of them stays under 64 KiB.
pub const CHUNK_BYTES_MAX: usize = 60 * BLOCK_BYTES;
/// Most runs of blocks in one [`Message::Base`]; a file that differs in more travels whole.
pub const RUNS_MAX: usize = 4096;

/// Number of a transfer, unique on its connection.
pub type TransferId = u64;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// First word of both sides.
    Hello(Hello),
    /// Active: here is what I hold; what do you hold?
    Check {
        /// Which question.
        round: u32,
        /// By which means the other shall look.
        look: Look,
        /// Own roots, by the category's place in the own hello.
        roots: Capped<(u8, Roots), CATEGORIES_MAX>,
    },
    /// Backup: this I hold, by the category's place in the Active's hello.
    Checked {
        /// The question.
        round: u32,
        /// What is held; nothing of a category that could not be read.
        held: Capped<(u8, Option<Held>), CATEGORIES_MAX>,
    },
    /// Active: what do you remember of this category?
    AskLineage {
        /// Which.
        category: CategoryId,
    },
    /// Backup: this, oldest first.
    Lineage {
        /// Of which.
        category: CategoryId,
        /// A part of it.
        records: Capped<CommitRecord, RECORDS_MAX>,
        /// No more parts.
        last: bool,
    },
    /// Active: what is in these directories? `None` are the trees themselves.
    AskDirectories {
        /// Of which.
        category: CategoryId,
        /// Which.
        dirs: Capped<Option<RelPath>, DIRS_MAX>,
    },
    /// Backup: this.
    Directory {
        /// Of which.
        category: CategoryId,
        /// The directory.
        dir: Option<RelPath>,
        /// A part of what is in it.
        children: Capped<Child, CHILDREN_MAX>,
        /// No more parts.
        last: bool,
    },
    /// Active: prepare this generation.
    Stage(Stage),
    /// Active: a part of what changes, in order.
    Changes {
        /// Of which transfer.
        transfer: TransferId,
        /// A part of them.
        changes: Capped<Changed, CHANGES_MAX>,
    },
    /// Backup: contents that it has not, neither in place nor staged.
    Need {
        /// Of which transfer.
        transfer: TransferId,
        /// A part of them.
        contents: Capped<Needed, NEEDS_MAX>,
        /// No more parts.
        last: bool,
    },
    /// Active: bytes of a file.
    Content(Content),
    /// Backup: all is here, durable and validated.
    Prepared {
        /// Which transfer.
        transfer: TransferId,
    },
    /// Active: make it so.
    Commit {
        /// Which transfer.
        transfer: TransferId,
        /// Under which it is Active now.
        epoch: Epoch,
    },
    /// Backup: it is so, and durable.
    Done {
        /// Which transfer.
        transfer: TransferId,
        /// What is held now.
        roots: Roots,
    },
    /// Backup: no, and why. The transfer is over.
    Refused {
        /// Which transfer.
        transfer: TransferId,
        /// Why.
        refusal: Refusal,
    },
    /// Active: never mind. The transfer is over.
    Abort {
        /// Which transfer.
        transfer: TransferId,
    },
    /// Either: the connection ends, and why.
    Bye {
        /// Why.
        reason: Text,
    },
    /// Active, before the bytes of a large file: all blocks but these are as in the base that you have.
    Base {
        /// Of which transfer.
        transfer: TransferId,
        /// Hash of the whole file.
        content: Digest,
        /// Hash of the base.
        base: Digest,
        /// Blocks that follow, in order.
        runs: Capped<Run, RUNS_MAX>,
    },
    /// Active: run what you have configured under this name.
    Run {
        /// Which order.
        run: u32,
        /// Under which it is Active.
        epoch: Epoch,
        /// The name.
        name: Text,
    },
    /// Backup: it ended; or why it was not begun, or not seen to its end.
    Ran {
        /// Which order.
        run: u32,
        /// How.
        outcome: Result<Ran, Text>,
    },
    /// Active: you lack something of this category, or do no longer without a commit.
    Behind {
        /// Which.
        category: CategoryId,
        /// For how many milliseconds already; nothing if you lack nothing.
        for_ms: Option<u64>,
    },
    /// Backup: what the programs of this node made of the generation in place.
    TakenUp {
        /// Of which category.
        category: CategoryId,
        /// Why they did not take it up, if they did not.
        failed: Option<Text>,
    },
    /// Active, before the bytes of a large file: hash these groups of blocks of the base that you have.
    AskBlocks {
        /// Of which transfer.
        transfer: TransferId,
        /// Hash of the whole file.
        content: Digest,
        /// Hash of the base.
        base: Digest,
        /// 0 for blocks, n for groups of 16^n of them.
        level: u8,
        /// Which, in order; [`HASHES_MAX`] together at most.
        groups: Capped<Run, RUNS_MAX>,
    },
    /// Backup: the hashes, in order; fewer if the base is shorter, none if it is no longer there.
    Blocks {
        /// Of which transfer.
        transfer: TransferId,
        /// Hash of the whole file.
        content: Digest,
        /// As many as were asked for, at most.
        hashes: Capped<Short, HASHES_MAX>,
    },
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Its exit code; 128 and the signal's number if a signal ended it.
    pub code: u8,
    /// What it said.
    pub output: Capped<u8, OUTPUT_BYTES_MAX>,
}

/// A content that the Backup has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needed {
    /// Hash of the whole file.
    pub content: Digest,
    /// Hash of what it has in that place, if blocks of it may serve.
    pub base: Option<Digest>,
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Minor version of the protocol; both use the lower one.
    pub protocol: u16,
    /// Version of the program; other versions do not exchange state.
    pub version: Text,
    /// Which node.
    pub node: NodeId,
    /// The highest epoch it knows; the Active's is its own.
    pub epoch: Epoch,
    /// Its categories.
    pub categories: Capped<Offer, CATEGORIES_MAX>,
}

/// A category as one node has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Name.
    pub id: CategoryId,
    /// Hash over everything in its configuration that both must agree on.
    pub policy: Digest,
    /// What is held, if it could be read.
    pub held: Option<Held>,
}

/// What a node holds of a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Hashes of the tree as it is.
    pub roots: Roots,
    /// The newest commit.
    pub newest: Option<CommitRecord>,
}

/// How thoroughly to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Look {
    /// At what the last look found, if nothing was noticed since.
    Known,
    /// At every entry's facts.
    Walk,
    /// At every byte.
    Rehash,
}

/// What is in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// Whole path.
    pub path: RelPath,
    /// What it is.
    pub entry: Entry,
    /// Of a directory: hashes of all that is in it.
    pub below: Option<Roots>,
}

/// A generation to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Its transfer.
    pub transfer: TransferId,
    /// Of which category.
    pub category: CategoryId,
    /// Under which the sender is Active.
    pub epoch: Epoch,
    /// The commit.
    pub record: CommitRecord,
    /// Commits before it that the Backup lacks, oldest first.
    pub history: Capped<CommitRecord, RECORDS_MAX>,
    /// Content root of the tree that the changes are made to.
    pub base: Digest,
    /// How many changes follow.
    pub changes: u32,
    /// Somebody said that what goes is meant to go: the deletion guard does not stop it.
    pub deletions_meant: bool,
    /// Commits remembered by the Backup that are not in `history` are given up, by somebody's choice or because
    /// both hold the same.
    pub replaces_history: bool,
}

/// One path that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Where.
    pub path: RelPath,
    /// What shall be there; nothing if it shall go.
    pub entry: Option<Entry>,
}

/// Bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Of which transfer.
    pub transfer: TransferId,
    /// Hash of the whole file.
    pub content: Digest,
    /// Where they belong.
    pub offset: u64,
    /// The file ends with them.
    pub last: bool,
    /// Whether the bytes are packed, see [`super::pack`].
    pub packed: bool,
    /// At most [`CHUNK_BYTES_MAX`], packed or not.
    pub bytes: Capped<u8, CHUNK_BYTES_MAX>,
}

/// Why the Backup does not do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The sender's epoch is over.
    #[error("epoch {} is the newest known here: the sender is no longer Active", .0.0)]
    StaleEpoch(Epoch),
    /// Not in a role that takes data.
    #[error("this node is not Backup, or does not know its role")]
    NotBackup,
    /// No such category here.
    #[error("no category of that name is configured here")]
    UnknownCategory,
    /// Both have it, but not alike.
    #[error("the category is configured differently here")]
    PolicyMismatch,
    /// The tree is not what the changes are for.
    #[error("the tree here has changed meanwhile")]
    BaseMoved,
    /// The commit does not follow what is remembered here.
    #[error("history: {0}")]
    Lineage(Text),
    /// The generation cannot be of a tree, or is not what was announced.
    #[error("malformed generation: {0}")]
    Malformed(Text),
    /// The category does not allow what is in it.
    #[error("not allowed by the category: {0}")]
    Policy(Text),
    /// It deletes too much.
    #[error("{0}")]
    Deletions(Text),
    /// The category's check says no.
    #[error("rejected by validation: {0}")]
    Validation(Text),
    /// The disk says no.
    #[error("the backup's disk: {0}")]
    Disk(Text),
    /// A newer transfer, or a change of role, took its place.
    #[error("the transfer was given up")]
    Voided,
}
