//! The Active's session: the machine, the wire, and what the machine wants done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant as Deadline, sleep_until};

use super::feeder::Feeder;
use super::keeper::{Ask, KeeperHandle, lock};
use super::shared::{Order, Shared};
use super::wire::Wire;
use crate::blocks::Short;
use crate::category_id::CategoryId;
use crate::diff::Change;
use crate::digest::Digest;
use crate::disk::Found;
use crate::frame::{Changed, TransferId};
use crate::lineage::Epoch;
use crate::link::Outgoing;
use crate::session::{
    Reason, RunId, RunOutcome, Sender, SenderAction, SenderEvent, Standing, State, Wanted,
};

/// What waits to be sent as bulk.
pub(super) enum Bulk {
    Changes(TransferId, Vec<Changed>),
    Contents(TransferId, CategoryId, Vec<Wanted>),
}

/// Answers that may wait for who asked: there is one question at a time.
const ANSWERS: usize = 2;

/// Transfers that nobody wants any more.
pub(super) type Stopped = Arc<Mutex<BTreeSet<TransferId>>>;

/// Transfer, content, and the hashes that were asked for.
pub(super) type Hashes = (TransferId, Digest, Vec<Short>);

struct Active<'a> {
    shared: &'a Arc<Shared>,
    machine: Sender,
    outgoing: Outgoing,
    bulk: mpsc::UnboundedSender<Bulk>,
    stopped: Stopped,
    hashes: std::sync::mpsc::SyncSender<Hashes>,
    asked: Vec<(CategoryId, oneshot::Sender<Vec<Change>>)>,
    verifying: Vec<oneshot::Sender<()>>,
    runs: BTreeMap<RunId, oneshot::Sender<RunOutcome>>,
    next_run: RunId,
    ended: Option<String>,
}

/// Until the session ends; why it did.
pub(super) async fn run(
    shared: &Arc<Shared>,
    epoch: Epoch,
    mut wire: Wire,
    mut orders: mpsc::Receiver<Order>,
) -> String {
    let (bulk, jobs) = mpsc::unbounded_channel();
    let (events, mut happened) = mpsc::channel(256);
    let stopped = Stopped::default();
    let (hashes, told) = std::sync::mpsc::sync_channel(ANSWERS);
    let feeder = Feeder {
        shared: Arc::clone(shared),
        outgoing: wire.outgoing.clone(),
        events: events.clone(),
        stopped: Arc::clone(&stopped),
        told: Arc::new(Mutex::new(told)),
    };
    let feeder = tokio::spawn(feeder.feed(jobs));
    let forwards: Vec<_> = shared
        .keepers
        .iter()
        .map(|keeper| tokio::spawn(forward(keeper.clone(), events.clone())))
        .collect();
    let mut standing = shared.standing.clone();
    let own = shared.own();
    let mut active = Active {
        shared,
        machine: Sender::new(shared.now(), &shared.version, shared.me, epoch, own),
        outgoing: wire.outgoing.clone(),
        bulk,
        stopped,
        hashes,
        asked: Vec::new(),
        verifying: Vec::new(),
        runs: BTreeMap::new(),
        next_run: 0,
        ended: None,
    };
    let why = loop {
        active.act().await;
        if let Some(why) = active.ended.take() {
            break why;
        }
        let wake = active.machine.poll_timeout(shared.now());
        let wake = Deadline::now() + wake.saturating_sub(shared.now());
        tokio::select! {
            biased;
            changed = standing.changed() => {
                let still = Standing::Active { epoch };
                if changed.is_err() || *standing.borrow_and_update() != still {
                    active.tell(SenderEvent::Demoted);
                }
            }
            message = wire.incoming.recv() => match message {
                Some(Ok(message)) => active.tell(SenderEvent::Received(message)),
                Some(Err(error)) => break error.to_string(),
                None => break "the connection is over".to_owned(),
            },
            Some(event) = happened.recv() => active.tell(event),
            Some(order) = orders.recv() => active.order(order),
            () = sleep_until(wake) => active.machine.handle_timeout(shared.now()),
        }
    };
    feeder.abort();
    forwards.iter().for_each(tokio::task::JoinHandle::abort);
    why
}

