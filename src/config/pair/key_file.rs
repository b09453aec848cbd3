//! The file with the pair's keys: one per line, 64 hex digits, oldest first; `#` begins a remark.
//!
//! Whoever can read it can speak for the peer, so a file that anybody but root can open or change is refused, and no
//! error ever repeats what stands in it. What if it cannot be used? The agent does not start as half of a pair.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::wire::keys::{KEYS_MAX, SECRET_BYTES};
use crate::wire::{KeyRing, RingError, Secret};

/// Far above four keys with long remarks.
const FILE_BYTES_MAX: u64 = 16 * 1024;
/// Who must own it.
const ROOT: u32 = 0;

/// Why there are no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// The kernel said no.
    #[error(
        "key file {file}: {error}; `fencepost pair init` makes one on the first node; copy it to the other"
    )]
    Io {
        /// Path.
        file: String,
        /// The kernel's words.
        error: String,
    },
    /// Not a file.
    #[error("key file {file}: it is no regular file")]
    NoFile {
        /// Path.
        file: String,
    },
    /// Others can read or change it.
    #[error(
        "key file {file}: others may open it (mode {mode:04o}, must be 0600); run: chmod 600 {file}; if it was readable for long, make new keys"
    )]
    Open {
        /// Path.
        file: String,
        /// Permission bits.
        mode: u32,
    },
    /// Its owner can change it.
    #[error(
        "key file {file}: it belongs to user {owner}, must belong to root; run: chown root: {file}"
    )]
    Owner {
        /// Path.
        file: String,
        /// Its owner's number.
        owner: u32,
    },
    /// Longer than any key file.
    #[error("key file {file}: longer than {FILE_BYTES_MAX} bytes; this is not one of our files")]
    TooLong {
        /// Path.
        file: String,
    },
    /// A line that is no key.
    #[error("key file {file}:{line}:{column}: not a key; a key is 64 hex digits, one per line")]
    Line {
        /// Path.
        file: String,
        /// From 1.
        line: usize,
        /// Of the first letter that is wrong, from 1.
        column: usize,
    },
    /// The keys are no ring.
    #[error("key file {file}: {error}")]
    Ring {
        /// Path.
        file: String,
        /// Why.
        error: RingError,
    },
}

/// Read the keys.
///
/// # Errors
/// See [`KeyFileError`]; nothing of a file with any mistake is used.
pub fn load(path: &Path) -> Result<KeyRing, KeyFileError> {
    let file = path.display().to_string();
    let io = |error: std::io::Error| KeyFileError::Io {
        file: path.display().to_string(),
        error: error.to_string(),
    };
    // Judged by its descriptor: what is read is what was looked at. A fifo must not hold us up.
    let open = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(io)?;
    let facts = open.metadata().map_err(io)?;
    if !facts.is_file() {
        return Err(KeyFileError::NoFile { file });
    }
    let mode = facts.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Open { file, mode });
    }
    if facts.uid() != ROOT {
        let owner = facts.uid();
        return Err(KeyFileError::Owner { file, owner });
    }
    let mut text = String::new();
    let mut limited = open.take(FILE_BYTES_MAX + 1);
    limited.read_to_string(&mut text).map_err(io)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(KeyFileError::TooLong { file });
    }
    parse(&file, &text)
}

/// Understand the text; `file` is what errors call it.
///
/// # Errors
/// A line that is no key, or keys that are no ring.
pub fn parse(file: &str, text: &str) -> Result<KeyRing, KeyFileError> {
    let mut secrets = Vec::with_capacity(KEYS_MAX);
    for (line, number) in text.lines().zip(1..) {
        let written = line.split('#').next().unwrap_or_default();
        let key = written.trim();
        if key.is_empty() {
            continue;
        }
        let begins = written.len() - written.trim_start().len();
        let secret = secret(key).map_err(|at| KeyFileError::Line {
            file: file.to_owned(),
            line: number,
            column: begins + at + 1,
        })?;
        secrets.push(secret);
    }
    KeyRing::new(&secrets).map_err(|error| KeyFileError::Ring {
        file: file.to_owned(),
        error,
    })
}

/// The place (in letters, from 0) of what is wrong.
fn secret(text: &str) -> Result<Secret, usize> {
    let mut bytes = [0; SECRET_BYTES];
    let mut letters = text.chars();
    for at in 0..SECRET_BYTES * 2 {
        let digit = letters.next().and_then(|letter| letter.to_digit(16));
        let digit = digit.and_then(|digit| u8::try_from(digit).ok());
        bytes[at / 2] = bytes[at / 2] << 4 | digit.ok_or(at)?;
    }
    match letters.next() {
        None => Ok(Secret::new(bytes)),
        Some(_) => Err(SECRET_BYTES * 2),
    }
}
