//! Silence: how long the peer has said nothing while *we* were able to hear it.
//!
//! Time in which this process did not run is never held against the peer: between two turns at most two heartbeat
//! intervals count, however far apart the turns were. What if the clock of this host runs wild? Silence is only
//! suspicion; it starts a fence, and the fence must be proven.

use core::time::Duration;

use crate::node::time::Instant;

/// A clock that runs only while we do.
#[derive(Debug, Clone)]
pub(super) struct AwakeClock {
    gap_max: Duration,
    turned_at: Option<Instant>,
    awake: Duration,
    worst_late: Duration,
}

impl AwakeClock {
    pub(super) fn new(heartbeat_every: Duration) -> Self {
        Self {
            gap_max: heartbeat_every * 2,
            turned_at: None,
            awake: Duration::ZERO,
            worst_late: Duration::ZERO,
        }
    }

    /// A turn begins; `due` is when it was asked for.
    pub(super) fn turn(&mut self, now: Instant, due: Option<Instant>) {
        let gap = self.turned_at.map_or(Duration::ZERO, |at| now.since(at));
        self.awake += gap.min(self.gap_max);
        if let (Some(due), Some(turned_at)) = (due, self.turned_at) {
            self.worst_late = self.worst_late.max(now.since(due.max(turned_at)));
        }
        self.turned_at = Some(now);
    }

    /// Worst lateness of a turn so far.
    pub(super) fn worst_late(&self) -> Duration {
        self.worst_late
    }
}

/// What is being waited for, on the awake clock.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Since(Duration);

impl Since {
    pub(super) fn now(clock: &AwakeClock) -> Self {
        Self(clock.awake)
    }

    pub(super) fn elapsed(self, clock: &AwakeClock) -> Duration {
        clock.awake.saturating_sub(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: Duration = Duration::from_millis(10);

    #[test]
    fn our_own_sleep_is_not_the_peers_silence() {
        let mut clock = AwakeClock::new(H);
        clock.turn(Instant::from_millis(0), None);
        let since = Since::now(&clock);
        clock.turn(Instant::from_millis(10), None);
        assert_eq!(since.elapsed(&clock), H);
        clock.turn(Instant::from_millis(60_000), Some(Instant::from_millis(20)));
        assert_eq!(since.elapsed(&clock), H * 3);
        assert_eq!(clock.worst_late(), Duration::from_millis(59_980));
    }
}
