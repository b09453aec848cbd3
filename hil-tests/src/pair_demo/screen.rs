//! The live view of a pair: events scroll; below them stand both nodes with their relays, and what the client gets.
//!
//! A thread of its own looks at boards, agents and client, so it shows the truth even while the demo waits for something.

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fencepost::board::RelayState;
use fencepost_hil::pair::Watch;
use fencepost_hil::pair::film::{Finder, Glimpse};
use fencepost_hil::pair::watch::Answered;

use super::paint;
use crate::live::{Block, Ink};

/// One column of the client's line.
pub(super) const COLUMN: Duration = Duration::from_millis(100);
/// Columns shown.
pub(super) const COLUMNS: usize = 50;
/// A question younger than this may yet be answered.
const UNDER_WAY: Duration = Duration::from_millis(60);

/// What is shown of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) relay: RelayState,
    /// What it said last; `None`: it says nothing.
    pub(super) said: Option<Glimpse>,
}

#[derive(Default)]
struct Shown {
    block: Block,
    client: VecDeque<Answered>,
    over: bool,
}

/// The view; ends with it.
pub(super) struct Screen {
    shown: Arc<Mutex<Shown>>,
    ink: Ink,
    begun: Instant,
    thread: Option<JoinHandle<()>>,
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Screen {
    /// Begins to look.
    pub(super) fn start(watch: Watch, finder: Finder) -> Self {
        let shown: Arc<Mutex<Shown>> = Arc::default();
        let ink = Ink::of(std::io::stdout().is_terminal());
        let begun = Instant::now();
        let theirs = Arc::clone(&shown);
        let thread = std::thread::spawn(move || look(&watch, &finder, &theirs, ink, begun));
        Self {
            shown,
            ink,
            begun,
            thread: Some(thread),
        }
    }

    /// Something was done.
    pub(super) fn tell(&self, what: &str) {
        let line = paint::deed(self.ink, self.begun.elapsed(), what);
        lock(&self.shown).block.print_above(&line);
    }

    /// What it came to.
    pub(super) fn result(&self, what: &str) {
        let line = paint::result(self.ink, self.begun.elapsed(), what);
        lock(&self.shown).block.print_above(&line);
    }

    /// Leaves the terminal as it is now, without the block.
    pub(super) fn end(mut self) -> Ink {
        self.stop();
        self.ink
    }

    fn stop(&mut self) {
        lock(&self.shown).over = true;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        lock(&self.shown).block.end();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop();
        }
    }
}

fn look(watch: &Watch, finder: &Finder, shown: &Mutex<Shown>, ink: Ink, begun: Instant) {
    let mut column = watch.now();
    let mut before: Option<[Node; 2]> = None;
    loop {
        std::thread::sleep(COLUMN / 2);
        let mut client = Vec::new();
        while column + COLUMN + UNDER_WAY <= watch.now() {
            client.push(watch.answered(column, COLUMN));
            column += COLUMN;
        }
        let said = finder.look();
        let mut nodes = said.into_iter().zip(0..).map(|(said, index)| Node {
            relay: watch.relay(index),
            said,
        });
        let (Some(first), Some(second)) = (nodes.next(), nodes.next()) else {
            return;
        };
        let nodes = [first, second];
        let mut shown = lock(shown);
        if shown.over {
            return;
        }
        shown.client.extend(client);
        while shown.client.len() > COLUMNS {
            shown.client.pop_front();
        }
        if let Some(before) = before.replace(nodes.clone()) {
            for index in 0..2 {
                for line in
                    paint::changed(ink, begun.elapsed(), index, &before[index], &nodes[index])
                {
                    shown.block.print_above(&line);
                }
            }
        }
        if ink.live() {
            let block = paint::block(ink, &nodes, shown.client.make_contiguous());
            shown.block.paint(&block);
        }
    }
}
