//! Pauses between attempts that fail: each twice as long as the one before, up to a limit, and short again with any
//! news. What nothing has changed about fails again, and each try cuts the peer's wire or wears a disk or a BMC.

use core::time::Duration;

use crate::node::time::Instant;

/// Doublings while there is somebody to talk to: what failed was said or done by one of two that live.
const DOUBLINGS_MAX: u32 = 3;
/// The longest pause of a node that is alone: so late is noticed what nobody reports, such as a cable plugged in again.
const ALONE_MAX: Duration = Duration::from_secs(10);

/// One kind of attempts.
#[derive(Debug, Clone)]
pub(super) struct Retries {
    first: Duration,
    failed: u32,
    at: Instant,
}

/// Whether anything but time can be expected to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    /// The peer is heard.
    Together,
    /// It is not.
    Alone,
}

impl Retries {
    /// None has failed; `first` is half the pause after the first that does.
    pub(super) fn new(first: Duration, now: Instant) -> Self {
        Self {
            first,
            failed: 0,
            at: now,
        }
    }

    /// Not before then.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    pub(super) fn failed(&mut self, now: Instant, company: Company) {
        self.failed = self.failed.saturating_add(1);
        let together = self.first * (1 << self.failed.min(DOUBLINGS_MAX));
        self.at = now
            + match company {
                Company::Together => together,
                Company::Alone => {
                    let doubled = self.first.saturating_mul(1 << self.failed.min(16));
                    doubled.min(ALONE_MAX).max(together)
                }
            };
    }

    pub(super) fn succeeded(&mut self) {
        self.failed = 0;
    }

    /// Something else ended; the next attempt may come soon.
    pub(super) fn rest(&mut self, now: Instant) {
        self.at = now + self.first;
    }

    /// Something changed: what failed before may work now.
    pub(super) fn news(&mut self, now: Instant) {
        if core::mem::take(&mut self.failed) > 0 {
            self.at = self.at.min(now + self.first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(40);

    fn pauses(company: Company, count: usize) -> Vec<u128> {
        let now = Instant::from_millis(5);
        let mut retries = Retries::new(FIRST, now);
        let pause = |_| {
            retries.failed(now, company);
            retries.at().since(now).as_millis()
        };
        (0..count).map(pause).collect()
    }

    #[test]
    fn pauses_grow_up_to_a_limit() {
        assert_eq!(pauses(Company::Together, 5), [80, 160, 320, 320, 320]);
        let alone = pauses(Company::Alone, 40);
        assert_eq!(alone[..5], [80, 160, 320, 640, 1_280]);
        assert_eq!(alone[39], 10_000);
    }

    #[test]
    fn a_slow_profile_does_not_try_more_often_when_alone() {
        let slow = Duration::from_secs(2);
        let now = Instant::from_millis(5);
        let mut retries = Retries::new(slow, now);
        (0..20).for_each(|_| retries.failed(now, Company::Alone));
        assert_eq!(retries.at(), now + slow * 8);
    }

    #[test]
    fn news_make_it_try_soon() {
        let now = Instant::from_millis(5);
        let mut retries = Retries::new(FIRST, now);
        (0..9).for_each(|_| retries.failed(now, Company::Alone));
        retries.news(now);
        assert_eq!(retries.at(), now + FIRST);
        retries.failed(now, Company::Alone);
        assert_eq!(retries.at(), now + FIRST * 2);
    }
}
