//! The Backup's session: the machine, the wire, and a worker that does to the disk what the machine wants.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant as Deadline, sleep_until};

use super::activate;
use super::keeper::{KeeperHandle, lock};
use super::shared::{Order, Shared};
use super::wire::Wire;
use crate::category_id::CategoryId;
use crate::disk::{Disk, Found};
use crate::frame::{Look, Message, Priority, TransferId};
use crate::link::Outgoing;
use crate::session::{Receiver, ReceiverAction, ReceiverEvent};

/// Events that may wait for the machine.
const EVENTS: usize = 256;

struct Backup<'a> {
    shared: &'a Arc<Shared>,
    machine: Receiver,
    outgoing: Outgoing,
    bulk: mpsc::UnboundedSender<Message>,
    events: mpsc::Sender<ReceiverEvent>,
    /// One queue per category: a slow check of one holds up no other.
    workers: Vec<(CategoryId, mpsc::UnboundedSender<ReceiverAction>)>,
    transfers: Vec<(TransferId, CategoryId)>,
    ended: Option<String>,
}

/// Until the session ends; why it did.
pub(super) async fn run(
    shared: &Arc<Shared>,
    mut wire: Wire,
    mut orders: mpsc::Receiver<Order>,
) -> String {
    let (bulk, messages) = mpsc::unbounded_channel();
    let (events, mut happened) = mpsc::channel(EVENTS);
    let feeder = tokio::spawn(feed(wire.outgoing.clone(), messages));
    let keepers = &shared.keepers;
    let forwards: Vec<_> = keepers
        .iter()
        .flat_map(|keeper| {
            let taken_up = forward_taken_up(keeper.clone(), events.clone());
            let found = forward(keeper.clone(), events.clone());
            [tokio::spawn(taken_up), tokio::spawn(found)]
        })
        .collect();
    let mut standing = shared.standing.clone();
    let now = *standing.borrow_and_update();
    let mut backup = Backup {
        shared,
        machine: Receiver::new(shared.now(), &shared.version, shared.me, now, shared.own()),
        outgoing: wire.outgoing.clone(),
        bulk,
        workers: keepers
            .iter()
            .map(|keeper| worker(shared, keeper, &events, &wire))
            .collect(),
        events,
        transfers: Vec::new(),
        ended: None,
    };
    let why = loop {
        backup.act();
        if let Some(why) = backup.ended.take() {
            break why;
        }
        let wake = backup.machine.poll_timeout().saturating_sub(shared.now());
        tokio::select! {
            biased;
            changed = standing.changed() => {
                let now = *standing.borrow_and_update();
                let now = changed.map(|()| now).unwrap_or_default();
                backup.tell(ReceiverEvent::Standing(now));
            }
            Some(event) = happened.recv() => backup.tell(event),
            message = wire.incoming.recv() => match message {
                Some(Ok(message)) => {
                    let chunk = matches!(message, Message::Content(_));
                    backup.tell(ReceiverEvent::Received(message));
                    // A content that nobody wants any more makes room at once.
                    if backup.act() == 0 && chunk {
                        wire.room.add_permits(1);
                    }
                }
                Some(Err(error)) => break error.to_string(),
                None => break "the connection is over".to_owned(),
            },
            // Only the Active's session obeys any.
            Some(_) = orders.recv() => {}
            () = sleep_until(Deadline::now() + wake) => {
                backup.machine.handle_timeout(shared.now());
            }
        }
    };
    feeder.abort();
    forwards.iter().for_each(tokio::task::JoinHandle::abort);
    why
}

impl Backup<'_> {
    fn tell(&mut self, event: ReceiverEvent) {
        self.machine.handle(self.shared.now(), event);
    }

    /// Do what the machine wants; how many contents went to the disk.
    fn act(&mut self) -> usize {
        let mut contents = 0;
        for action in self.machine.poll_actions() {
            match action {
                ReceiverAction::Send(message) => self.send(message),
                ReceiverAction::Scan { round, look } => self.scan(round, look),
                ReceiverAction::Run { run, epoch, name } => {
                    activate::obey(self.shared, run, epoch, name, self.events.clone());
                }
                ReceiverAction::Close(why) => {
                    self.ended.get_or_insert(why);
                }
                ReceiverAction::Open {
                    transfer,
                    ref category,
                    ..
                } => {
                    self.transfers.push((transfer, category.clone()));
                    self.work(transfer, action);
                }
                ReceiverAction::Hash { transfer, .. }
                | ReceiverAction::Rebase { transfer, .. }
                | ReceiverAction::Prepare { transfer, .. }
                | ReceiverAction::Commit { transfer, .. } => self.work(transfer, action),
                ReceiverAction::Store(ref content) => {
                    contents += 1;
                    self.work(content.transfer, action);
                }
                ReceiverAction::Discard { transfer } => {
                    self.work(transfer, action);
                    self.transfers.retain(|(id, _)| *id != transfer);
                }
            }
        }
        let status = self.machine.status(self.shared.now());
        self.shared.session_is(status);
        contents
    }

    fn send(&mut self, message: Message) {
        let over = match message.priority() {
            Priority::Control => self.outgoing.control(&message).is_err(),
            Priority::Bulk => self.bulk.send(message).is_err(),
        };
        if over {
            self.ended
                .get_or_insert_with(|| "the connection is over".to_owned());
        }
    }

    fn work(&self, transfer: TransferId, action: ReceiverAction) {
        let category = self.transfers.iter().find(|(id, _)| *id == transfer);
        let worker =
            category.and_then(|(_, category)| self.workers.iter().find(|(id, _)| id == category));
        if let Some((_, worker)) = worker {
            // A worker ends with the session.
            let _ending = worker.send(action);
        }
    }

    fn scan(&self, round: u32, look: Look) {
        let (keepers, events) = (self.shared.keepers.clone(), self.events.clone());
        tokio::spawn(async move {
            for keeper in keepers {
                // What cannot be looked at is told as not held.
                let _shown = keeper.look(look).await;
                let found = keeper.found.borrow().clone();
                let scanned = scanned(keeper.id.clone(), found);
                if events.send(scanned).await.is_err() {
                    return;
                }
            }
            let _over = events.send(ReceiverEvent::Looked { round }).await;
        });
    }
}

