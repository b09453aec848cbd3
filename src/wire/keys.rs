//! The pair's keys: who made a frame, and for what.
//!
//! A pair shares one secret, two while it changes keys. From each secret one key is derived per direction and purpose, so
//! that a frame cannot be reflected to its maker and no heartbeat key can ever make a fence order. A key's id is
//! derived too: equal ids are equal secrets, and nobody has to number keys by hand.
//!
//! What if a secret leaks? Whoever has it speaks for the peer. It is never printed ([`Secret`] hides itself) and never sent.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Bytes of a secret.
pub const SECRET_BYTES: usize = 32;
/// Bytes of a tag: all of HMAC-SHA-256; on a LAN nothing is gained by cutting it.
pub const TAG_BYTES: usize = 32;
/// Most keys a ring holds: the one in use, the next, and one forgotten on either side.
pub const KEYS_MAX: usize = 4;

/// Which of the two nodes; saved or strapped, and different on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The one that is preferred where only order can decide.
    Preferred,
    /// The other one.
    Other,
}

impl Side {
    /// The peer's.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Preferred => Self::Other,
            Self::Other => Self::Preferred,
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Preferred => 1,
            Self::Other => 2,
        }
    }

    pub(super) const fn to_byte(self) -> u8 {
        self.byte()
    }

    pub(super) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Preferred),
            2 => Some(Self::Other),
            _ => None,
        }
    }
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Heartbeats, requests and answers.
    Talk,
    /// Fence orders and their answers.
    Fence,
}

/// What the pair shares.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    /// From bytes of a good random source.
    pub const fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// One block of HKDF-Expand (RFC 5869); the secret is uniformly random, so there is nothing to extract.
    fn derive(&self, label: &[u8], side: u8) -> [u8; 32] {
        let mut mac = keyed(&self.0);
        mac.update(b"fencepost wire 1 ");
        mac.update(label);
        mac.update(&[side, 1]);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Name of a key, derived from its secret; tells nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(u32);

impl KeyId {
    pub(super) const fn to_bits(self) -> u32 {
        self.0
    }

    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// HMAC-SHA-256 with its key absorbed; cloned per frame, so that the key is hashed once.
type Keyed = Hmac<Sha256>;

fn keyed(key: &[u8; 32]) -> Keyed {
    // A fixed-size key of at most one block: what `new_from_slice` would do, without its error.
    let mut block = [0_u8; 64];
    block[..32].copy_from_slice(key);
    Keyed::new(&block.into())
}

/// All that is derived from one secret.
#[derive(Clone)]
struct Derived {
    id: KeyId,
    secret: Secret,
    talk: [Keyed; 2],
    fence: [Keyed; 2],
}

impl Derived {
    fn new(secret: &Secret) -> Self {
        let both = |label: &[u8]| [1, 2].map(|side| keyed(&secret.derive(label, side)));
        let [a, b, c, d, ..] = secret.derive(b"id", 0);
        Self {
            id: KeyId(u32::from_be_bytes([a, b, c, d])),
            secret: secret.clone(),
            talk: both(b"talk"),
            fence: both(b"fence"),
        }
    }

    fn mac(&self, purpose: Purpose, maker: Side) -> &Keyed {
        let both = match purpose {
            Purpose::Talk => &self.talk,
            Purpose::Fence => &self.fence,
        };
        match maker {
            Side::Preferred => &both[0],
            Side::Other => &both[1],
        }
    }
}

/// Why a set of secrets is no ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// None.
    #[error("no key")]
    Empty,
    /// More than [`KEYS_MAX`].
    #[error("more than {KEYS_MAX} keys; remove the oldest, they are no longer needed")]
    TooMany,
    /// The same secret twice, or (once in billions) two with the same id.
    #[error("the same key twice")]
    Twice,
    /// All bytes equal: not from a random source.
    #[error("a key that is one byte repeated; make one with `fencepost pair init`")]
    Weak,
}

/// The keys a node accepts, oldest first.
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<Derived>,
}

impl KeyRing {
    /// From secrets, oldest first.
    ///
    /// # Errors
    /// None, too many, one twice, or one that is plainly not random.
    pub fn new(secrets: &[Secret]) -> Result<Self, RingError> {
        if secrets.is_empty() {
            return Err(RingError::Empty);
        }
        if secrets.len() > KEYS_MAX {
            return Err(RingError::TooMany);
        }
        let mut keys: Vec<Derived> = Vec::with_capacity(secrets.len());
        for secret in secrets {
            if secret.0.iter().all(|byte| *byte == secret.0[0]) {
                return Err(RingError::Weak);
            }
            let key = Derived::new(secret);
            if keys.iter().any(|other| other.id == key.id) {
                return Err(RingError::Twice);
            }
            keys.push(key);
        }
        Ok(Self { keys })
    }

