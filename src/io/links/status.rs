//! What readers see of the links: a copy, never the thread's own.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::wire::{BootId, Counts, PathQuality};

/// All links.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinksStatus {
    /// What was taken and what was refused, over all links.
    pub counts: Counts,
    /// The peer's present start; `None` before it was met.
    pub peer_boot: Option<BootId>,
    /// Each link, in the configuration's order.
    pub links: Vec<LinkStatus>,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// Its name.
    pub name: String,
    /// Why it cannot be used, if it cannot.
    pub fault: Option<String>,
    /// Loss, round trip, last sign of life.
    pub quality: PathQuality,
    /// Frames sent.
    pub sent: u64,
    /// Frames that could not be sent.
    pub unsent: u64,
    /// How often the peer's machine said that nobody listens.
    pub refused: u64,
}

/// Where readers look.
#[derive(Debug, Clone, Default)]
pub struct LinksView(Arc<Mutex<LinksStatus>>);

impl LinksView {
    /// The latest copy.
    pub fn read(&self) -> LinksStatus {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Publish, unless a reader is looking at this very moment.
    pub(super) fn publish(&self, status: LinksStatus) {
        if let Ok(mut shown) = self.0.try_lock() {
            *shown = status;
        }
    }
}
