//! CASwell/Portwell Gen2 copper bypass: one PCA9555 per segment in front of a small CPLD, and one PCA9559.
//!
//! Facts: vendor driver V3.21.0 (bypass control, bypass action, platform headers). Port 1: bit 0 clears the
//! time-out flag, bit 1 sets normal, bit 2 sets non-normal (pulses high-low-high), bit 4 is the BPE level
//! (1 bypass, 0 open); input bit 6 is non-normal, bit 7 is *not* timed out. Port 0: bit 0 loads (kicks) the
//! watchdog, bit 1 disables it, bits 7:2 are its period of 1..63 s. PCA9559: one BPE and one nextboot bit per
//! segment. The watchdog's run state cannot be read.
//!
//! Not in the source, so choices here: a pulse acts on its falling edge; while the BPE pin is not driven the
//! stored bit holds; without power a segment goes to what its stored BPE bit says; what a load after an
//! expiry does is [`CaswellExpiry`].

use core::time::Duration;

use super::caswell_segment::CaswellSegment;
use super::pca9559::Pca9559;
use super::{Body, Chip, Health, Power};
use crate::board::RelayState;
use crate::board::profile::{CaswellChip, CaswellPeriod};
use crate::node::Instant;
use crate::sim::fault::NotApplicable;
use crate::sim::journal::BoardFact;
use crate::sim::port::I2cFault;
use crate::sim::relay::{MoveCause, Relay, RelayKind, RelayTiming};

/// What a load (kick) after an expiry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaswellExpiry {
    /// The segment stays non-normal until set normal.
    Sticky,
    /// The load also brings back the state before the expiry.
    LoadRestores,
}

/// One board's bypass logic.
#[derive(Debug, Clone)]
pub struct CaswellSpec {
    /// 7-bit address of the PCA9559.
    pub settings_address: u8,
    /// Per segment.
    pub chips: Vec<CaswellChip>,
    /// Whose period counts.
    pub period: CaswellPeriod,
    /// See there.
    pub on_expiry: CaswellExpiry,
    /// Of all relays.
    pub timing: RelayTiming,
    /// PCA9559 as delivered.
    pub settings: u8,
}

/// All segments of a board and their settings cells.
#[derive(Debug)]
pub struct CaswellGen2 {
    body: Body,
    settings_address: u8,
    settings: Pca9559,
    segments: Vec<CaswellSegment>,
    period: CaswellPeriod,
}

impl CaswellGen2 {
    /// The board just powered up.
    pub fn new(spec: CaswellSpec) -> Self {
        let settings = Pca9559::new(spec.settings);
        let segments: Vec<_> = (spec.chips.iter())
            .map(|chip| CaswellSegment::new(*chip, spec.on_expiry, &settings))
            .collect();
        let relays = (segments.iter())
            .map(|segment| Relay::new(RelayKind::Latching, spec.timing, segment.wanted(&settings)))
            .collect();
        Self {
            body: Body::new(relays),
            settings_address: spec.settings_address,
            settings,
            segments,
            period: spec.period,
        }
    }

    /// The settings cells, to look at their wear.
    pub fn settings(&self) -> &Pca9559 {
        &self.settings
    }

    fn period_of(&self, segment: usize) -> Duration {
        let source = match self.period {
            CaswellPeriod::PerSegment => segment,
            CaswellPeriod::Shared => 0,
        };
        self.segments
            .get(source)
            .map_or(Duration::ZERO, |chip| chip.period(&self.settings))
    }

    fn segment_at(&self, address: u8) -> Option<usize> {
        (self.segments.iter()).position(|segment| segment.address() == address)
    }

    fn apply(&mut self, at: Instant, segment: usize, cause: MoveCause) {
        let wanted = self.segments[segment].wanted(&self.settings);
        self.body.command(at, segment, wanted, cause);
    }

