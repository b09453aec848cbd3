//! The node: one event in, actions out. This file routes and keeps the order; each concern decides in its own.
//!
//! Every turn ends in the same walk from the hardware inwards ([`Node::steer`]): open, read, cut what must be
//! cut, arm, settle the stored settings, close what may be closed, kick if trusted, feed the watchdog. There
//! is no second path on which a relay could move or a keepalive be sent.
//!
//! What if this very process dies here? Every action is absolute; the successor reads the hardware, adopts
//! what it finds and walks the same way. A death between two actions costs at most one dead-man period.

use core::time::Duration;
use std::collections::BTreeMap;

use super::action::{Action, Service};
use super::dead_man::{DeadMan, Finding};
use super::event::{Event, Saved, Stop};
use super::health::Health;
use super::link::Link;
use super::orders::Orders;
use super::outbox::Outbox;
use super::pair::Pair;
use super::policy::{Arming, Commissioning, Policy, ReadBackPolicy};
use super::record::{Fact, Level};
use super::segment::{Found, Segment};
use super::time::Instant;
use super::timer::{Earliest, Timer};
use super::watchdog::Watchdog;
use crate::board::controller::{Fault, Latch, Reading, RelayState};

mod requests;
mod steering;

/// Later than this after our own deadline, we slept: an ordinary late turn is far shorter, an ordinary pause
/// (a stopped virtual machine, a suspended host) far longer.
const SLEPT_MIN: Duration = Duration::from_millis(300);
/// The node.
#[derive(Debug, Clone)]
pub struct Node {
    pub(super) policy: Policy,
    pub(super) out: Outbox,
    pub(super) health: Health,
    pub(super) link: Link,
    pub(super) dead_man: DeadMan,
    pub(super) watchdog: Watchdog,
    pub(super) orders: Orders,
    pub(super) segments: Vec<Segment>,
    pub(super) latch: Latch,
    pub(super) pair: Option<Pair>,
    pub(super) stop: Option<(Stop, Instant)>,
    started: bool,
    ready_told: bool,
    exiting: bool,
    /// When the last turn was.
    turned_at: Instant,
}

impl Node {
    /// A node that has seen nothing yet. The first event must be [`Event::Started`].
    pub fn new(policy: Policy, now: Instant) -> Self {
        let segments = policy.segments.iter().cloned().enumerate();
        Self {
            out: Outbox::default(),
            health: Health::new(&policy.checks, now),
            link: Link::new(policy.read_every, now),
            dead_man: DeadMan::new(policy.dead_man, now),
            watchdog: Watchdog::new(policy.watchdog, now),
            orders: Orders::default(),
            segments: segments
                .map(|(index, policy)| Segment::new(policy, index, now))
                .collect(),
            latch: Latch::Absent,
            pair: policy.pair.clone().map(|pair| Pair::new(pair, now)),
            stop: None,
            started: false,
            ready_told: false,
            exiting: false,
            turned_at: now,
            policy,
        }
    }

    /// Something happened.
    pub fn handle(&mut self, now: Instant, event: Event) {
        self.wake(now);
        self.route(now, event);
        self.steer(now);
    }

