//! Hashes over groups of blocks, over groups of those, and so on: two files are compared by few hashes, and only where
//! those differ by more.

use super::{Run, Short, Signature, cut};
use crate::digest::{Domain, Hasher};

/// Blocks, or groups, in a group.
pub(super) const GROUP: u32 = 16;
/// The highest level has at most this many groups.
const TOP_MAX: usize = 32;
/// Levels of the largest file that can be numbered, at most.
pub const LEVELS_MAX: u8 = 8;

/// The hashes of one file, by level: level 0 are its blocks, each level above is of groups of sixteen.
#[derive(Debug, Clone)]
pub struct Levels(Vec<Vec<Short>>);

impl Levels {
    /// Of a file's blocks; the highest has no more than 32 hashes.
    pub fn of(blocks: Signature) -> Self {
        let mut levels = vec![blocks.0];
        while let Some(last) = levels.last()
            && last.len() > TOP_MAX
            && levels.len() < usize::from(LEVELS_MAX)
        {
            let groups = last.chunks(GROUP as usize).map(group).collect();
            levels.push(groups);
        }
        Self(levels)
    }

    /// Number of the highest level.
    pub(super) fn top(&self) -> u8 {
        u8::try_from(self.0.len() - 1).unwrap_or(LEVELS_MAX)
    }

    /// How many groups a level has.
    pub(super) fn count(&self, level: u8) -> u32 {
        let groups = self.0.get(usize::from(level)).map_or(0, Vec::len);
        u32::try_from(groups).unwrap_or(u32::MAX)
    }

    pub(super) fn hash(&self, level: u8, group: u32) -> Option<Short> {
        let level = self.0.get(usize::from(level))?;
        level.get(usize::try_from(group).ok()?).copied()
    }

    /// The hashes of these groups, in order. What the file does not reach to is left out. A level above the highest is
    /// hashed for the question: the other file is the larger one.
    pub fn answer(&self, level: u8, groups: &[Run]) -> Vec<Short> {
        let above: Vec<Short>;
        let held = match self.0.get(usize::from(level)) {
            Some(held) => held,
            None => {
                above = self.above(level);
                &above
            }
        };
        let all = groups
            .iter()
            .flat_map(|run| run.first..run.first.saturating_add(run.count));
        let hash = |group| held.get(usize::try_from(group).ok()?).copied();
        all.map_while(hash).collect()
    }

    fn above(&self, level: u8) -> Vec<Short> {
        if level > LEVELS_MAX {
            return Vec::new();
        }
        let mut last = self.0.last().cloned().unwrap_or_default();
        for _ in self.0.len()..=usize::from(level) {
            last = last.chunks(GROUP as usize).map(group).collect();
        }
        last
    }
}

fn group(below: &[Short]) -> Short {
    let mut hasher = Hasher::new(Domain::Group);
    below.iter().for_each(|hash| hasher.update(hash));
    cut(hasher.finish())
}
