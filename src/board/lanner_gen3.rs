//! Lanner Gen3 bypass MCU on the chipset's SMBus.
//!
//! Hardware: one MCU per bypass module, on board at 7-bit 0x37 or on an add-in card at 0x30 behind I2C muxes.
//! Each drives up to eight pairs of ports through latching relays and holds three masks of pairs, 1 = bypass:
//! System-Off (0x10), Just-On (0x11) and Run-Time (0x12). Facts and sources: `boards/lanner-gen3.toml`.
//!
//! Talking: commands are *write byte data*. Answers are *read word data* whose low byte is the command with bit 7
//! set and whose high byte is the value. Any other low byte means the firmware does not know the command, or the
//! answer is not an answer; it is never used. The part has no packet error code, so this marker is all the
//! integrity there is, and writes are proven only by reading back.
//!
//! Muxes: all cards answer at the same address, so a mux left on another channel sends a cut to the wrong card.
//! Every command is preceded by its mux selection, within one bus lock.
//!
//! Dead-man: watchdog 1. 0x24 starts *and* kicks, so a kick that comes after the expiry would silently start it
//! anew; therefore each kick reads the status first. On expiry the MCU puts the pairs of mask 0x21 into bypass.
//!
//! Wear: 0x0B stores the settings in flash cells; it is sent only after a stored setting really changed.
//!
//! What if the agent dies here? Between any two transactions the MCU holds a complete state: the relays stay, the
//! watchdog runs out, the pairs go to bypass.

use core::time::Duration;

use super::bus::SmBus;
use super::controller::{
    ArmProof, Armed, Controller, CutState, DeadManReading, Evidence, Fault, Identity, Latch, Moved,
    Reading, RelayState, SegmentReading, SegmentSettings, Ticket,
};
use super::profile::{LannerModule, LannerPair};
use super::retrying::Retrying;
use super::vendor::{self, Segment, UNSEEN, Vendor, guarded_by, whole_seconds};
use super::vendor_ticket::VendorTickets;
use crate::node::Instant;

mod command;

use command::{
    CAPABLE_RUN_TIME, CAPABLE_WATCHDOG1, Command, EXPIRED, NO_ARGUMENT, RUNNING, STOPPED,
};

/// The driver.
pub(crate) struct LannerGen3 {
    io: Retrying,
    modules: Vec<LannerModule>,
    pairs: Vec<LannerPair>,
    segments: Vec<Segment>,
    tickets: VendorTickets,
}

impl LannerGen3 {
    pub(crate) fn new(
        io: Retrying,
        modules: Vec<LannerModule>,
        pairs: Vec<LannerPair>,
        segments: Vec<Segment>,
    ) -> Self {
        Self {
            io,
            modules,
            pairs,
            segments,
            tickets: VendorTickets::default(),
        }
    }

    fn read_register(&mut self, module: usize, command: Command) -> Result<u8, Fault> {
        let part = part(&self.modules, module)?;
        self.io.attempt(|bus| {
            select(bus, part)?;
            let [marker, value] = bus
                .read_word_data(part.address, command as u8)?
                .to_le_bytes();
            if marker == command as u8 | 0x80 {
                return Ok(value);
            }
            Err(Fault::Integrity {
                what: format!(
                    "answer of module {} (0x{:02x}) to command 0x{:02x}",
                    part.name, part.address, command as u8
                ),
                expected: format!("marker 0x{:02x}", command as u8 | 0x80),
                got: format!("0x{marker:02x}: not answered, or unknown to its firmware"),
            })
        })
    }

    fn write_register(&mut self, module: usize, command: Command, value: u8) -> Result<(), Fault> {
        let part = part(&self.modules, module)?;
        self.io.attempt(|bus| {
            select(bus, part)?;
            Ok(bus.write_byte_data(part.address, command as u8, value)?)
        })
    }

    /// Write if it differs, and read back. Says whether it wrote.
    fn bring(&mut self, module: usize, command: Command, value: u8) -> Result<Wrote, Fault> {
        if self.read_register(module, command)? == value {
            return Ok(Wrote::Nothing);
        }
        self.write_register(module, command, value)?;
        let got = self.read_register(module, command)?;
        if got == value {
            return Ok(Wrote::Value);
        }
        Err(Fault::Integrity {
            what: format!("register 0x{:02x} after writing it", command as u8),
            expected: format!("0x{value:02x}"),
            got: format!("0x{got:02x}"),
        })
    }

