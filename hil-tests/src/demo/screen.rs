//! The live view: events scroll, and below them stand wire, relay, dead-man and traffic as they are now.
//!
//! On a terminal the lower block is painted over ten times a second; elsewhere there are only the events, one line each. A thread of its own
//! looks at the board model and the wire, so it shows the truth even while the demo waits for something.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fencepost::board::RelayState;
use fencepost_hil::appliance::watch::Watch;
use fencepost_hil::wire::traffic::{Direction, Via};

use super::paint;
use crate::live::{Block, Ink};

/// One column of the traffic line.
pub(super) const COLUMN: Duration = Duration::from_millis(100);
/// Columns shown.
pub(super) const COLUMNS: usize = 62;
/// What is still under way is no loss yet.
const UNDER_WAY: Duration = Duration::from_millis(250);

/// What the demo knows of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agent {
    /// The machine is not up.
    Absent,
    /// It was started.
    Works,
    /// It was killed.
    Killed,
    /// It is being started.
    Starts,
}

/// How frames passed in one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passed {
    /// Through the host, all or nearly all.
    Host,
    /// Through the bypass.
    Bypass,
    /// Some were lost.
    Some,
    /// Nothing came.
    Nothing,
    /// The rig itself was too late to send anything: this says nothing about the wire.
    Unsent,
}

struct Shown {
    agent: Agent,
    traffic: VecDeque<Passed>,
    block: Block,
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
    pub(super) fn start(watch: Watch) -> Self {
        let shown = Arc::new(Mutex::new(Shown {
            agent: Agent::Absent,
            traffic: VecDeque::new(),
            block: Block::default(),
            over: false,
        }));
        let ink = Ink::of(std::io::stdout().is_terminal());
        let begun = Instant::now();
        let theirs = Arc::clone(&shown);
        let thread = std::thread::spawn(move || look(&watch, &theirs, ink, begun));
        Self {
            shown,
            ink,
            begun,
            thread: Some(thread),
        }
    }

    /// Something happened.
    pub(super) fn tell(&self, what: &str, agent: Agent) {
        let mut shown = lock(&self.shown);
        shown.agent = agent;
        let line = paint::event(self.ink, self.begun.elapsed(), what);
        shown.block.print_above(&line);
    }

    /// The agent is something else now; not worth a line.
    pub(super) fn is(&self, agent: Agent) {
        lock(&self.shown).agent = agent;
    }

    /// Leaves the terminal as it is now, without the block.
    pub(super) fn end(mut self) {
        self.stop();
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

fn look(watch: &Watch, shown: &Mutex<Shown>, ink: Ink, begun: Instant) {
    let mut column = watch.now();
    let mut relay = watch.relay();
    loop {
        std::thread::sleep(COLUMN / 2);
        let now = watch.now();
        let mut news = Vec::new();
        // A machine that stood still for long has columns to catch up with; only the last ones are seen.
        while column + COLUMN + UNDER_WAY <= now {
            let seen = watch.traffic(column, column + COLUMN);
            news.push(passed(&seen.a_to_b, &seen.b_to_a));
            column += COLUMN;
        }
        let state = watch.relay();
        let mut shown = lock(shown);
        if shown.over {
            return;
        }
        shown.traffic.extend(news);
        while shown.traffic.len() > COLUMNS {
            shown.traffic.pop_front();
        }
        if state != relay {
            relay = state;
            if state != RelayState::Unknown {
                let line = paint::moved(ink, begun.elapsed(), state);
                shown.block.print_above(&line);
            }
        }
        if ink.live() {
            let block = paint::block(
                ink,
                state,
                shown.agent,
                watch.dead_man(),
                shown.traffic.make_contiguous(),
            );
            shown.block.paint(&block);
        }
    }
}

fn passed(a_to_b: &Direction, b_to_a: &Direction) -> Passed {
    let (sent, came) = (a_to_b.sent + b_to_a.sent, a_to_b.came + b_to_a.came);
    let via = a_to_b.paths.last().map(|path| path.via[0]);
    match via {
        _ if sent == 0 => Passed::Unsent,
        _ if came == 0 => Passed::Nothing,
        _ if came * 10 < sent * 9 => Passed::Some,
        Some(Via::Bypass) => Passed::Bypass,
        _ => Passed::Host,
    }
}
