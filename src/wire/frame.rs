//! Layout of a frame, version 1: fixed header, body, tag. All numbers big-endian.
//!
//! ```text
//!  0  4  magic "FNCP"                   32  8  counter of the message, over all kinds   
//!  4  1  version                        40  8  challenge: the peer is to echo this
//!  5  1  kind; 0x80 set: about a fence  48  8  echo of the peer's challenge, 0 if none is known
//!  6  1  side of the sender             56  4  sequence on this link
//!  7  1  0                              60  4  highest sequence heard on this link, 0 if none
//!  8  2  bytes of body                  64  4  µs from hearing that to sending this
//! 10  2  0                              68  4  0
//! 12  4  key the tag is made with       72  …  body
//! 16  4  newest key the sender has       …  32 HMAC-SHA-256 of all before it
//! 20  4  link
//! 24  8  boot of the sender
//! ```
//!
//! Layout and meaning never change within a version; the bytes are frozen by a test. What if a frame is cut short or
//! damaged? It is refused as a whole.

use serde::{Deserialize, Serialize};

use super::keys::{KeyId, Purpose, Side, TAG_BYTES};
use super::message::BootId;
use super::refusal::Refusal;

/// The only version there is.
pub const VERSION: u8 = 1;
/// Longest frame in bytes: it passes every link unfragmented (IPv6 guarantees 1280, less its and UDP's headers).
pub const FRAME_BYTES_MAX: usize = 1232;
/// Bytes before the body.
pub const HEADER_BYTES: usize = 72;
/// Longest body in bytes.
pub const BODY_BYTES_MAX: usize = FRAME_BYTES_MAX - HEADER_BYTES - TAG_BYTES;

const MAGIC: [u8; 4] = *b"FNCP";
const FENCE: u8 = 0x80;

/// What a body is, as a number on the wire; the codec of bodies gives them meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind(u8);

impl Kind {
    /// Number `n` (below 128) among heartbeats, requests and answers.
    pub const fn talk(n: u8) -> Self {
        Self(n & !FENCE)
    }

    /// Number `n` (below 128) among fence orders and their answers: other key, stricter proof.
    pub const fn fence(n: u8) -> Self {
        Self(n | FENCE)
    }

    /// Whether it is about a fence.
    pub const fn is_fence(self) -> bool {
        self.0 & FENCE != 0
    }

    pub(super) const fn purpose(self) -> Purpose {
        if self.is_fence() {
            Purpose::Fence
        } else {
            Purpose::Talk
        }
    }
}

/// A heartbeat link, by a number both nodes derive from its name: the order in their files does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkId(u32);

impl LinkId {
    /// Of the link with this name.
    pub fn of(name: &str) -> Self {
        Self(crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(name.as_bytes()))
    }
}

/// All of a frame that is not body or tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) side: Side,
    pub(super) key: KeyId,
    pub(super) newest_key: KeyId,
    pub(super) link: LinkId,
    pub(super) boot: BootId,
    pub(super) counter: u64,
    pub(super) challenge: u64,
    pub(super) echo: u64,
    pub(super) sequence: u32,
    pub(super) heard: u32,
    pub(super) held_us: u32,
}

impl Header {
    /// Append it; `body` is how long the body will be.
    pub(super) fn write(&self, body: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, self.kind.0, self.side.to_byte(), 0]);
        out.extend_from_slice(&body.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&self.key.to_bits().to_be_bytes());
        out.extend_from_slice(&self.newest_key.to_bits().to_be_bytes());
        out.extend_from_slice(&self.link.0.to_be_bytes());
        for number in [self.boot.0, self.counter, self.challenge, self.echo] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        for number in [self.sequence, self.heard, self.held_us, 0] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// A frame taken apart; nothing of it is to be believed before its tag is verified.
pub(super) struct Parts<'a> {
    pub(super) header: Header,
    pub(super) body: &'a [u8],
    pub(super) signed: &'a [u8],
    pub(super) tag: &'a [u8],
}

/// Take a frame apart.
pub(super) fn split(frame: &[u8]) -> Result<Parts<'_>, Refusal> {
    if frame.len() > FRAME_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    let Some((fixed, rest)) = frame.split_first_chunk::<HEADER_BYTES>() else {
        return Err(Refusal::TooShort);
    };
    if fixed[..4] != MAGIC {
        return Err(Refusal::Magic);
    }
    if fixed[4] != VERSION {
        return Err(Refusal::Version);
    }
    if rest.len() < TAG_BYTES {
        return Err(Refusal::TooShort);
    }
    let body_bytes = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    if rest.len() != body_bytes + TAG_BYTES {
        return Err(Refusal::Length);
    }
    let (body, tag) = rest.split_at(body_bytes);
    let header = read(fixed).ok_or(Refusal::Header)?;
    Ok(Parts {
        header,
        body,
        signed: &frame[..HEADER_BYTES + body_bytes],
        tag,
    })
}

/// `None` if a field has a value that version 1 does not have.
fn read(fixed: &[u8; HEADER_BYTES]) -> Option<Header> {
    let reserved = [7, 10, 11, 68, 69, 70, 71].map(|at: usize| fixed[at]);
    if reserved != [0; 7] {
        return None;
    }
    Some(Header {
        kind: Kind(fixed[5]),
        side: Side::from_byte(fixed[6])?,
        key: KeyId::from_bits(word(fixed, 12)),
        newest_key: KeyId::from_bits(word(fixed, 16)),
        link: LinkId(word(fixed, 20)),
        boot: BootId(long(fixed, 24)),
        counter: long(fixed, 32),
        challenge: long(fixed, 40),
        echo: long(fixed, 48),
        sequence: word(fixed, 56),
        heard: word(fixed, 60),
        held_us: word(fixed, 64),
    })
}

fn word(fixed: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_be_bytes(core::array::from_fn(|n| fixed[at + n]))
}

fn long(fixed: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from_be_bytes(core::array::from_fn(|n| fixed[at + n]))
}
