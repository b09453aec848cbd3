//! What a category lays claim to, as far as paths can tell without looking at the disk.
//!
//! Two categories must never hold the same file: each would undo the other's commit. The answer errs towards *overlap*:
//! whatever a pattern with a wildcard could match counts as matched, and as not excluded.

use std::path::{Component, Path, PathBuf};

use super::Files;

/// Letters that make a pattern more than a path.
const WILD: [char; 5] = ['*', '?', '[', '{', '\\'];

/// Everything at and below one path, but for what is spared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Absolute.
    pub path: PathBuf,
    /// Absolute, below `path`.
    pub spared: Vec<PathBuf>,
}

impl Files {
    /// What it lays claim to.
    pub fn claims(&self) -> Vec<Claim> {
        let filter = &self.filter;
        // What one pattern takes away another may take back.
        let takes_back = filter.exclude.iter().any(|it| it.starts_with('!'));
        let exclude = if takes_back {
            &[]
        } else {
            filter.exclude.as_slice()
        };
        let root_claims = |root: &PathBuf| {
            let spared: Vec<PathBuf> = filter
                .node_local
                .iter()
                .chain(exclude)
                .filter_map(|pattern| Some(root.join(literal(pattern)?)))
                .collect();
            let paths: Vec<PathBuf> = if filter.include.is_empty() {
                vec![root.clone()]
            } else {
                filter
                    .include
                    .iter()
                    .map(|pattern| root.join(literal_start(pattern)))
                    .collect()
            };
            paths.into_iter().map(move |path| Claim {
                path,
                spared: spared.clone(),
            })
        };
        self.roots.iter().flat_map(root_claims).collect()
    }
}

impl Claim {
    /// Whether what lies at `path` belongs to it.
    pub fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.path) && !self.spares(path)
    }

    fn spares(&self, path: &Path) -> bool {
        self.spared.iter().any(|spared| path.starts_with(spared))
    }

    /// A path that both may hold.
    fn meets(&self, other: &Self) -> Option<PathBuf> {
        let (outer, inner) = if other.path.starts_with(&self.path) {
            (self, other)
        } else if self.path.starts_with(&other.path) {
            (other, self)
        } else {
            return None;
        };
        let meets = outer.holds(&inner.path) && inner.holds(&inner.path);
        meets.then(|| inner.path.clone())
    }
}

/// A path that both may hold, if there is one.
pub fn overlap(one: &[Claim], other: &[Claim]) -> Option<PathBuf> {
    one.iter()
        .find_map(|claim| other.iter().find_map(|their| claim.meets(their)))
}

/// The path a pattern is, if it is just one below the root.
fn literal(pattern: &str) -> Option<&str> {
    let bare = pattern.trim_end_matches('/');
    let anchored = bare.contains('/');
    (anchored && !pattern.contains(WILD)).then(|| bare.trim_start_matches('/'))
}

/// The part of a pattern that is a path for sure; empty if it may match anywhere.
fn literal_start(pattern: &str) -> PathBuf {
    if !pattern.trim_end_matches('/').contains('/') {
        return PathBuf::new();
    }
    Path::new(pattern.trim_start_matches('/'))
        .components()
        .take_while(|part| matches!(part, Component::Normal(name) if !name.to_string_lossy().contains(WILD)))
        .collect()
}
