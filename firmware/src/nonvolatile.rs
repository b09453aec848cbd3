//! Settings that survive power-off, and the image they are stored as.
//!
//! Flash and EEPROM wear out, so a setting is written only when it differs, and every write is counted in the image
//! itself. An image that cannot be trusted (blank part, torn write) yields `None`; the board then runs on
//! [`crate::Strapping::factory_settings`], which are safe, and says so in its log.

use crate::MAX_SEGMENTS;
use crate::relay::{CutState, Segment};
use crate::wire::pec;

/// The two non-volatile settings of every segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonVolatile {
    power_up: [CutState; MAX_SEGMENTS],
    expiry: [CutState; MAX_SEGMENTS],
    writes: u32,
}

/// Stored layout; other layouts are refused and replaced by factory settings.
const LAYOUT: u8 = 1;

impl NonVolatile {
    /// Bytes of a stored image: layout, power-up mask, expiry mask, write counter, CRC-8. Bit set = `Disconnect`.
    pub const IMAGE_LEN: usize = 8;

    /// Settings never written yet.
    #[must_use]
    pub fn new(power_up: [CutState; MAX_SEGMENTS], expiry: [CutState; MAX_SEGMENTS]) -> Self {
        Self {
            power_up,
            expiry,
            writes: 0,
        }
    }

    /// Power-up defaults, by segment.
    #[must_use]
    pub fn power_up(&self) -> &[CutState; MAX_SEGMENTS] {
        &self.power_up
    }

    /// Dead-man expiry states, by segment.
    #[must_use]
    pub fn expiry(&self) -> &[CutState; MAX_SEGMENTS] {
        &self.expiry
    }

    /// How often the image has been changed since the factory: the wear counter.
    #[must_use]
    pub fn writes(&self) -> u32 {
        self.writes
    }

    /// The image to store.
    #[must_use]
    pub fn to_image(&self) -> [u8; Self::IMAGE_LEN] {
        let [a, b, c, d] = self.writes.to_le_bytes();
        let body = [LAYOUT, mask(&self.power_up), mask(&self.expiry), a, b, c, d];
        let [l, p, e, ..] = body;
        [l, p, e, a, b, c, d, pec(&body)]
    }

    /// A stored image, or `None` if it is blank, torn or of another layout.
    #[must_use]
    pub fn from_image(image: &[u8]) -> Option<Self> {
        let image: [u8; Self::IMAGE_LEN] = image.try_into().ok()?;
        let [layout, power_up, expiry, a, b, c, d, check] = image;
        let body = [layout, power_up, expiry, a, b, c, d];
        if layout != LAYOUT || pec(&body) != check {
            return None;
        }
        Some(Self {
            power_up: states(power_up),
            expiry: states(expiry),
            writes: u32::from_le_bytes([a, b, c, d]),
        })
    }

    pub(crate) fn set_power_up(&mut self, segment: Segment, state: CutState) -> bool {
        let changed = replace(&mut self.power_up, segment, state);
        self.count(changed)
    }

    pub(crate) fn set_expiry(&mut self, segment: Segment, state: CutState) -> bool {
        let changed = replace(&mut self.expiry, segment, state);
        self.count(changed)
    }

    /// Replaces states the board may not take by `fallback`: an image may come from another strapping.
    pub(crate) fn restrict(&mut self, fallback: CutState, allowed: impl Fn(CutState) -> bool) {
        for state in self.power_up.iter_mut().chain(&mut self.expiry) {
            if !allowed(*state) {
                *state = fallback;
            }
        }
    }

    fn count(&mut self, changed: bool) -> bool {
        if changed {
            self.writes = self.writes.saturating_add(1);
        }
        changed
    }
}

fn replace(states: &mut [CutState; MAX_SEGMENTS], segment: Segment, state: CutState) -> bool {
    states
        .get_mut(segment.index())
        .is_some_and(|slot| core::mem::replace(slot, state) != state)
}

fn mask(states: &[CutState; MAX_SEGMENTS]) -> u8 {
    states.iter().rev().fold(0, |mask, state| {
        mask << 1 | u8::from(*state == CutState::Disconnect)
    })
}

fn states(mask: u8) -> [CutState; MAX_SEGMENTS] {
    core::array::from_fn(|n| {
        if mask >> n & 1 == 1 {
            CutState::Disconnect
        } else {
            CutState::Bypass
        }
    })
}
