//! What two nodes say to each other.
//!
//! [`message`] holds the meaning: plain types without bytes or keys. Whatever carries them proves who sent them and
//! drops what is forged or replayed; what reaches the node is authentic, and may still be late, repeated, out of
//! order or missing.

pub mod message;

pub use message::{
    Answer, Ask, AskReason, BoardId, BootId, Decline, DeclineReason, Digest, Envelope, FenceAnswer,
    FenceOrder, FenceOutcome, Flags, HealthSummary, Hears, Heartbeat, LINKS_MAX, Message, Pin,
    PinRound, Role, SYNC_ROOTS_MAX, Versions,
};
