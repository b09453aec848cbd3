//! Models of the bypass controllers, one file each, written from vendor facts alone.
//!
//! A chip owns the relays it drives. It has no clock: every call carries the time, timers end at their
//! own instant, and a chip that is never ticked does nothing late but everything in order. What a source
//! does not say is a parameter with a documented default, the worse one for a driver where there is a worse.

pub mod caswell;
mod caswell_segment;
pub mod chance;
pub mod countdown;
pub mod gpio;
pub mod lanner;
pub mod mux;
pub mod pca9555;
pub mod pca9559;
pub mod pulse_train;
pub mod reference;
pub mod riverbed;

use std::mem;

use super::fault::NotApplicable;
use super::journal::BoardFact;
use super::port::I2cFault;
use super::relay::{MoveCause, Relay};
use crate::board::RelayState;
use crate::node::Instant;

pub use caswell::{CaswellExpiry, CaswellGen2, CaswellSpec};
pub use gpio::{GpioLatching, GpioMonostable};
pub use lanner::{LannerExpiry, LannerMcu, LannerSpec};
pub use pulse_train::PulseTrainMcu;
pub use reference::ReferenceController;
pub use riverbed::RiverbedMcu;

/// What a host does to one pin, after the line's polarity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drive {
    /// Nobody drives it; the board's resistor pulls it to inactive.
    Floating,
    /// Driven to its inactive level.
    Inactive,
    /// Driven to its active level.
    Active,
}

/// Supply of a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Present.
    On,
    /// Gone.
    Off,
}

/// Whether a chip takes part at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Works.
    Running,
    /// Powered and hung: no answer, no timers.
    Dead,
    /// Without power.
    Off,
}

/// What every chip has: relays, a state of health, and facts to report.
#[derive(Debug)]
pub struct Body {
    /// Relays it drives.
    pub relays: Vec<Relay>,
    /// Whether it works.
    pub health: Health,
    /// Per relay: what read-back shows instead of the truth.
    pub lies: Vec<Option<RelayState>>,
    facts: Vec<(Instant, BoardFact)>,
}

impl Body {
    /// A running chip with these relays.
    pub fn new(relays: Vec<Relay>) -> Self {
        Self {
            lies: vec![None; relays.len()],
            relays,
            health: Health::Running,
            facts: Vec::new(),
        }
    }

    /// Reports a fact; the board takes it before its call returns.
    pub fn note(&mut self, at: Instant, fact: BoardFact) {
        self.facts.push((at, fact));
    }

    /// Reports a command that was not carried out.
    pub fn refuse(&mut self, at: Instant, what: impl Into<String>) {
        self.note(at, BoardFact::Refused { what: what.into() });
    }

    /// Tells one relay.
    pub fn command(&mut self, at: Instant, relay: usize, to: RelayState, cause: MoveCause) {
        if let Some(relay) = self.relays.get_mut(relay) {
            relay.command(at, to, cause);
        }
    }

    /// What read-back shows for a relay whose truth is `truth`.
    pub fn shown(&self, relay: usize, truth: RelayState) -> RelayState {
        self.lies.get(relay).copied().flatten().unwrap_or(truth)
    }

    /// Whether there are facts or moves to take.
    pub fn has_news(&self) -> bool {
        !self.facts.is_empty() || self.relays.iter().any(Relay::has_moved)
    }

    /// Facts since the last call.
    pub fn take_facts(&mut self) -> Vec<(Instant, BoardFact)> {
        mem::take(&mut self.facts)
    }
}

/// One controller with its relays, as the rest of the board sees it.
pub trait Chip: Send {
    /// Relays, health, facts.
    fn body(&self) -> &Body;
    /// The same, to change.
    fn body_mut(&mut self) -> &mut Body;

    /// Ends every timer that is due and moves relays on. Called before anything else happens to the chip.
    fn tick(&mut self, now: Instant);

    /// When its next timer (not relay) ends.
    fn deadline(&self) -> Option<Instant>;

    /// The write phase of a transaction; empty bytes are a probe.
    ///
    /// # Errors
    /// [`I2cFault::Nack`] if the chip is not there or refuses a byte.
    fn write(&mut self, _now: Instant, _address: u8, _bytes: &[u8]) -> Result<(), I2cFault> {
        Err(I2cFault::Nack)
    }

    /// The read phase of a transaction; fills all of `out`.
    ///
    /// # Errors
    /// [`I2cFault::Nack`] if the chip is not there or cannot be read.
    fn read(&mut self, _now: Instant, _address: u8, _out: &mut [u8]) -> Result<(), I2cFault> {
        Err(I2cFault::Nack)
    }

    /// The host changed what it does to one of the chip's pins.
    fn drive(&mut self, _now: Instant, _pin: usize, _drive: Drive) {}

    /// Whether the chip asserts one of its output pins.
    fn asserts(&self, _pin: usize) -> bool {
        false
    }

    /// The firmware's own state machine, where the chip runs ours.
    fn firmware(&self) -> Option<&fencepost_firmware::Controller> {
        None
    }

    /// Power comes or goes.
    fn power(&mut self, now: Instant, power: Power);

    /// It hangs: relays end where their kind leaves them.
    fn die(&mut self, now: Instant);

    /// Somebody else puts a relay into a state through this chip.
    ///
    /// # Errors
    /// If nobody else can.
    fn external_write(
        &mut self,
        now: Instant,
        relay: usize,
        state: RelayState,
    ) -> Result<(), NotApplicable>;

    /// Makes read-back of a relay show `shows`, or the truth again.
    ///
    /// # Errors
    /// If the chip has no read-back.
    fn lie(&mut self, relay: usize, shows: Option<RelayState>) -> Result<(), NotApplicable> {
        if let Some(lie) = self.body_mut().lies.get_mut(relay) {
            *lie = shows;
        }
        Ok(())
    }
}
