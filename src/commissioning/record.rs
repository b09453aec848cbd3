//! The record of a commissioning: who saw what, of which wiring.
//!
//! *Signed off* means: a named person ran it, and the file is sealed with a checksum (CRC-64/XZ over all of it). The
//! seal catches a file that was edited, mixed up or half written. It is not a cryptographic signature: whoever
//! may write the file, which is root, can make any record.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::wiring::Wiring;
use crate::board::controller::{Evidence, Identity, RelayState};
use crate::config::Site;

/// The record's file in the state directory.
pub const RECORD_FILE: &str = "commissioning.json";
/// Larger than this in bytes and it is no record of ours.
const RECORD_BYTES_MAX: u64 = 1024 * 1024;
const VERSION: u32 = 1;
const SEAL: crc::Crc<u64> = crc::Crc::<u64>::new(&crc::CRC_64_XZ);

/// What somebody saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Of this format.
    pub version: u32,
    /// Of the program that wrote it.
    pub fencepost: String,
    /// Wall-clock time, UTC, for people.
    pub time: String,
    /// Who ran it.
    pub operator: String,
    /// Which machine, for people.
    pub host: String,
    /// Who answered on the bus.
    pub controller: Identity,
    /// What was proven.
    pub wiring: Wiring,
    /// What was seen, in board order.
    pub segments: Vec<SegmentProof>,
}

/// What was seen of one segment. Only complete successes are ever recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentProof {
    /// Name in the configuration.
    pub segment: String,
    /// Each move, in order.
    pub steps: Vec<StepProof>,
    /// From the last kick until the relay had left `Normal`; `None` on a board without a dead-man.
    pub dead_man_ms: Option<u64>,
}

/// One move of a relay and what followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepProof {
    /// Ordered.
    pub state: RelayState,
    /// Read back.
    pub read: RelayState,
    /// What that rests on.
    pub evidence: Evidence,
    /// From the order until carrier of both ports was as it must be.
    pub carrier_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    record: Record,
    seal: String,
}

/// Why this site counts as not commissioned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// Nobody did it.
    #[error("there is no commissioning record at {path}: run `fencepost board commission`")]
    NoRecord {
        /// Where it would be.
        path: String,
    },
    /// There is something, and it is no record.
    #[error("{path} is no commissioning record: {error}; run `fencepost board commission`")]
    Unreadable {
        /// Where.
        path: String,
        /// Why not.
        error: String,
    },
    /// It is of another wiring.
    #[error(
        "the wiring is not the one that was commissioned: {}; run `fencepost board commission`",
        differences.join("; ")
    )]
    OtherWiring {
        /// What is different.
        differences: Vec<String>,
    },
}

/// The seal is not that of the record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its seal does not match: it was edited or half written")]
pub struct SealError;

fn seal(record: &Record) -> serde_json::Result<String> {
    let text = serde_json::to_vec(record)?;
    Ok(format!("crc64-xz:{:016x}", SEAL.checksum(&text)))
}

fn path(directory: &Path) -> PathBuf {
    directory.join(RECORD_FILE)
}

/// The record of this very wiring, or why there is none.
///
/// # Errors
/// It is absent, unreadable, or of another wiring.
pub fn load(directory: &Path, site: &Site) -> Result<Record, Missing> {
    let place = path(directory);
    let name = place.display().to_string();
    let unreadable = |error: String| Missing::Unreadable {
        path: name.clone(),
        error,
    };
    let text = match read(&place) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Missing::NoRecord { path: name });
        }
        Err(error) => return Err(unreadable(error.to_string())),
    };
    let sealed: Sealed =
        serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
    let wanted = seal(&sealed.record).map_err(|error| unreadable(error.to_string()))?;
    if wanted != sealed.seal {
        return Err(unreadable(SealError.to_string()));
    }
    let differences = sealed.record.wiring.differences(&Wiring::of(site));
    if !differences.is_empty() {
        return Err(Missing::OtherWiring { differences });
    }
    Ok(sealed.record)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?
        .take(RECORD_BYTES_MAX)
        .read_to_end(&mut text)?;
    Ok(text)
}

/// Replace the record as a whole. Returns where it is.
///
/// # Errors
/// The disk's.
pub fn save(directory: &Path, record: Record) -> io::Result<PathBuf> {
    let seal = seal(&record)?;
    let mut text = serde_json::to_vec_pretty(&Sealed { record, seal })?;
    text.push(b'\n');
    let place = path(directory);
    let temporary = place.with_extension("json.new");
    fs::create_dir_all(directory)?;
    let mut file = File::create(&temporary)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&temporary, &place)?;
    File::open(directory)?.sync_all()?;
    Ok(place)
}

/// Take the record away: what it says has just been seen to be untrue.
///
/// # Errors
/// The disk's; that there was none is no error.
pub fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_file(path(directory)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Record {
    /// A record of today.
    pub fn new(
        site: &Site,
        operator: String,
        controller: Identity,
        segments: Vec<SegmentProof>,
    ) -> Self {
        let host = nix::sys::utsname::uname().map(|machine| machine.nodename().to_owned());
        Self {
            version: VERSION,
            fencepost: env!("CARGO_PKG_VERSION").to_owned(),
            time: crate::io::clock::wall_clock(),
            operator,
            host: host.unwrap_or_default().to_string_lossy().into_owned(),
            controller,
            wiring: Wiring::of(site),
            segments,
        }
    }
}
