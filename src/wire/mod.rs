//! The peer protocol: what goes between the two nodes of a pair, and what of it may be believed.
//!
//! Pure: bytes in, judgement out; time and randomness are arguments. [`channel::Channel`] seals and opens frames
//! (layout in [`frame`], keys in [`keys`]). Sockets are not here.

pub mod channel;
pub mod frame;
pub mod keys;
mod path;
pub mod refusal;
mod window;

pub use channel::{Channel, Identity, LINKS_MAX, Opened, PathQuality, SealError, Standing};
pub use frame::{BODY_BYTES_MAX, BootId, FRAME_BYTES_MAX, Kind, LinkId, VERSION};
pub use keys::{KeyId, KeyRing, RingError, Secret, Side};
pub use refusal::{Counts, Refusal};
