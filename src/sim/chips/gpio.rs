//! Relays wired straight to GPIO lines: monostable ones behind a driver, and latching ones with two coils.
//!
//! Facts: monostable coil energised = Normal, so every loss of drive fails to rest; an optional
//! retriggerable timer gates all coils and every edge on its line restarts it; latching relays need a pulse
//! of at least 10 ms (signal relay data sheets) and keep their place without power.
//!
//! Choices here: the gate is open only while its timer runs, and opens again at the next edge; a pulse that
//! ends early moves nothing and is counted; with both coils driven nothing moves and it is counted.

use core::time::Duration;

use super::countdown::{Countdown, Restarted};
use super::{Body, Chip, Drive, Health, Power};
use crate::board::RelayState;
use crate::node::Instant;
use crate::sim::fault::NotApplicable;
use crate::sim::journal::BoardFact;
use crate::sim::relay::{MoveCause, Relay, RelayKind, RelayTiming};

/// Shortest pulse that moves a latching relay.
pub const PULSE_MIN: Duration = Duration::from_millis(10);

/// One coil per segment: pin `n` is the coil of relay `n`, output `n` its contact (asserted = Normal).
#[derive(Debug)]
pub struct GpioMonostable {
    body: Body,
    coils: Vec<Drive>,
    gate: Option<Gate>,
}

#[derive(Debug)]
struct Gate {
    period: Duration,
    line: Drive,
    timer: Countdown,
}

impl GpioMonostable {
    /// The pin of the gate's kick line.
    pub const KICK: usize = usize::MAX;

    /// Relays at rest; `gate` is the retriggerable timer's period, if fitted.
    pub fn new(rests: &[RelayState], gate: Option<Duration>, timing: RelayTiming) -> Self {
        let relay =
            |rest: &RelayState| Relay::new(RelayKind::Monostable { rest: *rest }, timing, *rest);
        let gate = gate.map(|period| Gate {
            period,
            line: Drive::Inactive,
            timer: Countdown::Stopped,
        });
        Self {
            body: Body::new(rests.iter().map(relay).collect()),
            coils: vec![Drive::Floating; rests.len()],
            gate,
        }
    }

    fn supplied(&self) -> bool {
        let open = (self.gate.as_ref()).is_none_or(|gate| gate.timer.deadline().is_some());
        open && self.body.health == Health::Running
    }

    fn apply(&mut self, at: Instant, cause: MoveCause) {
        let supplied = self.supplied();
        for (relay, coil) in self.body.relays.iter_mut().zip(&self.coils) {
            if supplied && *coil == Drive::Active {
                relay.command(at, RelayState::Normal, cause);
            } else {
                relay.lose_power(at, cause);
            }
        }
    }

    fn kick(&mut self, now: Instant, drive: Drive) {
        let Some(gate) = self.gate.as_mut().filter(|gate| is_edge(gate.line, drive)) else {
            return;
        };
        gate.line = drive;
        if self.body.health != Health::Running {
            return;
        }
        let fact = match gate.timer.start(now, gate.period) {
            Restarted::Yes => BoardFact::DeadManKicked { timer: 1 },
            Restarted::No => BoardFact::DeadManArmed {
                timer: 1,
                period: gate.period,
            },
        };
        self.body.note(now, fact);
        self.apply(now, MoveCause::Kick);
    }
}

impl Chip for GpioMonostable {
    fn body(&self) -> &Body {
        &self.body
    }

    fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    fn tick(&mut self, now: Instant) {
        if let Some(at) = self.gate.as_mut().and_then(|gate| gate.timer.fire(now)) {
            self.body.note(at, BoardFact::DeadManExpired { timer: 1 });
            self.apply(at, MoveCause::Expiry);
        }
        for relay in &mut self.body.relays {
            relay.tick(now);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.gate.as_ref()?.timer.deadline()
    }

    fn drive(&mut self, now: Instant, pin: usize, drive: Drive) {
        if pin == Self::KICK {
            return self.kick(now, drive);
        }
        if let Some(coil) = self.coils.get_mut(pin) {
            *coil = drive;
            let cause = match drive {
                Drive::Floating => MoveCause::LineReleased,
                Drive::Active | Drive::Inactive => MoveCause::Command,
            };
            self.apply(now, cause);
        }
    }

    fn asserts(&self, pin: usize) -> bool {
        contact_asserted(&self.body, pin)
    }

    fn power(&mut self, now: Instant, power: Power) {
        if let Some(gate) = &mut self.gate {
            gate.timer = Countdown::Stopped;
            gate.line = Drive::Inactive;
        }
        match power {
            Power::On => {
                self.body.health = Health::Running;
                self.apply(now, MoveCause::PowerUp);
            }
            Power::Off => {
                self.body.health = Health::Off;
                self.apply(now, MoveCause::PowerOff);
            }
        }
    }

    fn die(&mut self, now: Instant) {
        self.tick(now);
        self.body.health = Health::Dead;
        if let Some(gate) = &mut self.gate {
            gate.timer = Countdown::Stopped;
        }
        self.apply(now, MoveCause::PowerOff);
    }

    fn external_write(
        &mut self,
        _now: Instant,
        _relay: usize,
        _state: RelayState,
    ) -> Result<(), NotApplicable> {
        let reason = "lines have one owner; use a busy line";
        Err(NotApplicable::new("external write", reason))
    }
}

/// Two coils per segment: pin `2n` sets (Normal) and `2n + 1` resets; output `n` is the contact.
#[derive(Debug)]
pub struct GpioLatching {
    body: Body,
    reset_to: Vec<RelayState>,
    coils: Vec<Coils>,
    bad_pulses: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Coils {
    set: bool,
    reset: bool,
    /// Since when exactly one is driven, until it has done its work.
    pulse: Option<(Instant, Coil)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coil {
    Set,
    Reset,
}

impl GpioLatching {
    /// Relays in their reset positions.
    pub fn new(reset_to: &[RelayState], timing: RelayTiming) -> Self {
        // The travel happens during the pulse; what is left of it comes after.
        let timing = RelayTiming {
            operate: timing.operate.saturating_sub(PULSE_MIN),
            release: timing.release.saturating_sub(PULSE_MIN),
        };
        let relay = |at: &RelayState| Relay::new(RelayKind::Latching, timing, *at);
        Self {
            body: Body::new(reset_to.iter().map(relay).collect()),
            reset_to: reset_to.to_vec(),
            coils: vec![Coils::default(); reset_to.len()],
            bad_pulses: 0,
        }
    }

    /// Pulses that were too short, or on both coils at once.
    pub fn bad_pulses(&self) -> u64 {
        self.bad_pulses
    }

    fn refuse(&mut self, now: Instant, what: String) {
        self.bad_pulses += 1;
        self.body.refuse(now, what);
    }
}

impl Chip for GpioLatching {
    fn body(&self) -> &Body {
        &self.body
    }

    fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    fn tick(&mut self, now: Instant) {
        for (index, coils) in self.coils.iter_mut().enumerate() {
            let Some((since, coil)) = coils.pulse.filter(|(since, _)| *since + PULSE_MIN <= now)
            else {
                continue;
            };
            coils.pulse = None;
            let to = match coil {
                Coil::Set => RelayState::Normal,
                Coil::Reset => self.reset_to[index],
            };
            self.body
                .command(since + PULSE_MIN, index, to, MoveCause::Command);
        }
        for relay in &mut self.body.relays {
            relay.tick(now);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let pulses = self.coils.iter().filter_map(|coils| coils.pulse);
        pulses.map(|(since, _)| since + PULSE_MIN).min()
    }

    fn drive(&mut self, now: Instant, pin: usize, drive: Drive) {
        self.tick(now);
        let index = pin / 2;
        let Some(coils) = self.coils.get_mut(index) else {
            return;
        };
        let driven = drive == Drive::Active && self.body.health == Health::Running;
        let coil = if pin.is_multiple_of(2) {
            &mut coils.set
        } else {
            &mut coils.reset
        };
        if *coil == driven {
            return;
        }
        *coil = driven;
        let cut_short = coils.pulse.take().is_some();
        match (coils.set, coils.reset) {
            (true, true) => self.refuse(now, format!("both coils of relay {index} driven")),
            (true, false) => coils.pulse = Some((now, Coil::Set)),
            (false, true) => coils.pulse = Some((now, Coil::Reset)),
            (false, false) if cut_short => {
                self.refuse(now, format!("pulse on relay {index} shorter than 10 ms"));
            }
            (false, false) => {}
        }
    }

    fn asserts(&self, pin: usize) -> bool {
        contact_asserted(&self.body, pin)
    }

    fn power(&mut self, now: Instant, power: Power) {
        self.body.health = match power {
            Power::On => Health::Running,
            Power::Off => Health::Off,
        };
        self.coils.fill(Coils::default());
        for relay in &mut self.body.relays {
            relay.lose_power(now, MoveCause::PowerOff);
        }
    }

    fn die(&mut self, now: Instant) {
        self.power(now, Power::Off);
        self.body.health = Health::Dead;
    }

    fn external_write(
        &mut self,
        _now: Instant,
        _relay: usize,
        _state: RelayState,
    ) -> Result<(), NotApplicable> {
        let reason = "lines have one owner; use a busy line";
        Err(NotApplicable::new("external write", reason))
    }
}

/// Auxiliary contacts are asserted in Normal.
fn contact_asserted(body: &Body, relay: usize) -> bool {
    (body.relays.get(relay))
        .is_some_and(|it| body.shown(relay, it.auxiliary()) == RelayState::Normal)
}

/// Floating and inactive are the same level.
fn is_edge(before: Drive, after: Drive) -> bool {
    (before == Drive::Active) != (after == Drive::Active)
}

#[cfg(test)]
#[path = "gpio_tests.rs"]
mod tests;
