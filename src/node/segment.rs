//! One segment: where its relay is, where it was left, and the job that moves it.
//!
//! Cutting is free and may be repeated; `Normal` costs a ticket, counts against a limit, and is never ordered
//! from a place that was not read as cut. `Unknown` is neither.

use core::time::Duration;
use std::collections::VecDeque;

use super::action::Action;
use super::outbox::Outbox;
use super::policy::{ReadBackPolicy, SegmentPolicy};
use super::record::{Cause, Fact, Level};
use super::time::Instant;
use crate::board::controller::{
    CloseProof, CutState, Evidence, Fault, Moved, RelayState, SegmentReading, Ticket,
};

/// After this many tries in a row a relay counts as stuck, and the dead-man is left to fire.
pub(super) const TRIES_MAX: u32 = 3;
/// Between two of the first tries: longer than any settle time, so that a slow relay is not called stuck.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Between tries once stuck: often enough to notice a repair, seldom enough to spare coil and contacts.
const TRY_STUCK_AFTER: Duration = Duration::from_secs(10);
/// The span in which closes are counted.
pub(super) const CLOSES_SPAN: Duration = Duration::from_secs(3600);

const UNREAD: SegmentReading = SegmentReading {
    state: RelayState::Unknown,
    evidence: Evidence::Nothing,
};

/// One segment.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) policy: SegmentPolicy,
    pub(super) index: usize,
    pub(super) reading: SegmentReading,
    pub(super) read_at: Option<Instant>,
    /// Where we last put it, or found it and let it be.
    pub(super) left: Option<RelayState>,
    /// Found cut, or its right lapsed: it serves again only by way of a cut state and a full dwell.
    pub(super) must_prove: bool,
    /// The cut state has not been seen yet, or where nothing can be seen, not been acknowledged: until it is, no dwell
    /// that ends makes this one serve.
    pub(super) must_cut: bool,
    /// A dwell counts from here at the earliest.
    pub(super) prove_from: Instant,
    /// A predecessor's `Normal` on a board without read-back: say it again before relying on it.
    pub(super) reaffirm: bool,
    pub(super) wanted: (RelayState, Cause),
    pub(super) moves: u64,
    /// When its relay was last moved, by us or by others.
    pub(super) moved_at: Option<Instant>,
    pub(super) closes: VecDeque<Instant>,
    pub(super) limited: bool,
    /// The limit was told, and has been reached ever since.
    pub(super) limit_told: bool,
    job: Option<Job>,
    because: Because,
    tries: u32,
    try_at: Instant,
    stuck_told: bool,
}

/// What a look at the hardware found of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Where it was left, as far as can be read.
    InPlace,
    /// Somewhere else, and not by us.
    Moved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Ticket,
    Close,
    Cut(CutState),
}

/// Why the moves under way were ordered. What is wanted may be something else by the time they are answered.
#[derive(Debug, Clone)]
struct Because {
    close: Cause,
    cut: Cause,
}

impl Segment {
    pub(super) fn new(policy: SegmentPolicy, index: usize, now: Instant) -> Self {
        let fail = RelayState::from(policy.fail);
        let unreadable = policy.read_back == ReadBackPolicy::Impossible;
        Self {
            policy,
            index,
            reading: UNREAD,
            read_at: None,
            left: None,
            must_prove: false,
            must_cut: unreadable,
            prove_from: now,
            reaffirm: false,
            wanted: (fail, Cause::Dwelling),
            moves: 0,
            moved_at: None,
            closes: VecDeque::new(),
            limited: false,
            limit_told: false,
            job: None,
            because: Because {
                close: Cause::Dwelling,
                cut: Cause::Dwelling,
            },
            tries: 0,
            try_at: now,
            stuck_told: false,
        }
    }

    /// Where the relay is, as far as anything may be built on it: what was read; or, where nothing can ever
    /// be read, what was acknowledged.
    pub(super) fn place(&self) -> RelayState {
        match self.policy.read_back {
            ReadBackPolicy::Required => self.reading.state,
            ReadBackPolicy::Impossible => self.left.unwrap_or(RelayState::Unknown),
        }
    }

    /// Nothing ever says where its relay is.
    pub(super) fn is_unreadable(&self) -> bool {
        self.policy.read_back == ReadBackPolicy::Impossible
    }

    /// In `Normal`, or left there and not readable just now, with nothing that would have to be proven anew.
    pub(super) fn held(&self) -> bool {
        let place = match self.place() {
            RelayState::Unknown => self.left,
            read => Some(read),
        };
        place == Some(RelayState::Normal) && !self.must_prove
    }

    /// Its ports are negotiating anew after a move.
    pub(super) fn relinking(&self, now: Instant) -> bool {
        self.moved_at
            .is_some_and(|at| now.since(at) < self.policy.relink)
    }

    /// It should be cut, and tries enough have not shown that it is.
    pub(super) fn cut_overdue(&self) -> bool {
        self.wanted.0 != RelayState::Normal
            && self.place() != self.wanted.0
            && self.tries >= TRIES_MAX
    }

    pub(super) fn settled(&self) -> bool {
        self.job.is_none() && self.place() == self.wanted.0
    }

