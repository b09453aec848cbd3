//! The reference bypass controller: the state machine of a small microcontroller that drives the bypass relays of
//! one appliance, and the registers through which a host speaks to it.
//!
//! The host decides *who* should serve. This crate decides whether an order from a host is *still justified* at the
//! moment it arrives, because hosts are late: they pause between deciding and doing, reboot, repeat themselves and
//! die. It is the last thing between a late host and the wire.
//!
//! # Contract
//! * Nothing here reads a clock, a pin or a random source. Time is a [`Tick`] (1 ms since the controller's power-up),
//!   levels are [`Inputs`], randomness is [`Entropy`]; all three are arguments.
//! * Cutting always works. Closing ([`RelayState::Normal`]) works only with a valid ticket, a clear latch, a running
//!   dead-man and, where the proof is a fence, the peer's acknowledge read in that same step.
//! * [`machine`] is the typed state machine; [`wire`] the bytes, shared with the host driver so that they are defined
//!   once; [`target`] the glue between the two, transaction by transaction.
//!
//! # What if this dies here?
//! A controller that stops calling [`Controller::tick`] must be reset by its own hardware watchdog: the relays then
//! de-energise into their power-off state, and the next [`Controller::power_up`] starts cut, without ticket, hold or
//! timer. Nothing survives a reset but the settings in [`NonVolatile`].
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod command;
pub mod deadman;
pub mod fence;
pub mod log;
pub mod machine;
pub mod nonvolatile;
pub mod registers;
pub mod relay;
pub mod strapping;
pub mod target;
pub mod ticket;
pub mod window;
pub mod wire;

pub use command::{Command, Proof, Refusal, Reply, Setting};
pub use deadman::TimerState;
pub use fence::Line;
pub use log::{Event, EventKind};
pub use machine::{Controller, Entropy, Inputs, Outputs, unpowered};
pub use nonvolatile::NonVolatile;
pub use relay::{Cause, Contact, CutState, RelayState, Segment, SegmentMask, StateSet};
pub use strapping::{CutPath, Rank, Strapping, StrappingError};
pub use target::{I2cTarget, Nack};
pub use ticket::VoidCause;

/// Milliseconds since the controller's power-up, by its own oscillator.
///
/// Starts anew at every power-up (hence sessions, see [`deadman`]) and never wraps: 2^64 ms are 580 million years.
pub type Tick = u64;

/// Most segments one controller can drive.
pub const MAX_SEGMENTS: usize = 8;
