//! What the kernel's events say about a save: where, and whether it may be the middle of one.

use std::collections::BTreeSet;

use super::Hint;
use crate::path::RelPath;

/// What was noticed, and whether it may be the middle of a save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noticed {
    /// Where to look.
    pub hint: Hint,
    /// Files that were made and not closed since: somebody is writing them.
    pub open: BTreeSet<RelPath>,
    /// Files that were closed after writing, or moved into place: as complete as their writer can say.
    pub complete: BTreeSet<RelPath>,
    /// Something besides whose end nobody tells: a removal that may be half of a save, a directory, a lost event.
    pub loose: bool,
}

impl Noticed {
    /// Of what nothing is known but where it is.
    pub const fn loose(hint: Hint) -> Self {
        Self {
            hint,
            open: BTreeSet::new(),
            complete: BTreeSet::new(),
            loose: true,
        }
    }

    pub(super) fn nothing() -> Self {
        Self {
            loose: false,
            ..Self::loose(Hint::Paths(BTreeSet::new()))
        }
    }

    /// Somebody writes it.
    pub(super) fn begins(&mut self, path: RelPath) {
        self.complete.remove(&path);
        self.open.insert(path);
    }

    /// Nobody does any more.
    pub(super) fn ends(&mut self, path: RelPath) {
        self.open.remove(&path);
        self.complete.insert(path);
    }
}
