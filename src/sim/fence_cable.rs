//! The fence cable between two boards: four wires, each a level that arrives a moment later.
//!
//! What if it breaks? A broken wire reads idle at the far end: no order arrives and no acknowledge, so a
//! fence over it is never confirmed.

use core::time::Duration;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::board::{FenceSignals, VirtualBoard};
use crate::node::Instant;

/// Level changes under way in one direction; more than this within one delay and the oldest merge.
const UNDER_WAY_MAX: usize = 64;

/// State of one direction of the cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// Carries levels.
    #[default]
    Whole,
    /// Reads idle at the far end.
    Broken,
}

#[derive(Debug, Default)]
struct Direction {
    wire: Wire,
    sent: FenceSignals,
    under_way: VecDeque<(Instant, FenceSignals)>,
    arrived: FenceSignals,
}

/// Both directions.
#[derive(Debug)]
pub struct FenceCable {
    delay: Duration,
    directions: [Direction; 2],
}

impl FenceCable {
    /// A whole cable; every level arrives after `delay`.
    pub fn new(delay: Duration) -> Self {
        Self {
            delay,
            directions: [Direction::default(), Direction::default()],
        }
    }

    /// Breaks or mends the wires that leave one board.
    pub fn set_wire(&mut self, from: usize, wire: Wire) {
        if let Some(direction) = self.directions.get_mut(from) {
            direction.wire = wire;
        }
    }

    /// Takes the levels both boards show and gives them those that have arrived.
    pub fn carry(&mut self, now: Instant, boards: [&mut VirtualBoard; 2]) {
        let [a, b] = boards;
        let [there, back] = &mut self.directions;
        there.carry(now, self.delay, a.fence_out(), b);
        back.carry(now, self.delay, b.fence_out(), a);
    }

    /// When the next level arrives.
    pub fn deadline(&self) -> Option<Instant> {
        let next = |direction: &Direction| direction.under_way.front().map(|(due, _)| *due);
        self.directions.iter().filter_map(next).min()
    }
}

impl Direction {
    fn carry(
        &mut self,
        now: Instant,
        delay: Duration,
        shown: FenceSignals,
        receiver: &mut VirtualBoard,
    ) {
        if shown != self.sent {
            self.sent = shown;
            if self.under_way.len() == UNDER_WAY_MAX {
                self.under_way.pop_front();
            }
            self.under_way.push_back((now + delay, shown));
        }
        while let Some((due, signals)) = self.under_way.front().copied()
            && due <= now
        {
            self.under_way.pop_front();
            self.arrived = signals;
        }
        let arrived = match self.wire {
            Wire::Whole => self.arrived,
            Wire::Broken => FenceSignals::default(),
        };
        receiver.set_fence_in(now, arrived);
    }
}
