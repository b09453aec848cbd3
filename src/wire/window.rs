//! Which counters of one sender were seen on one link: the newest, and a window behind it.
//!
//! A counter is accepted once. Below the window nothing can be told from a copy any more and is refused; a frame that
//! merely was overtaken on another link stays acceptable for [`WINDOW`] frames.

/// How many messages behind the newest a frame may be: more than a second at the fastest interval.
pub(super) const WINDOW: u64 = 128;

/// Counters seen of one sender in one of its boots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ReplayWindow {
    newest: u64,
    /// Bit `n` stands for `newest - n`.
    seen: u128,
}

/// What a counter is to a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Newer than everything seen.
    Newest,
    /// Overtaken, and not seen yet.
    Overtaken,
    /// Seen before.
    Seen,
    /// Below the window.
    TooOld,
}

impl ReplayWindow {
    /// The newest counter seen; 0 if none.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Where a counter stands. Counters begin at 1; 0 is below every window.
    pub(super) fn place(&self, counter: u64) -> Place {
        if counter > self.newest {
            return Place::Newest;
        }
        let behind = self.newest - counter;
        if counter == 0 || behind >= WINDOW {
            return Place::TooOld;
        }
        if self.seen >> behind & 1 == 1 {
            Place::Seen
        } else {
            Place::Overtaken
        }
    }

    /// Remember a counter. Only after its frame proved authentic: else a forger could push the window away.
    pub(super) fn mark(&mut self, counter: u64) {
        if counter > self.newest {
            let step = counter - self.newest;
            self.seen = if step >= WINDOW { 0 } else { self.seen << step };
            self.seen |= 1;
            self.newest = counter;
        } else if self.newest - counter < WINDOW {
            self.seen |= 1 << (self.newest - counter);
        }
    }

    /// How many counters above `after` and up to `upto` were seen.
    pub(super) fn seen_between(&self, after: u64, upto: u64) -> u32 {
        let within = |behind: &u64| {
            let counter = self.newest.saturating_sub(*behind);
            self.seen >> behind & 1 == 1 && counter > after && counter <= upto
        };
        // At most as many as there are bits.
        u32::try_from((0..WINDOW).filter(within).count()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_window_has_the_size_it_says() {
        let mut window = ReplayWindow::default();
        window.mark(1000);
        assert_eq!(window.place(1000 - WINDOW + 1), Place::Overtaken);
        assert_eq!(window.place(1000 - WINDOW), Place::TooOld);
        assert_eq!(window.place(1000), Place::Seen);
        window.mark(u64::MAX);
        assert_eq!(window.place(u64::MAX), Place::Seen);
        assert_eq!(window.place(1000), Place::TooOld);
    }

    #[test]
    fn what_was_seen_in_a_span_is_counted() {
        let mut window = ReplayWindow::default();
        assert_eq!(window.seen_between(0, 100), 0);
        for counter in [1, 2, 5, 9] {
            window.mark(counter);
        }
        assert_eq!(window.seen_between(0, 9), 4);
        assert_eq!(window.seen_between(1, 8), 2);
        assert_eq!(window.seen_between(9, 200), 0);
    }

    #[test]
    fn zero_is_nobodys_counter() {
        assert_eq!(ReplayWindow::default().place(0), Place::TooOld);
    }

    proptest! {
        /// Against a set that forgets nothing.
        #[test]
        fn no_counter_is_taken_twice(counters in prop::collection::vec(1_u64..400, 1..300)) {
            let mut window = ReplayWindow::default();
            let mut seen = BTreeSet::new();
            for counter in counters {
                let newest = seen.last().copied().unwrap_or(0);
                let expected = if counter > newest {
                    Place::Newest
                } else if newest - counter >= WINDOW {
                    Place::TooOld
                } else if seen.contains(&counter) {
                    Place::Seen
                } else {
                    Place::Overtaken
                };
                prop_assert_eq!(window.place(counter), expected);
                if matches!(expected, Place::Newest | Place::Overtaken) {
                    window.mark(counter);
                    seen.insert(counter);
                }
            }
        }
    }
}
