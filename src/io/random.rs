//! Numbers that nobody can foresee: boot ids, seeds. From the kernel, once per start.

use std::fs::File;
use std::io::{self, Read};

/// `N` random bytes.
///
/// # Errors
/// The kernel's source cannot be read; then there is no identity to start under.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn twice_the_same_is_not_random() {
        assert_ne!(super::bytes::<32>().unwrap(), super::bytes::<32>().unwrap());
    }
}
