//! Sends bulk for the Active's session, one thing after the other.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::active::{Bulk, Hashes, Stopped};
use super::keeper::lock;
use super::shared::Shared;
use crate::blocks::Short;
use crate::category_id::CategoryId;
use crate::contents::{ContentError, Line, send_file};
use crate::digest::Digest;
use crate::frame::{Message, TransferId, parts};
use crate::link::Outgoing;
use crate::session::{STALL_MAX, SenderEvent, Wanted};

/// While an answer is waited for, whether it is still wanted is asked this often.
const LOOK_UP_EVERY: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Clone)]
pub(super) struct Feeder {
    pub(super) shared: Arc<Shared>,
    pub(super) outgoing: Outgoing,
    pub(super) events: mpsc::Sender<SenderEvent>,
    pub(super) stopped: Stopped,
    /// What the Backup answers to questions about its bases.
    pub(super) told: Arc<Mutex<Receiver<Hashes>>>,
}

impl Feeder {
    pub(super) async fn feed(self, mut jobs: mpsc::UnboundedReceiver<Bulk>) {
        while let Some(job) = jobs.recv().await {
            match job {
                Bulk::Changes(transfer, changes) => {
                    for changes in parts(changes) {
                        let part = Message::Changes { transfer, changes };
                        if self.outgoing.bulk(&part).await.is_err() {
                            return;
                        }
                    }
                }
                Bulk::Contents(transfer, category, files) => {
                    let feeder = self.clone();
                    let sent = tokio::task::spawn_blocking(move || {
                        feeder.send_files(transfer, &category, &files);
                    });
                    // It ends by itself when the connection does.
                    let _ended = sent.await;
                }
            }
        }
    }

    fn send_files(&self, transfer: TransferId, category: &CategoryId, files: &[Wanted]) {
        let mut keepers = self.shared.keepers.iter();
        let keeper = keepers.find(|keeper| keeper.id == *category);
        let trees = keeper
            .map(|keeper| keeper.trees.clone())
            .unwrap_or_default();
        for file in files {
            let feeder = self;
            let mut line = Transferring { feeder, transfer };
            let sent = send_file(&trees, &self.shared.signatures, transfer, file, &mut line);
            let event = match sent {
                Ok(()) => SenderEvent::Sent {
                    transfer,
                    bytes: file.size,
                },
                Err(ContentError::Unwanted) => return,
                Err(error) => {
                    tracing::info!(%category, "{error}");
                    SenderEvent::Unreadable { transfer }
                }
            };
            let failed = matches!(event, SenderEvent::Unreadable { .. });
            if self.events.blocking_send(event).is_err() || failed {
                return;
            }
        }
    }
}

/// The way to the Backup for one transfer.
struct Transferring<'a> {
    feeder: &'a Feeder,
    transfer: TransferId,
}

impl Line for Transferring<'_> {
    fn say(&mut self, message: Message) -> bool {
        let stopped = lock(&self.feeder.stopped).contains(&self.transfer);
        !stopped && self.feeder.outgoing.bulk_blocking(&message).is_ok()
    }

    fn ask(&mut self, content: Digest, question: Message) -> Option<Vec<Short>> {
        if !self.say(question) {
            return None;
        }
        let told = lock(&self.feeder.told);
        let until = Instant::now() + STALL_MAX;
        while Instant::now() < until && !lock(&self.feeder.stopped).contains(&self.transfer) {
            match told.recv_timeout(LOOK_UP_EVERY) {
                Ok((transfer, of, hashes)) if (transfer, of) == (self.transfer, content) => {
                    return Some(hashes);
                }
                // An answer to a transfer that was given up.
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        None
    }
}
