//! A category: one kind of state that is kept alike on both nodes, as the operator configured it.
//!
//! Its contents are either files in place, or what an exporter writes (a database, a rule set): then its only file lies in
//! a directory of ours, travels like any other, and is imported on the Backup. Both nodes must mean the same by a
//! category, so [`Category::policy_hash`] goes into every hello; what may differ from node to node is not in it.

use core::time::Duration;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::category_id::CategoryId;
use crate::digest::Digest;
use crate::filter::{Filter, FilterSpec, PatternError};
use crate::hooks::Hook;
use crate::path::PathError;
use crate::policy::Policy;
use crate::tree::Tree;

mod claim;

pub use claim::{Claim, overlap};

/// Most categories of one pair.
pub const CATEGORIES_MAX: usize = 64;
/// Most roots of one category.
pub const ROOTS_MAX: usize = 32;
/// Name of the one file of a category that is exported.
pub const EXPORT_FILE: &str = "export";

/// Version of what the hash is made of.
const POLICY_VERSION: u16 = 1;
/// Hashes of other things can never be one of a policy.
const POLICY_DOMAIN: &str = "fencepost sync category policy";

/// One kind of state, understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// Name in commands, status, and on the wire.
    pub id: CategoryId,
    /// What is kept alike.
    pub contents: Contents,
    /// What is let through: owners, set-user-id, extended attributes, deletions, sizes and counts.
    pub policy: Policy,
    /// Lower goes first, 0 to 255; default 100.
    pub priority: u8,
    /// Programs of the site; each node has its own.
    pub hooks: Hooks,
}

/// What is kept alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contents {
    /// Files in place.
    Files(Files),
    /// What an exporter writes.
    Export(Exporter),
}

/// Files in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// Directories, absolute and normal; none lies within another; in order.
    pub roots: Vec<PathBuf>,
    /// Which paths below each root.
    pub filter: FilterSpec,
}

/// Where state comes from that no copy of a file can carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exporter {
    /// What is asked for it.
    pub source: Source,
    /// It is asked no oftener than this.
    pub every: Duration,
}

/// What is asked for an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A live SQLite database, by its backup interface; never its files.
    Sqlite {
        /// The database on both nodes.
        database: PathBuf,
    },
    /// A program that writes, and one that reads.
    Command {
        /// On the Active: writes to the file it is given.
        export: Hook,
        /// On the Backup: takes the state from the file it is given.
        import: Hook,
    },
}

/// Programs of the site around a commit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hooks {
    /// Looks at what is staged, on the Backup; anything but exit code 0 refuses the generation.
    pub validate: Option<Hook>,
    /// A generation is in place, on the Backup; anything but exit code 0 is shown, and it is run again.
    pub reload: Option<Hook>,
}

/// A category that no trees can be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A root.
    #[error("a root that can be no name: {0}")]
    Root(#[from] PathError),
}

/// What both nodes must agree on: neither programs nor times nor order.
#[derive(Serialize)]
struct Agreement<'a> {
    version: u16,
    id: &'a CategoryId,
    contents: AgreedContents<'a>,
    policy: &'a Policy,
}

#[derive(Serialize)]
enum AgreedContents<'a> {
    Files(&'a Files),
    Sqlite(&'a Path),
    Command,
}

impl Category {
    /// What both nodes must mean alike by this category. In it: the replicated view (roots and all three lists of
    /// patterns: nodes that leave out different files could never have one root) and the policy. Not in it: programs, how
    /// often an export is made, priority.
    pub fn policy_hash(&self) -> Digest {
        let agreement = Agreement {
            version: POLICY_VERSION,
            id: &self.id,
            contents: match &self.contents {
                Contents::Files(files) => AgreedContents::Files(files),
                Contents::Export(exporter) => match &exporter.source {
                    Source::Sqlite { database } => AgreedContents::Sqlite(database),
                    Source::Command { .. } => AgreedContents::Command,
                },
            },
            policy: &self.policy,
        };
        let mut hasher = blake3::Hasher::new_derive_key(POLICY_DOMAIN);
        // Numbers, words and paths that were text: nothing in it can fail to be written. Were it to, the empty answer
        // would be the same on both nodes, and so is refused by neither; a test holds it to differ.
        hasher.update(&postcard::to_stdvec(&agreement).unwrap_or_default());
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }

    /// The directories that are watched, hashed and written: its roots, or for an export the directory of ours below
    /// `state` that holds its one file, [`EXPORT_FILE`].
    ///
    /// # Errors
    /// A pattern, or a root that makes no name. Configuration refuses both, with their place.
    pub fn trees(&self, state: &Path) -> Result<Vec<Tree>, TreeError> {
        match &self.contents {
            Contents::Files(files) => {
                let filter = Filter::new(&files.filter)?;
                let tree = |root: &PathBuf| Ok(Tree::new(&tree_name(root), root, filter.clone())?);
                files.roots.iter().map(tree).collect()
            }
            Contents::Export(_) => {
                let filter = Filter::new(&FilterSpec::default())?;
                let directory = export_directory(state, &self.id);
                Ok(vec![Tree::new(EXPORT_FILE, directory, filter)?])
            }
        }
    }
}

/// The name of the tree that a root is: the root's, with `-` between names, so the same on both nodes.
pub fn tree_name(root: &Path) -> String {
    let names = root.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    names.collect::<Vec<_>>().join("-")
}

/// Where the one file of an exported category lies.
pub fn export_directory(state: &Path, id: &CategoryId) -> PathBuf {
    state.join("export").join(id.to_string())
}

#[cfg(test)]
#[path = "category/tests.rs"]
mod tests;