    fn write_settings(&mut self, now: Instant, bytes: &[u8]) {
        // One byte is the value; more bytes are the same cells written again and again.
        for value in bytes {
            self.settings.store(*value);
            let writes = self.settings.writes();
            self.body.note(now, BoardFact::NvmWritten { writes });
        }
        for segment in 0..self.segments.len() {
            self.apply(now, segment, MoveCause::Command);
        }
    }

    fn write_segment(&mut self, now: Instant, index: usize, bytes: &[u8], cause: MoveCause) {
        let Some((register, values)) = bytes.split_first() else {
            return;
        };
        self.segments[index].point(*register);
        for value in values {
            // Read before the edge: a load in the same byte as a new period takes the new one.
            let edges = self.segments[index].store(*value, &self.settings);
            let period = self.period_of(index);
            let timer = number_of(index);
            let overridden = self.segments[index].is_overridden();
            self.segments[index].act(now, edges, period, timer, &mut self.body);
            // A load gives back what expiry took.
            let given_back = overridden && edges.load();
            self.apply(now, index, if given_back { MoveCause::Kick } else { cause });
        }
    }
}

impl Chip for CaswellGen2 {
    fn body(&self) -> &Body {
        &self.body
    }

    fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    fn tick(&mut self, now: Instant) {
        if self.body.health == Health::Running {
            for index in 0..self.segments.len() {
                if let Some(at) = self.segments[index].fire(now) {
                    let timer = number_of(index);
                    self.body.note(at, BoardFact::DeadManExpired { timer });
                    self.apply(at, index, MoveCause::Expiry);
                }
            }
        }
        for relay in &mut self.body.relays {
            relay.tick(now);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let running = self.body.health == Health::Running;
        let segments = self.segments.iter().filter(|_| running);
        segments.filter_map(CaswellSegment::deadline).min()
    }

    fn write(&mut self, now: Instant, address: u8, bytes: &[u8]) -> Result<(), I2cFault> {
        if address == self.settings_address {
            self.write_settings(now, bytes);
        } else {
            let index = self.segment_at(address).ok_or(I2cFault::Nack)?;
            self.write_segment(now, index, bytes, MoveCause::Command);
        }
        Ok(())
    }

    fn read(&mut self, _now: Instant, address: u8, out: &mut [u8]) -> Result<(), I2cFault> {
        if address == self.settings_address {
            out.fill(self.settings.value());
            return Ok(());
        }
        let index = self.segment_at(address).ok_or(I2cFault::Nack)?;
        let lie = self.body.lies[index];
        for byte in out {
            *byte = self.segments[index].load(&self.settings, lie);
        }
        Ok(())
    }

    fn power(&mut self, now: Instant, power: Power) {
        self.body.health = match power {
            Power::On => Health::Running,
            Power::Off => Health::Off,
        };
        for index in 0..self.segments.len() {
            let cause = match power {
                Power::On => {
                    self.segments[index].power_up(&self.settings);
                    MoveCause::PowerUp
                }
                Power::Off => {
                    self.segments[index].power_off();
                    MoveCause::PowerOff
                }
            };
            self.apply(now, index, cause);
        }
    }

    fn die(&mut self, now: Instant) {
        // The CPLD's clock stops; latching relays stay.
        self.tick(now);
        self.body.health = Health::Dead;
    }

    fn external_write(
        &mut self,
        now: Instant,
        relay: usize,
        state: RelayState,
    ) -> Result<(), NotApplicable> {
        let Some(segment) = self.segments.get(relay) else {
            return Err(NotApplicable::new("external write", "no such segment"));
        };
        let Some(writes) = segment.writes_for(state) else {
            let reason = "nobody can order an unknown state";
            return Err(NotApplicable::new("external write", reason));
        };
        for bytes in writes {
            self.write_segment(now, relay, &bytes, MoveCause::External);
        }
        Ok(())
    }
}

fn number_of(segment: usize) -> u8 {
    u8::try_from(segment + 1).unwrap_or(u8::MAX)
}

#[cfg(test)]
#[path = "caswell_tests.rs"]
mod tests;
