//! The Active learns what the Backup has: directory by directory, only where hashes differ.

use std::collections::BTreeSet;

use super::setup::Local;
use crate::category_id::CategoryId;
use crate::frame::{Capped, Child, DIRS_MAX, Message};
use crate::manifest::{ENTRIES_MAX, Manifest};
use crate::path::RelPath;

/// A listing under way.
#[derive(Debug)]
pub(super) struct Listing {
    category: CategoryId,
    /// Our tree when it began: what the hashes are compared with.
    mine: Local,
    /// The backup's tree as far as known.
    found: Manifest,
    asked: BTreeSet<Option<RelPath>>,
    waiting: Vec<RelPath>,
}

/// What came of an answer.
#[derive(Debug)]
pub(super) enum Step {
    /// Ask this, if anything, and wait.
    More(Option<Message>),
    /// This is what the backup has.
    Complete(Manifest),
    /// An answer to nothing that was asked.
    Nonsense(&'static str),
}

impl Listing {
    /// Begin with the trees themselves.
    pub(super) fn begin(category: CategoryId, mine: Local) -> (Self, Message) {
        let question = Message::AskDirectories {
            category: category.clone(),
            dirs: Capped::new([None]),
        };
        let listing = Self {
            category,
            mine,
            found: Manifest::new(),
            asked: [None].into(),
            waiting: Vec::new(),
        };
        (listing, question)
    }

    pub(super) fn answered(
        &mut self,
        dir: Option<RelPath>,
        children: Vec<Child>,
        last: bool,
    ) -> Step {
        if !self.asked.contains(&dir) {
            return Step::Nonsense("a directory that nobody asked for");
        }
        for child in children {
            if child.path.parent() != dir {
                return Step::Nonsense("a child of another directory");
            }
            if self.found.get(&child.path).is_some() {
                return Step::Nonsense("a child that was told already");
            }
            if self.found.len() >= ENTRIES_MAX {
                return Step::Nonsense("more entries than a category may have");
            }
            self.take(child);
        }
        if last {
            self.asked.remove(&dir);
        }
        if !self.asked.is_empty() {
            return Step::More(None);
        }
        self.ask_next()
    }

    /// A directory with our hash has our content: it is not asked for.
    fn take(&mut self, child: Child) {
        let Child { path, entry, below } = child;
        let same = below.filter(|below| self.mine.directories.get(&path) == Some(below));
        if same.is_some() {
            for (path, entry) in self.mine.manifest.within(&path) {
                self.found.insert(path.clone(), entry.clone());
            }
        } else {
            if entry.is_dir() {
                self.waiting.push(path.clone());
            }
            self.found.insert(path, entry);
        }
    }

    fn ask_next(&mut self) -> Step {
        if self.waiting.is_empty() {
            return Step::Complete(std::mem::take(&mut self.found));
        }
        let first = self.waiting.len().saturating_sub(DIRS_MAX);
        let dirs: Vec<Option<RelPath>> = self.waiting.drain(first..).map(Some).collect();
        self.asked.extend(dirs.iter().cloned());
        Step::More(Some(Message::AskDirectories {
            category: self.category.clone(),
            dirs: Capped::new(dirs),
        }))
    }
}

/// The Backup's answers to one question.
pub(super) fn answers(
    category: &CategoryId,
    local: &Local,
    dirs: &[Option<RelPath>],
) -> Vec<Message> {
    let mut messages = Vec::new();
    for dir in dirs {
        let mut parts = crate::frame::parts(children(local, dir.as_ref()))
            .into_iter()
            .peekable();
        while let Some(children) = parts.next() {
            messages.push(Message::Directory {
                category: category.clone(),
                dir: dir.clone(),
                children,
                last: parts.peek().is_none(),
            });
        }
    }
    messages
}

fn children<'a>(local: &'a Local, dir: Option<&'a RelPath>) -> impl Iterator<Item = Child> + 'a {
    let depth = dir.map_or(0, RelPath::depth) + 1;
    let within: Box<dyn Iterator<Item = _>> = match dir {
        Some(dir) => Box::new(local.manifest.within(dir)),
        None => Box::new(local.manifest.iter()),
    };
    within
        .filter(move |(path, _)| path.depth() == depth)
        .map(|(path, entry)| Child {
            path: path.clone(),
            entry: entry.clone(),
            below: local.directories.get(path).copied(),
        })
}
