//! Every placement of a few faults: breadth-first over the moments at which something is decided, begins or lands.
//!
//! A state is the whole world between two events: both nodes, both controllers, kernels, disks, everything that is
//! due. From each the next moment follows by itself, and one fault of the list may strike first, as long as the
//! budget lasts; once it is spent, the world runs to the end of the horizon. States that were seen (with as much
//! budget left) are not walked again. Times are those of one draw of the dice: what is exhausted is *which* fault
//! strikes *between which steps*, not every latency.

use core::hash::{Hash, Hasher};
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};
use std::hash::DefaultHasher;

use super::mishaps::Mishap;
use super::world::World;
use crate::node::Instant;

/// What an exploration came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Explored {
    /// Distinct states in which a fault was placed.
    pub(super) states: u64,
    /// Different placements, each run to the end of the horizon.
    pub(super) runs: u64,
    /// The first counter-example: what broke, and the faults that led to it.
    pub(super) broken: Option<(String, Vec<String>)>,
}

/// Where a walk stands.
struct Walk {
    world: World,
    left: u32,
    faults: Vec<String>,
}

/// Explores from `start` until `horizon` has passed, with at most `budget` faults out of `faults`.
pub(super) fn explore(
    start: &World,
    horizon: Duration,
    budget: u32,
    faults: &[Vec<Mishap>],
) -> Explored {
    let until = start.now + horizon;
    let mut seen = BTreeSet::new();
    let mut waiting = VecDeque::from([Walk {
        world: start.clone(),
        left: budget,
        faults: Vec::new(),
    }]);
    let mut explored = Explored {
        states: 0,
        runs: 0,
        broken: None,
    };
    while let Some(mut walk) = waiting.pop_front() {
        if walk.left == 0 {
            walk.world.run_until(until);
            explored.runs += 1;
        }
        if walk.world.ledger.broken.is_some() {
            explored.broken = walk
                .world
                .ledger
                .broken
                .clone()
                .map(|what| (what, walk.faults));
            return explored;
        }
        if walk.left == 0 || !seen.insert((fingerprint(&walk.world), walk.left)) {
            continue;
        }
        explored.states += 1;
        for fault in faults {
            waiting.push_back(walk.struck_by(fault));
        }
        let mut world = walk.world;
        if to_next_moment(&mut world, until) {
            waiting.push_back(Walk { world, ..walk });
        } else {
            explored.runs += 1;
        }
    }
    explored
}

impl Walk {
    fn struck_by(&self, fault: &[Mishap]) -> Self {
        let mut world = self.world.clone();
        for mishap in fault {
            world.befall(*mishap);
        }
        world.check();
        let mut faults = self.faults.clone();
        faults.push(format!("{} {fault:?}", world.now));
        Self {
            world,
            left: self.left - 1,
            faults,
        }
    }
}

/// Runs until something worth a fault has happened; false at the end of the horizon.
fn to_next_moment(world: &mut World, until: Instant) -> bool {
    let before = world.moments;
    while world.ledger.broken.is_none() && world.step(until) {
        if world.moments != before {
            return true;
        }
    }
    world.ledger.broken.is_some()
}

/// The state in short. Two that print alike are alike: everything that decides derives its print.
fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.print().hash(&mut hasher);
    hasher.finish()
}
