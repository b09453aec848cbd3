//! A relay that is held in `Normal` by a square wave (TechNexion TEK-IMX8MP class).
//!
//! Hardware: a small MCU watches one line and holds the relay in `Normal` while it sees edges (the vendor's own
//! script: one every 200 ms). No register, no contact, no status. The wave *is* the dead-man. Facts and
//! sources: `boards/technexion-tek-imx8mp.toml`.
//!
//! So a kick is an edge, and only while the segment is ordered into `Normal`; a cut is the end of edges, and no bus
//! fault can prevent it. The first edge is the opposite of the level read from the line, never a guess.
//!
//! The part restores `Normal` by itself when edges come back. That would be a close nobody decided, so the driver
//! is sticky in its stead: an edge later than the part's time-out ends the order; it must be armed, ticketed
//! and closed again.
//!
//! Nothing is read, so the state is `Unknown` for ever and never reported as good.
//!
//! What if the agent dies here? The edges stop, whatever level the line is left at or floats to, and the relay
//! falls to bypass within the MCU's time-out. A new agent starts without an order and sends no edge.

use core::time::Duration;

use super::bus::{Clock, Lines};
use super::controller::{
    ArmProof, Armed, Controller, CutState, DeadManReading, Fault, Identity, Latch, Moved, Reading,
    RelayState, SegmentReading, SegmentSettings, Ticket,
};
use super::retrying::{not_stale, wait};
use super::vendor::{self, Segment, UNSEEN, Vendor, guarded_by};
use super::vendor_ticket::VendorTickets;
use crate::node::Instant;

/// The driver.
pub(crate) struct PulseTrain {
    wave: Box<dyn Lines>,
    clock: Box<dyn Clock>,
    /// The part's time-out: without an edge for this long the relay is in bypass.
    period: Duration,
    segments: Vec<Segment>,
    tickets: VendorTickets,
    order: Order,
}

/// What the segment was ordered into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// No edges.
    Cut,
    /// Edges, the last one at this instant.
    Normal(Instant),
    /// An edge came too late; no more until armed anew.
    Expired,
}

impl PulseTrain {
    pub(crate) fn new(
        wave: Box<dyn Lines>,
        clock: Box<dyn Clock>,
        period: Duration,
        segments: Vec<Segment>,
    ) -> Self {
        let tickets = VendorTickets::default();
        Self {
            wave,
            clock,
            period,
            segments,
            tickets,
            order: Order::Cut,
        }
    }

    /// Notice an expiry that time alone brought about.
    fn refresh(&mut self) -> DeadManReading {
        if let Order::Normal(last_edge) = self.order
            && self.clock.now().since(last_edge) >= self.period
        {
            self.order = Order::Expired;
            self.tickets.void();
        }
        match self.order {
            Order::Expired => DeadManReading::Expired,
            Order::Cut | Order::Normal(_) => DeadManReading::Unknown,
        }
    }

    fn edge(&mut self) -> Result<(), Fault> {
        let levels: Vec<bool> = self.wave.get()?.iter().map(|level| !level).collect();
        self.wave.set(&levels)?;
        self.order = Order::Normal(self.clock.now());
        Ok(())
    }
}

impl Vendor for PulseTrain {
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

    fn look(&mut self, _segment: usize) -> Result<SegmentReading, Fault> {
        Ok(UNSEEN)
    }

    fn command(&mut self, _segment: usize, state: RelayState) -> Result<(), Fault> {
        if state == RelayState::Normal {
            return self.edge();
        }
        self.order = Order::Cut;
        Ok(())
    }

    fn guarded(&mut self) -> Result<(), Fault> {
        guarded_by(self.refresh())
    }
}

impl Controller for PulseTrain {
    fn identify(&mut self) -> Result<Identity, Fault> {
        Ok(Identity {
            model: format!("pulse-train relay on line {}", self.wave.names().join(", ")),
            firmware: None,
            unique_id: None,
        })
    }

    fn read(&mut self) -> Result<Reading, Fault> {
        let dead_man = self.refresh();
        Ok(Reading {
            segments: vec![UNSEEN; self.segments.len()],
            dead_man,
            latch: Latch::Absent,
            generation: 0,
        })
    }

    fn configure(&mut self, settings: &[SegmentSettings]) -> Result<(), Fault> {
        vendor::check_settings(&self.segments, settings)
    }