    /// It has a ticket out, or is asking for one.
    pub(super) fn closing(&self) -> bool {
        matches!(self.job, Some(Job::Ticket | Job::Close))
    }

    pub(super) fn busy(&self) -> bool {
        self.job.is_some()
    }

    /// The hardware cannot be asked now.
    pub(super) fn unread(&mut self) {
        self.reading = UNREAD;
    }

    /// The way to the hardware is back: what failed for want of it is tried at once. It still counts.
    pub(super) fn reachable(&mut self, now: Instant) {
        self.try_at = now;
    }

    /// A dwell starts over.
    pub(super) fn prove_again(&mut self, now: Instant) {
        self.must_prove = true;
        self.must_cut = !is_cut(self.place());
        self.prove_from = now;
    }

    pub(super) fn want(&mut self, now: Instant, wanted: RelayState, cause: Cause) {
        if self.wanted.0 != wanted {
            self.tries = 0;
            self.try_at = now;
            self.stuck_told = false;
            // The check that failed may be one that cannot speak while the relay is cut.
            if matches!(cause, Cause::CheckFailed(_) | Cause::CheckSilent(_)) {
                self.prove_from = now;
            }
        }
        self.wanted = (wanted, cause);
    }

    /// Take the next step towards what is wanted, if one is due.
    pub(super) fn step(&mut self, now: Instant, out: &mut Outbox) {
        match self.wanted.0 {
            RelayState::Normal => self.step_to_normal(now, out),
            RelayState::Bypass => self.step_to_cut(now, CutState::Bypass, out),
            RelayState::Disconnect => self.step_to_cut(now, CutState::Disconnect, out),
            RelayState::Unknown => {}
        }
    }

    fn step_to_normal(&mut self, now: Instant, out: &mut Outbox) {
        let from_cut = is_cut(self.place()) || self.reaffirm;
        if self.job.is_some() || now < self.try_at || !from_cut {
            return;
        }
        self.job = Some(Job::Ticket);
        out.push(Action::TakeTicket {
            segment: self.index,
        });
    }

    fn step_to_cut(&mut self, now: Instant, state: CutState, out: &mut Outbox) {
        // A cut does not wait for a close under way: it voids its ticket, or undoes it. Where the relay was read
        // meanwhile says nothing about where that close will leave it.
        let cutting = matches!(self.job, Some(Job::Cut(_)));
        let there = self.place() == state.into() && self.job != Some(Job::Close);
        if cutting || now < self.try_at || there {
            return;
        }
        self.job = Some(Job::Cut(state));
        self.because.cut = self.wanted.1.clone();
        out.push(Action::Cut {
            segment: self.index,
            state,
        });
    }

    /// Whether it would ask for a ticket now.
    pub(super) fn wants_ticket(&self, now: Instant) -> bool {
        let from_cut = matches!(self.place(), RelayState::Bypass | RelayState::Disconnect);
        self.wanted.0 == RelayState::Normal && self.job.is_none() && now >= self.try_at && from_cut
    }

    /// Close on a ticket that was taken before.
    pub(super) fn use_ticket(
        &mut self,
        now: Instant,
        ticket: Ticket,
        left: std::collections::BTreeMap<String, RelayState>,
        proof: CloseProof,
        out: &mut Outbox,
    ) {
        self.job = Some(Job::Ticket);
        self.ticket_taken(now, Ok(ticket), left, proof, out);
    }

    pub(super) fn ticket_taken(
        &mut self,
        now: Instant,
        outcome: Result<Ticket, Fault>,
        left: std::collections::BTreeMap<String, RelayState>,
        proof: CloseProof,
        out: &mut Outbox,
    ) {
        if self.job != Some(Job::Ticket) {
            return;
        }
        self.job = None;
        match outcome {
            Ok(ticket) if self.wanted.0 == RelayState::Normal => {
                self.job = Some(Job::Close);
                self.because.close = self.wanted.1.clone();
                if !self.reaffirm {
                    self.closes.push_back(now);
                }
                out.push(Action::RememberLeft { left });
                out.push(Action::Close {
                    segment: self.index,
                    ticket,
                    proof,
                });
            }
            Ok(_) => {}
            Err(_) => self.tried(now),
        }
    }

    pub(super) fn closed(&mut self, now: Instant, outcome: Result<Moved, Fault>, out: &mut Outbox) {
        if self.job == Some(Job::Close) {
            self.job = None;
        }
        let moved = match outcome {
            Ok(moved) => moved,
            Err(fault) => return self.failed(now, &fault, out),
        };
        self.saw(now, moved.after);
        if moved.after.state != RelayState::Normal && !self.is_unreadable() {
            return self.tried(now);
        }
        self.left = Some(RelayState::Normal);
        self.must_prove = false;
        self.must_cut = false;
        self.reaffirm = false;
        self.obeyed(now);
        if moved.commanded {
            self.moves += 1;
            self.moved_at = Some(now);
            let fact = Fact::Closed {
                segment: self.policy.name.clone(),
                cause: self.because.close.clone(),
                state: moved.after.state,
                evidence: moved.after.evidence,
            };
            out.record(now, Level::Info, fact);
        }
    }

