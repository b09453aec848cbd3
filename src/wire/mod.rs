//! The peer protocol: what two nodes say to each other, and what of it may be believed.
//!
//! Pure: bytes in, judgement out; time and randomness are arguments. [`message`] holds the meaning: plain types without
//! bytes or keys. [`codec`] writes them as bytes; [`channel::Channel`] seals those into frames (layout in [`frame`], keys
//! in [`keys`]) and opens frames of the peer: it proves who sent them and drops what is forged or replayed. What reaches
//! the node is authentic, and may still be late, repeated, out of order or missing. Sockets are not here.

pub mod channel;
pub mod codec;
pub mod frame;
pub mod introduction;
pub mod keys;
pub mod message;
mod path;
pub mod refusal;
mod window;

pub use channel::{Channel, Identity, Opened, PathQuality, SealError, Standing};
pub use frame::{BODY_BYTES_MAX, FRAME_BYTES_MAX, Kind, LinkId, VERSION};
pub use introduction::{Introduction, TEXT_BYTES_MAX, Text};
pub use keys::{KeyId, KeyRing, RingError, Secret, Side};
pub use message::{
    Answer, Ask, AskReason, BoardId, BootId, Decline, DeclineReason, Digest, Envelope, FenceAnswer,
    FenceOrder, FenceOutcome, Flags, HealthSummary, Hears, Heartbeat, LINKS_MAX, Message, Pin,
    PinRound, Role, SYNC_ROOTS_MAX, Versions,
};
pub use refusal::{Counts, Refusal};
