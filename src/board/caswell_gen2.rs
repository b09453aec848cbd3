//! CASwell / Portwell bypass, second generation, copper: a CPLD behind a PCA9555 for each segment.
//!
//! Hardware: the host speaks to the CPLD through an I/O expander per segment, by levels and low-going pulses, and
//! to one PCA9559 that keeps two bits per segment in EEPROM: BPE (what "non-normal" means: bypass or open) and
//! nextboot (normal or non-normal at power-up). Facts and sources: `boards/caswell-gen2.toml`.
//!
//! | PCA9555 | bits |
//! |---|---|
//! | output 0 | 0 load/kick pulse · 1 watchdog disable pulse · 2..=7 period in seconds |
//! | output 1 | 0 clear expiry pulse · 1 set normal pulse · 2 set non-normal pulse · 4 BPE level |
//! | input 1 | 4 BPE level as on the pin · 6 non-normal · 7 watchdog expired, *active low* |
//!
//! Electrical reasons: strobes act on an edge, so every pulse ends at its idle level, high. The directions are set
//! only after the output registers hold idle levels: the pins float high before, so no edge comes of it. The
//! relay takes 34 ms; reading earlier shows where it was.
//!
//! One BPE bit serves the run-time cut, the expiry and the power-up state. A cut to the other state therefore
//! changes what an expiry does; the configured state is put back once the segment reads `Normal` again.
//!
//! Dead-man: whether it runs cannot be read (the vendor removed such a read from the driver because it left the
//! watchdog impossible to stop), so arming is proven only by acknowledged writes, and reported so.
//!
//! What if the agent dies here? In mid-pulse a strobe stays low: nothing more happens until the next pulse, which
//! first restores the idle level. A running watchdog runs out and the CPLD goes non-normal by itself.

use core::time::Duration;

mod status;

use self::status::{BPE, Bpe, Status};
use super::bus::SmBus;
use super::controller::{
    ArmProof, Armed, Controller, CutState, DeadManReading, Evidence, Fault, Identity, Latch, Moved,
    Reading, RelayState, SegmentReading, SegmentSettings, Ticket,
};
use super::pca9555::{Pca9555, Register};
use super::profile::{CaswellChip, CaswellPeriod};
use super::retrying::Retrying;
use super::vendor::{self, Segment, Vendor, whole_seconds};
use super::vendor_ticket::VendorTickets;
use crate::node::Instant;

/// Output 0.
const LOAD: u8 = 1 << 0;
const DISABLE: u8 = 1 << 1;
const PERIOD_MASK: u8 = 0xfc;
const PERIOD_SHIFT: u8 = 2;
/// Longest period six bits hold, seconds.
const PERIOD_SECONDS_MAX: u8 = 63;

/// Output 1.
const CLEAR: u8 = 1 << 0;
const SET_NORMAL: u8 = 1 << 1;
const SET_NON_NORMAL: u8 = 1 << 2;

/// Directions (1 = input) and idle output levels the vendor sets.
const DIRECTION0: u8 = 0x00;
const DIRECTION1: u8 = 0xc0;
const IDLE0: u8 = 0xff;
const IDLE1_OPEN: u8 = 0x2f;

/// EEPROM cells of the PCA9559 take a few milliseconds (vendor's newer board: 4 ms); read back after this.
const SETTINGS_WRITE: Duration = Duration::from_millis(10);

/// A kick would start it with the period of its idle levels, 63 s.
const RESTARTED: &str = "the controller restarted and forgot its period; it must be armed anew";

/// The driver.
pub(crate) struct CaswellGen2 {
    io: Retrying,
    settings_address: u8,
    chips: Vec<CaswellChip>,
    period: CaswellPeriod,
    segments: Vec<Segment>,
    tickets: VendorTickets,
    /// What an expiry is configured to do, once known.
    expiry: Vec<Option<CutState>>,
    armed: ArmedHere,
    /// What the period pins were set to when it was last armed here.
    period_pins: Option<u8>,
}

/// Whether this process armed the dead-man; the chip cannot say whether an earlier one did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ArmedHere {
    Yes,
    No,
    /// Armed, and since then found as from power-up: its period is gone, and it does not run.
    Lost,
}

impl CaswellGen2 {
    pub(crate) fn new(
        io: Retrying,
        settings_address: u8,
        chips: Vec<CaswellChip>,
        period: CaswellPeriod,
        segments: Vec<Segment>,
    ) -> Self {
        let expiry = vec![None; segments.len()];
        let tickets = VendorTickets::default();
        let armed = ArmedHere::No;
        Self {
            io,
            settings_address,
            chips,
            period,
            segments,
            tickets,
            expiry,
            armed,
            period_pins: None,
        }
    }

