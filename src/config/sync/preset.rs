//! Shipped presets, and what a node keeps to itself in every category.
//!
//! Data, in `src/sync/presets.toml`; written in the language of `[[category]]`, so that a preset is what an operator could
//! have written.

use std::path::Path;

use fencepost_sync::filter::{Filter, FilterSpec, PatternError, Verdict};
use serde::Deserialize;

use crate::diagnose::{Mistakes, Source};

/// What "Fencepost itself" is called there; no category may take it in.
const OURSELVES: &str = "Fencepost itself";

/// What ships.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shipped {
    /// Left out of every category.
    #[serde(rename = "never")]
    pub nevers: Vec<Never>,
    /// Categories ready to be named.
    #[serde(rename = "preset")]
    pub presets: Vec<Preset>,
}

/// What a node keeps to itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Never {
    /// In words.
    pub about: String,
    /// From `/`; one without a slash is a name at any depth.
    pub patterns: Vec<String>,
}

/// A category ready to be named.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Its name, and the category's unless that has one of its own.
    pub name: String,
    /// In words.
    pub about: String,
    /// Directories that every host has.
    pub roots: Vec<String>,
    /// What is chosen of them.
    #[serde(default)]
    pub include: Vec<String>,
    /// What is taken away from that.
    #[serde(default)]
    pub exclude: Vec<String>,
}

/// All of it.
///
/// # Errors
/// The data built into this program is not what it understands; a test holds that it is.
pub fn shipped() -> Result<Shipped, Mistakes> {
    Source::new("presets.toml", include_str!("../../sync/presets.toml")).parse()
}

impl Shipped {
    /// Names of the presets.
    pub fn names(&self) -> Vec<&str> {
        self.presets.iter().map(|it| it.name.as_str()).collect()
    }

    /// The preset of this name.
    pub fn preset(&self, name: &str) -> Option<&Preset> {
        self.presets.iter().find(|it| it.name == name)
    }

    /// Whether a category may take in what this pattern leaves out.
    pub fn may_take_in(&self, pattern: &str) -> bool {
        let named = |never: &&Never| never.patterns.iter().any(|it| it == pattern);
        let never = self.nevers.iter().find(named);
        never.is_some_and(|never| never.about != OURSELVES)
    }

    /// What is left out below a root, as patterns of that root.
    pub fn left_out(&self, root: &Path, taken_in: &[String]) -> Vec<String> {
        let root = root.to_string_lossy();
        let patterns = self.nevers.iter().flat_map(|never| &never.patterns);
        patterns
            .filter(|pattern| !taken_in.contains(pattern))
            .filter_map(|pattern| {
                if !pattern.starts_with('/') {
                    return Some(pattern.clone());
                }
                let below = pattern.strip_prefix(&*root)?;
                (below.starts_with('/') && below != "/").then(|| below.to_owned())
            })
            .collect()
    }

    /// Whether a path is left out as a whole.
    ///
    /// # Errors
    /// A pattern of ours that is none; a test holds that there is no such.
    pub fn is_left_out(&self, path: &Path, taken_in: &[String]) -> Result<bool, PatternError> {
        let patterns = self.nevers.iter().flat_map(|never| &never.patterns);
        let filter = Filter::new(&FilterSpec {
            node_local: patterns
                .filter(|pattern| !taken_in.contains(pattern))
                .cloned()
                .collect(),
            ..FilterSpec::default()
        })?;
        let below = path.to_string_lossy();
        let below = below.trim_start_matches('/').as_bytes();
        Ok(!below.is_empty() && filter.judge(below, true) == Verdict::Skip)
    }
}
