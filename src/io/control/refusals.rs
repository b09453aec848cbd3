//! Refused requests on their way to the node: each is worth a record, a flood of them is worth one.

use std::time::{Duration, Instant};

/// Most refusals told per period.
const TOLD_MAX: u32 = 10;
/// The period.
const PERIOD: Duration = Duration::from_secs(60);

/// Counts refusals and says which are to be told.
#[derive(Debug, Default)]
pub struct Refusals {
    since: Option<Instant>,
    told: u32,
    untold: u64,
}

/// What to do with one refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    /// Tell the node; that many before it were not told.
    Now {
        /// Earlier ones in silence.
        untold: u64,
    },
    /// Only count it.
    Later,
}

impl Refusals {
    /// One more, now.
    pub fn count(&mut self, now: Instant) -> Tell {
        if self
            .since
            .is_none_or(|since| now.duration_since(since) >= PERIOD)
        {
            self.since = Some(now);
            self.told = 0;
        }
        if self.told < TOLD_MAX {
            self.told += 1;
            Tell::Now {
                untold: std::mem::take(&mut self.untold),
            }
        } else {
            self.untold += 1;
            Tell::Later
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_ten_times_a_minute_and_counted() {
        let mut refusals = Refusals::default();
        let start = Instant::now();
        let told = (0..1000)
            .filter(|_| refusals.count(start) != Tell::Later)
            .count();
        assert_eq!(told, 10);
        assert_eq!(refusals.count(start + PERIOD), Tell::Now { untold: 990 });
        assert_eq!(refusals.count(start + PERIOD), Tell::Now { untold: 0 });
    }
}
