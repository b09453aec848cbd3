//! Commissioning: proof that this board's relays are wired as profile and configuration say.
//!
//! A wrong mapping is silent until the day it matters: the agent would cut segment 1 and the wire that dies is
//! segment 2's. So no segment goes to `Normal` before somebody has moved each relay and seen carrier of exactly its
//! two ports follow ([`prove()`]). What was seen is kept in a [`Record`]; the agent takes it only for the same
//! wiring ([`load`]).
//!
//! What if this dies in mid-way? The dead-man is armed before the first close and only kicked from here, so the
//! segment under test goes to its fail state. A board without a dead-man stays where it was, and `board
//! commission` says so before it begins.

mod ports;
mod prove;
mod record;
mod wiring;

pub use ports::{Link, Ports};
pub use prove::{Bench, Stopped, prove};
pub use record::{
    Missing, RECORD_FILE, Record, SealError, SegmentProof, StepProof, load, remove, save,
};
pub use wiring::{WiredSegment, Wiring};