    pub(super) fn cut(
        &mut self,
        now: Instant,
        state: CutState,
        outcome: Result<Moved, Fault>,
        out: &mut Outbox,
    ) {
        if matches!(self.job, Some(Job::Cut(_))) {
            self.job = None;
        }
        let moved = match outcome {
            Ok(moved) => moved,
            Err(fault) => return self.failed(now, &fault, out),
        };
        self.saw(now, moved.after);
        if moved.after.state != state.into() && !self.is_unreadable() {
            return self.tried(now);
        }
        let was_cut_by_others = !moved.commanded && self.left == Some(RelayState::Normal);
        if was_cut_by_others {
            self.prove_again(now);
            // The cut came before the next reading would have: nobody else will tell that it was moved behind our back.
            let segment = self.policy.name.clone();
            let (left, found) = (RelayState::Normal, moved.before);
            let fact = Fact::FoundMoved {
                segment,
                left,
                found,
            };
            out.record(now, Level::Alarm, fact);
        }
        self.left = Some(state.into());
        self.must_cut = false;
        self.reaffirm = false;
        self.obeyed(now);
        if moved.commanded {
            self.moves += 1;
            self.moved_at = Some(now);
            let fact = Fact::Cut {
                segment: self.policy.name.clone(),
                state,
                cause: self.because.cut.clone(),
                read: moved.after.state,
                evidence: moved.after.evidence,
            };
            out.record(now, Level::Info, fact);
        }
    }

    /// A look at the hardware. Adopts what it finds the first time; later, says what moved behind our back.
    pub(super) fn read(
        &mut self,
        now: Instant,
        reading: SegmentReading,
        out: &mut Outbox,
    ) -> Found {
        self.saw(now, reading);
        let found = reading.state;
        if self.is_unreadable() || found == RelayState::Unknown {
            return Found::InPlace;
        }
        let mut place = Found::InPlace;
        match self.left {
            None => {
                self.left = Some(found);
                let segment = self.policy.name.clone();
                let evidence = reading.evidence;
                out.record(
                    now,
                    Level::Info,
                    Fact::Adopted {
                        segment,
                        state: found,
                        evidence,
                    },
                );
            }
            Some(left) if left != found && self.job.is_none() => {
                place = Found::Moved;
                self.try_at = now;
                self.left = Some(found);
                self.moved_at = Some(now);
                self.prove_again(now);
                let segment = self.policy.name.clone();
                out.record(
                    now,
                    Level::Alarm,
                    Fact::FoundMoved {
                        segment,
                        left,
                        found,
                    },
                );
            }
            Some(_) => {}
        }
        if found == self.wanted.0 {
            self.obeyed(now);
        }
        place
    }

    /// When the next try is due, if one is waited for.
    pub(super) fn next_try(&self, now: Instant) -> Option<Instant> {
        (self.job.is_none() && self.place() != self.wanted.0 && self.try_at > now)
            .then_some(self.try_at)
    }

    /// Closes in the hour before `now`.
    pub(super) fn closes_last_hour(&self, now: Instant) -> u32 {
        let recent = self
            .closes
            .iter()
            .filter(|at| now.since(**at) < CLOSES_SPAN)
            .count();
        u32::try_from(recent).unwrap_or(u32::MAX)
    }

    pub(super) fn forget_old_closes(&mut self, now: Instant) {
        while self
            .closes
            .front()
            .is_some_and(|at| now.since(*at) >= CLOSES_SPAN)
        {
            self.closes.pop_front();
        }
        self.limit_told &= self.limit_reached(now);
    }

    /// No more closes may be decided now.
    pub(super) fn limit_reached(&self, now: Instant) -> bool {
        self.closes_last_hour(now) >= self.policy.closes_per_hour_max
    }

    fn saw(&mut self, now: Instant, reading: SegmentReading) {
        self.reading = reading;
        self.read_at = Some(now);
        self.must_cut &= !is_cut(reading.state);
    }

    fn obeyed(&mut self, now: Instant) {
        self.tries = 0;
        // Whoever gave up on it before and waits, waits for nothing: the next move is another one.
        self.try_at = now;
        self.stuck_told = false;
    }

    fn failed(&mut self, now: Instant, fault: &Fault, out: &mut Outbox) {
        self.unread();
        self.tried(now);
        let Fault::NotMoved { wanted, read, .. } = fault else {
            return;
        };
        if self.tries >= TRIES_MAX && !self.stuck_told {
            self.stuck_told = true;
            let segment = self.policy.name.clone();
            let fact = Fact::RelayStuck {
                segment,
                wanted: *wanted,
                read: *read,
            };
            out.record(now, Level::Alarm, fact);
        }
    }

    fn tried(&mut self, now: Instant) {
        self.tries = self.tries.saturating_add(1);
        let pause = if self.tries < TRIES_MAX {
            TRY_AGAIN_AFTER
        } else {
            TRY_STUCK_AFTER
        };
        self.try_at = now + pause;
    }
}

fn is_cut(state: RelayState) -> bool {
    matches!(state, RelayState::Bypass | RelayState::Disconnect)
}
