//! Everything the agent decides, as a pure state machine.
//!
//! No clock, no input or output, no randomness of its own: time is an argument, every answer of the machine is
//! an event, every wish an action. That is what lets the simulator, the replay and the tests run the very
//! code that runs on the appliance.

pub mod action;
mod bypass;
mod dead_man;
pub mod event;
mod health;
mod link;
mod machine;
mod orders;
mod outbox;
pub mod pair;
mod pairing;
pub mod policy;
pub mod record;
mod segment;
pub mod status;
pub mod time;
mod timer;
mod view;
mod watchdog;

pub use action::{Action, Service};
pub use event::{Actor, Command, Event, PersistentState, Saved, Stop, Verdict, WatchdogFacts};
pub use machine::Node;
pub use policy::Policy;
pub use record::{Cause, Fact, Level, Record};
pub use status::Status;
pub use time::Instant;
pub use timer::Timer;