fn scanned(category: CategoryId, found: Found) -> ReceiverEvent {
    let local = found.local;
    ReceiverEvent::Scanned { category, local }
}

async fn forward(mut keeper: KeeperHandle, events: mpsc::Sender<ReceiverEvent>) {
    loop {
        let found = keeper.found.borrow_and_update().clone();
        let event = scanned(keeper.id.clone(), found);
        if events.send(event).await.is_err() || keeper.found.changed().await.is_err() {
            return;
        }
    }
}

async fn forward_taken_up(mut keeper: KeeperHandle, events: mpsc::Sender<ReceiverEvent>) {
    loop {
        let failed = keeper.not_taken_up.borrow_and_update().clone();
        let category = keeper.id.clone();
        let event = ReceiverEvent::TakenUp { category, failed };
        if events.send(event).await.is_err() || keeper.not_taken_up.changed().await.is_err() {
            return;
        }
    }
}

async fn feed(outgoing: Outgoing, mut messages: mpsc::UnboundedReceiver<Message>) {
    while let Some(message) = messages.recv().await {
        if outgoing.bulk(&message).await.is_err() {
            return;
        }
    }
}

/// A thread for a category's disk, which ends when nobody can ask it any more.
fn worker(
    shared: &Arc<Shared>,
    keeper: &KeeperHandle,
    events: &mpsc::Sender<ReceiverEvent>,
    wire: &Wire,
) -> (CategoryId, mpsc::UnboundedSender<ReceiverAction>) {
    let (sender, mut actions) = mpsc::unbounded_channel();
    let (shared, disk) = (Arc::clone(shared), Arc::clone(&keeper.disk));
    let (events, room) = (events.clone(), Arc::clone(&wire.room));
    let (id, not_taken_up) = (keeper.id.clone(), keeper.not_taken_up.clone());
    tokio::task::spawn_blocking(move || {
        while let Some(action) = actions.blocking_recv() {
            let chunk = matches!(action, ReceiverAction::Store(_));
            let event = done(&shared, &mut lock(&disk), action);
            if chunk {
                room.add_permits(1);
            }
            // What the programs made of a commit is known with the commit, not after it.
            let committed = matches!(event, Some(ReceiverEvent::Committed { .. }));
            let taken_up = committed.then(|| ReceiverEvent::TakenUp {
                category: id.clone(),
                failed: not_taken_up.borrow().clone(),
            });
            for event in taken_up.into_iter().chain(event) {
                if events.blocking_send(event).is_err() {
                    return;
                }
            }
        }
    });
    (keeper.id.clone(), sender)
}

fn done(shared: &Shared, disk: &mut Disk, action: ReceiverAction) -> Option<ReceiverEvent> {
    match action {
        ReceiverAction::Open { transfer, next, .. } => {
            let missing = disk.begin(transfer, next);
            Some(ReceiverEvent::Opened { transfer, missing })
        }
        ReceiverAction::Hash {
            transfer,
            content,
            base,
            question,
        } => {
            let hashes = disk.hash(transfer, content, base, &question);
            Some(ReceiverEvent::Hashed {
                transfer,
                content,
                hashes,
            })
        }
        ReceiverAction::Rebase {
            transfer,
            content,
            base,
            runs,
        } => {
            let complete = disk.rebase(transfer, content, base, &runs).map(|()| None);
            Some(ReceiverEvent::Stored { transfer, complete })
        }
        ReceiverAction::Store(content) => {
            let transfer = content.transfer;
            let complete = disk.take(content);
            Some(ReceiverEvent::Stored { transfer, complete })
        }
        ReceiverAction::Prepare {
            transfer,
            records,
            replace,
            force,
        } => {
            let outcome = disk.prepare(transfer, records, replace, force);
            Some(ReceiverEvent::Prepared { transfer, outcome })
        }
        ReceiverAction::Commit { transfer, epoch } => {
            let outcome = disk.commit(transfer, epoch, shared.roles.as_ref());
            Some(ReceiverEvent::Committed { transfer, outcome })
        }
        ReceiverAction::Discard { transfer } => {
            disk.discard(transfer);
            None
        }
        ReceiverAction::Send(_)
        | ReceiverAction::Scan { .. }
        | ReceiverAction::Run { .. }
        | ReceiverAction::Close(_) => None,
    }
}
