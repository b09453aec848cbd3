//! The world without hardware: boards, faults and time under our control.

pub mod board;
mod breakage;
pub mod bus;
pub mod chips;
pub mod fault;
pub mod fence_cable;
pub mod journal;
pub mod lines;
pub mod port;
pub mod relay;
pub mod remote;
pub mod wiring;

pub use board::FenceSignals;
pub use board::VirtualBoard;
pub use fault::{BoardFault, NotApplicable};
pub use fence_cable::FenceCable;
pub use journal::{BoardEvent, BoardFact};
pub use relay::{MoveCause, Relay, RelayFault, RelayTiming};
pub use wiring::Options;
