//! Recording: everything the node is told, as JSON lines that `fencepost replay` feeds to a fresh node.
//!
//! The first line holds the policy, so a recording needs no other file. A recording is either complete up to
//! its last line or says in that line why it ends: the file reached its limit, the disk failed, or the
//! writer fell behind. A recording with a hole would replay into something that never happened.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::mailbox::{Flushed, Outbox, Received, Receiver, mailbox};
use crate::node::{Event, Instant, Policy};

/// Greatest size of a recording in bytes.
pub const RECORDING_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most inputs waiting to be written.
const WAITING_MAX: usize = 4096;
/// Longest time between two flushes of the file.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// One line of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first.
    Begin {
        /// Version of the agent.
        version: String,
        /// Wall-clock time, for people.
        time: String,
        /// The node's start.
        now: Instant,
        /// Everything the decisions depend on besides events.
        policy: Box<Policy>,
    },
    /// An event.
    Event {
        /// When the node was told.
        now: Instant,
        /// What.
        event: Event,
    },
    /// A deadline passed.
    Timeout {
        /// When the node was told.
        now: Instant,
    },
    /// The last one, where the recording ends before the agent does.
    End {
        /// Why.
        reason: String,
    },
}

/// The control thread's end.
pub struct Recorder {
    /// `None` once something was lost: the rest would be worthless.
    lines: Option<Outbox<Line>>,
    fell_behind: Arc<AtomicBool>,
}

impl Recorder {
    /// The node is told this.
    pub fn event(&mut self, now: Instant, event: &Event) {
        if self.lines.is_some() {
            self.put(Line::Event {
                now,
                event: event.clone(),
            });
        }
    }

    /// The node is told of a deadline.
    pub fn timeout(&mut self, now: Instant) {
        self.put(Line::Timeout { now });
    }

    /// Hand over what waited for a lock; without waiting.
    pub fn flush(&mut self) -> Flushed {
        self.lines.as_mut().map_or(Flushed::All, Outbox::flush)
    }

    fn put(&mut self, line: Line) {
        if let Some(lines) = &mut self.lines
            && lines.push(line).is_err()
        {
            self.fell_behind.store(true, Ordering::Release);
            self.lines = None;
        }
    }
}

/// Start recording into `path`, which must not exist yet.
pub fn start(
    path: &Path,
    policy: Policy,
    now: Instant,
) -> anyhow::Result<(Recorder, JoinHandle<()>)> {
    let file = File::create_new(path).with_context(|| {
        format!(
            "cannot record into {}: name a file that does not exist yet",
            path.display()
        )
    })?;
    let begin = Line::Begin {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        time: super::clock::wall_clock(),
        now,
        policy: Box::new(policy),
    };
    let (sender, lines) = mailbox(WAITING_MAX);
    let fell_behind = Arc::new(AtomicBool::new(false));
    let mut writer = Writer {
        file: BufWriter::new(file),
        bytes: 0,
        bytes_max: RECORDING_BYTES_MAX,
        fell_behind: Arc::clone(&fell_behind),
    };
    writer.put(&begin)?;
    let thread = std::thread::Builder::new()
        .name("fp-recorder".to_owned())
        .stack_size(256 * 1024)
        .spawn(move || writer.serve(&lines))?;
    Ok((
        Recorder {
            lines: Some(Outbox::new(sender)),
            fell_behind,
        },
        thread,
    ))
}

struct Writer<W: Write> {
    file: W,
    bytes: u64,
    bytes_max: u64,
    fell_behind: Arc<AtomicBool>,
}

impl<W: Write> Writer<W> {
    fn serve(mut self, lines: &Receiver<Line>) {
        loop {
            let written = match lines.take(Some(FLUSH_EVERY)) {
                Received::Item(line) => self.put(&line),
                Received::Timeout => self.file.flush(),
                Received::Closed if self.fell_behind.load(Ordering::Acquire) => Err(
                    std::io::Error::other("the disk fell behind and events were lost"),
                ),
                Received::Closed => {
                    let _last = self.file.flush();
                    return;
                }
            };
            if let Err(error) = written {
                tracing::warn!("recording ends: {error}");
                let _best_effort = self.end(&error.to_string());
                return;
            }
        }
    }

    fn put(&mut self, line: &Line) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.bytes += text.len() as u64;
        if self.bytes > self.bytes_max {
            return Err(std::io::Error::other(format!(
                "limit of {} bytes reached",
                self.bytes_max
            )));
        }
        self.file.write_all(&text)
    }

    fn end(&mut self, reason: &str) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(&Line::End {
            reason: reason.to_owned(),
        })?;
        text.push(b'\n');
        self.file.write_all(&text)?;
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(bytes: &mut Vec<u8>, bytes_max: u64, behind: bool) -> Writer<&mut Vec<u8>> {
        Writer {
            file: bytes,
            bytes: 0,
            bytes_max,
            fell_behind: Arc::new(AtomicBool::new(behind)),
        }
    }

    #[test]
    fn a_recording_with_a_hole_ends_at_the_hole_and_says_so() {
        let (sender, lines) = mailbox(2);
        let fell_behind = Arc::new(AtomicBool::new(false));
        let mut recorder = Recorder {
            lines: Some(Outbox::new(sender)),
            fell_behind: Arc::clone(&fell_behind),
        };
        for n in 0..100 {
            recorder.timeout(Instant::from_millis(n));
        }
        assert!(fell_behind.load(Ordering::Acquire));
        let mut bytes = Vec::new();
        writer(&mut bytes, 10_000, true).serve(&lines);
        let text = String::from_utf8(bytes).unwrap();
        let read: Vec<Line> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(read[0], Line::Timeout { now: Instant::ZERO });
        assert!(matches!(read.last(), Some(Line::End { reason }) if reason.contains("lost")));
    }

    #[test]
    fn a_recording_that_reaches_its_limit_says_so() {
        let mut bytes = Vec::new();
        let (sender, lines) = mailbox(8);
        sender
            .send(Line::Timeout {
                now: Instant::from_millis(1),
            })
            .unwrap();
        sender
            .send(Line::Timeout {
                now: Instant::from_millis(2),
            })
            .unwrap();
        drop(sender);
        writer(&mut bytes, 40, false).serve(&lines);
        let text = String::from_utf8(bytes).unwrap();
        let read: Vec<Line> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            read[0],
            Line::Timeout {
                now: Instant::from_millis(1)
            }
        );
        assert!(matches!(&read[1], Line::End { reason } if reason.contains("limit")));
        assert_eq!(read.len(), 2);
    }
}
