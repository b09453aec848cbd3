//! One generation on its way to the Backup.

use std::collections::BTreeMap;

use super::{Basis, Common, HeldBack, Meant, Phase, Track};
use crate::diff::diff;
use crate::digest::Digest;
use crate::frame::{Changed, Held, Message, Needed, Refusal, Stage, TransferId};
use crate::lineage::CommitRecord;
use crate::manifest::Manifest;
use crate::path::RelPath;
use crate::retry::Retry;
use crate::session::sender::{SenderAction, Wanted};
use crate::session::setup::Local;
use crate::session::status::Reason;
use crate::session::{Moment, STALL_MAX, relation};

#[derive(Debug)]
pub(super) struct Transfer {
    id: TransferId,
    next: Local,
    record: CommitRecord,
    files: BTreeMap<Digest, (RelPath, u64)>,
    needs: Vec<Needed>,
    pub(super) bytes_left: u64,
    moved_at: Moment,
    /// When the tree first changed after this was staged.
    newer_since: Option<Moment>,
}

impl Track {
    pub(super) fn stage(
        &mut self,
        now: Moment,
        common: Common,
        ids: &mut TransferId,
        theirs: &Manifest,
        basis: Basis,
        out: &mut Vec<SenderAction>,
    ) {
        let Some(next) = self.own.local.clone() else {
            return;
        };
        let changes = diff(theirs, &next.manifest);
        let mut lacks = basis.lacks;
        let Some(record) = lacks.pop() else {
            return;
        };
        let (history, cut) = relation::history(lacks);
        let mut files = BTreeMap::new();
        for change in &changes {
            if let Some((size, content)) = change.new.as_ref().and_then(|entry| entry.content()) {
                files.insert(content, (change.path.clone(), size));
            }
        }
        *ids += 1;
        let id = *ids;
        out.push(SenderAction::Send(Message::Stage(Stage {
            transfer: id,
            category: self.own.id.clone(),
            epoch: common.epoch,
            record,
            history,
            base: theirs.roots().content,
            changes: u32::try_from(changes.len()).unwrap_or(u32::MAX),
            deletions_meant: self.meant.deletions,
            replaces_history: basis.replaces || cut,
        })));
        let changes = changes.into_iter().map(|change| Changed {
            path: change.path,
            entry: change.new,
        });
        let changes = changes.collect();
        out.push(SenderAction::SendChanges {
            transfer: id,
            changes,
        });
        self.phase = Phase::Staged(Box::new(Transfer {
            id,
            next,
            record,
            files,
            needs: Vec::new(),
            bytes_left: 0,
            moved_at: now,
            newer_since: None,
        }));
    }

    /// The tree is another than when the transfer began, if there is one.
    pub(super) fn changed_meanwhile(&mut self, now: Moment) {
        if let Phase::Staged(transfer) = &mut self.phase {
            transfer.newer_since.get_or_insert(now);
        }
    }

    fn transfer(&mut self, id: TransferId) -> Option<&mut Transfer> {
        match &mut self.phase {
            Phase::Staged(transfer) if transfer.id == id => Some(transfer),
            _ => None,
        }
    }

    /// Whether this transfer is this category's.
    pub(in crate::session) fn carries(&self, id: TransferId) -> bool {
        matches!(&self.phase, Phase::Staged(transfer) if transfer.id == id)
    }

