//! The virtual rig: boards, wires and appliances under our control.
//!
//! Lower half: a guest with real kernel devices ([`guest`], [`qemu`], [`channel`]), the board behind them ([`board`], [`vhost`]), the

pub mod appliance;
pub mod bench;
pub mod board;
pub mod capability;
pub mod channel;
mod command;
pub mod error;
pub mod guest;
pub mod guest_agent;
pub mod measure;
mod message;
pub mod oracle;
pub mod outcome;
pub mod pair;
pub mod physical;
mod priority;
pub mod qemu;
pub mod qmp;
pub mod report;
pub mod rig;
pub mod runner;
pub mod scenario;
pub mod socket;
pub mod sync_bench;
pub mod trial;
pub mod vhost;
pub mod wire;
