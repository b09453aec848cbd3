//! What the Active asks about a large file of which it no longer knows what this node has.

use super::{Disk, current};
use crate::blocks::{self, Levels, Question, Short};
use crate::digest::Digest;
use crate::frame::TransferId;

impl Disk {
    /// Hashes of groups of blocks of what is in a content's place; none if that is not, or no longer, this base.
    pub fn hash(
        &mut self,
        transfer: TransferId,
        content: Digest,
        base: Digest,
        question: &Question,
    ) -> Vec<Short> {
        let Ok(incoming) = current(&mut self.incoming, transfer) else {
            return Vec::new();
        };
        if incoming
            .base
            .as_ref()
            .is_none_or(|(known, _)| *known != base)
        {
            let want = incoming.wants.get(&content);
            let file = want.and_then(|want| self.store.base(&want.path, base));
            let read = file.and_then(|file| blocks::signature(std::fs::File::from(file)).ok());
            let same = read.filter(|(_, found, _)| *found == base);
            incoming.base = Some((base, same.map(|(signature, ..)| Levels::of(signature))));
        }
        let levels = incoming
            .base
            .as_ref()
            .and_then(|(_, levels)| levels.as_ref());
        levels.map_or_else(Vec::new, |levels| {
            levels.answer(question.level, &question.groups)
        })
    }
}
