//! How often, and when, something that failed is tried again.

use core::time::Duration;

use crate::session::Moment;

/// After the first failure.
const FIRST: Duration = Duration::from_millis(200);
/// Never less often than this: what fails for days is tried once a minute.
const LONGEST: Duration = Duration::from_secs(60);

/// Failures in a row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Retry {
    failures: u32,
    not_before: Moment,
}

impl Retry {
    pub(crate) fn failed(&mut self, now: Moment) {
        let pause = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.saturating_add(pause);
    }

    pub(crate) fn may(&self, now: Moment) -> bool {
        now >= self.not_before
    }

    /// When it may, if that is to be waited for.
    pub(crate) fn deadline(&self, now: Moment) -> Option<Moment> {
        (!self.may(now)).then_some(self.not_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut retry = Retry::default();
        assert!(retry.may(Duration::ZERO));
        let mut pauses = Vec::new();
        for _ in 0..40 {
            retry.failed(Duration::ZERO);
            pauses.push(retry.deadline(Duration::ZERO));
        }
        assert_eq!(pauses[0], Some(FIRST));
        assert_eq!(pauses[1], Some(FIRST * 2));
        assert_eq!(pauses[39], Some(LONGEST));
    }
}
