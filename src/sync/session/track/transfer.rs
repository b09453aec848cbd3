//! One generation on its way to the Backup.

use std::collections::BTreeMap;

use super::{Basis, Common, HeldBack, Meant, Phase, Track};
use crate::diff::diff;
use crate::digest::Digest;
use crate::frame::{Changed, Held, Message, Refusal, Stage, TransferId};
use crate::lineage::CommitRecord;
use crate::manifest::Manifest;
use crate::path::RelPath;
use crate::session::retry::Retry;
use crate::session::sender::SenderAction;
use crate::session::setup::Local;
use crate::session::status::Reason;
use crate::session::{Moment, STALL_MAX, relation};

#[derive(Debug)]
pub(super) struct Transfer {
    id: TransferId,
    next: Local,
    record: CommitRecord,
    files: BTreeMap<Digest, (RelPath, u64)>,
    needs: Vec<Digest>,
    pub(super) bytes_left: u64,
    moved_at: Moment,
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
        let (record, lacks) = self.record(common, &next, basis.lacks);
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
        }));
    }

    /// The commit to make: the newest one again if the Backup merely lacks it, else one that follows it.
    fn record(
        &self,
        common: Common,
        next: &Local,
        mut lacks: Vec<CommitRecord>,
    ) -> (CommitRecord, Vec<CommitRecord>) {
        let again = lacks.pop_if(|newest| newest.root == next.roots.content);
        let fresh = || {
            self.own
                .lineage
                .next(common.epoch, next.roots.content, common.me)
        };
        (again.unwrap_or_else(fresh), lacks)
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
        (contents, last): (Vec<Digest>, bool),
        out: &mut Vec<SenderAction>,
    ) -> Result<(), &'static str> {
        let category = self.own.id.clone();
        let Some(transfer) = self.transfer(id) else {
            return Ok(());
        };
        transfer.moved_at = now;
        for content in contents {
            let Some((_, size)) = transfer.files.get(&content) else {
                return Err("a content that is not part of the transfer");
            };
            transfer.bytes_left = transfer.bytes_left.saturating_add(*size);
            transfer.needs.push(content);
        }
        if transfer.needs.len() > transfer.files.len() {
            return Err("more contents than the transfer has");
        }
        if last && !transfer.needs.is_empty() {
            let files = transfer.needs.iter().filter_map(|content| {
                let (path, size) = transfer.files.get(content)?;
                Some((path.clone(), *content, *size))
            });
            out.push(SenderAction::SendContents {
                transfer: id,
                category,
                files: files.collect(),
            });
        }
        Ok(())
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
        out: &mut Vec<SenderAction>,
    ) {
        let Phase::Staged(transfer) = std::mem::replace(&mut self.phase, Phase::Quiet) else {
            return;
        };
        if transfer.id != id {
            self.phase = Phase::Staged(transfer);
            return;
        }
        self.remember(transfer.record, out);
        self.since_round = next_round;
        self.meant = Meant::default();
        self.retry = Retry::default();
        self.behind_since = None;
        self.peer_tree = Some(transfer.next.manifest);
        self.peer = Some(Held {
            roots: held.roots,
            newest: Some(transfer.record),
        });
        self.compare(now);
    }

    pub(super) fn remember(&mut self, record: CommitRecord, out: &mut Vec<SenderAction>) {
        if self.own.lineage.newest() == Some(record) {
            return;
        }
        if self.own.lineage.push(record).is_ok() {
            let category = self.own.id.clone();
            out.push(SenderAction::Remember { category, record });
        }
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
