//! Small files travel packed (Zstandard, level 1) where that makes them smaller.

use super::message::CHUNK_BYTES_MAX;

/// Below this, packing costs more than it saves.
const PACK_BYTES_MIN: usize = 512;
/// Zstandard's fastest regular level.
const LEVEL: i32 = 1;

/// Packed bytes that are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("packed bytes that cannot be unpacked to at most {CHUNK_BYTES_MAX}")]
pub struct Unpackable;

/// Packed, if it becomes smaller.
pub fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() < PACK_BYTES_MIN {
        return None;
    }
    let packed = zstd::bulk::compress(bytes, LEVEL).ok()?;
    (packed.len() < bytes.len()).then_some(packed)
}

/// What was packed. Whatever the bytes claim, no more than [`CHUNK_BYTES_MAX`] is set aside.
///
/// # Errors
/// Garbage, or more than a chunk.
pub fn unpack(bytes: &[u8]) -> Result<Vec<u8>, Unpackable> {
    zstd::bulk::decompress(bytes, CHUNK_BYTES_MAX).map_err(|_| Unpackable)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

    use super::*;

    #[test]
    fn what_was_packed_comes_back() {
        let text = b"interface eth0\n".repeat(200);
        let packed = pack(&text).unwrap();
        assert!(packed.len() * 4 < text.len());
        assert_eq!(unpack(&packed).unwrap(), text);
    }

    #[test]
    fn what_would_not_shrink_stays() {
        assert_eq!(pack(b"short"), None);
        let mut noise = vec![0; 4096];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert_eq!(pack(&noise), None);
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = zstd::bulk::compress(&vec![0; CHUNK_BYTES_MAX + 1], LEVEL).unwrap();
        assert!(bomb.len() < 100);
        assert_eq!(unpack(&bomb), Err(Unpackable));
        assert_eq!(unpack(b"garbage"), Err(Unpackable));
    }
}
