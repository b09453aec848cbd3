//! Generations on their way to the Backup, step by step.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Receiver;
use super::event::ReceiverAction;
use crate::blocks::{HASHES_MAX, Question, Run, Short};
use crate::digest::Digest;
use crate::frame::{Capped, Changed, Content, Message, Needed, Refusal, Stage, TransferId, parts};
use crate::lineage::Epoch;
use crate::manifest::Manifest;
use crate::session::{Local, Standing};

#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) place: usize,
    stage: Stage,
    changes: Vec<Changed>,
    next: Arc<Manifest>,
    step: Step,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Listening,
    Opening,
    Filling(BTreeSet<Digest>),
    Preparing,
    Prepared,
    Committing,
}

/// Transfers at once: one per category, and those whose end is still under way.
const TRANSFERS_MAX: usize = 2 * crate::frame::CATEGORIES_MAX;

impl Receiver {
    fn refuse(&mut self, transfer: TransferId, refusal: Refusal) {
        if let Some(incoming) = self.transfers.remove(&transfer) {
            self.out.push(ReceiverAction::Discard { transfer });
            self.places[incoming.place].note(&refusal);
        }
        self.send(Message::Refused { transfer, refusal });
    }

    pub(super) fn discard(&mut self, transfer: TransferId) {
        if self.transfers.remove(&transfer).is_some() {
            self.out.push(ReceiverAction::Discard { transfer });
        }
    }

