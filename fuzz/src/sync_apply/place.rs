//! Where a hostile generation lands, and what it must leave alone.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory of directories: the tree, what the store remembers, and what is nobody's business.
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let place = base.join(format!("sync-apply-{}-{number}", std::process::id()));
        for directory in ["in/tree/keep", "state", "outside/dir"] {
            fs::create_dir_all(place.join(directory)).expect("a directory");
        }
        for (file, text) in [
            ("in/tree/plain", "plain"),
            ("in/tree/keep/file", "kept"),
            ("outside/victim", "victim"),
            ("outside/dir/victim", "victim"),
        ] {
            fs::write(place.join(file), text).expect("a file");
        }
        symlink("../../outside", place.join("in/tree/way")).expect("a link");
        Self(place)
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.0.join("in/tree")
    }

    /// Where the store remembers things.
    pub(super) fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    /// Everything but the tree, the staging area beside it, and the store's own.
    pub(super) fn outside(&self) -> Vec<(PathBuf, u32, u32, u64, Vec<u8>)> {
        let mut found = Vec::new();
        for (at, ours) in [
            ("", ["in", "state"]),
            ("in", ["tree", ".fencepost-config-"]),
        ] {
            for entry in fs::read_dir(self.0.join(at))
                .expect("a directory")
                .flatten()
            {
                let name = entry.file_name().to_string_lossy().into_owned();
                if !ours.iter().any(|own| name.starts_with(own)) {
                    look(&entry.path(), &mut found);
                }
            }
        }
        found.sort();
        found
    }
}

fn look(path: &Path, found: &mut Vec<(PathBuf, u32, u32, u64, Vec<u8>)>) {
    let facts = fs::symlink_metadata(path).expect("it is there");
    let bytes = if facts.is_file() {
        fs::read(path).unwrap_or_default()
    } else {
        Vec::new()
    };
    found.push((
        path.to_owned(),
        facts.mode(),
        facts.uid(),
        facts.ino(),
        bytes,
    ));
    if facts.is_dir() {
        for entry in fs::read_dir(path).expect("a directory").flatten() {
            look(&entry.path(), found);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _best_effort = fs::remove_dir_all(&self.0);
    }
}
