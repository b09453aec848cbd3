//! Lanner's third-generation bypass MCU: a table of SMBus commands, two watchdogs and a power-up watchdog.
//!
//! Facts: the vendor's tool source, versions 1.1.8 and 1.2.9 (command table, reply marker, demo script), and
//! the manual appendices "Programming Generation 3 LAN Bypass". A setting is written as *write byte data*
//! and read as *read word data*: low byte `command | 0x80` is the success marker, high byte the value; an
//! unknown command answers without the marker. Settings are lost with power unless saved.
//!
//! Not in any source, so parameters or choices here: what a start after an expiry does ([`LannerExpiry`]),
//! the factory values (everything to bypass), that masks act at once but "just on" and "system off" act at the
//! next change of power, and that a write of 0 to a period is kept and then refused at the start.
//! The relays latch; at power loss the MCU sets them to the system-off mask from its hold-up supply.

use core::time::Duration;

use super::countdown::{Countdown, Restarted};
use super::{Body, Chip, Health, Power};
use crate::board::RelayState;
use crate::node::Instant;
use crate::sim::fault::NotApplicable;
use crate::sim::journal::BoardFact;
use crate::sim::port::I2cFault;
use crate::sim::relay::{MoveCause, Relay, RelayKind, RelayTiming};

/// Marks the low byte of a good reply.
const MARKER: u8 = 0x80;
/// What an unsupported command's reply carries instead.
const UNSUPPORTED: [u8; 2] = [0x00, 0x00];
/// Capability bits, command 0x03.
const SYSTEM_OFF: u8 = 1 << 0;
const JUST_ON: u8 = 1 << 1;
const RUN_TIME: u8 = 1 << 2;
const WATCHDOG: [u8; 3] = [1 << 3, 1 << 4, 1 << 5];

/// What an expiry does to the run-time mask, and a start after it to the relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LannerExpiry {
    /// The expired pairs are set in the run-time mask and stay so until it is written.
    WritesMask,
    /// The run-time mask stays; a start or stop ends the override and the pairs go back to the mask.
    OverridesMask,
}

/// One model of MCU.
#[derive(Debug, Clone)]
pub struct LannerSpec {
    /// Pairs it drives, 1..=8.
    pub pairs: u8,
    /// Firmware major and minor.
    pub firmware: (u8, u8),
    /// Capability bits as command 0x03 tells them; commands of a missing capability are unsupported.
    pub capabilities: u8,
    /// Longest period of each watchdog, in its own unit (1 s, 1 s, 5 s).
    pub period_max: [u8; 3],
    /// Three bytes of command 0x0C.
    pub board_id: [u8; 3],
    /// See there.
    pub on_expiry: LannerExpiry,
    /// Of all its relays.
    pub timing: RelayTiming,
}

