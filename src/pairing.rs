//! Pairing: two nodes that have nothing in common yet make the pair's key over a network that anybody may be on.
//!
//! One shows a one-time code, a person types it into the other, and both run SPAKE2 (RFC 9382) with it: whoever does not
//! know the code has one guess per attempt, and learns nothing that could be tried at leisure. The key is derived on
//! both sides and never sent.
//!
//! ```text
//! joiner                                       inviter
//!   hello: version, terms, its share  ──────►
//!                                     ◄──────  its share
//!   "I know the code"                 ──────►  a wrong one is counted; three, and the code is void
//!                                     ◄──────  "so do I"
//!   stages the new file, "staged"     ──────►  stages, then puts it in place
//!                                     ◄──────  "in place"
//!   puts it in place, "in place"      ──────►  forgets that anything was unfinished
//! ```
//!
//! What if one dies in between? Until the inviter has heard "staged" no key file has changed. After that the pairing is
//! unfinished on one side at most, that side says so, and running it again repairs it.

use core::time::Duration;
use std::net::SocketAddr;

mod code;
mod exchange;
mod session;
mod store;

pub use code::{Code, CodeError};
pub use session::{Invitation, join};
pub use store::{Store, StoreError};

/// Wrong codes that one invitation bears.
pub const TRIES: u32 = 3;
/// An invitation ends after this long.
pub const GOOD_FOR: Duration = Duration::from_secs(600);
/// Each message must come within this time.
pub const MESSAGE_WITHIN: Duration = Duration::from_secs(10);

/// What happens to keys that are there already; the same on both nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terms {
    /// There are none, or they become void.
    New,
    /// They stay, and the new one is added: a change of keys without an outage.
    Add,
}

/// Why a pairing came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum PairingError {
    /// The network said no.
    #[error("{what}: {error}")]
    Network {
        /// What was tried.
        what: String,
        /// The kernel's words.
        error: std::io::Error,
    },
    /// The other side was cut off, or was silent for too long.
    #[error(
        "{peer} was cut off {when}; run it again on both nodes (`fencepost pair fingerprint` must say the same on both)"
    )]
    Cut {
        /// The other side.
        peer: SocketAddr,
        /// Which word was awaited.
        when: &'static str,
    },
    /// The codes differ, or somebody sits in between.
    #[error(
        "the code is wrong, or somebody between the two nodes does not know it; nothing was written"
    )]
    WrongCode,
    /// Three wrong codes.
    #[error("{TRIES} wrong codes: this invitation is void; make a new one")]
    TooManyTries,
    /// Nobody came.
    #[error("nobody joined within {} minutes: this invitation is void; make a new one", GOOD_FOR.as_secs() / 60)]
    TooLate,
    /// The other side speaks another version.
    #[error(
        "the other node pairs by another version of the rules; install the same release on both"
    )]
    Version,
    /// One side adds a key, the other makes the first.
    #[error(
        "one node adds a key and the other makes the first one; use `pair rotate` with `pair join --rotate`, or neither"
    )]
    Terms,
    /// What came is none of the messages of a pairing.
    #[error("{peer} sent something that is no part of a pairing")]
    Strange {
        /// The other side.
        peer: SocketAddr,
    },
    /// The key file.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests;
