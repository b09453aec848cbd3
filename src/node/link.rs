//! The way to the controller: opened, read, lost, found again.
//!
//! Losing the controller moves no relay by itself. The kicks cannot arrive either, so its dead-man does what
//! it is there for; this module only says so, and keeps asking.

use core::time::Duration;

use super::action::Action;
use super::outbox::Outbox;
use super::record::{Fact, Level};
use super::time::Instant;
use crate::board::controller::{Fault, Identity, SegmentSettings};

/// First pause before asking a silent controller again; doubles up to the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest pause: a repaired bus is noticed within this.
const RETRY_LONGEST: Duration = Duration::from_secs(2);

/// After this many faults in a row the way itself is suspected (an adapter that went and came back) and
/// opened anew. Opening moves no relay.
const REOPEN_EVERY: u32 = 8;

/// The way to the controller.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) identity: Option<Identity>,
    fault: Option<String>,
    /// The last command was not taken, by a controller that nothing else can be known of.
    untaken: Option<String>,
    /// The hardware was seen at least once: what was left there is adopted.
    pub(super) adopted: bool,
    phase: Phase,
    read_every: Duration,
    reading_since: Option<Instant>,
    pub(super) read_at: Option<Instant>,
    next_read: Instant,
    faults: u32,
    retry_at: Instant,
    generation: Option<u32>,
    configured: Setting,
    configure_at: Instant,
    settings_told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Opening(Instant),
    Open,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    Due,
    Sent,
    Done,
}

impl Link {
    pub(super) fn new(read_every: Duration, now: Instant) -> Self {
        Self {
            identity: None,
            fault: None,
            untaken: None,
            adopted: false,
            phase: Phase::Closed,
            read_every,
            reading_since: None,
            read_at: None,
            next_read: now,
            faults: 0,
            retry_at: now,
            generation: None,
            configured: Setting::Due,
            configure_at: now,
            settings_told: false,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// The hardware was seen and has not been lost since.
    pub(super) fn is_good(&self) -> bool {
        self.is_open() && self.fault.is_none() && self.read_at.is_some()
    }

    /// The latch generation last read.
    pub(super) fn generation(&self) -> Option<u32> {
        self.generation
    }

    /// The last look at it failed.
    pub(super) fn is_lost(&self) -> bool {
        self.fault.is_some()
    }

    pub(super) fn configured(&self) -> bool {
        self.configured == Setting::Done
    }

    /// Since when the longest unanswered job has been waiting.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Opening(since) => Some(since),
            Phase::Closed | Phase::Open => self.reading_since,
        }
    }

    pub(super) fn step_open(&mut self, now: Instant, out: &mut Outbox) {
        if self.phase == Phase::Closed && now >= self.retry_at {
            self.phase = Phase::Opening(now);
            out.push(Action::Open);
        }
    }

    pub(super) fn opened(
        &mut self,
        now: Instant,
        outcome: Result<Identity, Fault>,
        out: &mut Outbox,
    ) {
        match outcome {
            Ok(identity) => {
                self.phase = Phase::Open;
                self.identity = Some(identity);
                self.next_read = now;
            }
            Err(fault) => {
                self.phase = Phase::Closed;
                self.lost(now, &fault, out);
            }
        }
    }

    pub(super) fn step_read(&mut self, now: Instant, out: &mut Outbox) {
        if self.is_open() && self.reading_since.is_none() && now >= self.next_read {
            self.reading_since = Some(now);
            out.push(Action::Read);
        }
    }

    /// What was read no longer counts; look again at once.
    pub(super) fn doubt(&mut self, now: Instant) {
        self.read_at = None;
        self.read_soon(now);
    }

    /// Look again at once.
    pub(super) fn read_soon(&mut self, now: Instant) {
        self.next_read = self.next_read.min(now);
    }

    /// Our own look was answered, well or not. Looks that others take say nothing of whether ours has come back.
    pub(super) fn answered(&mut self) {
        self.reading_since = None;
    }

    pub(super) fn read_failed(&mut self, now: Instant, fault: &Fault, out: &mut Outbox) {
        self.lost(now, fault, out);
        self.next_read = self.retry_at;
    }

