//! The sender's search for the blocks of its file that the receiver's base has not: it asks for hashes of groups, and of
//! what is in those that differ. Questions in, answers out; no IO.

use super::levels::{GROUP, Levels};
use super::{Run, Short, Signature};

/// Most hashes in one answer: 48 KiB. A file that differs in more places is searched no finer.
pub const HASHES_MAX: usize = 3072;

/// What the receiver is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// 0 for blocks, n for groups of 16^n of them.
    pub level: u8,
    /// Which; [`HASHES_MAX`] together at most.
    pub groups: Vec<Run>,
}

/// What comes of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask on.
    Ask(Question),
    /// All blocks but these are the base's.
    Found(Vec<Run>),
}

/// A search under way.
#[derive(Debug)]
pub struct Search {
    mine: Levels,
    asked: Question,
}

impl Search {
    /// Of a file with this signature, and the first question.
    pub fn begin(file: Signature) -> (Self, Question) {
        let mine = Levels::of(file);
        let level = mine.top();
        let asked = Question {
            level,
            groups: vec![Run {
                first: 0,
                count: mine.count(level),
            }],
        };
        let question = asked.clone();
        (Self { mine, asked }, question)
    }

    /// The hashes that were asked for, in order; fewer if the base is shorter.
    pub fn answered(&mut self, hashes: &[Short]) -> Step {
        let level = self.asked.level;
        let mut hashes = hashes.iter();
        let asked = self.asked.groups.iter();
        let all = asked.flat_map(|run| run.first..run.first.saturating_add(run.count));
        let differing: Vec<u32> = all
            .filter(|group| self.mine.hash(level, *group) != hashes.next().copied())
            .collect();
        let below = level.saturating_sub(1);
        let inside = self.inside(&differing, GROUP, self.mine.count(below));
        let count: u64 = inside.iter().map(|run| u64::from(run.count)).sum();
        if level == 0 || differing.is_empty() || count > HASHES_MAX as u64 {
            let blocks = GROUP.saturating_pow(u32::from(level));
            return Step::Found(self.inside(&differing, blocks, self.mine.count(0)));
        }
        self.asked = Question {
            level: below,
            groups: inside,
        };
        Step::Ask(self.asked.clone())
    }

    /// What is in these groups of so many, of which there are `count`; as runs.
    fn inside(&self, groups: &[u32], size: u32, count: u32) -> Vec<Run> {
        let mut found: Vec<Run> = Vec::new();
        for group in groups {
            let first = group.saturating_mul(size);
            let end = first.saturating_add(size).min(count);
            match found.last_mut() {
                Some(run) if run.first + run.count == first => run.count += end - first,
                _ => found.push(Run {
                    first,
                    count: end.saturating_sub(first),
                }),
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

    use super::super::{BLOCK_BYTES, count, signature};
    use super::*;

    fn of(bytes: &[u8]) -> Signature {
        signature(bytes).unwrap().0
    }

    /// What is found, and how many hashes that took.
    fn search(file: &[u8], base: &[u8]) -> (Vec<Run>, usize) {
        let base = Levels::of(of(base));
        let (mut search, mut question) = Search::begin(of(file));
        let mut told = 0;
        loop {
            let groups: u32 = question.groups.iter().map(|run| run.count).sum();
            assert!(groups as usize <= HASHES_MAX);
            let hashes = base.answer(question.level, &question.groups);
            told += hashes.len();
            match search.answered(&hashes) {
                Step::Ask(next) => question = next,
                Step::Found(runs) => return (runs, told),
            }
        }
    }

    fn file(blocks: usize) -> Vec<u8> {
        let words = (0..blocks * BLOCK_BYTES / 4).map(|at| u32::try_from(at).unwrap());
        words.flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn one_byte_of_many_blocks_costs_few_hashes() {
        let base = file(9000);
        for at in [0, 1, 4_000_000, base.len() - 1] {
            let mut new = base.clone();
            new[at] ^= 1;
            let (runs, told) = search(&new, &base);
            let first = u32::try_from(at / BLOCK_BYTES).unwrap();
            assert_eq!(runs, [Run { first, count: 1 }]);
            assert!(told <= 32 + 3 * 16, "{told} hashes");
        }
        assert_eq!(search(&base, &base).0, []);
    }

    /// Whatever differs, and however long either is: what is found covers what a comparison of all blocks finds.
    #[test]
    fn nothing_that_differs_is_missed() {
        let lengths = [0, 1, 100, 600, 8 << 10, 9 << 10].map(|blocks| blocks * BLOCK_BYTES);
        let whole = file(9 << 10);
        for long in lengths {
            for base in lengths {
                for step in [1, 7, 700, 70_001] {
                    let base = &whole[..base];
                    let mut new = whole[..long.saturating_sub(3)].to_vec();
                    (0..new.len())
                        .step_by(step * 997)
                        .for_each(|at| new[at] ^= 1);
                    let truth = of(&new).changed_from(&of(base));
                    let (found, _) = search(&new, base);
                    let blocks = count(new.len() as u64).unwrap();
                    let within = |runs: &[Run], block: u32| {
                        runs.iter()
                            .any(|run| (run.first..run.first + run.count).contains(&block))
                    };
                    for block in 0..blocks {
                        assert!(!within(&truth, block) || within(&found, block));
                    }
                    assert!(
                        found
                            .iter()
                            .all(|run| run.count > 0 && run.first + run.count <= blocks)
                    );
                }
            }
        }
    }

    #[test]
    fn a_file_that_differs_everywhere_is_not_searched_to_the_end() {
        let base = file(9000);
        let new: Vec<u8> = base.iter().map(|byte| !byte).collect();
        let (runs, told) = search(&new, &base);
        assert_eq!(
            runs,
            [Run {
                first: 0,
                count: 9000
            }]
        );
        assert!(told < 1000, "{told} hashes");
    }

    #[test]
    fn answers_of_a_liar_are_only_answers() {
        let (mut search, _) = Search::begin(of(&file(9000)));
        assert!(matches!(search.answered(&[[0; 16]; 5000]), Step::Ask(_)));
        let (mut search, _) = Search::begin(of(&file(9000)));
        assert!(matches!(search.answered(&[]), Step::Ask(_)));
        let levels = Levels::of(of(&file(40)));
        let beyond = Run {
            first: u32::MAX,
            count: u32::MAX,
        };
        assert_eq!(levels.answer(0, &[beyond]), Vec::<Short>::new());
        assert_eq!(
            levels.answer(255, &[Run { first: 0, count: 1 }]),
            Vec::<Short>::new()
        );
    }
}
