//! The front desk between the control thread and those who wait for it: records to readers and to the
//! history, replies to askers. A thread of its own, so that the control thread wakes nobody but this one.
//!
//! It keeps the latest entries in memory: asking for events never touches the disk, and works while the
//! disk does not. What if this thread hangs (a full log pipe)? Askers time out, records are dropped and
//! counted by the control thread; nothing on the wire changes.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{broadcast, oneshot};

use super::clock::wall_clock;
use super::history;
use super::mailbox::{Outbox, Received, Receiver, Sender, mailbox};
use crate::control::Entry;
use crate::node::{Level, Record};

/// Entries kept in memory for readers.
pub const RECENT_MAX: usize = 1000;
/// Entries a follower may be behind before it loses some.
const FOLLOWER_BEHIND_MAX: usize = 256;
/// Most requests waiting for the node at once.
const ASKERS_MAX: usize = 32;
/// Most notes waiting for the thread.
const NOTES_MAX: usize = 1024;

/// What the control thread hands over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Something happened.
    Record(Record),
    /// An operator's answer.
    Reply {
        /// The request's number.
        request: u64,
        /// The node's answer.
        answer: Result<String, String>,
    },
}

/// The node's answer to one request.
pub type Answer = Result<String, String>;

/// The readers' side of the desk. Clones share it.
#[derive(Clone)]
pub struct Desk(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    live: broadcast::Sender<Arc<Entry>>,
}

struct State {
    recent: VecDeque<Arc<Entry>>,
    next_number: u64,
    askers: BTreeMap<u64, oneshot::Sender<Answer>>,
    next_request: u64,
}

impl Desk {
    /// A desk that continues the history in `directory`.
    pub fn open(directory: &Path) -> Self {
        let recent: VecDeque<_> = history::load(directory, RECENT_MAX)
            .into_iter()
            .map(Arc::new)
            .collect();
        let next_number = recent
            .back()
            .map_or(1, |entry| entry.number.saturating_add(1));
        let (live, _nobody_yet) = broadcast::channel(FOLLOWER_BEHIND_MAX);
        let state = State {
            recent,
            next_number,
            askers: BTreeMap::new(),
            next_request: 1,
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            live,
        }))
    }

    /// Stored entries after `since`, the latest `limit` of them, and every entry from now on.
    pub fn entries(
        &self,
        since: Option<u64>,
        limit: Option<usize>,
    ) -> (Vec<Arc<Entry>>, broadcast::Receiver<Arc<Entry>>) {
        let state = self.lock();
        let after = since.unwrap_or(0);
        let wanted: Vec<_> = state
            .recent
            .iter()
            .filter(|e| e.number > after)
            .cloned()
            .collect();
        let skipped = wanted.len().saturating_sub(limit.unwrap_or(usize::MAX));
        // Under the lock, so that no entry is missed or doubled between the two.
        (wanted[skipped..].to_vec(), self.0.live.subscribe())
    }

    /// A number for a new request, and where its answer will come. `None` when too many wait already.
    pub fn expect_answer(&self) -> Option<(u64, oneshot::Receiver<Answer>)> {
        let mut state = self.lock();
        state.askers.retain(|_, asker| !asker.is_closed());
        if state.askers.len() >= ASKERS_MAX {
            return None;
        }
        let request = state.next_request;
        state.next_request += 1;
        let (sender, receiver) = oneshot::channel();
        state.askers.insert(request, sender);
        Some((request, receiver))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, record: Record) -> Arc<Entry> {
        let mut state = self.lock();
        let number = state.next_number;
        state.next_number += 1;
        let entry = Arc::new(Entry {
            number,
            time: wall_clock(),
            pid: std::process::id(),
            record,
        });
        if state.recent.len() == RECENT_MAX {
            state.recent.pop_front();
        }
        state.recent.push_back(Arc::clone(&entry));
        let _nobody_follows = self.0.live.send(Arc::clone(&entry));
        entry
    }

    fn reply(&self, request: u64, answer: Answer) {
        let asker = self.lock().askers.remove(&request);
        if let Some(asker) = asker {
            let _hung_up = asker.send(answer);
        }
    }

    fn serve(&self, notes: &Receiver<Note>, history: &Sender<Entry>) {
        while let Received::Item(note) = notes.take(None) {
            match note {
                Note::Reply { request, answer } => self.reply(request, answer),
                Note::Record(record) => {
                    let entry = self.take(record);
                    if history.send((*entry).clone()).is_err() {
                        tracing::error!(
                            "event {} does not reach the history: its thread hangs",
                            entry.number
                        );
                    }
                    log(&entry);
                }
            }
        }
    }
}