    /// Modules that carry a used segment: only those are guarded and commanded.
    fn used_modules(&self) -> Vec<usize> {
        (0..self.modules.len())
            .filter(|module| self.used_mask(*module) != 0)
            .collect()
    }

    /// Pairs of the module that are used segments.
    fn used_mask(&self, module: usize) -> u8 {
        self.mask(module, |segment, _| segment.is_used())
    }

    /// Pairs of the module whose segment (and its index) satisfies `which`.
    fn mask(&self, module: usize, which: impl Fn(&Segment, usize) -> bool) -> u8 {
        let pairs = self.pairs.iter().zip(&self.segments).enumerate();
        pairs
            .filter(|(index, (pair, segment))| pair.module == module && which(segment, *index))
            .fold(0, |mask, (_, (pair, _))| mask | bit(*pair))
    }

    fn watchdog(&mut self, module: usize) -> Result<DeadManReading, Fault> {
        match self.read_register(module, Command::Watchdog1Status)? {
            STOPPED => Ok(DeadManReading::Disarmed),
            EXPIRED => Ok(DeadManReading::Expired),
            RUNNING => {
                let period = self.read_register(module, Command::Watchdog1Period)?;
                let remaining = self.read_register(module, Command::Watchdog1Remaining)?;
                // It counts whole seconds, and of the last one anything may be left.
                let at_least = u64::from(remaining).saturating_sub(1);
                Ok(DeadManReading::Running {
                    period: Duration::from_secs(period.into()),
                    remaining: (at_least > 0).then(|| Duration::from_secs(at_least)),
                })
            }
            other => Err(Fault::Integrity {
                what: "watchdog 1 status (0x20)".to_owned(),
                expected: "0 stopped, 1 running or 2 expired".to_owned(),
                got: other.to_string(),
            }),
        }
    }

    fn dead_man(&mut self) -> Result<DeadManReading, Fault> {
        let mut worst = None;
        for module in self.used_modules() {
            let reading = self.watchdog(module)?;
            if reading == DeadManReading::Expired {
                self.tickets.void();
            }
            worst = Some(worst.map_or(reading, |so_far| worse(so_far, reading)));
        }
        Ok(worst.unwrap_or(DeadManReading::Disarmed))
    }

    /// If the watchdog has fired, the relays are in bypass because of that. Make it an order of ours before it is cleared:
    /// whether clearing an expiry gives the pairs back is not documented, and nothing may move by that.
    fn hold_what_expired(&mut self, module: usize) -> Result<Held, Fault> {
        if self.read_register(module, Command::Watchdog1Status)? != EXPIRED {
            return Ok(Held::Nothing);
        }
        let run_time = self.read_register(module, Command::RunTime)?;
        let fired = self.read_register(module, Command::Watchdog1Pairs)?;
        let used = self.used_mask(module);
        self.bring(module, Command::RunTime, run_time | (fired & used))?;
        Ok(Held::Expired)
    }

    /// Arm one module's watchdog 1 for the used pairs.
    fn arm_module(&mut self, module: usize, seconds: u8) -> Result<(), Fault> {
        let used = self.used_mask(module);
        if self.hold_what_expired(module)? == Held::Expired {
            self.write_register(module, Command::Watchdog1Stop, NO_ARGUMENT)?;
        }
        self.bring(module, Command::Watchdog1Pairs, used)?;
        self.bring(module, Command::Watchdog1Period, seconds)?;
        self.write_register(module, Command::Watchdog1Start, NO_ARGUMENT)?;
        match self.read_register(module, Command::Watchdog1Status)? {
            RUNNING => Ok(()),
            status => Err(Fault::Integrity {
                what: "watchdog 1 status (0x20) after start".to_owned(),
                expected: RUNNING.to_string(),
                got: status.to_string(),
            }),
        }
    }

