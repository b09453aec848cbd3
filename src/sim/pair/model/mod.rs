//! Every course two nodes can take: faults at any step, orders and messages that come late, until no new state is
//! found.
//!
//! A state is the whole world of the simulator, in beats (see [`super::pace`]): two real nodes, two real
//! controllers, their relays and cables, kernels, disks, and all that is under way. From each state the next thing
//! that is due may happen, or be held back and happen at any later step; something that was held back may happen; a
//! fault may strike; what is broken may be repaired. The number of faults and of things held back is bounded, time is
//! not: states that print alike are one.
//!
//! What it leaves out: clocks that drift, latencies between two beats, more than one link, more than one segment.
//! The drawn worlds have those. A controller that does not answer is reopened after some faults in a row; here all
//! counts above nine are one.

use core::time::Duration;
use std::time::Instant as Clock;

use super::mutant::Mutant;
use super::scenario::Setup;
use crate::node::pair::policy::Topology;

mod choice;
mod course;
mod print;
mod search;

#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;

use choice::Fault;
use search::{Bounds, Order, Search, settled};

/// Between two lines of progress.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Searches all courses of a hot and of a cold pair, with at most so many faults and so many things that come late in
/// each, for at most this time each; `tell` is given lines of progress.
///
/// # Errors
/// A counter-example.
pub fn check(
    faults: u8,
    late: u8,
    time_max: Duration,
    mut tell: impl FnMut(String),
) -> Result<String, String> {
    let mut lines = Vec::new();
    for (name, topology) in [
        ("hot", Topology::PARALLEL_HOT),
        ("cold", Topology::PARALLEL_COLD),
    ] {
        let bounds = Bounds {
            order: Order::Depth,
            faults,
            late,
            heal_every: 64,
            states_max: u64::MAX,
            time_max: Some(time_max),
        };
        let start = settled(Setup::beats(topology), Mutant::Faithful);
        let mut told_at = Clock::now();
        let found = Search::new(start, Fault::ALL, bounds).run(&mut |found| {
            if told_at.elapsed() >= TELL_EVERY {
                told_at = Clock::now();
                tell(format!("{name}: {found} so far"));
            }
        });
        let line = format!("{name}, {faults} faults, {late} late: {found}");
        if found.broken.is_some() {
            return Err(line);
        }
        lines.push(line);
    }
    Ok(lines.join("\n"))
}
