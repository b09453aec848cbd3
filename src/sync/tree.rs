//! The trees of a category: directories of this host, each under a name that both nodes share.

use std::path::PathBuf;

use crate::filter::Filter;
use crate::path::{PathError, RelPath};

/// Longest name of a tree in bytes: it is part of the name of its staging area.
pub const TREE_NAME_BYTES_MAX: usize = 64;

/// One tree.
#[derive(Debug, Clone)]
pub struct Tree {
    /// First name of all its paths; the same on both nodes.
    name: RelPath,
    /// Its directory on this host.
    pub root: PathBuf,
    /// What of it is replicated.
    pub filter: Filter,
}

impl Tree {
    /// A tree called `name`: one plain name, up to [`TREE_NAME_BYTES_MAX`].
    pub fn new(name: &str, root: impl Into<PathBuf>, filter: Filter) -> Result<Self, PathError> {
        let name = RelPath::try_from(name)?;
        if name.as_bytes().len() > TREE_NAME_BYTES_MAX {
            return Err(PathError::LongComponent(name.as_bytes().len()));
        } else if name.depth() != 1 {
            return Err(PathError::EmptyComponent);
        }
        Ok(Self {
            name,
            root: root.into(),
            filter,
        })
    }

    /// First name of all its paths.
    pub fn name(&self) -> &RelPath {
        &self.name
    }

    /// Whether a path is in it.
    pub fn holds(&self, path: &RelPath) -> bool {
        path.is_within(&self.name)
    }
}
