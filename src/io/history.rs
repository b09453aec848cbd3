//! The event history on disk: `events.jsonl`, one entry per line, two files of bounded size.
//!
//! For people and programs that ask later; nothing is ever decided from it. When it cannot be written
//! (disk full, read-only, hanging) entries are held in memory up to a limit, the trouble is shown in the status,
//! and writing is taken up again by itself.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::inbox::Inlet;
use super::mailbox::{Received, Receiver, Sender, mailbox};
use crate::control::{Entry, HistoryHealth};
use crate::node::{Event, Level};

/// The current file in the ledger's directory.
pub const EVENTS_FILE: &str = "events.jsonl";
/// The file before it.
pub const EVENTS_FILE_OLD: &str = "events.old.jsonl";
/// Greatest size of one of the two files in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most entries held in memory while the disk fails.
const HELD_MAX: usize = 4096;
/// Longest time an entry is on its way to the disk; an alarm goes at once.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How long a failing disk is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Most entries waiting for the thread.
const WAITING_MAX: usize = 1024;

/// Shown in the status. Clones share it.
#[derive(Clone)]
pub struct Health(Arc<Mutex<HistoryHealth>>);

impl Health {
    /// How the history is at this moment.
    pub fn get(&self) -> HistoryHealth {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, health: HistoryHealth) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }
}

/// The last `most` entries, oldest first. Lines that cannot be read (a crash in mid-write, a disk that
/// lost blocks) are passed over.
pub fn load(directory: &Path, most: usize) -> VecDeque<Entry> {
    let mut entries = VecDeque::new();
    for name in [EVENTS_FILE_OLD, EVENTS_FILE] {
        let Ok(file) = File::open(directory.join(name)) else {
            continue;
        };
        for line in BufReader::new(file).lines().map_while(Result::ok) {
            let Ok(entry) = serde_json::from_str(&line) else {
                continue;
            };
            if entries.len() == most {
                entries.pop_front();
            }
            entries.push_back(entry);
        }
    }
    entries
}

/// Start the thread that appends to the history in `directory`.
pub fn start(
    directory: PathBuf,
    inlet: Inlet,
) -> std::io::Result<(Sender<Entry>, Health, JoinHandle<()>)> {
    let (sender, entries) = mailbox(WAITING_MAX);
    let health = Health(Arc::new(Mutex::new(HistoryHealth::Writing)));
    let shared = health.clone();
    let thread = std::thread::Builder::new()
        .name("fp-history".to_owned())
        .stack_size(256 * 1024)
        .spawn(move || Writer::new(directory, FILE_BYTES_MAX, shared, inlet).serve(&entries))?;
    Ok((sender, health, thread))
}

struct Writer {
    directory: PathBuf,
    bytes_max: u64,
    file: Option<File>,
    /// Not on the disk yet, in order.
    held: VecDeque<Entry>,
    lost: u64,
    health: Health,
    failed_at: Option<Instant>,
    inlet: Inlet,
}

impl Writer {
    fn new(directory: PathBuf, bytes_max: u64, health: Health, inlet: Inlet) -> Self {
        let held = VecDeque::new();
        Self {
            directory,
            bytes_max,
            file: None,
            held,
            lost: 0,
            health,
            failed_at: None,
            inlet,
        }
    }

    fn serve(mut self, entries: &Receiver<Entry>) {
        loop {
            let mut alarm = false;
            match entries.take(Some(SYNC_EVERY)) {
                Received::Item(entry) => {
                    alarm = entry.record.level == Level::Alarm;
                    self.hold(entry);
                }
                Received::Timeout => {}
                Received::Closed => {
                    self.write_held();
                    return;
                }
            }
            // Collect a moment's entries into one write; an alarm may be the last thing before the power goes.
            let until = Instant::now() + SYNC_EVERY;
            while !alarm && !self.held.is_empty() {
                let left = until.saturating_duration_since(Instant::now());
                let Received::Item(entry) = entries.take(Some(left)) else {
                    break;
                };
                alarm = entry.record.level == Level::Alarm;
                self.hold(entry);
            }
            self.write_held_if_due();
        }
    }

    fn hold(&mut self, entry: Entry) {
        if self.held.len() == HELD_MAX {
            self.held.pop_front();
            self.lost += 1;
        }
        self.held.push_back(entry);
    }

    fn write_held_if_due(&mut self) {
        if self
            .failed_at
            .is_none_or(|failed| failed.elapsed() >= RETRY_AFTER)
        {
            self.write_held();
        } else {
            self.report_failing(None);
        }
    }

    fn write_held(&mut self) {
        if self.held.is_empty() {
            return;
        }
        match self.append() {
            Ok(()) => {
                self.held.clear();
                if self.failed_at.take().is_some() {
                    self.tell(Ok(()));
                }
                self.health.set(match self.lost {
                    0 => HistoryHealth::Writing,
                    lost => HistoryHealth::WritingWithLoss { lost },
                });
            }
            Err(error) => {
                if self.failed_at.is_none() {
                    self.tell(Err(format!("the event history cannot be written: {error}")));
                }
                self.file = None;
                self.failed_at = Some(Instant::now());
                self.report_failing(Some(error.to_string()));
            }
        }
    }

    fn tell(&self, outcome: Result<(), String>) {
        // Behind or ended: the status says it all the same.
        let _behind = self.inlet.tell(Event::HistoryWritten { outcome });
    }

    fn report_failing(&self, error: Option<String>) {
        let error = error.unwrap_or_else(|| match self.health.get() {
            HistoryHealth::Failing { error, .. } => error,
            HistoryHealth::Writing | HistoryHealth::WritingWithLoss { .. } => String::new(),
        });
        self.health.set(HistoryHealth::Failing {
            error,
            held: self.held.len(),
            lost: self.lost,
        });
    }

    /// All or nothing: a write that stops half-way (disk full) is cut off again, so that the retry does
    /// not leave half a line and a double.
    fn append(&mut self) -> std::io::Result<()> {
        let mut text = Vec::new();
        for entry in &self.held {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => open_whole_lines(&self.directory.join(EVENTS_FILE))?,
        };
        let mut length = file.seek(SeekFrom::End(0))?;
        if length > 0 && length + text.len() as u64 > self.bytes_max {
            drop(file);
            let current = self.directory.join(EVENTS_FILE);
            fs::rename(&current, self.directory.join(EVENTS_FILE_OLD))?;
            file = open_whole_lines(&current)?;
            length = 0;
        }
        if let Err(error) = file.write_all(&text).and_then(|()| file.sync_data()) {
            let _best_effort = file.set_len(length);
            return Err(error);
        }
        self.file = Some(file);
        Ok(())
    }
}

/// Open for appending; ends a half line that a crash left.
fn open_whole_lines(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::{FileExt, OpenOptionsExt};
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)?;
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        match file.read_exact_at(&mut last, length - 1) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error),
        }
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
