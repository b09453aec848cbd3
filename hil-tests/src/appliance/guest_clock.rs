//! The guest's clock on the rig's: what the agent dated is drawn where it happened.
//!
//! A guest's clock stands still while its machine is paused and starts anew with each boot, so there is one anchor after another.
//! Error: half a round trip of the command channel, some ten milliseconds; good for pictures and for bounds in seconds.

use fencepost::node::Instant;

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Anchor {
    boot: u32,
    guest_ms: f64,
    rig_ms: f64,
}

/// All readings so far.
#[derive(Debug, Clone, Default)]
pub struct GuestClock {
    boot: u32,
    anchors: Vec<Anchor>,
}

/// Milliseconds of an instant.
pub fn ms(at: Instant) -> f64 {
    at.since(Instant::ZERO).as_secs_f64() * 1000.0
}

impl GuestClock {
    /// A new boot: its clock starts anew.
    pub fn rebooted(&mut self) {
        self.boot += 1;
    }

    /// How many boots there were.
    pub fn boots(&self) -> u32 {
        self.boot
    }

    /// The guest said `guest_ms` since its boot some time between `before` and `after`.
    pub fn anchor(&mut self, guest_ms: f64, before: Instant, after: Instant) {
        let rig_ms = f64::midpoint(ms(before), ms(after));
        self.anchors.push(Anchor {
            boot: self.boot,
            guest_ms,
            rig_ms,
        });
    }

    /// Rig time of a moment of boot number `boot`, by the last anchor at or before it, else by that boot's first.
    pub fn to_rig_ms(&self, boot: u32, guest_ms: f64) -> Option<f64> {
        let of_boot = || self.anchors.iter().filter(|anchor| anchor.boot == boot);
        let before = of_boot().rfind(|anchor| anchor.guest_ms <= guest_ms);
        let anchor = before.or_else(|| of_boot().next())?;
        Some(anchor.rig_ms + guest_ms - anchor.guest_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_shifts_what_comes_after_it() {
        let mut clock = GuestClock::default();
        let at = Instant::from_millis;
        clock.anchor(1_000.0, at(5_000), at(5_020));
        clock.anchor(2_000.0, at(16_000), at(16_000));
        assert_eq!(clock.to_rig_ms(0, 1_500.0), Some(5_510.0));
        assert_eq!(clock.to_rig_ms(0, 2_500.0), Some(16_500.0));
        assert_eq!(clock.to_rig_ms(0, 500.0), Some(4_510.0));
        clock.rebooted();
        assert_eq!(clock.to_rig_ms(1, 1.0), None);
        clock.anchor(10.0, at(20_000), at(20_000));
        assert_eq!(clock.to_rig_ms(1, 5.0), Some(19_995.0));
    }
}
