//! Monostable relays on GPIO lines: one coil per segment, energised = `Normal`.
//!
//! Hardware: the relay's rest position is its fail state, so loss of power, a dead host and a floating line all end
//! in the same safe place; this wiring fails open by physics. Optionally an auxiliary contact that is closed in
//! `Normal`, and a retriggerable timer on a kick line that gates the supply of all coils.
//!
//! What a state rests on: the contact if there is one. Without it the coil's line level is all there is
//! ([`Evidence::Drive`]): the relay itself was not seen. With a kick timer and no contact even that says nothing
//! once the last kick is older than the timer, and the state is `Unknown`.
//!
//! Dead-man: the timer restores the coils by itself when kicks return while their lines are still asserted. That
//! would be a close nobody decided. So a kick that comes after the timer ran out releases the coil lines first
//! and is refused; the driver is sticky in the timer's stead.
//!
//! What if the agent dies here? Its descriptors close and the lines float: the coils drop out. If somebody holds the
//! descriptors for it (the service manager's store), the lines stay as they are, and only the timer, if
//! fitted, cuts. A new agent finds asserted lines and adopts them; with a timer and no contact it cannot know
//! whether the timer ran out meanwhile, and refuses to arm until the segments were cut.

use core::time::Duration;

use super::bus::{Clock, Lines};
use super::controller::{
    ArmProof, Armed, Controller, CutState, DeadManReading, Evidence, Fault, Identity, Latch, Moved,
    Reading, RelayState, SegmentReading, SegmentSettings, Ticket,
};
use super::gpio_segment::{Contacts, OutputGroup};
use super::retrying::{not_stale, wait};
use super::vendor::{self, Segment, UNSEEN, Vendor, guarded_by};
use super::vendor_ticket::VendorTickets;
use crate::node::Instant;

/// Length of a kick pulse. Retriggerable timer chips take well below a microsecond; a slow opto-coupler in
/// between may need tens of microseconds.
const KICK_PULSE: Duration = Duration::from_millis(1);

/// The driver.
pub(crate) struct GpioMonostable {
    coils: OutputGroup,
    contacts: Contacts,
    timer: Option<Timer>,
    clock: Box<dyn Clock>,
    segments: Vec<Segment>,
    tickets: VendorTickets,
}

/// The retriggerable timer that gates the coils.
pub(crate) struct Timer {
    line: Box<dyn Lines>,
    period: Duration,
    state: TimerState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimerState {
    /// This process has not kicked it yet.
    Unseen,
    /// Last kicked at this instant.
    Kicked(Instant),
    /// It ran out; nothing is kicked until armed anew.
    Expired,
}

impl Timer {
    pub(crate) fn new(line: Box<dyn Lines>, period: Duration) -> Self {
        Self {
            line,
            period,
            state: TimerState::Unseen,
        }
    }

    fn refresh(&mut self, now: Instant) -> TimerState {
        if let TimerState::Kicked(last) = self.state
            && now.since(last) >= self.period
        {
            self.state = TimerState::Expired;
        }
        self.state
    }

    /// One edge into the asserted level. If an earlier pulse was cut short, the level is taken back first.
    fn pulse(&mut self, clock: &mut dyn Clock) -> Result<(), Fault> {
        if self.line.get()?.contains(&true) {
            self.line.set(&[false])?;
            wait(clock, KICK_PULSE);
        }
        self.line.set(&[true])?;
        self.state = TimerState::Kicked(clock.now());
        wait(clock, KICK_PULSE);
        Ok(self.line.set(&[false])?)
    }
}

impl GpioMonostable {
    pub(crate) fn new(
        coils: OutputGroup,
        contacts: Contacts,
        timer: Option<Timer>,
        clock: Box<dyn Clock>,
        segments: Vec<Segment>,
    ) -> Self {
        Self {
            coils,
            contacts,
            timer,
            clock,
            segments,
            tickets: VendorTickets::default(),
        }
    }

    fn dead_man(&mut self) -> DeadManReading {
        let now = self.clock.now();
        let Some(timer) = &mut self.timer else {
            return DeadManReading::Absent;
        };
        match timer.refresh(now) {
            TimerState::Unseen => DeadManReading::Unknown,
            TimerState::Kicked(last) => DeadManReading::Running {
                period: timer.period,
                remaining: Some(timer.period.saturating_sub(now.since(last))),
            },
            TimerState::Expired => {
                self.tickets.void();
                DeadManReading::Expired
            }
        }
    }

    /// Kicking energises every coil whose line is still asserted. A relay that fell all the same (the timer ran
    /// out, the supply had a dip) would be closed without a decision: take its line back first. Returns the
    /// name of a segment with an asserted line and no contact to tell.
    fn drop_fallen(&mut self) -> Result<Option<String>, Fault> {
        let mut unseen = None;
        for segment in 0..self.segments.len() {
            if self.coils.get(segment)? != Some(true) {
                continue;
            }
            let facts = self.segments.get(segment);
            let rest = facts.map_or(RelayState::Unknown, Segment::rest);
            match self.contacts.look(segment, rest)? {
                Some(seen) if seen.state == RelayState::Normal => {}
                Some(_) => self.coils.set(segment, false)?,
                None => unseen = facts.map(|facts| facts.name.clone()),
            }
        }
        Ok(unseen)
    }

