//! When a held vip is announced: a burst, and then now and again. Pure.
//!
//! One announcement may fall into a switch that is still learning, a port in spanning tree, or a queue that is full;
//! and a cache that missed the whole burst must not be wrong for hours.

use std::time::Duration;

use crate::node::Instant;

/// After the vip was held, in ms.
pub const BURST_MS: [u64; 6] = [0, 20, 100, 500, 2_000, 5_000];

/// From then on this often, unless told otherwise.
pub const REFRESH: Duration = Duration::from_secs(30);

/// When the next announcement is due: `since` is when the vip was held (or a foreign claim was seen, or the peer came
/// back: each starts the burst anew), `done` how many were made since.
pub fn next(since: Instant, done: u32, refresh: Duration) -> Instant {
    let at = usize::try_from(done).unwrap_or(usize::MAX);
    if let Some(after_ms) = BURST_MS.get(at) {
        return since + Duration::from_millis(*after_ms);
    }
    let last = BURST_MS.last().copied().unwrap_or(0);
    let burst = u32::try_from(BURST_MS.len()).unwrap_or(0);
    let refreshes = done.saturating_sub(burst).saturating_add(1);
    since + Duration::from_millis(last) + refresh.saturating_mul(refreshes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_refreshes() {
        let since = Instant::from_millis(1_000);
        let due: Vec<u64> = (0..9)
            .map(|done| next(since, done, REFRESH).as_millis() - 1_000)
            .collect();
        let expected = [0, 20, 100, 500, 2_000, 5_000, 35_000, 65_000, 95_000];
        assert_eq!(due, expected);
    }

    #[test]
    fn counting_on_for_ever_breaks_nothing() {
        assert!(next(Instant::ZERO, u32::MAX, REFRESH) > Instant::ZERO);
    }
}
