//! The world without hardware: boards, faults and time under our control.

pub mod board;
mod breakage;
pub mod bus;
pub mod chips;
pub mod cli;
pub mod dice;
pub mod fault;
pub mod faults;
pub mod fence_cable;
mod film;
mod hands;
mod ideal;
pub mod invariants;
pub mod journal;
pub mod lines;
pub mod mutant;
pub mod pair;
mod plant;
pub mod port;
pub mod relay;
pub mod remote;
pub mod run;
mod scenario;
pub mod sweep;
pub mod wiring;
mod world;

pub use board::FenceSignals;
pub use board::VirtualBoard;
pub use cli::cli;
pub use fault::{BoardFault, NotApplicable};
pub use fence_cable::FenceCable;
pub use journal::{BoardEvent, BoardFact};
pub use relay::{MoveCause, Relay, RelayFault, RelayTiming};
pub use run::{Failure, Mode, Subject, Summary, run};
pub use wiring::Options;