    /// A good reading. Returns whether the controller restarted or its latch moved since the last one.
    pub(super) fn read(&mut self, now: Instant, generation: u32, out: &mut Outbox) -> bool {
        self.adopted = true;
        self.read_at = Some(now);
        self.next_read = now + self.read_every;
        self.faults = 0;
        if self.fault.take().is_some() {
            out.record(now, Level::Info, Fact::ControllerBack);
        }
        let changed = self.generation.is_some_and(|known| known != generation);
        self.generation = Some(generation);
        changed
    }

    /// A command to a controller that cannot be read was taken, or was not. Only told: the next command is tried all the
    /// same, because nothing else would ever show that the bus works again.
    pub(super) fn commanded(&mut self, now: Instant, fault: Option<&Fault>, out: &mut Outbox) {
        let before = self.untaken.take();
        self.untaken = fault.map(Fault::to_string);
        match (before, &self.untaken) {
            (None, Some(fault)) => {
                let fault = fault.clone();
                out.record(now, Level::Alarm, Fact::ControllerLost { fault });
            }
            (Some(_), None) => out.record(now, Level::Info, Fact::ControllerBack),
            _ => {}
        }
    }

    /// What is wrong with the controller, in a sentence.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.clone().or_else(|| self.untaken.clone())
    }

    /// The stored settings may have gone with whatever happened to the controller.
    pub(super) fn configure_again(&mut self) {
        self.configured = Setting::Due;
    }

    pub(super) fn step_configure(
        &mut self,
        now: Instant,
        settings: impl FnOnce() -> Vec<SegmentSettings>,
        out: &mut Outbox,
    ) {
        if self.configured == Setting::Due && now >= self.configure_at {
            self.configured = Setting::Sent;
            out.push(Action::Configure {
                settings: settings(),
            });
        }
    }

    pub(super) fn configure_done(
        &mut self,
        now: Instant,
        outcome: Result<(), Fault>,
        out: &mut Outbox,
    ) {
        match outcome {
            Ok(()) => {
                self.configured = Setting::Done;
                self.settings_told = false;
            }
            Err(fault) => {
                self.configured = Setting::Due;
                self.configure_at = now + RETRY_LONGEST;
                if !self.settings_told {
                    self.settings_told = true;
                    let fact = Fact::SettingsFailed {
                        fault: fault.to_string(),
                    };
                    out.record(now, Level::Alarm, fact);
                }
            }
        }
    }

    /// The controller did not answer, or answered nonsense.
    pub(super) fn lost(&mut self, now: Instant, fault: &Fault, out: &mut Outbox) {
        let pause = RETRY_FIRST * 2u32.saturating_pow(self.faults.min(8));
        self.retry_at = now + pause.min(RETRY_LONGEST);
        self.faults = self.faults.saturating_add(1);
        if self.faults.is_multiple_of(REOPEN_EVERY) && self.phase == Phase::Open {
            self.phase = Phase::Closed;
        }
        let text = fault.to_string();
        if self.fault.is_none() {
            out.record(
                now,
                Level::Alarm,
                Fact::ControllerLost {
                    fault: text.clone(),
                },
            );
        }
        self.fault = Some(text);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        match self.phase {
            Phase::Closed => Some(self.retry_at),
            Phase::Opening(_) => None,
            Phase::Open if self.reading_since.is_some() => None,
            Phase::Open => Some(self.next_read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_others_took_leaves_ours_under_way() {
        let (now, mut out) = (Instant::from_millis(5), Outbox::default());
        let mut link = Link::new(Duration::from_millis(500), now);
        link.step_open(now, &mut out);
        link.opened(now, Ok(Identity::default()), &mut out);
        link.step_read(now, &mut out);
        assert_eq!(link.waiting_since(), Some(now));
        let later = now + Duration::from_millis(2);
        link.read(later, 0, &mut out);
        assert_eq!(link.waiting_since(), Some(now));
        link.answered();
        assert_eq!(link.waiting_since(), None);
    }
}
