//! Boards: what is known of each appliance's bypass hardware, and how to drive it.
//!
//! A *profile* (`boards/*.toml`) states facts, each with its source. A *driver* speaks to one kind of
//! controller through the bus traits of [`bus`], and has the one shape of [`Controller`]. No policy
//! lives here: a driver is told what to do, does it once, reads back, and says what it saw.

pub mod bus;
mod caswell_gen2;
pub mod catalogue;
pub mod controller;
mod gpio_latching;
mod gpio_monostable;
mod gpio_segment;
mod lanner_gen3;
mod no_relays;
pub mod open;
mod pca9555;
pub mod plain_i2c;
pub mod profile;
mod pulse_train;
pub mod raw;
mod reference;
mod retrying;
mod riverbed;
#[cfg(test)]
pub(crate) mod script;
mod select;
mod vendor;
mod vendor_ticket;

pub use bus::{BusError, Clock, Lines, SmBus};
pub use controller::{
    Armed, Controller, CutState, DeadManReading, Evidence, Fault, Identity, Moved, Reading,
    RelayState, SegmentReading, Ticket,
};
pub use no_relays::NO_RELAYS;
pub use open::{Wiring, open};
pub use profile::Board;