impl Default for LannerSpec {
    fn default() -> Self {
        Self {
            pairs: 2,
            firmware: (1, 2),
            capabilities: 0x3F,
            period_max: [255; 3],
            board_id: [0x4E, 0x43, 0x41],
            on_expiry: LannerExpiry::OverridesMask,
            timing: RelayTiming::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Settings {
    system_off: u8,
    just_on: u8,
    masks: [u8; 3],
    periods: [u8; 3],
}

/// The MCU and its relays.
#[derive(Debug)]
pub struct LannerMcu {
    body: Body,
    spec: LannerSpec,
    pairs_mask: u8,
    live: Settings,
    saved: Settings,
    run_time: u8,
    timers: [Countdown; 3],
    command: u8,
    id_next: usize,
    nvm_writes: u64,
}

impl LannerMcu {
    /// An MCU just powered up with factory settings: every pair in bypass.
    pub fn new(spec: LannerSpec) -> Self {
        let pairs = spec.pairs.clamp(1, 8);
        let pairs_mask = u8::MAX >> (8 - pairs);
        let factory = Settings {
            system_off: pairs_mask,
            just_on: pairs_mask,
            masks: [0; 3],
            periods: [0; 3],
        };
        let relay = Relay::new(RelayKind::Latching, spec.timing, RelayState::Bypass);
        Self {
            body: Body::new(vec![relay; usize::from(pairs)]),
            spec,
            pairs_mask,
            live: factory,
            saved: factory,
            run_time: factory.just_on,
            timers: [Countdown::Stopped; 3],
            command: 0,
            id_next: 0,
            nvm_writes: 0,
        }
    }

    /// How often settings were saved: the cells wear.
    pub fn nvm_writes(&self) -> u64 {
        self.nvm_writes
    }

    /// Pairs that should be in bypass now: the run-time mask and whatever expired on top of it.
    fn bypassed(&self) -> u8 {
        let expired = (self.timers.iter().zip(self.live.masks))
            .filter(|(timer, _)| **timer == Countdown::Expired)
            .fold(0, |pairs, (_, mask)| pairs | mask);
        match self.spec.on_expiry {
            LannerExpiry::WritesMask => self.run_time,
            LannerExpiry::OverridesMask => self.run_time | expired,
        }
    }

    fn apply(&mut self, at: Instant, mask: u8, cause: MoveCause) {
        for pair in 0..self.body.relays.len() {
            self.body.command(at, pair, state_of(mask, pair), cause);
        }
    }

    fn supports(&self, command: u8) -> bool {
        let needs = match command {
            0x01..=0x03 | 0x0A..=0x0C => 0,
            0x04 | 0x10 => SYSTEM_OFF,
            0x05 | 0x11 => JUST_ON,
            0x06 | 0x12 => RUN_TIME,
            0x07 | 0x20..=0x25 => WATCHDOG[0],
            0x08 | 0x30..=0x35 => WATCHDOG[1],
            // Watchdog 3 runs from power-on: it has a stop and no start.
            0x09 | 0x40..=0x43 | 0x45 => WATCHDOG[2],
            _ => return false,
        };
        self.spec.capabilities & needs == needs
    }

    fn execute(&mut self, now: Instant, command: u8, value: u8) {
        if !self.supports(command) {
            self.body
                .refuse(now, format!("command 0x{command:02x} is not supported"));
            return;
        }
        let pairs = value & self.pairs_mask;
        match command {
            0x0A => self.live = self.factory(),
            0x0B => self.save(now),
            0x0C => self.id_next = 0,
            0x10 => self.live.system_off = pairs,
            0x11 => self.live.just_on = pairs,
            0x12 => {
                self.run_time = pairs;
                self.apply(now, self.bypassed(), MoveCause::Command);
            }
            0x21 | 0x31 | 0x41 => self.live.masks[timer_of(command)] = pairs,
            0x22 | 0x32 | 0x42 => self.set_period(now, timer_of(command), value),
            0x24 | 0x34 => self.start(now, timer_of(command)),
            0x25 | 0x35 | 0x45 => self.stop(now, timer_of(command)),
            _ => self
                .body
                .refuse(now, format!("command 0x{command:02x} cannot be written")),
        }
    }

    fn set_period(&mut self, now: Instant, timer: usize, value: u8) {
        if value > self.spec.period_max[timer] {
            let (number, max) = (timer + 1, self.spec.period_max[timer]);
            let what = format!("watchdog {number} cannot do {value}, at most {max}");
            self.body.refuse(now, what);
        } else {
            self.live.periods[timer] = value;
        }
    }

    fn start(&mut self, now: Instant, timer: usize) {
        let number = number_of(timer);
        let period = self.period(timer);
        if period.is_zero() {
            let what = format!("watchdog {number} has no period and was not started");
            self.body.refuse(now, what);
            return;
        }
        let fact = match self.timers[timer].start(now, period) {
            Restarted::Yes => BoardFact::DeadManKicked { timer: number },
            Restarted::No => BoardFact::DeadManArmed {
                timer: number,
                period,
            },
        };
        self.body.note(now, fact);
        self.apply(now, self.bypassed(), MoveCause::Kick);
    }

    fn stop(&mut self, now: Instant, timer: usize) {
        if self.timers[timer] != Countdown::Stopped {
            self.timers[timer] = Countdown::Stopped;
            let timer = number_of(timer);
            self.body.note(now, BoardFact::DeadManDisarmed { timer });
            self.apply(now, self.bypassed(), MoveCause::Kick);
        }
    }

    fn save(&mut self, now: Instant) {
        self.saved = self.live;
        self.nvm_writes += 1;
        let writes = self.nvm_writes;
        self.body.note(now, BoardFact::NvmWritten { writes });
    }

    fn factory(&self) -> Settings {
        Settings {
            system_off: self.pairs_mask,
            just_on: self.pairs_mask,
            masks: [0; 3],
            periods: [0; 3],
        }
    }

    fn period(&self, timer: usize) -> Duration {
        Duration::from_secs(u64::from(self.live.periods[timer]) * unit_s(timer))
    }

    fn reply(&mut self, now: Instant) -> [u8; 2] {
        let command = self.command;
        if !self.supports(command) {
            return UNSUPPORTED;
        }
        let timer = timer_of(command);
        let value = match command {
            0x01 => self.spec.firmware.0,
            0x02 => self.spec.firmware.1,
            0x03 => self.spec.capabilities,
            0x04..=0x06 => self.pairs_mask,
            0x07..=0x09 => self.spec.period_max[usize::from(command - 0x07)],
            0x0C => self.next_id(),
            0x10 => self.live.system_off,
            0x11 => self.live.just_on,
            0x12 => self.shown_run_time(),
            0x20 | 0x30 | 0x40 => match self.timers[timer] {
                Countdown::Stopped => 0,
                Countdown::Running { .. } => 1,
                Countdown::Expired => 2,
            },
            0x21 | 0x31 | 0x41 => self.live.masks[timer],
            0x22 | 0x32 | 0x42 => self.live.periods[timer],
            0x23 | 0x33 | 0x43 => self.remaining(now, timer),
            _ => 0,
        };
        [command | MARKER, value]
    }

    fn next_id(&mut self) -> u8 {
        let value = self.spec.board_id.get(self.id_next).copied().unwrap_or(0);
        self.id_next = (self.id_next + 1).min(self.spec.board_id.len());
        value
    }

    fn shown_run_time(&self) -> u8 {
        (0..self.body.relays.len()).fold(0, |mask, pair| {
            let shown = self.body.shown(pair, state_of(self.run_time, pair));
            mask | u8::from(shown != RelayState::Normal) << pair
        })
    }

    /// In the timer's unit, rounded up: a running timer never shows 0.
    fn remaining(&self, now: Instant, timer: usize) -> u8 {
        let left = self.timers[timer].remaining(now).as_millis();
        let units = left.div_ceil(u128::from(unit_s(timer)) * 1_000);
        u8::try_from(units).unwrap_or(u8::MAX)
    }

    fn power_up(&mut self, now: Instant) {
        self.live = self.saved;
        self.run_time = self.live.just_on;
        self.timers = [Countdown::Stopped; 3];
        let period = self.period(2);
        if self.live.masks[2] != 0 && !period.is_zero() && self.supports(0x40) {
            self.timers[2].start(now, period);
            let fact = BoardFact::DeadManArmed { timer: 3, period };
            self.body.note(now, fact);
        }
        self.apply(now, self.run_time, MoveCause::PowerUp);
    }

    fn expire(&mut self, at: Instant, timer: usize) {
        let number = number_of(timer);
        self.body
            .note(at, BoardFact::DeadManExpired { timer: number });
        if self.spec.on_expiry == LannerExpiry::WritesMask {
            self.run_time |= self.live.masks[timer];
        }
        self.apply(at, self.bypassed(), MoveCause::Expiry);
    }
}

impl Chip for LannerMcu {
    fn body(&self) -> &Body {
        &self.body
    }

    fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    fn tick(&mut self, now: Instant) {
        if self.body.health == Health::Running {
            let mut fired: Vec<_> = (0..self.timers.len())
                .filter_map(|timer| self.timers[timer].fire(now).map(|at| (at, timer)))
                .collect();
            fired.sort_unstable();
            for (at, timer) in fired {
                self.expire(at, timer);
            }
        }
        for relay in &mut self.body.relays {
            relay.tick(now);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let running = self.body.health == Health::Running;
        let timers = self.timers.iter().filter(|_| running);
        timers.filter_map(|timer| timer.deadline()).min()
    }

    fn write(&mut self, now: Instant, _address: u8, bytes: &[u8]) -> Result<(), I2cFault> {
        match *bytes {
            [] => {}
            [command] => self.command = command,
            [command, value] => self.execute(now, command, value),
            _ => self
                .body
                .refuse(now, format!("{} bytes: not a byte write", bytes.len())),
        }
        Ok(())
    }

    fn read(&mut self, now: Instant, _address: u8, out: &mut [u8]) -> Result<(), I2cFault> {
        let reply = self.reply(now);
        for (index, byte) in out.iter_mut().enumerate() {
            *byte = reply.get(index).copied().unwrap_or(u8::MAX);
        }
        Ok(())
    }

    fn power(&mut self, now: Instant, power: Power) {
        match power {
            Power::On => {
                self.body.health = Health::Running;
                self.power_up(now);
            }
            Power::Off => {
                if self.body.health == Health::Running {
                    self.apply(now, self.live.system_off, MoveCause::PowerOff);
                }
                self.body.health = Health::Off;
            }
        }
    }

    fn die(&mut self, now: Instant) {
        // Latching relays stay where they are.
        self.tick(now);
        self.body.health = Health::Dead;
    }

    fn external_write(
        &mut self,
        now: Instant,
        relay: usize,
        state: RelayState,
    ) -> Result<(), NotApplicable> {
        let bit = 1_u8 << relay.min(7);
        match state {
            RelayState::Normal => self.run_time &= !bit,
            RelayState::Bypass => self.run_time |= bit,
            RelayState::Disconnect | RelayState::Unknown => {
                let reason = "a Lanner pair is Normal or Bypass";
                return Err(NotApplicable::new("external write", reason));
            }
        }
        self.apply(now, self.bypassed(), MoveCause::External);
        Ok(())
    }
}

fn state_of(mask: u8, pair: usize) -> RelayState {
    if mask >> pair & 1 == 1 {
        RelayState::Bypass
    } else {
        RelayState::Normal
    }
}

/// Watchdogs 1, 2 and 3 have their commands at 0x20, 0x30 and 0x40.
fn timer_of(command: u8) -> usize {
    usize::from((command >> 4).saturating_sub(2)).min(2)
}

fn number_of(timer: usize) -> u8 {
    u8::try_from(timer + 1).unwrap_or(u8::MAX)
}

/// Watchdog 3 counts in steps of 5 s.
fn unit_s(timer: usize) -> u64 {
    if timer == 2 { 5 } else { 1 }
}

#[cfg(test)]
#[path = "lanner_tests.rs"]
mod tests;
