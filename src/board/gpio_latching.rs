//! Latching relays on GPIO lines: a set coil and a reset coil per segment, pulsed.
//!
//! Hardware: a pulse on `set` puts the relay into `Normal`, a pulse on `reset` into the cut state, and there it stays
//! without current, with or without power. So this wiring does *not* fail open by itself: nothing moves it when
//! the host dies, and the board must add a dead-man or accept that (its profile says which).
//!
//! Electrical reasons: both coils of a relay at once leave its position undefined, so all coils are one line
//! request, and every write has at most one line asserted. The pulse must be longer than the relay's set time
//! and end: coils of small latching relays are not rated for continuous current.
//!
//! What a state rests on: the auxiliary contact if there is one; without it the state is `Unknown`, for a relay that
//! keeps its position says nothing through its coils.
//!
//! What if the agent dies in mid-pulse? Its descriptor closes, the line floats and the driver stage lets go of the
//! coil: the pulse was merely too short or long enough, and the contact tells which. If somebody holds the
//! descriptor for it (the service manager's store), the coil stays energised until the next agent opens the board:
//! that is the first thing it ends. Ending a pulse moves no relay.

use core::time::Duration;

use super::bus::{Clock, Lines};
use super::controller::{
    ArmProof, Armed, Controller, CutState, DeadManReading, Fault, Identity, Latch, Moved, Reading,
    RelayState, SegmentReading, SegmentSettings, Ticket,
};
use super::gpio_segment::Contacts;
use super::retrying::wait;
use super::vendor::{self, Segment, UNSEEN, Vendor};
use super::vendor_ticket::VendorTickets;
use crate::node::Instant;

/// The driver.
pub(crate) struct GpioLatching {
    /// Set and reset coil of each used segment, in turn.
    coils: Box<dyn Lines>,
    /// Per segment, which pair of `coils` is its own.
    pairs: Vec<Option<usize>>,
    contacts: Contacts,
    pulse: Duration,
    clock: Box<dyn Clock>,
    segments: Vec<Segment>,
    tickets: VendorTickets,
}

impl GpioLatching {
    /// Ends a pulse that an earlier agent did not live to end.
    pub(crate) fn new(
        mut coils: Box<dyn Lines>,
        pairs: Vec<Option<usize>>,
        contacts: Contacts,
        pulse: Duration,
        clock: Box<dyn Clock>,
        segments: Vec<Segment>,
    ) -> Result<Self, Fault> {
        let levels = coils.get()?;
        if levels.contains(&true) {
            coils.set(&vec![false; levels.len()])?;
        }
        let tickets = VendorTickets::default();
        Ok(Self {
            coils,
            pairs,
            contacts,
            pulse,
            clock,
            segments,
            tickets,
        })
    }

    /// Energise one line for the pulse's time. The coil is let go even if something fails in between.
    fn pulse(&mut self, line: usize) -> Result<(), Fault> {
        let idle = vec![false; self.coils.names().len()];
        let mut energised = idle.clone();
        let Some(level) = energised.get_mut(line) else {
            return Err(Fault::Incapable {
                what: format!("coil line {line}"),
                advice: format!("{} were requested", idle.len()),
            });
        };
        *level = true;
        let begun = self.coils.set(&energised);
        if begun.is_ok() {
            wait(self.clock.as_mut(), self.pulse);
        }
        // A coil that stays energised burns: try once more before giving up.
        self.coils.set(&idle).or_else(|_| self.coils.set(&idle))?;
        Ok(begun?)
    }
}

