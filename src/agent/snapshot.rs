//! The place where readers find the latest status, without a lock on the node.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use crate::agent::stats::LoopStats;
use crate::node::Status;

/// What is published once per turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The node's.
    pub status: Status,
    /// The loop's.
    pub stats: LoopStats,
}

/// The place. Clones share it.
#[derive(Clone, Default)]
pub struct Snapshot {
    latest: Arc<Mutex<Option<Arc<Published>>>>,
}

impl Snapshot {
    /// Put a new snapshot in place; `false` if a reader holds the place at this very moment. A reader of normal
    /// priority may be put aside while holding it: the control thread must not wait for that.
    pub fn publish(&self, published: Published) -> bool {
        let published = Some(Arc::new(published));
        let replaced = match self.latest.try_lock() {
            Ok(mut latest) => std::mem::replace(&mut *latest, published),
            Err(TryLockError::Poisoned(poisoned)) => {
                std::mem::replace(&mut *poisoned.into_inner(), published)
            }
            Err(TryLockError::WouldBlock) => return false,
        };
        // Freed after the lock is.
        drop(replaced);
        true
    }

    /// The latest snapshot; `None` before the first turn.
    pub fn latest(&self) -> Option<Arc<Published>> {
        self.latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
