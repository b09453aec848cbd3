//! The fence: latch, hold, arbitration, acknowledge.
//!
//! A pair is joined by four lines: each controller asserts a fence line towards the other, and an acknowledge line
//! back. Everything is a *level*: a fence lasts as long as its holder asserts it. The own host can neither set nor
//! clear the own latch.
//!
//! Arbitration is at the receiver. A sender that refused to ask because it was asked first would wait for ever for a
//! holder that has died; a latch that lapsed because its holder is latched too would free both at once.

use crate::Tick;
use crate::strapping::Rank;

/// Level of a fence or acknowledge line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Line {
    /// Not asserted: also what a broken cable or an unpowered driver reads as.
    #[default]
    Idle,
    /// Asserted.
    Asserted,
}

impl Line {
    /// `Asserted` if `on`.
    #[must_use]
    pub fn from_bool(on: bool) -> Self {
        if on { Self::Asserted } else { Self::Idle }
    }

    /// Whether asserted.
    #[must_use]
    pub fn is_asserted(self) -> bool {
        self == Self::Asserted
    }
}

/// What the fence rules need to know about the rest of the controller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    /// Any coil is given `Normal`.
    pub(crate) closed: bool,
    /// All contacts certainly keep the host off the wire.
    pub(crate) open: bool,
    /// The dead-man runs: the host is alive.
    pub(crate) host_alive: bool,
    pub(crate) rank: Rank,
    pub(crate) standing_ms: u32,
}

/// What one application of the rules changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Latched,
    Unlatched,
    /// The hold was dropped in favour of the peer's fence.
    Yielded,
}

/// Latch and hold.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    latched: bool,
    holds: bool,
    generation: u32,
    line: Line,
    peer_ack: Line,
    /// The acknowledge line has read idle since our last release: it is not stuck at "cut".
    ack_seen_idle: bool,
    /// Latched by arbitration: the hold goes as soon as our contacts are open.
    yielding: bool,
    must_yield_since: Option<Tick>,
}

impl Fence {
    /// At power-up the latch *is* the input.
    pub(crate) fn new(generation: u32, line: Line, peer_ack: Line) -> Self {
        Self {
            latched: line.is_asserted(),
            holds: false,
            generation,
            line,
            peer_ack,
            ack_seen_idle: !peer_ack.is_asserted(),
            yielding: false,
            must_yield_since: None,
        }
    }

    pub(crate) fn latched(&self) -> bool {
        self.latched
    }

    pub(crate) fn holds(&self) -> bool {
        self.holds
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) fn line(&self) -> Line {
        self.line
    }

    pub(crate) fn peer_ack(&self) -> Line {
        self.peer_ack
    }

    /// The peer's acknowledge counts only if it was seen to *become* asserted: a line stuck at "cut" proves nothing.
    pub(crate) fn ack_seen_idle(&self) -> bool {
        self.ack_seen_idle
    }

    /// Our hold is acknowledged, by a line that was seen to change.
    pub(crate) fn acknowledged(&self) -> bool {
        self.holds && self.peer_ack.is_asserted() && self.ack_seen_idle
    }

    pub(crate) fn read_lines(&mut self, line: Line, peer_ack: Line) {
        self.line = line;
        self.peer_ack = peer_ack;
        self.ack_seen_idle |= !peer_ack.is_asserted();
    }

    /// Asserts the fence line. Returns whether that is new.
    pub(crate) fn hold(&mut self) -> bool {
        !core::mem::replace(&mut self.holds, true)
    }

    /// Drops the fence line. Returns whether it was held.
    pub(crate) fn drop_hold(&mut self) -> bool {
        self.yielding = false;
        self.must_yield_since = None;
        self.ack_seen_idle = !self.peer_ack.is_asserted();
        core::mem::replace(&mut self.holds, false)
    }

    /// Applies the latch and hold rules once; `None` when nothing is left to change.
    pub(crate) fn judge(&mut self, now: Tick, around: Surroundings) -> Option<Change> {
        if self.latched != self.line.is_asserted() && !self.ignores_line(around) {
            return Some(self.change_latch());
        }
        self.must_yield(now, around).then(|| {
            self.drop_hold();
            Change::Yielded
        })
    }

    /// Arbitration: the owner of an acknowledged hold ignores the line while it is closed, or preferred and alive.
    /// An unacknowledged hold protects nobody: its sender may have a broken cable.
    fn ignores_line(&self, around: Surroundings) -> bool {
        let strong = around.closed || (around.rank == Rank::Preferred && around.host_alive);
        self.line.is_asserted() && self.acknowledged() && strong
    }

    fn change_latch(&mut self) -> Change {
        self.latched = self.line.is_asserted();
        self.generation = self.generation.wrapping_add(1);
        self.yielding = self.latched && self.acknowledged();
        if self.latched {
            Change::Latched
        } else {
            Change::Unlatched
        }
    }

    /// The hold of a latched controller goes once its own contacts are open (our relay opens no later than our hold
    /// drops): at once if arbitration said so, else by the standing rule after `standing_ms`.
    fn must_yield(&mut self, now: Tick, around: Surroundings) -> bool {
        if !self.holds || !self.latched || !around.open {
            self.must_yield_since = None;
            return false;
        }
        if self.yielding {
            return true;
        }
        if around.rank == Rank::Preferred && around.host_alive {
            self.must_yield_since = None;
            return false;
        }
        let since = *self.must_yield_since.get_or_insert(now);
        now.saturating_sub(since) >= u64::from(around.standing_ms)
    }

    /// When the standing rule will apply, if nothing changes.
    pub(crate) fn yields_at(&self, standing_ms: u32) -> Option<Tick> {
        self.must_yield_since
            .map(|since| since.saturating_add(u64::from(standing_ms)))
    }
}
