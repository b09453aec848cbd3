//! Links between the two hosts, and the fence cables between their controllers.

use core::time::Duration;
use std::collections::VecDeque;

use fencepost_firmware::Line;

use crate::node::Instant;

/// One link, with its two directions.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) kind: LinkKind,
    /// `ways[n]`: from node n to the other.
    pub(super) ways: [Way; 2],
    /// The cable is pulled: no carrier on either end.
    pub(super) cut: bool,
}

/// What a link runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkKind {
    /// A cable of its own: its carrier goes when the other end loses power.
    Direct,
    /// Through the data ports: dark while this node's relays are open.
    Data,
}

/// One direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// Nothing passes.
    pub(super) blocked: bool,
    /// This many in a thousand are lost.
    pub(super) loss: u64,
    /// Least and most time under way, in microseconds.
    pub(super) delay_us: (u64, u64),
}

impl Default for Way {
    fn default() -> Self {
        Self {
            blocked: false,
            loss: 0,
            delay_us: (50, 300),
        }
    }
}

impl Link {
    pub(super) fn new(kind: LinkKind) -> Self {
        Self {
            kind,
            ways: [Way::default(); 2],
            cut: false,
        }
    }
}

/// One fence cable: the order one way, the acknowledge back. A broken one reads idle at both ends.
#[derive(Debug, Clone)]
pub(super) struct Cable {
    pub(super) intact: bool,
    delay: Duration,
    under_way: VecDeque<(Instant, (Line, Line))>,
    sent: (Line, Line),
    arrived: (Line, Line),
}

impl Cable {
    pub(super) fn new(delay: Duration) -> Self {
        let idle = (Line::Idle, Line::Idle);
        Self {
            intact: true,
            delay,
            under_way: VecDeque::new(),
            sent: idle,
            arrived: idle,
        }
    }

    /// Takes the levels at the near ends, gives those at the far ends.
    pub(super) fn carry(&mut self, now: Instant, order: Line, acknowledge: Line) -> (Line, Line) {
        if self.sent != (order, acknowledge) {
            self.sent = (order, acknowledge);
            self.under_way.push_back((now + self.delay, self.sent));
        }
        while let Some((at, levels)) = self.under_way.front().copied()
            && at <= now
        {
            self.under_way.pop_front();
            self.arrived = levels;
        }
        if self.intact {
            self.arrived
        } else {
            (Line::Idle, Line::Idle)
        }
    }

    pub(super) fn moving(&self) -> bool {
        !self.under_way.is_empty()
    }
}
