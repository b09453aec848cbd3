//! Reading one file so that what is read was all there at one time.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, FileType};
use rustix::io::{Errno, Result};

use super::cache::now_ns;
use crate::digest::{Digest, Domain, Hasher};
use crate::entry::Xattrs;
use crate::manifest::{XATTR_BYTES_MAX, XATTRS_MAX};
use crate::policy::Policy;
use crate::resolve::{Dir, Status, xattr_names};

/// How often a file that changes while it is read is read before it is left for later.
const ATTEMPTS: usize = 3;
const BUFFER_BYTES: usize = 256 * 1024;

/// A file as it was.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) status: Status,
    pub(crate) digest: Digest,
    pub(crate) xattrs: Xattrs,
    /// Wall clock when reading began.
    pub(crate) read_ns: i64,
}

/// What came of an attempt to read a file.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All of it, in one state.
    Stable(Box<Content>),
    /// It changed each time.
    Unstable,
    /// It is no file any more.
    Other,
}

/// Reads and hashes a file in a directory.
pub(crate) fn content(dir: &Dir, name: &[u8], policy: &Policy) -> Result<Outcome> {
    for _ in 0..ATTEMPTS {
        let file = dir.file(name)?;
        let before = Status::of_file(&file)?;
        if before.file_type != FileType::RegularFile {
            return Ok(Outcome::Other);
        }
        let read_ns = now_ns();
        let (digest, bytes) = hash(&file, before.stamp.size)?;
        let xattrs = xattrs(&file, policy)?;
        let after = Status::of_file(&file)?;
        let same_file = dir.look(name)?.map(|status| status.stamp) == Some(after.stamp);
        if before.stamp == after.stamp && bytes == after.stamp.size && same_file {
            return Ok(Outcome::Stable(Box::new(Content {
                status: after,
                digest,
                xattrs,
                read_ns,
            })));
        }
    }
    Ok(Outcome::Unstable)
}

/// Hash and length of an open file from its start; one that grows is not followed beyond `size`.
pub(crate) fn hash(file: &OwnedFd, size: u64) -> Result<(Digest, u64)> {
    let mut hasher = Hasher::new(Domain::File);
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut at = 0;
    while at <= size {
        match rustix::io::pread(file, &mut buffer, at)? {
            0 => break,
            read => {
                hasher.update(&buffer[..read]);
                at += read as u64;
            }
        }
    }
    Ok((hasher.finish(), at))
}

/// Extended attributes that the policy lets through.
pub(crate) fn xattrs(file: impl AsFd, policy: &Policy) -> Result<Xattrs> {
    let mut found = Xattrs::new();
    if policy.xattrs.is_empty() {
        return Ok(found);
    }
    for name in xattr_names(&file)? {
        if !policy.allows_xattr(&name) {
            continue;
        }
        let mut value = vec![0; XATTR_BYTES_MAX];
        match fs::fgetxattr(&file, &name[..], &mut value[..]) {
            Ok(length) => value.truncate(length),
            Err(Errno::NODATA) => continue,
            Err(error) => return Err(error),
        }
        found.insert(name, value);
    }
    let bytes: usize = found.values().map(Vec::len).sum();
    if found.len() > XATTRS_MAX || bytes > XATTR_BYTES_MAX {
        return Err(Errno::TOOBIG);
    }
    Ok(found)
}