    fn masks(&mut self, module: usize) -> Result<Masks, Fault> {
        let run_time = self.read_register(module, Command::RunTime)?;
        let fired = match self.read_register(module, Command::Watchdog1Status)? {
            EXPIRED => self.read_register(module, Command::Watchdog1Pairs)?,
            _ => 0,
        };
        Ok(Masks { run_time, fired })
    }

    /// One stored mask: the used pairs' bits as wanted, all others as they are.
    fn configure_mask(
        &mut self,
        module: usize,
        (register, possible): (Command, Command),
        wanted: impl Fn(usize) -> Option<CutState>,
    ) -> Result<Wrote, Fault> {
        let set = self.mask(module, |segment, index| {
            segment.is_used() && wanted(index).is_some()
        });
        if set == 0 {
            return Ok(Wrote::Nothing);
        }
        let able = self.read_register(module, possible)?;
        if set & !able != 0 {
            return Err(Fault::Incapable {
                what: format!("setting 0x{:02x} for pairs 0x{set:02x}", register as u8),
                advice: format!("the module can do it for pairs 0x{able:02x}"),
            });
        }
        let now = self.read_register(module, register)?;
        self.bring(module, register, now | set)
    }
}

impl Vendor for LannerGen3 {
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
        let pair = pair(&self.pairs, segment)?;
        Ok(self.masks(pair.module)?.reading(pair))
    }

    fn command(&mut self, segment: usize, state: RelayState) -> Result<(), Fault> {
        let pair = pair(&self.pairs, segment)?;
        let mask = self.read_register(pair.module, Command::RunTime)?;
        let mask = match state {
            RelayState::Normal => mask & !bit(pair),
            _ => mask | bit(pair),
        };
        self.write_register(pair.module, Command::RunTime, mask)
    }

    fn guarded(&mut self) -> Result<(), Fault> {
        guarded_by(self.dead_man()?)
    }
}

impl Controller for LannerGen3 {
    fn identify(&mut self) -> Result<Identity, Fault> {
        let mut versions = Vec::new();
        for module in self.used_modules() {
            let major = self.read_register(module, Command::FirmwareMajor)?;
            let minor = self.read_register(module, Command::FirmwareMinor)?;
            versions.push(format!("{major}.{minor}"));
            let able = self.read_register(module, Command::Capabilities)?;
            let pairs = self.read_register(module, Command::RunTimePairs)?;
            let used = self.used_mask(module);
            let wanted = CAPABLE_RUN_TIME | CAPABLE_WATCHDOG1;
            if able & wanted != wanted || used & !pairs != 0 {
                return Err(Fault::Incapable {
                    what: format!("run-time bypass with watchdog 1 for pairs 0x{used:02x}"),
                    advice: format!(
                        "module {} has capabilities 0x{able:02x} and pairs 0x{pairs:02x}; is this the right board profile?",
                        part(&self.modules, module)?.name
                    ),
                });
            }
        }
        versions.dedup();
        Ok(Identity {
            model: "Lanner Gen3 bypass MCU".to_owned(),
            firmware: Some(versions.join(", ")),
            unique_id: None,
        })
    }

    fn read(&mut self) -> Result<Reading, Fault> {
        let dead_man = self.dead_man()?;
        // Once per module, not per pair: a board may have four modules of eight pairs.
        let mut masks = vec![None; self.modules.len()];
        for module in self.used_modules() {
            masks[module] = Some(self.masks(module)?);
        }
        let wired = self.pairs.iter().zip(&self.segments);
        let segments = wired
            .map(|(pair, segment)| match masks.get(pair.module) {
                Some(Some(masks)) if segment.is_used() => masks.reading(*pair),
                _ => UNSEEN,
            })
            .collect();
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
        for module in self.used_modules() {
            let off = (Command::SystemOff, Command::SystemOffPairs);
            let on = (Command::JustOn, Command::JustOnPairs);
            let off = self.configure_mask(module, off, |index| of(index).power_off)?;
            let on = self.configure_mask(module, on, |index| of(index).power_up)?;
            if off == Wrote::Value || on == Wrote::Value {
                self.write_register(module, Command::SaveSettings, NO_ARGUMENT)?;
            }
        }
        Ok(())
    }

