//! Where segments were left, for a successor in this same boot: what a board without read-back cannot tell.
//!
//! A small file under `/run`, which is memory: writing it waits for no disk, so the controller's thread writes
//! it in its place in the order, before the close it belongs to. The boot id inside makes it worthless
//! after a reboot even where `/run` is not memory. What if it is lost? Then nothing was left: such a
//! segment counts as `Unknown`, and is proved anew.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::board::controller::RelayState;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Segments by name.
pub type Left = BTreeMap<String, RelayState>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeftFile {
    boot: String,
    left: Left,
}

/// The note and its place.
#[derive(Debug, Clone)]
pub struct LeftNote {
    path: PathBuf,
    boot: String,
}

impl LeftNote {
    /// The note at `path`, for the boot that is running.
    pub fn at(path: &Path) -> Self {
        let boot = fs::read_to_string(BOOT_ID)
            .unwrap_or_default()
            .trim()
            .to_owned();
        Self {
            path: path.to_owned(),
            boot,
        }
    }

    /// What a predecessor in this boot noted; empty if there was none or its note cannot be read.
    pub fn read(&self) -> Left {
        let Ok(text) = fs::read(&self.path) else {
            return Left::new();
        };
        match serde_json::from_slice::<LeftFile>(&text) {
            Ok(file) if file.boot == self.boot && !self.boot.is_empty() => file.left,
            Ok(_) | Err(_) => Left::new(),
        }
    }

    /// Replace the note. A reader sees the old one or the new one.
    pub fn write(&self, left: &Left) -> io::Result<()> {
        let file = LeftFile {
            boot: self.boot.clone(),
            left: left.clone(),
        };
        let temporary = self.path.with_extension("new");
        fs::write(&temporary, serde_json::to_vec(&file)?)?;
        fs::rename(&temporary, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_counts_in_its_own_boot_only() {
        let directory = tempfile::tempdir().unwrap();
        let note = LeftNote::at(&directory.path().join("left.json"));
        assert_eq!(note.read(), Left::new());
        let left = Left::from([("lan".to_owned(), RelayState::Normal)]);
        note.write(&left).unwrap();
        assert_eq!(note.read(), left);
        let after_reboot = LeftNote {
            boot: "another".to_owned(),
            ..note.clone()
        };
        assert_eq!(after_reboot.read(), Left::new());
        fs::write(&note.path, b"{\"boot\":").unwrap();
        assert_eq!(note.read(), Left::new());
    }
}
