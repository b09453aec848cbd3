//! What the pair must remember across a crash, and the one save under way.
//!
//! Saved before used: an epoch is not claimed in before it is durable. Nothing here ever gives a right to serve: a
//! restarted agent believes the kernel and the controller, not its ledger. What if the disk fails? No claim begins,
//! and says why; what already serves goes on.

use serde::{Deserialize, Serialize};

use super::event::{PairAction, SavedPair};
use super::pin::Promise;
use crate::node::outbox::Outbox;

/// Everything that survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairMemory {
    /// Highest epoch this node has claimed in or was about to claim in.
    pub epoch: u64,
    /// It was the last Active, as far as it knows.
    pub last_active: bool,
    /// The last agent's life ended in order, or had nothing to lose.
    pub clean: bool,
    /// It was latched by the peer and has not joined since.
    pub fenced: bool,
    /// It took the peer's power and has not heard it since: somebody has to give it back.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub peer_off: bool,
    /// What the two have promised each other.
    #[serde(default, skip_serializing_if = "Promise::is_none")]
    pub promise: Promise,
    /// Rounds of promises this node has asked for; each number is used once.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pin_rounds: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The memory and its way to the disk.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    wanted: PairMemory,
    saved: PairMemory,
    saving: Option<(u64, PairMemory)>,
    saves: u64,
    known: Known,
    pub(super) fault: Option<String>,
}

/// What the ledger gave at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    NotYet,
    Yes,
    Unreadable,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            wanted: PairMemory::default(),
            saved: PairMemory::default(),
            saving: None,
            saves: 0,
            known: Known::NotYet,
            fault: None,
        }
    }

    /// Takes in what was saved. A first start is clean: nothing was lost.
    pub(super) fn restore(&mut self, saved: SavedPair) {
        self.saved = match saved {
            SavedPair::Nothing => PairMemory {
                clean: true,
                ..PairMemory::default()
            },
            SavedPair::Memory(memory) => memory,
            SavedPair::Unreadable(error) => {
                self.fault = Some(error);
                self.known = Known::Unreadable;
                return;
            }
        };
        self.wanted = self.saved;
        self.known = Known::Yes;
    }

    /// Whether what is remembered can be believed.
    pub(super) fn is_known(&self) -> bool {
        self.known == Known::Yes
    }

    /// What will be true once all saves are done.
    pub(super) fn wanted(&self) -> PairMemory {
        self.wanted
    }

    /// What is durable here.
    pub(super) fn saved(&self) -> PairMemory {
        self.saved
    }

    /// The highest epoch that is durable here.
    pub(super) fn saved_epoch(&self) -> u64 {
        self.saved.epoch
    }

    pub(super) fn change(&mut self, change: impl FnOnce(&mut PairMemory)) {
        change(&mut self.wanted);
    }

    /// Saves what is not saved yet, one save at a time.
    pub(super) fn step(&mut self, out: &mut Outbox) {
        if self.saving.is_some() || self.wanted == self.saved || self.known == Known::NotYet {
            return;
        }
        self.saves += 1;
        self.saving = Some((self.saves, self.wanted));
        out.pair(PairAction::Persist {
            sequence: self.saves,
            memory: self.wanted,
        });
    }

    /// The disk answered. A failed save is tried again with the next change, or with the next claim.
    pub(super) fn persisted(&mut self, sequence: u64, outcome: Result<(), String>) -> Disk {
        let Some((_, memory)) = self.saving.take_if(|(saving, _)| *saving == sequence) else {
            return Disk::Same;
        };
        match outcome {
            Ok(()) => {
                self.saved = memory;
                self.fault = None;
                self.known = Known::Yes;
                Disk::Saved
            }
            Err(error) => {
                // What could not be saved is not wanted any more: asking again at once would only spin.
                let epoch = self.saved.epoch;
                self.wanted.epoch = epoch;
                // Nor may a promise be told of that is not kept.
                self.wanted.promise = self.saved.promise;
                self.wanted.pin_rounds = self.saved.pin_rounds;
                self.saved = PairMemory {
                    epoch,
                    ..self.wanted
                };
                self.fault = Some(error);
                Disk::Failed
            }
        }
    }
}

/// What the disk said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disk {
    /// An answer nobody waits for.
    Same,
    Saved,
    Failed,
}