    pub(super) fn stage(&mut self, stage: Stage) -> Result<(), &'static str> {
        let transfer = stage.transfer;
        if self.transfers.contains_key(&transfer) || self.transfers.len() >= TRANSFERS_MAX {
            return Err("a transfer that there is already, or one too many");
        }
        if let Some(refusal) = self.fenced(stage.epoch) {
            self.refuse(transfer, refusal);
            return Ok(());
        }
        let Some(place) = self.place(&stage.category) else {
            self.refuse(transfer, Refusal::UnknownCategory);
            return Ok(());
        };
        if self.places[place].barred.is_some() {
            self.refuse(transfer, Refusal::PolicyMismatch);
            return Ok(());
        }
        // One generation at a time: the newer takes the older's place.
        let older = self.transfers.iter().find(|(_, one)| one.place == place);
        if let Some((older, incoming)) = older.map(|(id, one)| (*id, one)) {
            if incoming.step == Step::Committing {
                self.refuse(transfer, Refusal::BaseMoved);
                return Ok(());
            }
            self.discard(older);
        }
        let complete = stage.changes == 0;
        let incoming = Incoming {
            place,
            stage,
            changes: Vec::new(),
            next: Arc::default(),
            step: Step::Listening,
        };
        self.transfers.insert(transfer, incoming);
        if complete {
            self.open(transfer);
        }
        Ok(())
    }

    /// Why a message under this epoch is not obeyed.
    fn fenced(&self, epoch: Epoch) -> Option<Refusal> {
        if !matches!(self.standing, Standing::Backup { .. }) {
            Some(Refusal::NotBackup)
        } else if epoch < self.max_epoch || Some(epoch) != self.epoch {
            Some(Refusal::StaleEpoch(self.max_epoch))
        } else {
            None
        }
    }

    pub(super) fn changed(
        &mut self,
        transfer: TransferId,
        changes: Vec<Changed>,
    ) -> Result<(), &'static str> {
        // What still comes of a transfer that is over is let pass.
        let Some(incoming) = self.transfers.get_mut(&transfer) else {
            return Ok(());
        };
        let announced = usize::try_from(incoming.stage.changes).unwrap_or(usize::MAX);
        if incoming.step != Step::Listening {
            return if changes.is_empty() {
                Ok(())
            } else {
                Err("changes after the last one")
            };
        }
        if incoming.changes.len() + changes.len() > announced {
            return Err("more changes than announced");
        }
        incoming.changes.extend(changes);
        if incoming.changes.len() == announced {
            self.open(transfer);
        }
        Ok(())
    }

    fn open(&mut self, transfer: TransferId) {
        let Some(incoming) = self.transfers.get_mut(&transfer) else {
            return;
        };
        incoming.step = Step::Opening;
        let changes = std::mem::take(&mut incoming.changes);
        match self.places[incoming.place].next(&incoming.stage, changes) {
            Ok(next) => {
                incoming.next = Arc::new(next);
                self.out.push(ReceiverAction::Open {
                    transfer,
                    category: incoming.stage.category.clone(),
                    next: Arc::clone(&incoming.next),
                });
            }
            Err(refusal) => self.refuse(transfer, refusal),
        }
    }

    pub(super) fn opened(&mut self, transfer: TransferId, missing: Result<Vec<Needed>, Refusal>) {
        let Some(incoming) = self.transfers.get_mut(&transfer) else {
            return;
        };
        match missing {
            Err(refusal) => self.refuse(transfer, refusal),
            Ok(missing) => {
                let nothing = missing.is_empty();
                let mut told = parts(missing.iter().copied()).into_iter().peekable();
                let missing = missing.iter().map(|needed| needed.content).collect();
                incoming.step = if nothing {
                    Step::Preparing
                } else {
                    Step::Filling(missing)
                };
                while let Some(contents) = told.next() {
                    let last = told.peek().is_none();
                    self.send(Message::Need {
                        transfer,
                        contents,
                        last,
                    });
                }
                if nothing {
                    self.prepare(transfer);
                }
            }
        }
    }

    fn prepare(&mut self, transfer: TransferId) {
        if let Some(Incoming { stage, .. }) = self.transfers.get(&transfer) {
            let history = stage.history.iter().copied();
            self.out.push(ReceiverAction::Prepare {
                transfer,
                records: history.chain([stage.record]).collect(),
                replace: self.places[self.transfers[&transfer].place].is_replaced(stage),
                force: stage.deletions_meant,
            });
        }
    }

    pub(super) fn rebase(
        &mut self,
        transfer: TransferId,
        content: Digest,
        base: Digest,
        runs: Vec<Run>,
    ) -> Result<(), &'static str> {
        let Some(incoming) = self.transfers.get(&transfer) else {
            return Ok(());
        };
        match &incoming.step {
            Step::Filling(missing) if missing.contains(&content) => {
                self.out.push(ReceiverAction::Rebase {
                    transfer,
                    content,
                    base,
                    runs,
                });
                Ok(())
            }
            _ => Err("a base for a content that nobody asked for"),
        }
    }

    pub(super) fn ask_blocks(
        &mut self,
        transfer: TransferId,
        content: Digest,
        base: Digest,
        question: Question,
    ) -> Result<(), &'static str> {
        let counts = question.groups.iter().map(|run| u64::from(run.count));
        if counts.sum::<u64>() > HASHES_MAX as u64 {
            return Err("more hashes asked for than an answer holds");
        }
        let Some(incoming) = self.transfers.get(&transfer) else {
            return Ok(());
        };
        match &incoming.step {
            Step::Filling(missing) if missing.contains(&content) => {
                self.out.push(ReceiverAction::Hash {
                    transfer,
                    content,
                    base,
                    question,
                });
                Ok(())
            }
            _ => Err("a question about a content that nobody asked for"),
        }
    }

    pub(super) fn hashed(&mut self, transfer: TransferId, content: Digest, hashes: Vec<Short>) {
        if self.transfers.contains_key(&transfer) {
            let hashes = Capped::new(hashes);
            self.send(Message::Blocks {
                transfer,
                content,
                hashes,
            });
        }
    }

    pub(super) fn content(&mut self, content: Content) -> Result<(), &'static str> {
        let Some(incoming) = self.transfers.get(&content.transfer) else {
            return Ok(());
        };
        match &incoming.step {
            Step::Filling(missing) if missing.contains(&content.content) => {
                self.out.push(ReceiverAction::Store(content));
                Ok(())
            }
            _ => Err("a content that nobody asked for"),
        }
    }

    pub(super) fn stored(
        &mut self,
        transfer: TransferId,
        complete: Result<Option<Digest>, Refusal>,
    ) {
        let Some(incoming) = self.transfers.get_mut(&transfer) else {
            return;
        };
        match (complete, &mut incoming.step) {
            (Err(refusal), _) => self.refuse(transfer, refusal),
            (Ok(Some(content)), Step::Filling(missing)) => {
                missing.remove(&content);
                if missing.is_empty() {
                    incoming.step = Step::Preparing;
                    self.prepare(transfer);
                }
            }
            (Ok(_), _) => {}
        }
    }

    pub(super) fn prepared(&mut self, transfer: TransferId, outcome: Result<(), Refusal>) {
        let Some(incoming) = self.transfers.get_mut(&transfer) else {
            return;
        };
        match outcome {
            Ok(()) => {
                incoming.step = Step::Prepared;
                self.send(Message::Prepared { transfer });
            }
            Err(refusal) => self.refuse(transfer, refusal),
        }
    }

    pub(super) fn commit(
        &mut self,
        transfer: TransferId,
        epoch: Epoch,
    ) -> Result<(), &'static str> {
        let fenced = self.fenced(epoch);
        let Some(incoming) = self.transfers.get_mut(&transfer) else {
            return Ok(());
        };
        if incoming.step != Step::Prepared {
            return Err("a commit of what is not prepared");
        }
        if let Some(refusal) = fenced {
            self.refuse(transfer, refusal);
        } else {
            incoming.step = Step::Committing;
            self.out.push(ReceiverAction::Commit { transfer, epoch });
        }
        Ok(())
    }

    pub(super) fn committed(&mut self, transfer: TransferId, outcome: Result<(), Refusal>) {
        if let Err(refusal) = outcome {
            if self.transfers.contains_key(&transfer) {
                self.refuse(transfer, refusal);
            }
            return;
        }
        let Some(incoming) = self.transfers.remove(&transfer) else {
            return;
        };
        let place = &mut self.places[incoming.place];
        if let Ok(lineage) = place.lineage_after(&incoming.stage) {
            place.own.lineage = lineage;
        }
        place.refused = None;
        place.behind_since = None;
        let local = Local::new((*incoming.next).clone());
        let roots = local.roots;
        place.own.local = Some(local);
        place.told(self.heard_at, roots);
        self.send(Message::Done { transfer, roots });
    }
}
