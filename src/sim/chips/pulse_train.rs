//! TechNexion's LPC802: the relay is held in Normal while a square wave arrives.
//!
//! Facts: vendor start and stop scripts: the host toggles one line every 200 ms; stopping *is* the bypass;
//! nothing can be read. How long the MCU waits for an edge is in no public source, so it is a parameter,
//! 1 s by default; so is the number of edges it wants to see before it believes in a wave, 2 by default,
//! because a line that is merely released makes one edge.

use core::time::Duration;

use super::countdown::Countdown;
use super::{Body, Chip, Drive, Health, Power};
use crate::board::RelayState;
use crate::node::Instant;
use crate::sim::fault::NotApplicable;
use crate::sim::journal::BoardFact;
use crate::sim::relay::{MoveCause, Relay, RelayKind, RelayTiming};

/// Assumed wait for an edge.
pub const ASSUMED_TIMEOUT: Duration = Duration::from_secs(1);

/// The MCU and its relay. Pin 0 is the wave.
#[derive(Debug)]
pub struct PulseTrainMcu {
    body: Body,
    rest: RelayState,
    timeout: Duration,
    edges_wanted: u32,
    edges: u32,
    level: Drive,
    wave: Countdown,
}

impl PulseTrainMcu {
    /// Its only pin.
    pub const WAVE: usize = 0;

    /// An MCU that has seen no edge yet.
    pub fn new(rest: RelayState, timeout: Duration, timing: RelayTiming) -> Self {
        let relay = Relay::new(RelayKind::Monostable { rest }, timing, rest);
        Self {
            body: Body::new(vec![relay]),
            rest,
            timeout,
            edges_wanted: 2,
            edges: 0,
            level: Drive::Inactive,
            wave: Countdown::Stopped,
        }
    }

    fn edge(&mut self, now: Instant) {
        self.edges = self.edges.saturating_add(1);
        self.wave.start(now, self.timeout);
        if self.edges < self.edges_wanted {
            return;
        }
        let fact = if self.edges == self.edges_wanted {
            BoardFact::DeadManArmed {
                timer: 1,
                period: self.timeout,
            }
        } else {
            BoardFact::DeadManKicked { timer: 1 }
        };
        self.body.note(now, fact);
        self.body
            .command(now, 0, RelayState::Normal, MoveCause::Command);
    }

    fn stop(&mut self) {
        self.wave = Countdown::Stopped;
        self.edges = 0;
    }
}

impl Chip for PulseTrainMcu {
    fn body(&self) -> &Body {
        &self.body
    }

    fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    fn tick(&mut self, now: Instant) {
        if let Some(at) = self.wave.fire(now) {
            if self.edges >= self.edges_wanted {
                self.body.note(at, BoardFact::DeadManExpired { timer: 1 });
            }
            self.stop();
            self.body.command(at, 0, self.rest, MoveCause::Expiry);
        }
        for relay in &mut self.body.relays {
            relay.tick(now);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.wave.deadline()
    }

    fn drive(&mut self, now: Instant, _pin: usize, drive: Drive) {
        // A floating line is pulled to inactive; only a change of level is an edge.
        let level = match drive {
            Drive::Active => Drive::Active,
            Drive::Floating | Drive::Inactive => Drive::Inactive,
        };
        if level != self.level {
            self.level = level;
            if self.body.health == Health::Running {
                self.edge(now);
            }
        }
    }

    fn power(&mut self, now: Instant, power: Power) {
        self.stop();
        self.level = Drive::Inactive;
        let cause = match power {
            Power::On => MoveCause::PowerUp,
            Power::Off => MoveCause::PowerOff,
        };
        self.body.health = match power {
            Power::On => Health::Running,
            Power::Off => Health::Off,
        };
        self.body.relays[0].lose_power(now, cause);
    }

    fn die(&mut self, now: Instant) {
        // A hung MCU stops driving the coil's charge pump; the relay falls.
        self.tick(now);
        self.stop();
        self.body.health = Health::Dead;
        self.body.relays[0].lose_power(now, MoveCause::PowerOff);
    }

    fn external_write(
        &mut self,
        _now: Instant,
        _relay: usize,
        _state: RelayState,
    ) -> Result<(), NotApplicable> {
        let reason = "only the wave moves this relay";
        Err(NotApplicable::new("external write", reason))
    }

    fn lie(&mut self, _relay: usize, _shows: Option<RelayState>) -> Result<(), NotApplicable> {
        Err(NotApplicable::new("a lie", "nothing can be read here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RelayState::{Bypass, Normal};

    const fn ms(at: u64) -> Instant {
        Instant::from_millis(at)
    }

    fn mcu() -> PulseTrainMcu {
        PulseTrainMcu::new(Bypass, ASSUMED_TIMEOUT, RelayTiming::default())
    }

    fn toggle(mcu: &mut PulseTrainMcu, at: u64) {
        mcu.tick(ms(at));
        let drive = match mcu.level {
            Drive::Active => Drive::Inactive,
            Drive::Inactive | Drive::Floating => Drive::Active,
        };
        mcu.drive(ms(at), PulseTrainMcu::WAVE, drive);
    }

    fn contacts(mcu: &mut PulseTrainMcu, at: u64) -> RelayState {
        mcu.tick(ms(at));
        mcu.body.relays[0].contacts()
    }

    #[test]
    fn a_wave_holds_normal_and_its_end_is_the_bypass() {
        let mut mcu = mcu();
        for edge in 0..20 {
            toggle(&mut mcu, edge * 200);
        }
        assert_eq!(contacts(&mut mcu, 4_799), Normal);
        assert_eq!(contacts(&mut mcu, 4_805), Bypass);
        let moves = mcu.body.relays[0].take_moves();
        assert_eq!(moves.len(), 2);
        assert_eq!(moves[1].commanded_at, ms(19 * 200 + 1_000));
    }

    #[test]
    fn one_edge_is_no_wave_and_a_steady_level_is_none_either() {
        let mut mcu = mcu();
        toggle(&mut mcu, 0);
        for at in 1..50 {
            mcu.tick(ms(at * 100));
            mcu.drive(ms(at * 100), 0, Drive::Active);
        }
        assert_eq!(contacts(&mut mcu, 6_000), Bypass);
        assert!(mcu.body.relays[0].take_moves().is_empty());
    }

    #[test]
    fn the_wave_coming_back_restores_normal() {
        let mut mcu = mcu();
        toggle(&mut mcu, 0);
        toggle(&mut mcu, 200);
        assert_eq!(contacts(&mut mcu, 3_000), Bypass);
        toggle(&mut mcu, 3_000);
        toggle(&mut mcu, 3_200);
        assert_eq!(contacts(&mut mcu, 3_300), Normal);
    }

    #[test]
    fn without_power_or_dead_it_falls() {
        for dies in [true, false] {
            let mut mcu = mcu();
            toggle(&mut mcu, 0);
            toggle(&mut mcu, 200);
            assert_eq!(contacts(&mut mcu, 300), Normal);
            if dies {
                mcu.die(ms(400));
            } else {
                mcu.power(ms(400), Power::Off);
            }
            assert_eq!(contacts(&mut mcu, 405), Bypass);
        }
    }
}