/// Start the thread. Entries go on to `history`.
pub fn start(
    desk: Desk,
    history: Sender<Entry>,
) -> std::io::Result<(Outbox<Note>, JoinHandle<()>)> {
    let (sender, notes) = mailbox(NOTES_MAX);
    let thread = std::thread::Builder::new()
        .name("fp-desk".to_owned())
        .stack_size(256 * 1024)
        .spawn(move || desk.serve(&notes, &history))?;
    Ok((Outbox::new(sender), thread))
}

fn log(entry: &Entry) {
    let fact = serde_json::to_string(&entry.record.fact).unwrap_or_default();
    match entry.record.level {
        Level::Info => tracing::info!(number = entry.number, "{fact}"),
        Level::Warning => tracing::warn!(number = entry.number, "{fact}"),
        Level::Alarm => tracing::error!(number = entry.number, "ALARM {fact}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Fact, Instant};

    fn record(sequence: u64) -> Record {
        let fact = Fact::ControllerBack;
        Record {
            sequence,
            at: Instant::ZERO,
            level: Level::Info,
            fact,
        }
    }

    #[test]
    fn readers_get_the_latest_and_followers_all_that_is_new() {
        let directory = tempfile::tempdir().unwrap();
        let desk = Desk::open(directory.path());
        for sequence in 1..=5 {
            desk.take(record(sequence));
        }
        let (stored, mut live) = desk.entries(Some(2), Some(2));
        let numbers: Vec<u64> = stored.iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, [4, 5]);
        desk.take(record(6));
        assert_eq!(live.try_recv().unwrap().number, 6);
    }

    #[test]
    fn numbers_go_on_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let (inlets, _inbox) = crate::io::inbox::inbox();
        let (history, _, writer) =
            history::start(directory.path().to_owned(), inlets.ordinary).unwrap();
        let desk = Desk::open(directory.path());
        let (mut notes, thread) = start(desk, history).unwrap();
        for sequence in 1..=3 {
            notes.push(Note::Record(record(sequence))).unwrap();
        }
        drop(notes);
        thread.join().unwrap();
        writer.join().unwrap();
        let reopened = Desk::open(directory.path());
        assert_eq!(reopened.take(record(1)).number, 4);
        assert_eq!(reopened.entries(None, None).0.len(), 4);
    }

    #[test]
    fn memory_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let desk = Desk::open(directory.path());
        for sequence in 0..(RECENT_MAX as u64 + 10) {
            desk.take(record(sequence));
        }
        assert_eq!(desk.entries(None, None).0.len(), RECENT_MAX);
        let waiting: Vec<_> = (0..ASKERS_MAX)
            .map(|_| desk.expect_answer().unwrap())
            .collect();
        assert!(desk.expect_answer().is_none());
        drop(waiting);
        assert!(desk.expect_answer().is_some());
    }

    #[test]
    fn an_answer_finds_its_asker() {
        let directory = tempfile::tempdir().unwrap();
        let desk = Desk::open(directory.path());
        let (first, mut first_answer) = desk.expect_answer().unwrap();
        let (second, mut second_answer) = desk.expect_answer().unwrap();
        desk.reply(second, Err("no".to_owned()));
        desk.reply(first, Ok("yes".to_owned()));
        assert_eq!(first_answer.try_recv().unwrap(), Ok("yes".to_owned()));
        assert_eq!(second_answer.try_recv().unwrap(), Err("no".to_owned()));
    }
}
