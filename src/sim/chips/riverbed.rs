//! Riverbed's SMBus MCU: block writes of complemented bytes, and no way to read anything.
//!
//! Facts: the public mode tool. Command 0x55; every payload byte is followed by its complement; the last pair
//! is `len << 4 | len`, where `len` counts the payload with that pair; examples have lengths 6 and 8. First
//! byte: 0x03 universal (a plain network card), 0x02 special; second: the port; third, of special only:
//! 0x00 bridge, 0x01 no line. The tool waits 100 ms between two writes.
//!
//! Not in the source, so choices here: a write within 100 ms of the last good one is ignored, as are
//! malformed ones; reads are not acknowledged; relays latch and power changes move nothing unless told.

use core::time::Duration;

use super::{Body, Chip, Health, Power};
use crate::board::RelayState;
use crate::node::Instant;
use crate::sim::fault::NotApplicable;
use crate::sim::port::I2cFault;
use crate::sim::relay::{MoveCause, Relay, RelayKind, RelayTiming};

const COMMAND: u8 = 0x55;
/// Time the MCU needs for itself after a write.
const BUSY: Duration = Duration::from_millis(100);

/// What the relays do at a change of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PowerStates {
    /// At power-up; `None`: they stay.
    pub up: Option<RelayState>,
    /// Without power; `None`: they stay.
    pub off: Option<RelayState>,
}

/// The MCU and its relays, one per port byte.
#[derive(Debug)]
pub struct RiverbedMcu {
    body: Body,
    ports: Vec<u8>,
    states: PowerStates,
    last: Option<Instant>,
    ignored: u64,
}

impl RiverbedMcu {
    /// An MCU just powered up, for the first time in bypass if nothing else is said.
    pub fn new(ports: &[u8], states: PowerStates, timing: RelayTiming) -> Self {
        let position = states.up.unwrap_or(RelayState::Bypass);
        let relay = Relay::new(RelayKind::Latching, timing, position);
        Self {
            body: Body::new(vec![relay; ports.len()]),
            ports: ports.to_vec(),
            states,
            last: None,
            ignored: 0,
        }
    }

    /// How many writes were malformed or came too soon.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    fn ignore(&mut self, now: Instant, why: &str) {
        self.ignored += 1;
        self.body.refuse(now, format!("block write ignored: {why}"));
    }

    fn obey(&mut self, now: Instant, payload: &[u8]) {
        let (state, port) = match *payload {
            [0x03, port] => (RelayState::Normal, port),
            [0x02, port, 0x00] => (RelayState::Bypass, port),
            [0x02, port, 0x01] => (RelayState::Disconnect, port),
            _ => return self.ignore(now, "no such mode"),
        };
        let Some(relay) = self.ports.iter().position(|known| *known == port) else {
            return self.ignore(now, "no such port");
        };
        if self.last.is_some_and(|last| now.since(last) < BUSY) {
            return self.ignore(now, "within 100 ms of the last one");
        }
        self.last = Some(now);
        self.body.command(now, relay, state, MoveCause::Command);
    }
}

/// The payload without complements and length pair, if all of it is right.
fn unwrap_payload(block: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (pairs, []) = block.as_chunks::<2>() else {
        return Err("odd length");
    };
    if pairs.iter().any(|[byte, complement]| *byte != !complement) {
        return Err("a complement does not match");
    }
    let Some(([nibbles, _], rest)) = pairs.split_last() else {
        return Err("empty");
    };
    let length = u8::try_from(block.len()).unwrap_or(u8::MAX);
    if length > 0x0F || *nibbles != length << 4 | length {
        return Err("the length pair does not match");
    }
    Ok(rest.iter().map(|[byte, _]| *byte).collect())
}

impl Chip for RiverbedMcu {
    fn body(&self) -> &Body {
        &self.body
    }

    fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    fn tick(&mut self, now: Instant) {
        for relay in &mut self.body.relays {
            relay.tick(now);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn write(&mut self, now: Instant, _address: u8, bytes: &[u8]) -> Result<(), I2cFault> {
        match bytes {
            [] => {}
            [COMMAND, count, block @ ..] if usize::from(*count) == block.len() => {
                match unwrap_payload(block) {
                    Ok(payload) => self.obey(now, &payload),
                    Err(why) => self.ignore(now, why),
                }
            }
            [COMMAND, ..] => self.ignore(now, "the byte count does not match"),
            _ => self.ignore(now, "not command 0x55"),
        }
        Ok(())
    }

    fn power(&mut self, now: Instant, power: Power) {
        let (state, cause) = match power {
            Power::On => (self.states.up, MoveCause::PowerUp),
            Power::Off => (self.states.off, MoveCause::PowerOff),
        };
        self.body.health = match power {
            Power::On => Health::Running,
            Power::Off => Health::Off,
        };
        self.last = None;
        for relay in &mut self.body.relays {
            match state {
                Some(state) => relay.command(now, state, cause),
                None => relay.lose_power(now, cause),
            }
        }
    }

    fn die(&mut self, _now: Instant) {
        self.body.health = Health::Dead;
    }

    fn external_write(
        &mut self,
        now: Instant,
        relay: usize,
        state: RelayState,
    ) -> Result<(), NotApplicable> {
        if state == RelayState::Unknown {
            let reason = "nobody can order an unknown state";
            return Err(NotApplicable::new("external write", reason));
        }
        self.body.command(now, relay, state, MoveCause::External);
        Ok(())
    }

    fn lie(&mut self, _relay: usize, _shows: Option<RelayState>) -> Result<(), NotApplicable> {
        Err(NotApplicable::new("a lie", "nothing can be read here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RelayState::{Bypass, Disconnect, Normal};

    const UNIVERSAL: [u8; 8] = [0x55, 6, 0x03, 0xFC, 0x01, 0xFE, 0x66, 0x99];
    const NO_LINE: [u8; 10] = [0x55, 8, 0x02, 0xFD, 0x01, 0xFE, 0x01, 0xFE, 0x88, 0x77];
    const BRIDGE: [u8; 10] = [0x55, 8, 0x02, 0xFD, 0x01, 0xFE, 0x00, 0xFF, 0x88, 0x77];

    const fn ms(at: u64) -> Instant {
        Instant::from_millis(at)
    }

    fn mcu() -> RiverbedMcu {
        RiverbedMcu::new(
            &[0x01, 0x00],
            PowerStates::default(),
            RelayTiming::default(),
        )
    }

    fn send(mcu: &mut RiverbedMcu, at: u64, bytes: &[u8]) -> RelayState {
        mcu.tick(ms(at));
        mcu.write(ms(at), 0x24, bytes).unwrap();
        mcu.tick(ms(at + 50));
        mcu.body.relays[0].contacts()
    }

    #[test]
    fn the_two_example_lengths_are_6_and_8() {
        let mut mcu = mcu();
        assert_eq!(send(&mut mcu, 0, &UNIVERSAL), Normal);
        assert_eq!(send(&mut mcu, 100, &NO_LINE), Disconnect);
        assert_eq!(send(&mut mcu, 200, &BRIDGE), Bypass);
        assert_eq!(mcu.ignored(), 0);
        assert_eq!(mcu.body.relays[1].operations(), 0);
    }

    #[test]
    fn every_single_bit_error_is_ignored_and_counted() {
        let mut count = 0;
        for byte in 1..UNIVERSAL.len() {
            for bit in 0..8 {
                let mut mcu = mcu();
                let mut frame = UNIVERSAL;
                frame[byte] ^= 1 << bit;
                assert_eq!(send(&mut mcu, 0, &frame), Bypass, "byte {byte} bit {bit}");
                count += mcu.ignored();
            }
        }
        assert_eq!(count, 7 * 8);
    }

    #[test]
    fn a_write_too_soon_is_ignored() {
        let mut mcu = mcu();
        assert_eq!(send(&mut mcu, 0, &UNIVERSAL), Normal);
        assert_eq!(send(&mut mcu, 99, &BRIDGE), Normal);
        assert_eq!(mcu.ignored(), 1);
        assert_eq!(send(&mut mcu, 150, &BRIDGE), Bypass);
    }

    #[test]
    fn reads_are_not_acknowledged_and_probes_are() {
        let mut mcu = mcu();
        assert_eq!(mcu.read(ms(0), 0x24, &mut [0]), Err(I2cFault::Nack));
        assert_eq!(mcu.write(ms(0), 0x24, &[]), Ok(()));
        assert_eq!(mcu.ignored(), 0);
    }
}
