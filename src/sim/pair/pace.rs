//! How time passes in a world: drawn from the dice, or in beats.
//!
//! In beats nothing takes time but what must: an agent wakes on the next beat, a relay travels for part of one, and
//! everything else is done in the same instant, one thing after the other. Few different instants are left, so that
//! worlds meet again.

use core::time::Duration;

use crate::node::Instant;

/// How time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Everything takes a time of its own, drawn anew each time.
    Drawn,
    /// Everything happens on a beat.
    Beats,
}

/// One beat: the interval of heartbeats, kicks and looks.
///
/// Shorter than what the node takes for sleep of its own, and four of them are the longest age of a ticket.
pub(super) const BEAT: Duration = Duration::from_millis(250);

impl Pace {
    /// What takes `span` otherwise.
    pub(super) fn span(self, span: Duration) -> Duration {
        match self {
            Self::Drawn => span,
            Self::Beats => Duration::ZERO,
        }
    }

    /// When an agent that wants to be woken at `at` is woken.
    pub(super) fn wakes_at(self, at: Instant) -> Instant {
        match self {
            Self::Drawn => at,
            Self::Beats => Instant::from_nanos(at.as_nanos().next_multiple_of(beat_nanos())),
        }
    }

    /// After an order that takes `span` to be read back otherwise, its contact is read.
    pub(super) fn settles_in(self, span: Duration) -> Duration {
        match self {
            Self::Drawn => span,
            Self::Beats => BEAT,
        }
    }

    /// How long a relay travels, if not `drawn`.
    pub(super) fn travel(self, drawn: Duration) -> Duration {
        match self {
            Self::Drawn => drawn,
            Self::Beats => BEAT * 2 / 5,
        }
    }

    /// A relay that lost its right is open after this: travel, sampling, drift.
    pub(super) fn opening_max(self) -> Duration {
        match self {
            Self::Drawn => Duration::from_millis(15),
            Self::Beats => BEAT / 2,
        }
    }

    /// Hearing nothing for so long, a node is alone.
    pub(super) fn alone_after(self) -> Duration {
        match self {
            Self::Drawn => Duration::from_millis(300),
            Self::Beats => BEAT * 6,
        }
    }
}

/// A beat in nanoseconds.
pub(super) fn beat_nanos() -> u64 {
    u64::try_from(BEAT.as_nanos()).unwrap_or(u64::MAX)
}
