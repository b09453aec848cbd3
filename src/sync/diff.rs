//! What lies between two manifests.

use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::manifest::Manifest;
use crate::path::RelPath;

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where.
    pub path: RelPath,
    /// What was there.
    pub old: Option<Entry>,
    /// What is there now. Never both `None`.
    pub new: Option<Entry>,
}

/// How a path differs, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Difference {
    /// It was not there.
    Added,
    /// It is gone.
    Removed,
    /// A file is now a directory, or the like.
    Kind,
    /// Other bytes, or another link target.
    Content,
    /// Same bytes, other mode, owner, group or attributes.
    Metadata,
    /// The time alone.
    Time,
}

impl Change {
    /// How.
    pub fn difference(&self) -> Difference {
        let (old, new) = match (&self.old, &self.new) {
            (None, _) => return Difference::Added,
            (_, None) => return Difference::Removed,
            (Some(old), Some(new)) => (old, new),
        };
        if std::mem::discriminant(&old.kind) != std::mem::discriminant(&new.kind) {
            Difference::Kind
        } else if old.kind != new.kind {
            Difference::Content
        } else if !old.same_content(new) {
            Difference::Metadata
        } else {
            Difference::Time
        }
    }
}

/// Every path that differs, in order: a directory before what is in it. A rename is one path gone and one added. The
/// time of a directory or link is not compared.
pub fn diff(old: &Manifest, new: &Manifest) -> Vec<Change> {
    let (mut olds, mut news) = (old.iter().peekable(), new.iter().peekable());
    let mut changes = Vec::new();
    loop {
        let order = match (olds.peek(), news.peek()) {
            (None, None) => return changes,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        let old = olds.next_if(|_| order.is_le());
        let new = news.next_if(|_| order.is_ge());
        if let (Some((_, old)), Some((_, new))) = (old, new)
            && old.leaves() == new.leaves()
        {
            continue;
        }
        if let Some((path, _)) = old.or(new) {
            changes.push(Change {
                path: path.clone(),
                old: old.map(|(_, entry)| entry.clone()),
                new: new.map(|(_, entry)| entry.clone()),
            });
        }
    }
}

impl Manifest {
    /// This manifest with these changes made, whatever was there before.
    pub fn with(mut self, changes: &[Change]) -> Self {
        for change in changes {
            match &change.new {
                Some(entry) => drop(self.insert(change.path.clone(), entry.clone())),
                None => drop(self.remove(&change.path)),
            }
        }
        self
    }
}