    fn arm(&mut self, _period: Duration) -> Result<Armed, Fault> {
        if self.refresh() == DeadManReading::Expired {
            self.order = Order::Cut;
        }
        Ok(Armed {
            effective: self.period,
            proof: ArmProof::Inherent,
        })
    }

    fn kick(&mut self, alive_until: Instant) -> Result<(), Fault> {
        if self.refresh() == DeadManReading::Expired {
            let reason =
                "the last edge is older than the part's time-out; another one would close \
                          the relay without a decision"
                    .to_owned();
            return Err(Fault::Refused {
                what: "kick".to_owned(),
                reason,
            });
        }
        not_stale(self.clock.now(), alive_until)?;
        match self.order {
            Order::Normal(_) => self.edge(),
            Order::Cut | Order::Expired => Ok(()),
        }
    }

    fn disarm(&mut self) -> Result<(), Fault> {
        self.tickets.void();
        self.order = Order::Cut;
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
    use crate::board::script::{ScriptClock, ScriptLines};

    const PERIOD: Duration = Duration::from_secs(1);

    struct Bench {
        driver: PulseTrain,
        wave: ScriptLines,
        clock: ScriptClock,
    }

    fn bench(level: bool) -> Bench {
        let (wave, clock) = (ScriptLines::new(&[level]), ScriptClock::new());
        let segment = Segment::bench("lan", &[RelayState::Normal, RelayState::Bypass]);
        let driver = PulseTrain::new(wave.boxed(), clock.boxed(), PERIOD, vec![segment]);
        Bench {
            driver,
            wave,
            clock,
        }
    }

    impl Bench {
        fn kick(&mut self) -> Result<(), Fault> {
            let soon = self.clock.now() + Duration::from_millis(100);
            self.driver.kick(soon)
        }

        fn close(&mut self) -> Result<Moved, Fault> {
            let ticket = self.driver.take_ticket()?;
            self.driver.close(0, ticket)
        }
    }

    #[test]
    fn nothing_moves_before_a_close() {
        let mut bench = bench(true);
        bench.driver.identify().unwrap();
        bench.driver.read().unwrap();
        bench.driver.arm(PERIOD).unwrap();
        bench.kick().unwrap();
        assert!(bench.wave.written().is_empty());
    }

    #[test]
    fn every_kick_is_an_edge_from_the_level_that_was_there() {
        let mut bench = bench(true);
        let moved = bench.close().unwrap();
        assert_eq!(moved.after.state, RelayState::Unknown);
        assert!(moved.commanded);
        bench.kick().unwrap();
        bench.kick().unwrap();
        assert_eq!(bench.wave.written(), [[false], [true], [false]]);
    }

    #[test]
    fn a_cut_ends_the_edges_even_with_a_dead_line() {
        let mut bench = bench(false);
        bench.close().unwrap();
        bench.wave.fail();
        bench.driver.cut(0, CutState::Bypass).unwrap();
        bench.kick().unwrap();
        assert_eq!(bench.wave.written().len(), 1);
    }

    #[test]
    fn a_late_edge_is_not_sent_and_expiry_is_sticky() {
        let mut bench = bench(false);
        let early_ticket = bench.driver.take_ticket().unwrap();
        bench.driver.close(0, early_ticket).unwrap();
        bench.clock.advance(PERIOD);
        assert!(matches!(bench.kick(), Err(Fault::Refused { .. })));
        assert!(matches!(bench.close(), Err(Fault::Refused { .. })));
        assert_eq!(
            bench.driver.read().unwrap().dead_man,
            DeadManReading::Expired
        );
        assert_eq!(bench.wave.written().len(), 1);

        bench.driver.arm(PERIOD).unwrap();
        bench.kick().unwrap();
        assert_eq!(bench.wave.written().len(), 1, "armed again, still cut");
        bench.close().unwrap();
        assert_eq!(bench.wave.written().len(), 2);
    }

    #[test]
    fn a_stale_kick_is_no_edge() {
        let mut bench = bench(false);
        bench.close().unwrap();
        let past = bench.clock.now();
        assert!(matches!(
            bench.driver.kick(past),
            Err(Fault::Stale { late_ms: 0, .. })
        ));
        assert_eq!(bench.wave.written().len(), 1);
    }

    #[test]
    fn disconnect_is_not_in_this_board() {
        let fault = bench(false)
            .driver
            .cut(0, CutState::Disconnect)
            .unwrap_err();
        assert_eq!(
            fault.to_string(),
            "segment lan into Disconnect: this board cannot; it can be Normal or Bypass"
        );
    }
}
