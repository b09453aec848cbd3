//! The loop: one event in, the node decides, its actions out in order.
//!
//! A turn waits for an event or the node's next deadline, reads the clock once, lets the node decide, carries
//! out what it asks for, and publishes a snapshot. There is no policy here and nothing that waits: every action
//! is handed to the thread that does it, and an action that cannot even be handed over is answered on the
//! spot, so the node never waits for an answer that cannot come.
//!
//! What if this thread hangs or dies? No action is given any more: no kick, no keepalive, no word to the
//! service manager. The dead-man cuts, the watchdog resets or the manager restarts, whichever is there.

pub mod hands;
pub mod pair_hands;
pub mod run;
pub mod setup;
pub mod snapshot;
pub mod stats;

use std::collections::VecDeque;
use std::time::Duration;

use crate::io::clock::Clock;
use crate::io::inbox::Inbox;
use crate::io::mailbox::Flushed;
use crate::io::recorder::Recorder;
use crate::node::{Action, Event, Instant, Node, Status, Stop};

use hands::{Carried, Hands};
use snapshot::{Published, Snapshot};
use stats::LoopStats;

/// How soon the loop looks again when a slower thread held its queue at the wrong moment.
const RETRY_AFTER: Duration = Duration::from_millis(2);
/// Most attempts to hand over what is left when the agent ends.
const LET_GO_TRIES: u32 = 100;
/// Shortest sleep after a deadline that does not move although it was handled: a defect must not turn the
/// real-time thread into one that spins.
const DEADLINE_STUCK: Duration = Duration::from_millis(1);

/// What the loop drives: the node's four verbs and its status.
pub trait Decide {
    /// Something happened.
    fn handle(&mut self, now: Instant, event: Event);
    /// A deadline passed.
    fn handle_timeout(&mut self, now: Instant);
    /// The next deadline.
    fn deadline(&self) -> Option<Instant>;
    /// The next thing to do.
    fn poll_action(&mut self) -> Option<Action>;
    /// For readers.
    fn status(&self, now: Instant) -> Status;
}

impl Decide for Node {
    fn handle(&mut self, now: Instant, event: Event) {
        self.handle(now, event);
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }
    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout().map(|(deadline, _)| deadline)
    }
    fn poll_action(&mut self) -> Option<Action> {
        self.poll_action()
    }
    fn status(&self, now: Instant) -> Status {
        self.status(now)
    }
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// It was stopped in this way.
    Stopped(Stop),
    /// The node ended by itself.
    Ended,
}

/// Everything of one loop.
pub struct Agent<D> {
    /// Who decides.
    pub node: D,
    /// Where events come from.
    pub inbox: Inbox,
    /// Who acts.
    pub hands: Hands,
    /// Where readers look.
    pub snapshot: Snapshot,
    /// Measurements.
    pub stats: LoopStats,
    /// Copy of everything the node is told, if wanted.
    pub recorder: Option<Recorder>,
}

impl<D: Decide> Agent<D> {
    /// Turn until the node asks to end.
    pub fn run(mut self, first: Event) -> ExitReason {
        self.inbox.attend();
        let clock = Clock;
        let mut answers = VecDeque::from([first]);
        let mut reason = ExitReason::Ended;
        let mut wait = None;
        loop {
            let event = answers.pop_front().or_else(|| self.inbox.next(wait));
            let now = clock.now();
            if let Some(Event::StopRequested { stop }) = &event {
                reason = ExitReason::Stopped(*stop);
            }
            if self.turn(now, event, &mut answers) == Carried::Exit {
                self.let_go();
                self.publish(clock.now());
                return reason;
            }
            let flushed = self.flush();
            self.stats.turned(clock.now().since(now));
            self.publish(now);
            wait = self.next_wait(clock.now(), now, flushed);
        }
    }

    /// Deadlines first: under a flood of events they would otherwise never be looked at.
    fn turn(
        &mut self,
        now: Instant,
        event: Option<Event>,
        answers: &mut VecDeque<Event>,
    ) -> Carried {
        if let Some(deadline) = self.node.deadline()
            && deadline <= now
        {
            self.stats.woke_late(now.since(deadline));
            if let Some(recorder) = &mut self.recorder {
                recorder.timeout(now);
            }
            self.node.handle_timeout(now);
            if self.carry_out(answers) == Carried::Exit {
                return Carried::Exit;
            }
        }
        let Some(event) = event else {
            return Carried::On;
        };
        if let Some(recorder) = &mut self.recorder {
            recorder.event(now, &event);
        }
        self.node.handle(now, event);
        self.carry_out(answers)
    }

    fn carry_out(&mut self, answers: &mut VecDeque<Event>) -> Carried {
        while let Some(action) = self.node.poll_action() {
            match self.hands.carry_out(action) {
                Carried::On => {}
                Carried::Answered(event) => answers.push_back(event),
                Carried::Exit => return Carried::Exit,
            }
        }
        Carried::On
    }

    fn flush(&mut self) -> Flushed {
        let recorder = self.recorder.as_mut().map_or(Flushed::All, Recorder::flush);
        let hands = self.hands.flush();
        if recorder == Flushed::Partly {
            recorder
        } else {
            hands
        }
    }

    /// Hand over everything, the agent is ending: now waiting is in order, within limits.
    fn let_go(&mut self) {
        for _ in 0..LET_GO_TRIES {
            if self.flush() == Flushed::All {
                return;
            }
            std::thread::sleep(RETRY_AFTER);
        }
    }

    fn publish(&mut self, now: Instant) {
        let status = self.node.status(now);
        self.stats.dropped = self.hands.dropped;
        if !self.snapshot.publish(Published {
            status,
            stats: self.stats.clone(),
        }) {
            self.stats.snapshots_skipped += 1;
        }
    }

    /// How long to sleep: to the deadline, sooner if something is still to be handed over.
    fn next_wait(&self, now: Instant, turn: Instant, flushed: Flushed) -> Option<Duration> {
        let deadline = self.node.deadline().map(|deadline| {
            let left = deadline.since(now);
            if deadline <= turn {
                left.max(DEADLINE_STUCK)
            } else {
                left
            }
        });
        match flushed {
            Flushed::All => deadline,
            Flushed::Partly => Some(deadline.map_or(RETRY_AFTER, |left| left.min(RETRY_AFTER))),
        }
    }
}

#[cfg(test)]
#[path = "agent/tests.rs"]
mod tests;