    fn chip(&self, segment: usize) -> Result<CaswellChip, Fault> {
        self.chips
            .get(segment)
            .copied()
            .ok_or_else(|| Fault::Incapable {
                what: format!("segment {segment}"),
                advice: format!("the profile has {} chips", self.chips.len()),
            })
    }

    /// Used segments with their chips.
    fn used(&self) -> Vec<(usize, CaswellChip)> {
        let all = self.chips.iter().copied().zip(&self.segments).enumerate();
        all.filter(|(_, (_, segment))| segment.is_used())
            .map(|(index, (chip, _))| (index, chip))
            .collect()
    }

    fn status(&mut self, chip: CaswellChip) -> Result<Status, Fault> {
        let address = chip.address;
        self.io
            .attempt(|bus| Ok(Status(Pca9555::new(bus, address).read(Register::Input1)?)))
    }

    fn state(&mut self, chip: CaswellChip) -> Result<RelayState, Fault> {
        let (bpe, status) = self.io.attempt(|bus| {
            let mut expander = Pca9555::new(bus, chip.address);
            let bpe = match expander.read(Register::Direction1)? & BPE {
                0 => Bpe::Driven,
                _ => Bpe::Floating,
            };
            Ok((bpe, Status(expander.read(Register::Input1)?)))
        })?;
        if bpe == Bpe::Floating {
            self.found_fresh();
        }
        Ok(status.state(bpe))
    }

    /// A chip is as from power-up. If this process had armed it, it restarted.
    fn found_fresh(&mut self) {
        if self.armed == ArmedHere::Yes {
            self.armed = ArmedHere::Lost;
            self.tickets.void();
        }
    }

    /// Make the chip's pins outputs at idle levels, if nobody has.
    fn prepare(&mut self, chip: CaswellChip) -> Result<(), Fault> {
        let settings_address = self.settings_address;
        let mut fresh = false;
        let outcome = self.io.attempt(|bus| {
            let mut expander = Pca9555::new(bus, chip.address);
            let directions = [
                expander.read(Register::Direction0)?,
                expander.read(Register::Direction1)?,
            ];
            if directions == [DIRECTION0, DIRECTION1] {
                return Ok(());
            }
            fresh = true;
            let bpe = if bus.receive_byte(settings_address)? & mask(chip.bpe_bit) != 0 {
                BPE
            } else {
                0
            };
            let mut expander = Pca9555::new(bus, chip.address);
            expander.bring(Register::Output0, 0xff, IDLE0)?;
            expander.bring(Register::Output1, 0xff, IDLE1_OPEN | bpe)?;
            expander.bring(Register::Direction0, 0xff, DIRECTION0)?;
            expander.bring(Register::Direction1, 0xff, DIRECTION1)
        });
        if fresh {
            self.found_fresh();
        }
        outcome
    }

    fn pulse(&mut self, chip: CaswellChip, register: Register, pin: u8) -> Result<(), Fault> {
        self.io
            .attempt(|bus| Pca9555::new(bus, chip.address).pulse_low(register, pin))
    }

    /// What non-normal means from now on, live. The stored bit is configuration and stays: a run-time cut must not
    /// wear the cells.
    fn set_meaning(&mut self, chip: CaswellChip, state: CutState) -> Result<(), Fault> {
        let level = if state == CutState::Bypass { BPE } else { 0 };
        self.io
            .attempt(|bus| Pca9555::new(bus, chip.address).bring(Register::Output1, BPE, level))
    }

    /// Bring bits of the EEPROM to `value`, only if they differ: the cells wear.
    fn store(&mut self, bits: u8, value: u8) -> Result<(), Fault> {
        let address = self.settings_address;
        let now = self.io.attempt(|bus| Ok(bus.receive_byte(address)?))?;
        let wanted = now & !bits | value & bits;
        if now == wanted {
            return Ok(());
        }
        self.io.attempt(|bus| Ok(bus.send_byte(address, wanted)?))?;
        self.io.wait(SETTINGS_WRITE);
        let got = self.io.attempt(|bus| Ok(bus.receive_byte(address)?))?;
        if got == wanted {
            return Ok(());
        }
        Err(Fault::Integrity {
            what: format!("PCA9559 0x{address:02x} after storing"),
            expected: format!("0x{wanted:02x}"),
            got: format!("0x{got:02x}"),
        })
    }

