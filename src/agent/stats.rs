//! How punctual the loop is, measured where it matters: between a deadline and the moment the loop, awake
//! and with the clock read, begins to act on it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::io::realtime::Grant;

/// Upper bounds of the lateness classes in microseconds; one more class takes everything above.
pub const LATE_CLASSES_US: [u64; 6] = [100, 1_000, 2_000, 10_000, 100_000, 1_000_000];

/// Measurements of the control loop since it started. Part of the `status --json` interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopStats {
    /// Turns.
    pub turns: u64,
    /// Deadlines met or missed.
    pub deadlines: u64,
    /// Greatest lateness in microseconds.
    pub worst_late_us: u64,
    /// Lateness of the last deadline in microseconds.
    pub last_late_us: u64,
    /// Deadlines by lateness; classes as in [`LATE_CLASSES_US`].
    pub late_counts: [u64; 7],
    /// Longest turn in microseconds, from reading the clock to the last action handed over.
    pub worst_turn_us: u64,
    /// Snapshots not published because a reader held the place; the next turn publishes again.
    pub snapshots_skipped: u64,
    /// Records, replies and words to the service manager that no thread was there to take in time.
    pub dropped: u64,
    /// Real-time scheduling of the control thread.
    pub realtime: Grant,
    /// Locked memory.
    pub memory: Grant,
}

impl LoopStats {
    /// Nothing measured yet.
    pub const fn new(realtime: Grant, memory: Grant) -> Self {
        Self {
            turns: 0,
            deadlines: 0,
            worst_late_us: 0,
            last_late_us: 0,
            late_counts: [0; 7],
            worst_turn_us: 0,
            snapshots_skipped: 0,
            dropped: 0,
            realtime,
            memory,
        }
    }

    /// A deadline is acted on, this late.
    pub fn woke_late(&mut self, late: Duration) {
        let late_us = micros(late);
        self.deadlines += 1;
        self.last_late_us = late_us;
        self.worst_late_us = self.worst_late_us.max(late_us);
        let class = LATE_CLASSES_US.partition_point(|bound| *bound < late_us);
        self.late_counts[class] += 1;
    }

    /// A turn took this long.
    pub fn turned(&mut self, took: Duration) {
        self.turns += 1;
        self.worst_turn_us = self.worst_turn_us.max(micros(took));
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_classed_and_the_worst_kept() {
        let mut stats = LoopStats::new(Grant::Granted, Grant::NotAsked);
        for late_us in [0, 100, 101, 1_500, 3_000_000, 40] {
            stats.woke_late(Duration::from_micros(late_us));
        }
        assert_eq!(stats.late_counts, [3, 1, 1, 0, 0, 0, 1]);
        assert_eq!(stats.deadlines, 6);
        assert_eq!(stats.worst_late_us, 3_000_000);
        assert_eq!(stats.last_late_us, 40);
    }
}
