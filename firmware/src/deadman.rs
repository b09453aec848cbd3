//! The dead-man: relays stay closed only until a tick that a living host named.
//!
//! A kick names a *deadline* ("alive until tick t"), not a duration. It is absolute and idempotent; a copy that
//! arrives late extends nothing beyond what the host meant when it decided. Expiry is sticky.
//!
//! Ticks restart at power-up, so a deadline from before a power cycle would lie far in the new future. Hence the
//! *session*: a number with a random start, raised on every arm, disarm, expiry and acknowledge. Every order that
//! touches the timer names the session its author saw; an order from another session is refused, however late or
//! from whichever host boot it comes. A restarted agent reads the session and goes on kicking.

use crate::Tick;
use crate::command::Refusal;
use crate::relay::SegmentMask;
use crate::strapping::Strapping;

/// State of the dead-man.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerState {
    /// Not running. No segment may be `Normal`.
    Disarmed,
    /// Running towards its deadline.
    Running,
    /// Ran out, and nobody has acknowledged it yet.
    Expired,
}

/// The timer.
#[derive(Clone, Debug)]
pub(crate) struct DeadMan {
    state: TimerState,
    session: u32,
    window_ms: u32,
    deadline: Tick,
    armed: SegmentMask,
}

impl DeadMan {
    pub(crate) fn new(session: u32) -> Self {
        Self {
            state: TimerState::Disarmed,
            session,
            window_ms: 0,
            deadline: 0,
            armed: SegmentMask::NONE,
        }
    }

    pub(crate) fn state(&self) -> TimerState {
        self.state
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == TimerState::Running
    }

    pub(crate) fn session(&self) -> u32 {
        self.session
    }

    pub(crate) fn armed(&self) -> SegmentMask {
        self.armed
    }

    pub(crate) fn window_ms(&self) -> u32 {
        self.window_ms
    }

    /// The tick at which it expires, while running.
    pub(crate) fn deadline(&self) -> Option<Tick> {
        self.is_running().then_some(self.deadline)
    }

    /// Milliseconds left, 0 unless running.
    pub(crate) fn remaining_ms(&self, now: Tick) -> u32 {
        let left = self
            .deadline()
            .map_or(0, |deadline| deadline.saturating_sub(now));
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    pub(crate) fn check_session(&self, session: u32) -> Result<(), Refusal> {
        if session == self.session {
            Ok(())
        } else {
            Err(Refusal::StaleSession)
        }
    }

    /// Refuses unless running, and says which of the two other states it is.
    pub(crate) fn check_running(&self) -> Result<(), Refusal> {
        match self.state {
            TimerState::Running => Ok(()),
            TimerState::Disarmed => Err(Refusal::TimerNotRunning),
            TimerState::Expired => Err(Refusal::Expired),
        }
    }

    /// Starts the timer, or re-arms a running one with other segments or another window. Never shortens.
    pub(crate) fn arm(
        &mut self,
        now: Tick,
        segments: SegmentMask,
        window_ms: u32,
        deadline: Tick,
    ) -> Result<u32, Refusal> {
        if self.state == TimerState::Expired {
            return Err(Refusal::Expired);
        }
        if !(Strapping::WINDOW_MIN_MS..=Strapping::WINDOW_MAX_MS).contains(&window_ms) {
            return Err(Refusal::WindowOutOfRange);
        }
        if deadline <= now {
            return Err(Refusal::DeadlinePassed);
        }
        let floor = self.deadline().unwrap_or(0);
        self.state = TimerState::Running;
        self.armed = segments;
        self.window_ms = window_ms;
        self.deadline = floor.max(self.cap(now, deadline));
        self.next_session();
        Ok(self.session)
    }

    /// timer := max(timer, min(deadline - now, window)). Returns the milliseconds left.
    pub(crate) fn kick(&mut self, now: Tick, deadline: Tick) -> Result<u32, Refusal> {
        self.check_running()?;
        if deadline <= now {
            return Err(Refusal::DeadlinePassed);
        }
        self.deadline = self.deadline.max(self.cap(now, deadline));
        Ok(self.remaining_ms(now))
    }

    pub(crate) fn disarm(&mut self) -> Result<(), Refusal> {
        self.check_running()?;
        self.stop(TimerState::Disarmed);
        Ok(())
    }

    pub(crate) fn acknowledge_expiry(&mut self) -> Result<(), Refusal> {
        if self.state != TimerState::Expired {
            return Err(Refusal::NotExpired);
        }
        self.stop(TimerState::Disarmed);
        Ok(())
    }

    /// If it has just run out: expires, and returns the segments that were armed.
    pub(crate) fn expire(&mut self, now: Tick) -> Option<SegmentMask> {
        let deadline = self.deadline()?;
        if now < deadline {
            return None;
        }
        let armed = self.armed;
        self.stop(TimerState::Expired);
        Some(armed)
    }

    fn stop(&mut self, state: TimerState) {
        self.state = state;
        self.armed = SegmentMask::NONE;
        self.next_session();
    }

    fn cap(&self, now: Tick, deadline: Tick) -> Tick {
        deadline.min(now.saturating_add(u64::from(self.window_ms)))
    }

    fn next_session(&mut self) {
        self.session = self.session.wrapping_add(1);
    }
}