    fn arm_chip(
        &mut self,
        segment: usize,
        chip: CaswellChip,
        holder: CaswellChip,
        seconds: u8,
    ) -> Result<(), Fault> {
        self.prepare(chip)?;
        if self.status(chip)?.expired() {
            // Order non-normal ourselves before clearing: whether clearing gives the relay back is not
            // documented, and nothing may move here.
            self.pulse(chip, Register::Output1, SET_NON_NORMAL)?;
            self.io.wait(
                self.segments
                    .get(segment)
                    .map_or(SETTINGS_WRITE, |facts| facts.settle),
            );
            self.pulse(chip, Register::Output1, CLEAR)?;
            if self.status(chip)?.expired() {
                return Err(Fault::Integrity {
                    what: format!(
                        "expiry flag of PCA9555 0x{:02x} after clearing",
                        chip.address
                    ),
                    expected: "clear".to_owned(),
                    got: "still expired".to_owned(),
                });
            }
        }
        let period = seconds << PERIOD_SHIFT;
        self.io.attempt(|bus| {
            Pca9555::new(bus, holder.address).bring(Register::Output0, PERIOD_MASK, period)
        })?;
        self.pulse(chip, Register::Output0, LOAD)
    }

    /// Idle levels of output 0, once armed here. A kick loads the period that stands on these pins: were they read and
    /// written back, one misread bit would lengthen the dead-man for good.
    fn kick_levels(&self, segment: usize) -> Option<u8> {
        let period = self.period_pins?;
        let shared = matches!(self.period, CaswellPeriod::Shared);
        let pins = if shared && segment != 0 {
            PERIOD_MASK
        } else {
            period
        };
        Some(IDLE0 & !PERIOD_MASK | pins)
    }

    fn any_expired(&mut self) -> Result<bool, Fault> {
        let mut expired = false;
        for (_, chip) in self.used() {
            expired |= self.status(chip)?.expired();
        }
        if expired {
            self.tickets.void();
            self.armed = ArmedHere::No;
        }
        Ok(expired)
    }
}

impl Vendor for CaswellGen2 {
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

    fn look(&mut self, segment: usize) -> Result<SegmentReading, Fault> {
        let chip = self.chip(segment)?;
        let state = self.state(chip)?;
        Ok(SegmentReading {
            state,
            evidence: Evidence::Register,
        })
    }

    fn command(&mut self, segment: usize, state: RelayState) -> Result<(), Fault> {
        let chip = self.chip(segment)?;
        self.prepare(chip)?;
        let meaning = match state {
            RelayState::Normal if self.armed == ArmedHere::Lost => {
                return Err(Fault::Refused {
                    what: "close".to_owned(),
                    reason: RESTARTED.to_owned(),
                });
            }
            RelayState::Normal => return self.pulse(chip, Register::Output1, SET_NORMAL),
            RelayState::Disconnect => CutState::Disconnect,
            RelayState::Bypass | RelayState::Unknown => CutState::Bypass,
        };
        self.set_meaning(chip, meaning)?;
        self.pulse(chip, Register::Output1, SET_NON_NORMAL)
    }

    fn guarded(&mut self) -> Result<(), Fault> {
        let reason = if self.any_expired()? {
            "the dead-man has fired; arm it anew and prove the path again"
        } else if self.armed == ArmedHere::Lost {
            RESTARTED
        } else if self.armed == ArmedHere::No {
            "this agent has not armed the dead-man, and the part cannot say whether it runs"
        } else {
            return Ok(());
        };
        Err(Fault::Refused {
            what: "close".to_owned(),
            reason: reason.to_owned(),
        })
    }
}

impl Controller for CaswellGen2 {
    fn identify(&mut self) -> Result<Identity, Fault> {
        let mut at = Vec::new();
        for (_, chip) in self.used() {
            self.status(chip)?;
            at.push(format!("0x{:02x}", chip.address));
        }
        let settings_address = self.settings_address;
        self.io
            .attempt(|bus| Ok(bus.receive_byte(settings_address)?))?;
        Ok(Identity {
            model: format!("CASwell Gen2 copper bypass at {}", at.join(", ")),
            firmware: None,
            unique_id: None,
        })
    }

