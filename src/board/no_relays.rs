//! No bypass hardware at all: a host whose only way off the wire is to stop serving.
//!
//! A controller like any other to the node, so that there is one node and not two: it has no segments, no dead-man
//! and no latch, and says so. Its tickets are worth nothing and are asked for all the same: nothing closes on them.
//! What if this dies here? There is nothing it could have left behind.

use core::time::Duration;

use super::controller::{
    Armed, Controller, CutState, DeadManReading, Fault, Identity, Latch, Moved, Reading,
    SegmentSettings, Ticket,
};
use super::profile::{
    Board, Confidence, ControllerSpec, DeadManKind, DeadManSpec, Expiry, OnRelease, Periods,
};
use crate::node::Instant;

/// What `board` says for it. No profile has this name: there are no facts to correct.
pub const NO_RELAYS: &str = "none";

/// The driver of nothing.
#[derive(Debug, Default)]
pub(crate) struct NoRelays {
    tickets: u32,
}

impl Board {
    /// A host without bypass hardware.
    pub fn without_relays() -> Self {
        Self {
            id: NO_RELAYS.to_owned(),
            title: "no bypass hardware: only addresses move".to_owned(),
            confidence: Confidence::High,
            controller: ControllerSpec::Absent,
            segments: Vec::new(),
            dead_man: DeadManSpec {
                kind: DeadManKind::Absent,
                periods: Periods::None,
                expiry: Expiry::Unknown,
            },
            on_release: OnRelease::Holds,
            fence: None,
            leds: Vec::new(),
            buttons: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// Whether there is bypass hardware.
    pub fn has_relays(&self) -> bool {
        self.controller != ControllerSpec::Absent
    }
}

impl Controller for NoRelays {
    fn identify(&mut self) -> Result<Identity, Fault> {
        Ok(Identity {
            model: "none".to_owned(),
            ..Identity::default()
        })
    }

    fn read(&mut self) -> Result<Reading, Fault> {
        Ok(Reading {
            segments: Vec::new(),
            dead_man: DeadManReading::Absent,
            latch: Latch::Absent,
            generation: 0,
        })
    }

    fn configure(&mut self, _settings: &[SegmentSettings]) -> Result<(), Fault> {
        Ok(())
    }

    fn arm(&mut self, _period: Duration) -> Result<Armed, Fault> {
        Err(incapable("dead-man"))
    }

    fn kick(&mut self, _alive_until: Instant) -> Result<(), Fault> {
        Err(incapable("dead-man"))
    }

    fn disarm(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn take_ticket(&mut self) -> Result<Ticket, Fault> {
        self.tickets = self.tickets.wrapping_add(1);
        Ok(Ticket(self.tickets))
    }

    fn close(&mut self, _segment: usize, _ticket: Ticket) -> Result<Moved, Fault> {
        Err(incapable("relay"))
    }

    fn cut(&mut self, _segment: usize, _state: CutState) -> Result<Moved, Fault> {
        Err(incapable("relay"))
    }
}

fn incapable(what: &str) -> Fault {
    Fault::Incapable {
        what: what.to_owned(),
        advice: "this host has no bypass hardware; see `board` in the configuration".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_nothing_and_moves_nothing() {
        let mut nothing = NoRelays::default();
        let reading = nothing.read_fence().unwrap();
        assert_eq!(reading.reading.segments, []);
        assert_eq!(reading.reading.latch, Latch::Absent);
        assert_eq!(reading.reading.dead_man, DeadManReading::Absent);
        let tickets = [nothing.take_ticket(), nothing.take_ticket()];
        assert_ne!(tickets[0], tickets[1]);
        for refused in [
            nothing.close(0, Ticket(1)),
            nothing.cut(0, CutState::Disconnect),
        ] {
            assert!(matches!(refused, Err(Fault::Incapable { .. })));
        }
        assert!(nothing.fence(Instant::ZERO).is_err());
    }
}