    pub(in crate::session) fn needed(
        &mut self,
        now: Moment,
        id: TransferId,
        (contents, last): (Vec<Needed>, bool),
        out: &mut Vec<SenderAction>,
    ) -> Result<(), &'static str> {
        let category = self.own.id.clone();
        let Some(transfer) = self.transfer(id) else {
            return Ok(());
        };
        transfer.moved_at = now;
        for needed in contents {
            let Some((_, size)) = transfer.files.get(&needed.content) else {
                return Err("a content that is not part of the transfer");
            };
            transfer.bytes_left = transfer.bytes_left.saturating_add(*size);
            transfer.needs.push(needed);
        }
        if transfer.needs.len() > transfer.files.len() {
            return Err("more contents than the transfer has");
        }
        if last && !transfer.needs.is_empty() {
            let files = transfer.needs.iter().filter_map(|needed| {
                let (path, size) = transfer.files.get(&needed.content)?;
                Some(Wanted {
                    path: path.clone(),
                    content: needed.content,
                    size: *size,
                    base: needed.base,
                })
            });
            out.push(SenderAction::SendContents {
                transfer: id,
                category,
                files: files.collect(),
            });
        }
        Ok(())
    }

    /// Something of it went on.
    pub(in crate::session) fn moved(&mut self, now: Moment, id: TransferId) {
        if let Some(transfer) = self.transfer(id) {
            transfer.moved_at = now;
        }
    }

    /// So many bytes of contents went out.
    pub(in crate::session) fn sent(&mut self, now: Moment, id: TransferId, bytes: u64) {
        if let Some(transfer) = self.transfer(id) {
            transfer.moved_at = now;
            transfer.bytes_left = transfer.bytes_left.saturating_sub(bytes);
        }
    }

    pub(in crate::session) fn prepared(
        &mut self,
        now: Moment,
        common: Common,
        id: TransferId,
        out: &mut Vec<SenderAction>,
    ) {
        if let Some(transfer) = self.transfer(id) {
            transfer.moved_at = now;
            out.push(SenderAction::Send(Message::Commit {
                transfer: id,
                epoch: common.epoch,
            }));
        }
    }

    pub(in crate::session) fn done(
        &mut self,
        now: Moment,
        id: TransferId,
        held: Held,
        next_round: u32,
    ) {
        let Phase::Staged(transfer) = std::mem::replace(&mut self.phase, Phase::Quiet) else {
            return;
        };
        if transfer.id != id {
            self.phase = Phase::Staged(transfer);
            return;
        }
        self.since_round = next_round;
        self.meant = Meant::default();
        self.retry = Retry::default();
        self.behind_since = transfer.newer_since;
        // A commit says it itself.
        self.told_behind = false;
        self.peer_tree = Some((transfer.next.manifest, transfer.next.roots));
        self.peer = Some(Held {
            roots: held.roots,
            newest: Some(transfer.record),
        });
        self.compare(now);
    }

    pub(in crate::session) fn refused(&mut self, now: Moment, id: TransferId, refusal: &Refusal) {
        let Some(transfer) = self.transfer(id) else {
            return;
        };
        let root = transfer.next.roots.content;
        self.give_up(now);
        let reason = match refusal {
            Refusal::Validation(_) => Reason::RejectedByValidation,
            Refusal::Deletions(_) => Reason::Deletions,
            Refusal::PolicyMismatch | Refusal::UnknownCategory => Reason::PolicyMismatch,
            Refusal::Policy(_) | Refusal::Malformed(_) | Refusal::Lineage(_) => Reason::Content,
            Refusal::StaleEpoch(_)
            | Refusal::NotBackup
            | Refusal::BaseMoved
            | Refusal::Disk(_)
            | Refusal::Voided => return,
        };
        self.held_back = Some(HeldBack {
            reason,
            details: refusal.to_string(),
            root,
        });
    }

    /// The transfer is over; what the Backup has is asked anew.
    pub(in crate::session) fn give_up(&mut self, now: Moment) {
        self.phase = Phase::Quiet;
        self.peer = None;
        self.peer_tree = None;
        self.retry.failed(now);
    }

    /// The transfer, if nothing moved in it for too long.
    pub(in crate::session) fn stalled(&self, now: Moment) -> Option<TransferId> {
        match &self.phase {
            Phase::Staged(transfer) if now.saturating_sub(transfer.moved_at) >= STALL_MAX => {
                Some(transfer.id)
            }
            _ => None,
        }
    }

    pub(in crate::session) fn deadline(&self, now: Moment) -> Option<Moment> {
        let stall = match &self.phase {
            Phase::Staged(transfer) => Some(transfer.moved_at.saturating_add(STALL_MAX)),
            _ => None,
        };
        stall.into_iter().chain(self.retry.deadline(now)).min()
    }
}
