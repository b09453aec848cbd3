//! Two real nodes and two real controllers in one world: every fault, every pause, and what must hold throughout.
//!
//! The nodes and the controllers' firmware are the very code that ships. Modelled are relays, cables, links, clocks
//! that disagree, kernels whose calls land late, disks, and agents that stop between any two steps. A failing seed
//! prints the line that runs it again.

mod acting;
mod appliance;
mod board;
mod driver;
#[cfg(test)]
mod explore;
mod invariants;
mod kernel;
mod mishaps;
mod model;
mod mutant;
#[cfg(test)]
mod narrate;
mod net;
mod pace;
mod power;
mod process;
mod run;
mod scenario;
mod sweep;
mod thread;
mod world;

pub use model::check;
pub use run::{Outcome, run};
pub use scenario::Wires;
pub use sweep::{Report, sweep};

#[cfg(test)]
mod tests;

#[cfg(test)]
mod apart_tests;
#[cfg(test)]
mod chained_tests;
#[cfg(test)]
mod directed_tests;
#[cfg(test)]
mod explore_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod introduction_tests;
#[cfg(test)]
mod means_tests;
#[cfg(test)]
mod mutant_tests;
#[cfg(test)]
mod pin_tests;
#[cfg(test)]
mod sync_tests;
