//! Riverbed bypass MCU: SMBus block writes with complements.
//!
//! Hardware: an MCU at 7-bit 0x24 takes block writes with command 0x55 and never answers. A message is each byte
//! followed by its complement, and at the end the number of bytes (in both nibbles) and its complement; the
//! part ignores a message in which any pair does not match. Facts and sources: `boards/riverbed.toml`.
//!
//! | message | bytes |
//! |---|---|
//! | plain network ports (`Normal`) | 0x03, port |
//! | wire (`Bypass`) | 0x02, port, 0x00 |
//! | both links down (`Disconnect`) | 0x02, port, 0x01 |
//!
//! The part needs 100 ms between two messages; an earlier one is lost without a sign. So messages are spaced by
//! the driver, attempts included.
//!
//! Nothing can be read back: an acknowledged message is the best there is, and the state stays `Unknown` for ever.
//! Nothing can be compared before writing either, so every order is sent. There is no dead-man.
//!
//! What if the agent dies here? The relay stays where the last complete message put it. A cut message falls to its
//! own check bytes.

use core::time::Duration;

use super::bus::Pec;
use super::controller::{
    ArmProof, Armed, Controller, CutState, DeadManReading, Fault, Identity, Latch, Moved, Reading,
    RelayState, SegmentReading, SegmentSettings, Ticket,
};
use super::retrying::Retrying;
use super::vendor::{self, Segment, UNSEEN, Vendor};
use super::vendor_ticket::VendorTickets;
use crate::node::Instant;

/// The only command.
const COMMAND: u8 = 0x55;

/// First byte of a message.
const UNIVERSAL: u8 = 0x03;
const SPECIAL: u8 = 0x02;

/// Third byte of a special message.
const BRIDGE: u8 = 0x00;
const NO_LINE: u8 = 0x01;

/// The part's rest between two messages.
const REST: Duration = Duration::from_millis(100);

/// The driver.
pub(crate) struct Riverbed {
    io: Retrying,
    address: u8,
    /// Port byte per segment.
    ports: Vec<u8>,
    segments: Vec<Segment>,
    tickets: VendorTickets,
    last_message: Option<Instant>,
}

impl Riverbed {
    pub(crate) fn new(io: Retrying, address: u8, ports: Vec<u8>, segments: Vec<Segment>) -> Self {
        let tickets = VendorTickets::default();
        let io = io.with_pause(REST);
        Self {
            io,
            address,
            ports,
            segments,
            tickets,
            last_message: None,
        }
    }
}

/// A message as it goes into the block: pairs of byte and complement, the count last.
fn message(bytes: &[u8]) -> Vec<u8> {
    // Two for each byte and two for the count itself: 6 or 8, so both fit a nibble.
    let count = u8::try_from(2 * bytes.len() + 2).unwrap_or(0) & 0x0f;
    let mut block = Vec::with_capacity(2 * bytes.len() + 2);
    for byte in bytes.iter().copied().chain([count << 4 | count]) {
        block.extend([byte, !byte]);
    }
    block
}

impl Vendor for Riverbed {
    fn segments(&self) -> &[Segment] {
        &self.segments
    }

    fn tickets(&mut self) -> &mut VendorTickets {
        &mut self.tickets
    }

    fn now(&self) -> Instant {
        self.io.now()
    }

    fn wait(&mut self, span: Duration) {
        self.io.wait(span);
    }

    fn look(&mut self, _segment: usize) -> Result<SegmentReading, Fault> {
        Ok(UNSEEN)
    }

    fn command(&mut self, segment: usize, state: RelayState) -> Result<(), Fault> {
        let port = self
            .ports
            .get(segment)
            .copied()
            .ok_or_else(|| Fault::Incapable {
                what: format!("segment {segment}"),
                advice: format!("the profile has {} port bytes", self.ports.len()),
            })?;
        let block = match state {
            RelayState::Normal => message(&[UNIVERSAL, port]),
            RelayState::Disconnect => message(&[SPECIAL, port, NO_LINE]),
            RelayState::Bypass | RelayState::Unknown => message(&[SPECIAL, port, BRIDGE]),
        };
        // An agent before us may have sent one just now, so the first message waits too.
        let since = self
            .last_message
            .map_or(Duration::ZERO, |last| self.io.now().since(last));
        self.io.wait(REST.saturating_sub(since));
        let address = self.address;
        let outcome = self
            .io
            .attempt(|bus| Ok(bus.block_write(address, COMMAND, &block, Pec::None)?));
        self.last_message = Some(self.io.now());
        outcome
    }

