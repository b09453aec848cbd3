//! What each side of a connection decides: events in, actions out, time as an argument; no IO.
//!
//! [`Sender`] is the Active's side, [`Receiver`] the Backup's. Both are made anew for every connection: what outlives one
//! (trees, lineages, staged contents) is given to them. What if an answer never comes? Every wait has an end, after which the
//! transfer, or the connection, is given up; what was staged stays staged.

mod listing;
mod receiver;
mod relation;
mod run;
mod sender;
mod setup;
mod status;
mod track;

pub use receiver::{Receiver, ReceiverAction, ReceiverEvent};
pub use relation::Choice;
pub use run::{Outcome as RunOutcome, RunId};
pub use sender::{Sender, SenderAction, SenderEvent, Wanted};
pub use setup::{Local, Own, Standing};
pub use status::{CategoryStatus, Reason, State};
pub use track::Meant;

use core::time::Duration;

/// Time since some start that does not matter.
pub type Moment = Duration;

/// Minor version of the protocol.
pub const PROTOCOL: u16 = 0;
/// Roots are compared this often.
pub const CHECK_EVERY: Duration = Duration::from_secs(1);
/// A comparison is believed for this long. Afterwards the state is `Unknown`.
pub const BELIEVED_FOR: Duration = Duration::from_secs(5);
/// A peer that says nothing for this long is gone.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);
/// A transfer in which nothing moves for this long is given up; longer than a validation hook may take.
pub const STALL_MAX: Duration = Duration::from_secs(120);

/// Milliseconds from one moment to a later one.
fn millis(now: Moment, since: Moment) -> u64 {
    u64::try_from(now.saturating_sub(since).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