    /// The deadline given by [`Node::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.wake(now);
        self.steer(now);
    }

    /// When to call [`Node::handle_timeout`] at the latest, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        if !self.started || self.exiting {
            return None;
        }
        let now = self.turned_at;
        let mut earliest = Earliest::default();
        earliest.offer_some(self.stop.map(|(_, until)| until), Timer::Stop);
        if matches!(self.stop, Some((Stop::Handover, _))) {
            return earliest.get();
        }
        earliest.offer_some(self.health.next_silence(), Timer::CheckSilent);
        earliest.offer_some(
            self.link.next(),
            if self.link.is_open() {
                Timer::Read
            } else {
                Timer::Retry
            },
        );
        earliest.offer_some(self.dead_man.lapses_at(), Timer::Lapse);
        if self.kick_objection(now).is_none() {
            earliest.offer_some(self.dead_man.next_kick(), Timer::Kick);
        }
        if self.may_arm() {
            earliest.offer_some(self.dead_man.next_try(), Timer::Retry);
        }
        if self.armed_mode() {
            earliest.offer_some(self.watchdog.next(), Timer::Watchdog);
        }
        earliest.offer(self.watchdog.next_alive(), Timer::Alive);
        let pair = self.pair.as_ref().and_then(|pair| pair.next(now));
        earliest.offer_some(pair, Timer::Pair);
        for segment in &self.segments {
            earliest.offer_some(segment.next_try(now), Timer::Move);
            earliest.offer_some(
                self.dwell_end(segment).filter(|end| *end > now),
                Timer::Dwell,
            );
            if segment.limited {
                let oldest = segment
                    .closes
                    .front()
                    .map(|at| *at + super::segment::CLOSES_SPAN);
                earliest.offer_some(oldest, Timer::CloseLimit);
            }
        }
        earliest.get()
    }

    /// The next thing to do; call until `None` after every `handle` and `handle_timeout`.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.pop()
    }

    /// Told or found at wake-up: was this turn later than we asked for?
    fn wake(&mut self, now: Instant) {
        if !self.started {
            // Before the first event nobody could have been heard.
            self.turned_at = now;
            self.health.begin(now);
            return;
        }
        let timeout = self.poll_timeout();
        if let Some(pair) = &mut self.pair {
            pair.wake(now, timeout.map(|(due, _)| due));
        }
        if let Some((due, _)) = timeout {
            let slept = now.since(due.max(self.turned_at));
            if slept >= SLEPT_MIN {
                self.health.forgive(slept);
            }
        }
        self.turned_at = now;
        if self.dead_man.lapse(now) {
            self.lapsed(now);
        }
        self.outdate(now);
        self.health.expire(now, &mut self.out);
        for segment in &mut self.segments {
            segment.forget_old_closes(now);
        }
    }

    /// Our right ran out before we renewed it. The hardware may have cut: believe nothing until it is read;
    /// where it cannot be read, take it as cut.
    fn lapsed(&mut self, now: Instant) {
        self.link.doubt(now);
        for segment in &mut self.segments {
            segment.unread();
            if segment.is_unreadable() {
                segment.left = None;
                segment.reaffirm = false;
                segment.prove_again(now);
            }
        }
    }

    /// A reading too old to kick on is too old to show as the present.
    fn outdate(&mut self, now: Instant) {
        let fresh_for = self.fresh_for();
        let old = |read_at: Option<Instant>| read_at.is_some_and(|at| now.since(at) > fresh_for);
        if old(self.link.read_at) {
            self.link.doubt(now);
        }
        for segment in &mut self.segments {
            if old(segment.read_at) {
                segment.unread();
            }
        }
    }

    /// How long a reading of the hardware counts.
    pub(super) fn fresh_for(&self) -> Duration {
        self.policy.read_every * 3 + self.policy.dead_man.period
    }

    fn route(&mut self, now: Instant, event: Event) {
        let out = &mut self.out;
        match event {
            Event::Started { saved, left } => self.start(now, saved, &left),
            Event::ControllerOpened { outcome } => {
                if let Err(fault) = &outcome {
                    self.faulted(now, fault, Lost::Said);
                    self.tell_ready();
                }
                self.link.opened(now, outcome, &mut self.out);
            }
            Event::ControllerRead { outcome } => {
                let asked = self.link.waiting_since();
                self.link.answered();
                let short = outcome.as_ref().ok().and_then(|it| self.short(it));
                self.read(now, asked, short.map_or(outcome, Err));
            }
            Event::Configured { outcome } => self.link.configure_done(now, outcome, out),
            Event::DeadManArmed { outcome } => {
                if self.dead_man.armed(now, outcome, out) == Finding::Expired {
                    self.prove_all_again(now);
                }
                self.link.read_soon(now);
            }
            Event::Kicked { outcome } => self.kicked(now, &outcome),
            Event::DeadManDisarmed { outcome } => {
                if outcome.is_ok() {
                    self.dead_man.disarmed();
                }
            }
            Event::TicketTaken { segment, outcome } => {
                // A ticket given is no word of the bus: some drivers issue it themselves.
                if let Err(fault) = &outcome {
                    self.told_by_command(now, Some(fault));
                }
                // What was wanted when it was asked for may be judged otherwise since.
                if segment < self.segments.len() {
                    let (wanted, cause) = self.want(now, segment);
                    self.segments[segment].want(now, wanted, cause);
                }
                let (left, proof) = (self.left_with_normal(segment), self.close_proof());
                if let Some(segment) = self.segments.get_mut(segment) {
                    segment.ticket_taken(now, outcome, left, proof, &mut self.out);
                }
            }
            Event::SegmentClosed { segment, outcome } => {
                self.told_by_command(now, outcome.as_ref().err());
                let out = &mut self.out;
                if let Some(closed) = self.segments.get_mut(segment) {
                    closed.closed(now, outcome, out);
                    if closed.held() {
                        self.health.closed(now, segment);
                    }
                }
                self.link.read_soon(now);
            }
            Event::SegmentCut {
                segment,
                state,
                outcome,
            } => {
                self.told_by_command(now, outcome.as_ref().err());
                if let Some(segment) = self.segments.get_mut(segment) {
                    segment.cut(now, state, outcome, &mut self.out);
                }
                self.out.push(Action::RememberLeft { left: self.left() });
                self.link.read_soon(now);
            }
            Event::CheckReported {
                check,
                verdict,
                output,
            } => {
                self.health
                    .reported(now, check, verdict, output, &self.segments, out);
            }
            Event::CarrierLost { check, output } => {
                self.health
                    .carrier_lost(now, check, output, &self.segments, out);
                self.read_for_health(now);
            }
            Event::OperatorRequested {
                request,
                actor,
                command,
            } => {
                self.requested(now, request, actor, command);
            }
            Event::RequestRefused {
                actor,
                asked,
                reason,
            } => {
                out.record(
                    now,
                    Level::Alarm,
                    Fact::Refused {
                        by: actor.name,
                        asked,
                        reason,
                    },
                );
            }
            Event::Persisted { sequence, outcome } => {
                if let Some(applied) = self.orders.persisted(now, sequence, outcome, out) {
                    self.applied(&applied);
                }
            }
            Event::HistoryWritten { outcome } => self.orders.history(now, outcome, out),
            Event::WatchdogOpened { outcome } => self.watchdog.opened(now, outcome, out),
            Event::KeepaliveSent { outcome } => self.watchdog.kept(now, outcome, out),
            Event::StopRequested { stop } => self.stop_requested(now, stop),
            Event::Pair(event) => self.pair_event(now, *event),
        }
    }

    fn start(&mut self, now: Instant, saved: Saved, left: &BTreeMap<String, RelayState>) {
        self.started = true;
        self.health.begin(now);
        let ledger = match saved {
            Saved::Nothing => "nothing saved: first start on this machine".to_owned(),
            Saved::State(state) => {
                self.orders.restore(state);
                "restored".to_owned()
            }
            Saved::Unreadable(why) => {
                let fact = Fact::LedgerFailed { error: why.clone() };
                self.out.record(now, Level::Alarm, fact);
                format!("unreadable: {why}")
            }
        };
        self.out.record(now, Level::Info, Fact::Started { ledger });
        if self.policy.commissioning == Commissioning::Missing {
            self.out.record(now, Level::Alarm, Fact::Uncommissioned);
        }
        for segment in &mut self.segments {
            let predecessors = left.get(&segment.policy.name).copied();
            if segment.is_unreadable() && predecessors == Some(RelayState::Normal) {
                segment.left = predecessors;
                segment.reaffirm = true;
                segment.must_cut = false;
            }
        }
    }

    /// Why this is no look at the hardware: of a segment that it leaves out nothing is known.
    pub(super) fn short(&self, reading: &Reading) -> Option<Fault> {
        let (expected, got) = (self.segments.len(), reading.segments.len());
        (got < expected).then(|| Fault::Integrity {
            what: "a reading of all segments".to_owned(),
            expected: expected.to_string(),
            got: got.to_string(),
        })
    }

    /// A look at the hardware, asked for at `asked` if anybody did: what was told by then can be judged by it.
    pub(super) fn read(
        &mut self,
        now: Instant,
        asked: Option<Instant>,
        outcome: Result<Reading, Fault>,
    ) {
        let reading = match outcome {
            Ok(reading) => reading,
            Err(fault) => {
                self.faulted(now, &fault, Lost::Said);
                self.link.read_failed(now, &fault, &mut self.out);
                return self.tell_ready();
            }
        };
        if self.link.is_lost() {
            self.segments.iter_mut().for_each(|one| one.reachable(now));
        }
        let mut restarted = self.link.read(now, reading.generation, &mut self.out);
        self.latch = reading.latch;
        let finding =
            self.dead_man
                .read(now, asked.unwrap_or(now), reading.dead_man, &mut self.out);
        for (segment, read) in self.segments.iter_mut().zip(&reading.segments) {
            // Not every controller can say that it restarted; a relay that moved by itself may be all there is.
            restarted |= segment.read(now, *read, &mut self.out) == Found::Moved;
        }
        if finding == Finding::Expired {
            self.prove_all_again(now);
        }
        if restarted {
            self.link.configure_again();
            self.dead_man.verify_again();
        }
        if let Some(asked) = asked {
            self.health
                .relays_read(now, asked, &self.segments, &mut self.out);
        }
        self.read_for_health(now);
        self.tell_ready();
    }

    /// A port went dark: a reading that was under way by then says nothing about the relay in front of it.
    fn read_for_health(&mut self, now: Instant) {
        if self.health.awaits_relays() {
            self.link.read_soon(now);
        }
    }

    fn kicked(&mut self, now: Instant, outcome: &Result<(), Fault>) {
        if self.dead_man.kicked(now, outcome) == Finding::Expired {
            self.prove_all_again(now);
        }
        if let Err(fault) = outcome {
            self.faulted(now, fault, Lost::Unsaid);
            self.link.read_soon(now);
        }
    }

    /// The dead-man fired, or may have: whatever served must be proven anew.
    fn prove_all_again(&mut self, now: Instant) {
        for segment in self.segments.iter_mut().filter(|one| !one.must_prove) {
            segment.prove_again(now);
        }
    }

    /// A verb failed. If the bus or the part is to blame, no earlier reading may be shown as the present.
    fn faulted(&mut self, now: Instant, fault: &Fault, lost: Lost) {
        if !matches!(fault, Fault::Bus(_) | Fault::Integrity { .. }) {
            return;
        }
        if lost == Lost::Unsaid {
            self.link.lost(now, fault, &mut self.out);
        }
        for segment in &mut self.segments {
            segment.unread();
        }
    }

    /// A controller that cannot be read is heard of only when it is given a command: whether the bus took it.
    fn told_by_command(&mut self, now: Instant, fault: Option<&Fault>) {
        if self.blind() {
            self.link.commanded(now, fault, &mut self.out);
        }
    }

    /// Reading this controller touches nothing, so it says nothing about it.
    fn blind(&self) -> bool {
        let unreadable = |segment: &Segment| segment.policy.read_back == ReadBackPolicy::Impossible;
        self.segments.iter().all(unreadable) && self.policy.dead_man.arming == Arming::Absent
    }

    fn tell_ready(&mut self) {
        if !self.ready_told {
            self.ready_told = true;
            self.out.push(Action::Tell(Service::Ready));
        }
    }

    pub(super) fn armed_mode(&self) -> bool {
        self.orders.disarmed().is_none()
    }

    fn left(&self) -> BTreeMap<String, RelayState> {
        let left = |segment: &Segment| Some((segment.policy.name.clone(), segment.left?));
        self.segments.iter().filter_map(left).collect()
    }

    fn left_with_normal(&self, segment: usize) -> BTreeMap<String, RelayState> {
        let mut left = self.left();
        if let Some(segment) = self.segments.get(segment) {
            left.insert(segment.policy.name.clone(), RelayState::Normal);
        }
        left
    }
}

/// Whether the loss of the controller is recorded by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    Said,
    Unsaid,
}
