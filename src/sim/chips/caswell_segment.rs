//! One CASwell segment: the expander's pins, and the CPLD that watches them. Facts: see [`super::caswell`].

use core::time::Duration;

use super::Body;
use super::caswell::CaswellExpiry;
use super::countdown::{Countdown, Restarted};
use super::pca9555::Pca9555;
use super::pca9559::Pca9559;
use crate::board::RelayState;
use crate::board::profile::CaswellChip;
use crate::node::Instant;
use crate::sim::journal::BoardFact;

const CLEAR: u8 = 1 << 0;
const SET_NORMAL: u8 = 1 << 1;
const SET_NON_NORMAL: u8 = 1 << 2;
const BPE_BIT: u8 = 4;
const NON_NORMAL: u8 = 1 << 6;
const NOT_TIMED_OUT: u8 = 1 << 7;
const LOAD: u8 = 1 << 0;
const DISABLE: u8 = 1 << 1;

/// What the CPLD's flip-flop holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Normal,
    NonNormal,
}

/// Pins that fell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edges([u8; 2]);

impl Edges {
    /// Whether the watchdog is loaded.
    pub(super) fn load(self) -> bool {
        self.0[0] & LOAD != 0
    }
}

/// Expander and CPLD of one segment.
#[derive(Debug)]
pub(super) struct CaswellSegment {
    chip: CaswellChip,
    on_expiry: CaswellExpiry,
    expander: Pca9555,
    position: Position,
    /// Non-normal by expiry on top of `position`, where a load would lift it.
    overridden: bool,
    timed_out: bool,
    timer: Countdown,
}

impl CaswellSegment {
    /// As after power-up.
    pub(super) fn new(chip: CaswellChip, on_expiry: CaswellExpiry, settings: &Pca9559) -> Self {
        let mut segment = Self {
            chip,
            on_expiry,
            expander: Pca9555::default(),
            position: Position::NonNormal,
            overridden: false,
            timed_out: false,
            timer: Countdown::Stopped,
        };
        segment.power_up(settings);
        segment
    }

    /// 7-bit address of the expander.
    pub(super) fn address(&self) -> u8 {
        self.chip.address
    }

    /// Everything volatile starts anew; the nextboot bit decides.
    pub(super) fn power_up(&mut self, settings: &Pca9559) {
        self.forget();
        if !settings.bit(self.chip.nextboot_bit) {
            self.position = Position::Normal;
        }
    }

    /// Without power the segment is non-normal, and the stored bit says which kind.
    pub(super) fn power_off(&mut self) {
        self.forget();
    }

    /// Where the relay should be.
    pub(super) fn wanted(&self, settings: &Pca9559) -> RelayState {
        match (self.effective(), self.bypasses(settings)) {
            (Position::Normal, _) => RelayState::Normal,
            (Position::NonNormal, true) => RelayState::Bypass,
            (Position::NonNormal, false) => RelayState::Disconnect,
        }
    }

    /// Sets the expander's register pointer.
    pub(super) fn point(&mut self, register: u8) {
        self.expander.point(register);
    }

    /// Writes the register under the pointer; which pins fell by that.
    pub(super) fn store(&mut self, value: u8, settings: &Pca9559) -> Edges {
        let outside = self.outside(settings, None);
        let before = self.expander.pins(outside);
        self.expander.store(value);
        let after = self.expander.pins(outside);
        Edges([before[0] & !after[0], before[1] & !after[1]])
    }

    /// Reads the register under the pointer.
    pub(super) fn load(&mut self, settings: &Pca9559, lie: Option<RelayState>) -> u8 {
        let outside = self.outside(settings, lie);
        self.expander.load(outside)
    }

    /// What the pins hold as period.
    pub(super) fn period(&self, settings: &Pca9559) -> Duration {
        let pins = self.expander.pins(self.outside(settings, None));
        Duration::from_secs(u64::from(pins[0] >> 2))
    }

    /// The CPLD sees pins fall.
    pub(super) fn act(
        &mut self,
        now: Instant,
        edges: Edges,
        period: Duration,
        timer: u8,
        body: &mut Body,
    ) {
        let [port_0, port_1] = edges.0;
        if port_1 & CLEAR != 0 {
            self.timed_out = false;
        }
        if port_1 & (SET_NORMAL | SET_NON_NORMAL) != 0 {
            self.overridden = false;
            // Both at once: the safe one wins.
            self.position = if port_1 & SET_NON_NORMAL == 0 {
                Position::Normal
            } else {
                Position::NonNormal
            };
        }
        if port_0 & LOAD != 0 {
            self.kick(now, period, timer, body);
        }
        if port_0 & DISABLE != 0 && self.timer != Countdown::Stopped {
            self.timer = Countdown::Stopped;
            self.overridden = false;
            body.note(now, BoardFact::DeadManDisarmed { timer });
        }
    }

    /// Ends the watchdog if due; the instant at which it ended.
    pub(super) fn fire(&mut self, now: Instant) -> Option<Instant> {
        let at = self.timer.fire(now)?;
        self.timed_out = true;
        match self.on_expiry {
            CaswellExpiry::Sticky => self.position = Position::NonNormal,
            CaswellExpiry::LoadRestores => self.overridden = true,
        }
        Some(at)
    }

    /// An expiry holds the relay wherever its position says it should be.
    pub(super) fn is_overridden(&self) -> bool {
        self.overridden
    }

    /// When the watchdog fires.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timer.deadline()
    }

    /// What another master writes to get `state`: the level first, then the pulse.
    pub(super) fn writes_for(&self, state: RelayState) -> Option<[[u8; 2]; 3]> {
        let port = self.expander.output(1);
        let (level, pulse) = match state {
            RelayState::Normal => (port, SET_NORMAL),
            RelayState::Bypass => (port | 1 << BPE_BIT, SET_NON_NORMAL),
            RelayState::Disconnect => (port & !(1 << BPE_BIT), SET_NON_NORMAL),
            RelayState::Unknown => return None,
        };
        Some([[3, level], [3, level & !pulse], [3, level | pulse]])
    }

    fn kick(&mut self, now: Instant, period: Duration, timer: u8, body: &mut Body) {
        if period.is_zero() {
            body.refuse(
                now,
                format!("watchdog {timer} has period 0 and was not loaded"),
            );
            return;
        }
        self.overridden = false;
        body.note(
            now,
            match self.timer.start(now, period) {
                Restarted::Yes => BoardFact::DeadManKicked { timer },
                Restarted::No => BoardFact::DeadManArmed { timer, period },
            },
        );
    }

    fn forget(&mut self) {
        self.expander = Pca9555::default();
        self.position = Position::NonNormal;
        self.overridden = false;
        self.timed_out = false;
        self.timer = Countdown::Stopped;
    }

    fn effective(&self) -> Position {
        if self.overridden {
            Position::NonNormal
        } else {
            self.position
        }
    }

    fn bypasses(&self, settings: &Pca9559) -> bool {
        if self.expander.drives(1, BPE_BIT) {
            self.expander.output(1) >> BPE_BIT & 1 == 1
        } else {
            settings.bit(self.chip.bpe_bit)
        }
    }

    /// Levels at the pins from the CPLD's side; everything else is pulled up.
    fn outside(&self, settings: &Pca9559, lie: Option<RelayState>) -> [u8; 2] {
        let mut status = 0xFF;
        if lie.unwrap_or(self.wanted(settings)) == RelayState::Normal {
            status &= !NON_NORMAL;
        }
        if self.timed_out {
            status &= !NOT_TIMED_OUT;
        }
        [0xFF, status]
    }
}