    fn read(&mut self) -> Result<Reading, Fault> {
        let expired = self.any_expired()?;
        let segments = vendor::look_at_all(self)?;
        let dead_man = if expired {
            DeadManReading::Expired
        } else if self.armed == ArmedHere::Lost {
            DeadManReading::Disarmed
        } else {
            DeadManReading::Unknown
        };
        Ok(Reading {
            segments,
            dead_man,
            latch: Latch::Absent,
            generation: 0,
        })
    }

    fn configure(&mut self, settings: &[SegmentSettings]) -> Result<(), Fault> {
        vendor::check_settings(&self.segments, settings)?;
        let of = |index: usize| settings.get(index).copied().unwrap_or_default();
        for (index, chip) in self.used() {
            let wanted = of(index);
            let meaning = wanted.expiry.or(wanted.power_up);
            if let (Some(expiry), Some(power_up)) = (wanted.expiry, wanted.power_up)
                && expiry != power_up
            {
                return Err(Fault::Incapable {
                    what: format!("expiry = {expiry} with power-up = {power_up}"),
                    advice: "one bit (BPE) serves both on this board: choose one state".to_owned(),
                });
            }
            self.prepare(chip)?;
            if let Some(meaning) = meaning {
                let stored = if meaning == CutState::Bypass { 0xff } else { 0 };
                self.store(mask(chip.bpe_bit), stored)?;
                self.expiry[index] = Some(meaning);
                // In a cut segment the level moves the relay; there it waits for the next close.
                if self.state(chip)? == RelayState::Normal {
                    self.set_meaning(chip, meaning)?;
                }
            }
            if wanted.power_up.is_some() {
                self.store(mask(chip.nextboot_bit), 0xff)?;
            }
        }
        Ok(())
    }

    fn arm(&mut self, period: Duration) -> Result<Armed, Fault> {
        let seconds = whole_seconds(period, PERIOD_SECONDS_MAX)?;
        self.tickets.void();
        self.armed = ArmedHere::No;
        for (segment, chip) in self.used() {
            let holder = match self.period {
                CaswellPeriod::PerSegment => chip,
                CaswellPeriod::Shared => self.chip(0)?,
            };
            if holder != chip {
                self.prepare(holder)?;
            }
            self.arm_chip(segment, chip, holder, seconds)?;
        }
        self.armed = ArmedHere::Yes;
        self.period_pins = Some(seconds << PERIOD_SHIFT);
        Ok(Armed {
            effective: period,
            proof: ArmProof::WriteOnly,
        })
    }

    fn kick(&mut self, alive_until: Instant) -> Result<(), Fault> {
        if self.any_expired()? {
            return Err(Fault::Refused {
                what: "kick".to_owned(),
                reason: "the dead-man has fired; it must be armed anew".to_owned(),
            });
        }
        if self.armed == ArmedHere::Lost {
            return Err(Fault::Refused {
                what: "kick".to_owned(),
                reason: RESTARTED.to_owned(),
            });
        }
        for (segment, chip) in self.used() {
            let idle = self.kick_levels(segment);
            let load = |bus: &mut dyn SmBus| {
                Pca9555::new(bus, chip.address).pulse_low_from(Register::Output0, idle, LOAD)
            };
            self.io.attempt_before(alive_until, load)?;
        }
        Ok(())
    }

    fn disarm(&mut self) -> Result<(), Fault> {
        self.tickets.void();
        self.armed = ArmedHere::No;
        for (_, chip) in self.used() {
            self.prepare(chip)?;
            // What only an expiry holds cut may go back once the watchdog lets go of it: from here on we hold it.
            if self.state(chip)? != RelayState::Normal {
                self.pulse(chip, Register::Output1, SET_NON_NORMAL)?;
            }
            self.pulse(chip, Register::Output0, DISABLE)?;
        }
        Ok(())
    }

    fn take_ticket(&mut self) -> Result<Ticket, Fault> {
        vendor::take_ticket(self)
    }

    fn close(&mut self, segment: usize, ticket: Ticket) -> Result<Moved, Fault> {
        let moved = vendor::close(self, segment, ticket)?;
        // An earlier cut may have left BPE at another state than an expiry should bring; in `Normal` it is idle.
        if let Some(meaning) = self.expiry[segment] {
            let chip = self.chip(segment)?;
            self.set_meaning(chip, meaning)?;
        }
        Ok(moved)
    }

    fn cut(&mut self, segment: usize, state: CutState) -> Result<Moved, Fault> {
        vendor::cut(self, segment, state)
    }
}

fn mask(bit: u8) -> u8 {
    1_u8.checked_shl(bit.into()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