    fn arm(&mut self, period: Duration) -> Result<Armed, Fault> {
        let seconds = whole_seconds(period, u8::MAX)?;
        self.tickets.void();
        for module in self.used_modules() {
            let most = self.read_register(module, Command::Watchdog1Max)?;
            whole_seconds(period, most)?;
            self.arm_module(module, seconds)?;
        }
        Ok(Armed {
            effective: period,
            proof: ArmProof::ReadBack,
        })
    }

    fn kick(&mut self, alive_until: Instant) -> Result<(), Fault> {
        for module in self.used_modules() {
            let status = self.read_register(module, Command::Watchdog1Status)?;
            if status != RUNNING {
                self.tickets.void();
                let reason = match status {
                    EXPIRED => "the dead-man has fired; a kick would start it anew unseen",
                    _ => "the dead-man does not run; arm it",
                };
                return Err(Fault::Refused {
                    what: "kick".to_owned(),
                    reason: reason.to_owned(),
                });
            }
            let part = part(&self.modules, module)?;
            self.io.attempt_before(alive_until, |bus| {
                select(bus, part)?;
                Ok(bus.write_byte_data(part.address, Command::Watchdog1Start as u8, NO_ARGUMENT)?)
            })?;
        }
        Ok(())
    }

    fn disarm(&mut self) -> Result<(), Fault> {
        self.tickets.void();
        for module in self.used_modules() {
            self.hold_what_expired(module)?;
            self.write_register(module, Command::Watchdog1Stop, NO_ARGUMENT)?;
            let status = self.read_register(module, Command::Watchdog1Status)?;
            if status != STOPPED {
                return Err(Fault::Integrity {
                    what: "watchdog 1 status (0x20) after stop".to_owned(),
                    expected: STOPPED.to_string(),
                    got: status.to_string(),
                });
            }
        }
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

/// What one module says of its pairs.
#[derive(Debug, Clone, Copy)]
struct Masks {
    run_time: u8,
    /// Pairs the watchdog has cut.
    fired: u8,
}

impl Masks {
    fn reading(self, pair: LannerPair) -> SegmentReading {
        let state = match (self.run_time & bit(pair) != 0, self.fired & bit(pair) != 0) {
            (true, _) => RelayState::Bypass,
            (false, false) => RelayState::Normal,
            // The watchdog says it cut this pair and the mask says it did not: believe neither.
            (false, true) => RelayState::Unknown,
        };
        SegmentReading {
            state,
            evidence: Evidence::Register,
        }
    }
}

/// Whether there was an expiry that held pairs cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Nothing,
    Expired,
}

/// Whether a comparison led to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrote {
    Nothing,
    Value,
}

fn select(bus: &mut dyn SmBus, part: &LannerModule) -> Result<(), Fault> {
    for (mux, channel) in &part.mux {
        bus.send_byte(*mux, *channel)?;
    }
    Ok(())
}

fn bit(pair: LannerPair) -> u8 {
    1_u8.checked_shl(pair.bit.into()).unwrap_or(0)
}

fn part(modules: &[LannerModule], index: usize) -> Result<&LannerModule, Fault> {
    modules.get(index).ok_or_else(|| Fault::Incapable {
        what: format!("bypass module {index}"),
        advice: format!("the profile has {} modules", modules.len()),
    })
}

fn pair(pairs: &[LannerPair], segment: usize) -> Result<LannerPair, Fault> {
    pairs.get(segment).copied().ok_or_else(|| Fault::Incapable {
        what: format!("segment {segment}"),
        advice: format!("the profile has {} pairs", pairs.len()),
    })
}

/// Of two modules' watchdogs, the one the whole board must be judged by.
fn worse(one: DeadManReading, other: DeadManReading) -> DeadManReading {
    use DeadManReading::{Disarmed, Expired, Running};
    match (one, other) {
        (Expired, _) | (_, Expired) => Expired,
        (Disarmed, _) | (_, Disarmed) => Disarmed,
        (
            Running {
                period: one_period,
                remaining: one_left,
            },
            Running {
                period: other_period,
                remaining: other_left,
            },
        ) => Running {
            // The longest bounds when the last pair is cut, the least left when the first one is.
            period: one_period.max(other_period),
            remaining: one_left.min(other_left),
        },
        (_, unclear) => unclear,
    }
}

#[cfg(test)]
mod tests;