    /// Whether the timer lets current through to the coils, as far as is known.
    fn gate(&mut self) -> Gate {
        match self.dead_man() {
            DeadManReading::Absent | DeadManReading::Running { .. } => Gate::Open,
            DeadManReading::Expired => Gate::Shut,
            DeadManReading::Disarmed | DeadManReading::Unknown => Gate::Unknown,
        }
    }
}

/// Whether an asserted coil line energises its coil.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Shut,
    Unknown,
}

impl Vendor for GpioMonostable {
    fn segments(&self) -> &[Segment] {
        &self.segments
    }

    fn tickets(&mut self) -> &mut VendorTickets {
        &mut self.tickets
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wait(&mut self, span: Duration) {
        wait(self.clock.as_mut(), span);
    }

    fn look(&mut self, segment: usize) -> Result<SegmentReading, Fault> {
        let rest = self
            .segments
            .get(segment)
            .map_or(RelayState::Unknown, Segment::rest);
        if let Some(reading) = self.contacts.look(segment, rest)? {
            return Ok(reading);
        }
        let Some(asserted) = self.coils.get(segment)? else {
            return Ok(UNSEEN);
        };
        let state = match (asserted, self.gate()) {
            (false, _) | (true, Gate::Shut) => rest,
            (true, Gate::Open) => RelayState::Normal,
            (true, Gate::Unknown) => RelayState::Unknown,
        };
        Ok(SegmentReading {
            state,
            evidence: Evidence::Drive,
        })
    }

    fn command(&mut self, segment: usize, state: RelayState) -> Result<(), Fault> {
        self.coils.set(segment, state == RelayState::Normal)
    }

    fn guarded(&mut self) -> Result<(), Fault> {
        let dead_man = self.dead_man();
        if dead_man == DeadManReading::Unknown {
            return guarded_by(DeadManReading::Disarmed);
        }
        guarded_by(dead_man)
    }
}

impl Controller for GpioMonostable {
    fn identify(&mut self) -> Result<Identity, Fault> {
        Ok(Identity {
            model: format!(
                "monostable relays on lines {}",
                self.coils.names().join(", ")
            ),
            firmware: None,
            unique_id: None,
        })
    }

    fn read(&mut self) -> Result<Reading, Fault> {
        let dead_man = self.dead_man();
        let segments = vendor::look_at_all(self)?;
        Ok(Reading {
            segments,
            dead_man,
            latch: Latch::Absent,
            generation: 0,
        })
    }

    fn configure(&mut self, settings: &[SegmentSettings]) -> Result<(), Fault> {
        vendor::check_settings(&self.segments, settings)
    }

    fn arm(&mut self, _period: Duration) -> Result<Armed, Fault> {
        self.tickets.void();
        if let Some(unseen) = self.drop_fallen()?
            && self.gate() != Gate::Open
        {
            return Err(Fault::Refused {
                what: "arm".to_owned(),
                reason: format!(
                    "the coil of segment {unseen} is asserted, and without a contact nobody knows \
                     whether the timer has dropped it; cut the segment first"
                ),
            });
        }
        let Some(timer) = &mut self.timer else {
            return Ok(Armed {
                effective: Duration::ZERO,
                proof: ArmProof::Inherent,
            });
        };
        timer.pulse(self.clock.as_mut())?;
        Ok(Armed {
            effective: timer.period,
            proof: ArmProof::WriteOnly,
        })
    }

    fn kick(&mut self, alive_until: Instant) -> Result<(), Fault> {
        let reason = match self.dead_man() {
            DeadManReading::Absent => return Ok(()),
            DeadManReading::Running { .. } => {
                self.drop_fallen()?;
                not_stale(self.clock.now(), alive_until)?;
                return match &mut self.timer {
                    Some(timer) => timer.pulse(self.clock.as_mut()),
                    None => Ok(()),
                };
            }
            DeadManReading::Expired => {
                self.coils.release_all()?;
                "the timer ran out; the coils were released, arm anew"
            }
            DeadManReading::Disarmed | DeadManReading::Unknown => {
                "this agent has not armed the timer; a kick could energise coils nobody ordered"
            }
        };
        Err(Fault::Refused {
            what: "kick".to_owned(),
            reason: reason.to_owned(),
        })
    }

    fn disarm(&mut self) -> Result<(), Fault> {
        self.tickets.void();
        match self.timer {
            // The timer cannot be stopped, only left to run out; with every coil released that moves nothing.
            Some(_) => self.coils.release_all(),
            None => Ok(()),
        }
    }

    fn take_ticket(&mut self) -> Result<Ticket, Fault> {
        vendor::take_ticket(self)
    }

    fn close(&mut self, segment: usize, ticket: Ticket) -> Result<Moved, Fault> {
        vendor::close(self, segment, ticket)
    }

    fn cut(&mut self, segment: usize, state: CutState) -> Result<Moved, Fault> {
        let moved = vendor::cut(self, segment, state)?;
        // Already at rest because the timer ran out: the line must not stay asserted for the next kick.
        if self.coils.get(segment)? == Some(true) {
            self.coils.set(segment, false)?;
        }
        Ok(moved)
    }
}

#[cfg(test)]
mod tests;
