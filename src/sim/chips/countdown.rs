//! A timer that fires once, at its own instant, however late it is looked at.

use core::time::Duration;

use crate::node::Instant;

/// Stopped, running, or fired until started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Countdown {
    /// Not running.
    #[default]
    Stopped,
    /// Fires at `due`.
    Running {
        /// When.
        due: Instant,
    },
    /// Fired.
    Expired,
}

impl Countdown {
    /// Starts or restarts; says whether it was running already.
    pub fn start(&mut self, now: Instant, period: Duration) -> Restarted {
        let before = *self;
        *self = Self::Running { due: now + period };
        match before {
            Self::Running { .. } => Restarted::Yes,
            Self::Stopped | Self::Expired => Restarted::No,
        }
    }

    /// Fires if due; the instant at which it did.
    pub fn fire(&mut self, now: Instant) -> Option<Instant> {
        match *self {
            Self::Running { due } if due <= now => {
                *self = Self::Expired;
                Some(due)
            }
            Self::Running { .. } | Self::Stopped | Self::Expired => None,
        }
    }

    /// When it fires.
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::Running { due } => Some(due),
            Self::Stopped | Self::Expired => None,
        }
    }

    /// Time left; zero unless running.
    pub fn remaining(self, now: Instant) -> Duration {
        self.deadline().map_or(Duration::ZERO, |due| due.since(now))
    }
}

/// Whether a start was in truth a kick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarted {
    /// It was running.
    Yes,
    /// It was not.
    No,
}