    /// Ids, oldest first.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = KeyId> + ExactSizeIterator + '_ {
        self.keys.iter().map(|key| key.id)
    }

    /// The newest key's id.
    pub fn newest(&self) -> KeyId {
        self.ids().next_back().unwrap_or(KeyId(0))
    }

    /// Whether it holds this key.
    pub fn holds(&self, id: KeyId) -> bool {
        self.ids().any(|one| one == id)
    }

    /// One secret per key for state sync, oldest first: derived, so that sync never holds what makes a fence order.
    pub fn sync_secrets(&self) -> Vec<[u8; SECRET_BYTES]> {
        let secrets = self.keys.iter().map(|key| &key.secret);
        secrets.map(|secret| secret.derive(b"sync", 0)).collect()
    }

    /// Tag of `parts` in order, if the key is there.
    pub(super) fn tag(
        &self,
        id: KeyId,
        purpose: Purpose,
        maker: Side,
        bytes: &[u8],
    ) -> Option<[u8; TAG_BYTES]> {
        let key = self.keys.iter().find(|key| key.id == id)?;
        let mut mac = key.mac(purpose, maker).clone();
        mac.update(bytes);
        Some(mac.finalize().into_bytes().into())
    }

    /// Whether the tag is right; `None` if the key is not there. Takes the same time for every wrong tag.
    pub(super) fn verify(
        &self,
        id: KeyId,
        purpose: Purpose,
        maker: Side,
        bytes: &[u8],
        tag: &[u8],
    ) -> Option<bool> {
        let key = self.keys.iter().find(|key| key.id == id)?;
        let mut mac = key.mac(purpose, maker).clone();
        mac.update(bytes);
        Some(mac.verify_slice(tag).is_ok())
    }
}

impl PartialEq for KeyRing {
    fn eq(&self, other: &Self) -> bool {
        let secrets = |ring: &Self| {
            ring.keys
                .iter()
                .map(|k| k.secret.clone())
                .collect::<Vec<_>>()
        };
        secrets(self) == secrets(other)
    }
}

impl Eq for KeyRing {}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

/// A stream of numbers nobody can foresee, from a seed that is random per start. Pure: the same seed, the same
/// numbers, so that a recorded run can be replayed.
#[derive(Clone)]
pub(super) struct Nonces {
    seed: Keyed,
    drawn: u64,
}

impl Nonces {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self {
            seed: keyed(seed),
            drawn: 0,
        }
    }

    /// The next one; never 0, which stands for "none" on the wire.
    pub(super) fn draw(&mut self) -> u64 {
        loop {
            self.drawn = self.drawn.wrapping_add(1);
            let mut mac = self.seed.clone();
            mac.update(&self.drawn.to_be_bytes());
            let block: [u8; 32] = mac.finalize().into_bytes().into();
            let [a, b, c, d, e, f, g, h, ..] = block;
            let nonce = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            if nonce != 0 {
                return nonce;
            }
        }
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonces({} drawn)", self.drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(from: u8) -> Secret {
        Secret::new(core::array::from_fn(|at| {
            from.wrapping_add(u8::try_from(at).unwrap())
        }))
    }

    #[test]
    fn every_purpose_and_direction_has_its_own_key() {
        let ring = KeyRing::new(&[secret(1), secret(2)]).unwrap();
        let mut tags = Vec::new();
        for id in ring.ids() {
            for purpose in [Purpose::Talk, Purpose::Fence] {
                for maker in [Side::Preferred, Side::Other] {
                    tags.push(ring.tag(id, purpose, maker, b"same").unwrap());
                }
            }
        }
        assert_eq!(tags.len(), 8);
        for (at, tag) in tags.iter().enumerate() {
            assert!(!tags[at + 1..].contains(tag));
        }
    }

    /// RFC 4231, test case 2 in kind: HMAC-SHA-256 with a short key and a known answer.
    #[test]
    fn the_primitive_is_hmac_sha_256() {
        let mut key = [0_u8; 32];
        key[..4].copy_from_slice(b"Jefe");
        let mut mac = keyed(&key);
        mac.update(b"what do ya want for nothing?");
        let tag: [u8; 32] = mac.finalize().into_bytes().into();
        let begins = [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e];
        assert_eq!(tag[..8], begins);
    }

    #[test]
    fn sync_has_secrets_of_its_own() {
        let ring = KeyRing::new(&[secret(1), secret(2)]).unwrap();
        let [one, other] = ring.sync_secrets()[..] else {
            panic!("one per key");
        };
        assert_ne!(one, other);
        assert_ne!(one, secret(1).0);
        assert_ne!(one, secret(1).derive(b"talk", 1));
    }

    #[test]
    fn bad_rings_are_refused() {
        let error = |secrets: &[Secret]| KeyRing::new(secrets).unwrap_err();
        assert_eq!(error(&[]), RingError::Empty);
        assert_eq!(error(&[secret(1), secret(1)]), RingError::Twice);
        assert_eq!(error(&[Secret::new([7; 32])]), RingError::Weak);
        let many: Vec<Secret> = (0..5).map(secret).collect();
        assert_eq!(error(&many), RingError::TooMany);
    }

    #[test]
    fn secrets_do_not_print() {
        let ring = KeyRing::new(&[secret(9)]).unwrap();
        let printed = format!("{:?} {ring:?} {:?}", secret(9), Nonces::new(&[3; 32]));
        assert!(!printed.contains("9, 10"), "{printed}");
        assert!(printed.starts_with("Secret(..)"), "{printed}");
    }

    #[test]
    fn nonces_repeat_only_with_their_seed() {
        let draw = |seed: u8| {
            let mut nonces = Nonces::new(&[seed; 32]);
            [nonces.draw(), nonces.draw(), nonces.draw()]
        };
        assert_eq!(draw(1), draw(1));
        let mut all = [draw(1), draw(2)].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 6);
    }
}