    fn guarded(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

impl Controller for Riverbed {
    fn identify(&mut self) -> Result<Identity, Fault> {
        // The part answers to nothing but writes, and a write would be an order.
        Ok(Identity {
            model: format!(
                "Riverbed bypass MCU at 0x{:02x} (does not identify itself)",
                self.address
            ),
            firmware: None,
            unique_id: None,
        })
    }

    fn read(&mut self) -> Result<Reading, Fault> {
        Ok(Reading {
            segments: vec![UNSEEN; self.segments.len()],
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
    use crate::board::script::{Script, ScriptClock};

    const NORMAL1: [u8; 6] = [0x03, 0xfc, 0x01, 0xfe, 0x66, 0x99];
    const BRIDGE0: [u8; 8] = [0x02, 0xfd, 0x00, 0xff, 0x00, 0xff, 0x88, 0x77];
    const NO_LINE1: [u8; 8] = [0x02, 0xfd, 0x01, 0xfe, 0x01, 0xfe, 0x88, 0x77];

    fn driver(script: &Script, clock: &ScriptClock) -> Riverbed {
        let states = [
            RelayState::Normal,
            RelayState::Bypass,
            RelayState::Disconnect,
        ];
        let segments = vec![
            Segment::bench("lan0", &states),
            Segment::bench("lan1", &states),
        ];
        let io = Retrying::new(script.bus(), clock.boxed());
        Riverbed::new(io, 0x24, vec![0x01, 0x00], segments)
    }

    #[test]
    fn messages_are_as_the_part_wants_them() {
        let (script, clock) = (Script::new(), ScriptClock::new());
        script.block(0x24, 0x55, &NORMAL1);
        script.block(0x24, 0x55, &BRIDGE0);
        script.block(0x24, 0x55, &NO_LINE1);
        let mut driver = driver(&script, &clock);
        let ticket = driver.take_ticket().unwrap();
        driver.close(0, ticket).unwrap();
        driver.cut(1, CutState::Bypass).unwrap();
        let moved = driver.cut(0, CutState::Disconnect).unwrap();
        assert_eq!(moved.after.state, RelayState::Unknown);
        script.assert_done();
    }

    #[test]
    fn messages_are_a_tenth_of_a_second_apart() {
        let (script, clock) = (Script::new(), ScriptClock::new());
        script.block(0x24, 0x55, &BRIDGE0);
        script.block(0x24, 0x55, &BRIDGE0);
        let mut driver = driver(&script, &clock);
        let start = driver.now();
        driver.cut(1, CutState::Bypass).unwrap();
        driver.cut(1, CutState::Bypass).unwrap();
        // The second one began 100 ms after the first, of which 20 were its settle time.
        assert!(driver.now().since(start) >= REST + REST);
        script.assert_done();
    }

    #[test]
    fn an_adapter_without_block_writes_is_named() {
        let (script, clock) = (Script::new(), ScriptClock::new());
        script.block_fails(0x24, 0x55, &BRIDGE0, script.unsupported("block write"));
        let fault = driver(&script, &clock)
            .cut(1, CutState::Bypass)
            .unwrap_err();
        assert_eq!(
            fault.to_string(),
            "script cannot do block write; it offers: send byte"
        );
        script.assert_done();
    }

    #[test]
    fn reading_and_identifying_touch_nothing() {
        let (script, clock) = (Script::new(), ScriptClock::new());
        let mut driver = driver(&script, &clock);
        driver.identify().unwrap();
        assert_eq!(
            driver.read().unwrap().segments[1].state,
            RelayState::Unknown
        );
        script.assert_done();
    }
}