impl Active<'_> {
    fn tell(&mut self, event: SenderEvent) {
        self.machine.handle(self.shared.now(), event);
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Wanted { category, meant } => self.tell(SenderEvent::Wanted { category, meant }),
            Order::Verify { look, answer } => {
                self.tell(SenderEvent::Verify(look));
                self.verifying.push(answer);
            }
            Order::Run { name, answer } => {
                let run = self.next_run;
                self.next_run = self.next_run.wrapping_add(1);
                self.runs.insert(run, answer);
                self.tell(SenderEvent::Run { run, name });
            }
            Order::Diff { category, answer } => {
                self.asked.push((category.clone(), answer));
                self.tell(SenderEvent::Diff(category));
            }
        }
    }

    async fn act(&mut self) {
        for action in self.machine.poll_actions() {
            match action {
                SenderAction::Send(message) => {
                    if self.outgoing.control(&message).is_err() {
                        self.ended
                            .get_or_insert_with(|| "the connection is over".to_owned());
                    }
                }
                // A feeder that is gone is the end of the connection, which is told elsewhere.
                SenderAction::SendChanges { transfer, changes } => {
                    let _over = self.bulk.send(Bulk::Changes(transfer, changes));
                }
                SenderAction::SendContents {
                    transfer,
                    category,
                    files,
                } => {
                    let _over = self.bulk.send(Bulk::Contents(transfer, category, files));
                }
                SenderAction::Hashes {
                    transfer,
                    content,
                    hashes,
                } => {
                    // More than was asked for, or by nobody any more.
                    let _unasked = self.hashes.try_send((transfer, content, hashes));
                }
                SenderAction::StopSending { transfer } => {
                    lock(&self.stopped).insert(transfer);
                }
                SenderAction::Publish { category, after } => {
                    let keepers = &self.shared.keepers;
                    if let Some(keeper) = keepers.iter().find(|keeper| keeper.id == category) {
                        keeper.ask(Ask::Publish { after }).await;
                    }
                }
                SenderAction::Ran { run, outcome } => {
                    if let Some(answer) = self.runs.remove(&run) {
                        // Whoever asked may have given up.
                        let _gone = answer.send(outcome);
                    }
                }
                SenderAction::Differs { category, changes } => self.differs(&category, &changes),
                SenderAction::Close(why) => {
                    self.ended.get_or_insert(why);
                }
            }
        }
        let status = self.machine.status(self.shared.now());
        for one in &status {
            let acknowledged = matches!(
                one.state,
                State::InSync { .. }
                    | State::OutOfSync {
                        reason: Reason::ReloadFailed,
                        ..
                    }
            );
            let mut keepers = self.shared.keepers.iter();
            if let Some(keeper) = keepers.find(|keeper| acknowledged && keeper.id == one.id) {
                keeper.acknowledged(one.generation);
            }
        }
        self.shared.session_is(status);
        if self.machine.is_verified() {
            for answer in self.verifying.drain(..) {
                let _gone = answer.send(());
            }
        }
    }

    fn differs(&mut self, category: &CategoryId, changes: &[Change]) {
        let answers = self.asked.extract_if(.., |(asked, _)| asked == category);
        for (_, answer) in answers {
            let _gone = answer.send(changes.to_vec());
        }
    }
}

/// Tells the machine what a keeper finds.
async fn forward(mut keeper: KeeperHandle, events: mpsc::Sender<SenderEvent>) {
    loop {
        let Found { local, lineage } = keeper.found.borrow_and_update().clone();
        let category = keeper.id.clone();
        let event = match local {
            Some(local) => SenderEvent::Scanned {
                category,
                local,
                lineage,
            },
            None => SenderEvent::Unseen { category },
        };
        if events.send(event).await.is_err() || keeper.found.changed().await.is_err() {
            return;
        }
    }
}
