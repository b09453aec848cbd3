//! The only reader of time.
//!
//! `CLOCK_BOOTTIME`: monotonic, and it goes on while the machine sleeps. A dead-man goes on too, so after
//! a suspend the node must see its own deadlines as missed. Nobody can set it; wall-clock time is only
//! ever read by [`wall_clock`], for people.
//!
//! What if reading fails? The kernel documents no failure for this clock since Linux 2.6.39; should there be
//! one, the last good value is kept, deadlines stop moving, kicks stop, and the dead-man does its work.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use embedded_hal::delay::DelayNs;
use nix::time::{ClockId, clock_gettime};

use crate::board;
use crate::node::Instant;

static LAST_GOOD: AtomicU64 = AtomicU64::new(0);

/// The machine's monotonic clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock;

impl Clock {
    /// Now, on the clock of all the node's events.
    pub fn now(self) -> Instant {
        match clock_gettime(ClockId::CLOCK_BOOTTIME) {
            Ok(time) => {
                let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
                let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
                let now = seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
                LAST_GOOD.store(now, Ordering::Relaxed);
                Instant::from_nanos(now)
            }
            Err(_) => Instant::from_nanos(LAST_GOOD.load(Ordering::Relaxed)),
        }
    }
}

impl DelayNs for Clock {
    fn delay_ns(&mut self, ns: u32) {
        std::thread::sleep(Duration::from_nanos(u64::from(ns)));
    }
}

impl board::Clock for Clock {
    fn now(&self) -> Instant {
        (*self).now()
    }
}

/// Wall-clock time as people write it, UTC, to the millisecond (RFC 3339). For records and logs; no decision
/// reads it.
pub fn wall_clock() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    rfc3339(since)
}

/// Wall-clock time in milliseconds since 1970, to be compared with another machine's and shown.
pub fn wall_clock_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Civil date from days since 1970-01-01, by counting whole 400-year eras from 0000-03-01.
fn rfc3339(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let of_day = seconds % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60,
        since_epoch.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_go_back() {
        let mut last = Clock.now();
        for _ in 0..1000 {
            let now = Clock.now();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn dates_people_know() {
        assert_eq!(rfc3339(Duration::ZERO), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            rfc3339(Duration::from_millis(951_782_400_123)),
            "2000-02-29T00:00:00.123Z"
        );
        assert_eq!(
            rfc3339(Duration::from_secs(1_735_689_599)),
            "2024-12-31T23:59:59.000Z"
        );
        assert_eq!(
            rfc3339(Duration::from_secs(4_107_542_400)),
            "2100-03-01T00:00:00.000Z"
        );
    }
}
