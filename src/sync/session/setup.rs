//! What a session is told when it begins, and by the node while it lasts.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::category_id::CategoryId;
use crate::digest::Digest;
use crate::entry::Roots;
use crate::frame::{Capped, Held, Hello, Offer, Text};
use crate::lineage::{Epoch, Lineage, NodeId};
use crate::manifest::Manifest;
use crate::path::RelPath;
use crate::policy::Policy;

use super::{Moment, PROTOCOL};

/// What the agent says of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "role")]
pub enum Standing {
    /// It serves: it sends, and takes nothing.
    Active {
        /// Its epoch.
        epoch: Epoch,
    },
    /// It does not serve: it takes, and sends nothing.
    Backup {
        /// The highest epoch it knows.
        epoch: Epoch,
    },
    /// Not known, or starting: it does neither.
    #[default]
    Unknown,
}

/// A tree as it was found.
#[derive(Debug, Clone)]
pub struct Local {
    /// What is there.
    pub manifest: Arc<Manifest>,
    /// Hashes over it.
    pub roots: Roots,
    /// Hashes of its directories.
    pub directories: Arc<BTreeMap<RelPath, Roots>>,
}

impl Local {
    /// With its hashes.
    pub fn new(manifest: Manifest) -> Self {
        Self {
            roots: manifest.roots(),
            directories: Arc::new(manifest.directories()),
            manifest: Arc::new(manifest),
        }
    }
}

/// A category as this node has it when a session begins.
#[derive(Debug, Clone)]
pub struct Own {
    /// Name.
    pub id: CategoryId,
    /// Hash over what both nodes must agree on.
    pub policy_hash: Digest,
    /// What it lets through.
    pub policy: Policy,
    /// What was committed.
    pub lineage: Lineage,
    /// The tree, if it was looked at already.
    pub local: Option<Local>,
    /// On the Active: since when it has held something that no Backup has acknowledged, if so.
    pub behind_since: Option<Moment>,
}

impl Own {
    pub(super) fn held(&self) -> Option<Held> {
        let local = self.local.as_ref()?;
        Some(Held {
            roots: local.roots,
            newest: self.lineage.newest(),
        })
    }
}

pub(super) fn hello(version: &str, node: NodeId, epoch: Epoch, own: &[Own]) -> Hello {
    let offers = own.iter().map(|own| Offer {
        id: own.id.clone(),
        policy: own.policy_hash,
        held: own.held(),
    });
    Hello {
        protocol: PROTOCOL,
        version: Text::new(version),
        node,
        epoch,
        categories: Capped::new(offers),
    }
}
