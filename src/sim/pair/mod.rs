//! Two real nodes and two real controllers in one world: every fault, every pause, and what must hold throughout.
//!
//! The nodes and the controllers' firmware are the very code that ships. Modelled are relays, cables, links, clocks
//! that disagree, kernels whose calls land late, disks, and agents that stop between any two steps. A failing seed
//! prints the line that runs it again.

mod acting;
mod appliance;
mod board;
mod driver;
mod invariants;
mod kernel;
mod mishaps;
mod mutant;
mod net;
pub mod run;
mod scenario;
mod world;

pub use run::{Outcome, run, sweep};

#[cfg(test)]
mod tests;
