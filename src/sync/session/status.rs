//! How a category is, for people and programs.

use serde::{Deserialize, Serialize};

use super::relation::Choice;
use crate::category_id::CategoryId;

/// One category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryStatus {
    /// Name.
    pub id: CategoryId,
    /// How it is.
    #[serde(flatten)]
    pub state: State,
    /// Entries here.
    pub entries: usize,
    /// Bytes here.
    pub bytes: u64,
    /// Number of the newest commit.
    pub generation: Option<u64>,
    /// Content root here, as hexadecimal.
    pub root: Option<String>,
}

/// How a category is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum State {
    /// Roots were compared, and are equal.
    InSync {
        /// How long ago, in milliseconds.
        verified_ms_ago: u64,
    },
    /// On its way.
    Syncing {
        /// Milliseconds since the first change that the backup does not have.
        lag_ms: u64,
        /// Bytes of files that still have to travel, as far as known.
        bytes_left: u64,
    },
    /// It is not the same, and nothing is on its way.
    OutOfSync {
        /// Why.
        reason: Reason,
        /// In words.
        details: String,
    },
    /// Nothing is known of the other side.
    Unknown {
        /// For how long, in milliseconds.
        for_ms: u64,
    },
}

/// Why a category is out of sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The trees differ, and something stands in the way.
    Content,
    /// Somebody edited on the backup.
    LocalChange,
    /// The backup's check said no.
    RejectedByValidation,
    /// The content is the same, but the backup's programs did not take it up.
    ReloadFailed,
    /// It would delete more than the guard allows.
    Deletions,
    /// It is configured differently on the two nodes.
    PolicyMismatch,
    /// The two nodes run different versions.
    VersionMismatch,
    /// Somebody has to choose whose data counts.
    Choice(Choice),
}
