//! BLAKE3 hashes, each kind in a domain of its own so that one can never stand for another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a hash is of. The strings are part of the format: two nodes that differ in one never agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// The bytes of a file.
    File,
    /// One entry of a manifest, as the content root sees it.
    ContentLeaf,
    /// One entry of a manifest with its times.
    MetaLeaf,
    /// A directory over the hashes of what is in it.
    Node,
    /// One block of a file.
    Block,
    /// Neighbouring blocks of a file, over their hashes.
    Group,
    /// One record of the journal, or a file of the store.
    Record,
}

impl Domain {
    const fn context(self) -> &'static str {
        match self {
            Self::File => "fencepost sync 1 file content",
            Self::ContentLeaf => "fencepost sync 1 manifest leaf, content",
            Self::MetaLeaf => "fencepost sync 1 manifest leaf, meta",
            Self::Node => "fencepost sync 1 manifest node",
            Self::Block => "fencepost sync 1 file block",
            Self::Group => "fencepost sync 1 file blocks",
            Self::Record => "fencepost sync 1 store record",
        }
    }
}

/// A BLAKE3 hash of 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of these bytes.
    pub fn of(domain: Domain, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(domain);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Of a whole file held in memory.
    pub fn of_file(bytes: &[u8]) -> Self {
        Self::of(Domain::File, bytes)
    }

    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From 64 lower-case hexadecimal digits.
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        let lower = !text.iter().any(u8::is_ascii_uppercase);
        let hash = blake3::Hash::from_hex(text).ok().filter(|_| lower)?;
        Some(Self(*hash.as_bytes()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = &self.0[..6];
        start.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// A hash being made.
#[derive(Clone)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Of nothing yet.
    pub fn new(domain: Domain) -> Self {
        Self(blake3::Hasher::new_derive_key(domain.context()))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds a length and then the bytes, so that no two lists of fields hash alike.
    pub fn field(&mut self, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0.update(&length.to_le_bytes());
        self.0.update(bytes);
    }

    /// The hash of all that was added.
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_of_one_kind_is_none_of_another() {
        let block = Digest::of(Domain::Block, b"x");
        assert_ne!(block, Digest::of_file(b"x"));
        assert_ne!(
            Digest::of_file(b"x"),
            Digest::from_bytes(*blake3::hash(b"x").as_bytes())
        );
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let of = |fields: [&[u8]; 2]| {
            let mut hasher = Hasher::new(Domain::Node);
            fields.iter().for_each(|field| hasher.field(field));
            hasher.finish()
        };
        assert_ne!(of([b"ab", b"c"]), of([b"a", b"bc"]));
    }

    #[test]
    fn hexadecimal_and_back() {
        let digest = Digest::of_file(b"x");
        let text = digest.to_string();
        assert_eq!(Digest::from_hex(text.as_bytes()), Some(digest));
        assert_eq!(Digest::from_hex(text.to_uppercase().as_bytes()), None);
        assert_eq!(Digest::from_hex(b"12"), None);
    }
}
