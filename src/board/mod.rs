//! Boards: what is known of each appliance's bypass hardware, and how to drive it.
//!
//! A *profile* (`boards/*.toml`) states facts, each with its source. A *driver* speaks to one kind of
//! controller through the bus traits of [`bus`], and has the one shape of [`Controller`]. No policy
//! lives here: a driver is told what to do, does it once, reads back, and says what it saw.

pub mod bus;
pub mod catalogue;
pub mod controller;
pub mod profile;
pub mod raw;
mod select;

pub use bus::{BusError, Clock, Lines, SmBus};
pub use controller::{
    Armed, Controller, CutState, DeadManReading, Evidence, Fault, Identity, Moved, Reading,
    RelayState, SegmentReading, Ticket,
};
pub use profile::Board;