impl Vendor for GpioLatching {
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
        Ok(self.contacts.look(segment, rest)?.unwrap_or(UNSEEN))
    }

    fn command(&mut self, segment: usize, state: RelayState) -> Result<(), Fault> {
        let Some(pair) = self.pairs.get(segment).copied().flatten() else {
            return Err(Fault::Incapable {
                what: format!("segment {segment}"),
                advice: "none of the requested lines belongs to it".to_owned(),
            });
        };
        let coil = if state == RelayState::Normal { 0 } else { 1 };
        self.pulse(2 * pair + coil)
    }

    fn guarded(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

impl Controller for GpioLatching {
    fn identify(&mut self) -> Result<Identity, Fault> {
        Ok(Identity {
            model: format!("latching relays on lines {}", self.coils.names().join(", ")),
            firmware: None,
            unique_id: None,
        })
    }

    fn read(&mut self) -> Result<Reading, Fault> {
        let segments = vendor::look_at_all(self)?;
        Ok(Reading {
            segments,
            dead_man: DeadManReading::Absent,
            latch: Latch::Absent,
            generation: 0,
        })
    }

    fn configure(&mut self, settings: &[SegmentSettings]) -> Result<(), Fault> {
        vendor::check_settings(&self.segments, settings)
    }

    fn arm(&mut self, _period: Duration) -> Result<Armed, Fault> {
        Ok(Armed {
            effective: Duration::ZERO,
            proof: ArmProof::Inherent,
        })
    }

    fn kick(&mut self, _alive_until: Instant) -> Result<(), Fault> {
        Ok(())
    }

    fn disarm(&mut self) -> Result<(), Fault> {
        self.tickets.void();
        Ok(())
    }

    fn take_ticket(&mut self) -> Result<Ticket, Fault> {
        vendor::take_ticket(self)
    }

    fn close(&mut self, segment: usize, ticket: Ticket) -> Result<Moved, Fault> {
        vendor::close(self, segment, ticket)
    }

    fn cut(&mut self, segment: usize, state: CutState) -> Result<Moved, Fault> {
        vendor::cut(self, segment, state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::controller::Evidence;
    use crate::board::script::{ScriptClock, ScriptLines};

    const PULSE: Duration = Duration::from_millis(20);

    fn segments() -> Vec<Segment> {
        let states = [RelayState::Normal, RelayState::Disconnect];
        vec![
            Segment::bench("lan", &states),
            Segment::bench("dmz", &states),
        ]
    }

    fn driver(coils: &ScriptLines, contacts: Option<&ScriptLines>) -> GpioLatching {
        let contacts = Contacts::new(contacts.map(ScriptLines::boxed), vec![Some(0), Some(1)]);
        let pairs = vec![Some(0), Some(1)];
        let clock = ScriptClock::new().boxed();
        GpioLatching::new(coils.boxed(), pairs, contacts, PULSE, clock, segments()).unwrap()
    }

    #[test]
    fn one_coil_at_a_time_and_let_go() {
        let (coils, contacts) = (ScriptLines::new(&[false; 4]), ScriptLines::new(&[false; 2]));
        let mut driver = driver(&coils, Some(&contacts));
        let ticket = driver.take_ticket().unwrap();
        let fault = driver.close(1, ticket).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "segment 1 should be Normal and reads Disconnect"
        );
        assert_eq!(coils.written(), [[false, false, true, false], [false; 4]]);
    }

    #[test]
    fn a_relay_that_is_there_gets_no_pulse() {
        let (coils, contacts) = (
            ScriptLines::new(&[false; 4]),
            ScriptLines::new(&[true, false]),
        );
        let mut driver = driver(&coils, Some(&contacts));
        let ticket = driver.take_ticket().unwrap();
        assert!(!driver.close(0, ticket).unwrap().commanded);
        assert!(!driver.cut(1, CutState::Disconnect).unwrap().commanded);
        assert!(coils.written().is_empty());
    }

    #[test]
    fn a_stuck_relay_is_pulsed_three_times_and_reported() {
        let (coils, contacts) = (
            ScriptLines::new(&[false; 4]),
            ScriptLines::new(&[true, true]),
        );
        let mut driver = driver(&coils, Some(&contacts));
        let fault = driver.cut(0, CutState::Disconnect).unwrap_err();
        assert!(matches!(
            fault,
            Fault::NotMoved {
                read: RelayState::Normal,
                ..
            }
        ));
        assert_eq!(coils.written().len(), 6);
        assert_eq!(coils.levels(), [false; 4]);
    }

    #[test]
    fn without_contacts_the_state_stays_unknown() {
        let coils = ScriptLines::new(&[false; 4]);
        let mut driver = driver(&coils, None);
        let moved = driver.cut(0, CutState::Disconnect).unwrap();
        assert_eq!(moved.after.state, RelayState::Unknown);
        assert_eq!(moved.after.evidence, Evidence::Nothing);
        assert_eq!(coils.written(), [[false, true, false, false], [false; 4]]);
    }

    #[test]
    fn an_unfinished_pulse_is_ended_on_opening_and_nothing_else_is_written() {
        let coils = ScriptLines::new(&[true, false, false, false]);
        let mut driver = driver(&coils, None);
        driver.read().unwrap();
        assert_eq!(coils.written(), [[false; 4]]);
    }

    #[test]
    fn a_failing_line_is_reported_after_trying_to_let_go() {
        let coils = ScriptLines::new(&[false; 4]);
        let mut driver = driver(&coils, None);
        coils.fail();
        assert!(matches!(
            driver.cut(0, CutState::Disconnect),
            Err(Fault::Bus(_))
        ));
    }
}
