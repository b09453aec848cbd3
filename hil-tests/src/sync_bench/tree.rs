//! Trees, what is done to them, and how it is seen. Contents differ from file to file and from run to run.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Plan;
use crate::error::{AtPath, Result};

/// The large file.
pub(super) const LARGE: &str = "large";
/// Files in one directory.
const PER_DIRECTORY: usize = 100;
/// Bytes of a small file.
const SMALL: usize = 1_024;

/// A system's place: the tree that is changed, and the one that follows.
pub(super) struct Tree {
    pub(super) folder: PathBuf,
    pub(super) source: PathBuf,
    pub(super) target: PathBuf,
}

impl Tree {
    /// In this folder; the second one is empty.
    pub(super) fn make(folder: &Path, plan: Plan) -> Result<Self> {
        let made = Self {
            folder: folder.to_owned(),
            source: folder.join("a/tree"),
            target: folder.join("b/tree"),
        };
        for path in [&made.source, &made.target] {
            fs::create_dir_all(path).at("cannot make", path)?;
        }
        fill(&made.source, plan.files, 0)?;
        let large = made.source.join(LARGE);
        let mut file = fs::File::create(&large).at("cannot make", &large)?;
        let mut left = plan.large_bytes;
        let mut seed = 1;
        while left > 0 {
            let piece = noise(&mut seed, 1 << 20);
            let now = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            file.write_all(&piece[..now]).at("cannot write", &large)?;
            left -= now as u64;
        }
        Ok(made)
    }

    /// A directory with files of which the tree has none, beside the tree on the same disk.
    pub(super) fn fill_aside(source: &Path, files: usize, round: usize) -> Result<PathBuf> {
        let aside = source.with_file_name("aside");
        fs::create_dir_all(&aside).at("cannot make", &aside)?;
        fill(&aside, files, round as u64 + 1)?;
        Ok(aside)
    }
}

fn fill(folder: &Path, files: usize, salt: u64) -> Result<()> {
    for number in 0..files {
        let directory = folder.join(format!("d{}", number / PER_DIRECTORY));
        if number % PER_DIRECTORY == 0 {
            fs::create_dir_all(&directory).at("cannot make", &directory)?;
        }
        let mut seed = (number as u64 + 1) + salt * 1_000_003;
        let bytes = noise(&mut seed, SMALL / 2 + number % SMALL);
        write(&directory.join(format!("f{number}")), &bytes)?;
    }
    Ok(())
}

/// Bytes that do not pack.
fn noise(seed: &mut u64, count: usize) -> Vec<u8> {
    let mut next = || {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed
    };
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        bytes.extend(next().to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

/// Which file is saved next, and what.
pub(super) fn next_save(source: &Path, number: usize) -> (PathBuf, Vec<u8>) {
    let file = PathBuf::from("d0").join(format!("f{}", number % PER_DIRECTORY));
    // Another process has saved there in another life of the tree: the path is part of the noise.
    let mut seed = (number as u64 + 1) * 7_919 + source.as_os_str().len() as u64;
    (file, noise(&mut seed, SMALL))
}

/// Between two saves: 20 to 60 ms, no beat.
pub(super) fn pause(number: usize) -> Duration {
    Duration::from_millis(20 + (number as u64 * 17) % 41)
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).at("cannot write", path)
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).at("cannot rename", from)
}

pub(super) fn remove(path: &Path) -> Result<()> {
    fs::remove_dir_all(path).at("cannot remove", path)
}

pub(super) fn burst(folder: &Path, count: usize) -> Result<()> {
    fs::create_dir_all(folder).at("cannot make", folder)?;
    for number in 0..count {
        let mut seed = number as u64 + 99;
        write(&folder.join(format!("f{number}")), &noise(&mut seed, SMALL))?;
    }
    Ok(())
}

/// Where a byte changes, and to what.
pub(super) fn next_byte(length: u64, round: usize) -> (u64, u8) {
    let at = length / 3 + round as u64 * 4_096 * 7 + 11;
    // Noise is none of these three times in a row.
    (at, b'A' + u8::try_from(round % 26).unwrap_or(0))
}

/// Changes one byte in place; its time moves on by itself.
pub(super) fn poke(path: &Path, at: u64, byte: u8) -> Result<()> {
    let mut file = fs::File::options()
        .write(true)
        .open(path)
        .at("cannot open", path)?;
    file.seek(SeekFrom::Start(at)).at("cannot write", path)?;
    file.write_all(&[byte]).at("cannot write", path)
}

/// The byte there.
pub(super) fn peek(path: &Path, at: u64) -> Option<u8> {
    let mut file = fs::File::open(path).ok()?;
    file.seek(SeekFrom::Start(at)).ok()?;
    let mut byte = [0];
    file.read_exact(&mut byte).ok()?;
    Some(byte[0])
}

/// Files below it; none if it is not there.
pub(super) fn count(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    // Written aside under another name: not there yet.
    let shown = |entry: &fs::DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
    let one = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => count(&entry.path()),
        Ok(_) => 1,
        Err(_) => 0,
    };
    entries.flatten().filter(shown).map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_as_large_as_planned_and_changes_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::make(folder.path(), Plan::QUICK).unwrap();
        assert_eq!(count(&tree.source), Plan::QUICK.files + 1);
        assert_eq!(count(&tree.target), 0);
        let (at, byte) = next_byte(Plan::QUICK.large_bytes, 2);
        let large = tree.source.join(LARGE);
        poke(&large, at, byte).unwrap();
        assert_eq!(peek(&large, at), Some(byte));
        assert_eq!(fs::metadata(&large).unwrap().len(), Plan::QUICK.large_bytes);
        let (file, bytes) = next_save(&tree.source, 1);
        assert_ne!(fs::read(tree.source.join(file)).unwrap(), bytes);
        let aside = Tree::fill_aside(&tree.source, 150, 0).unwrap();
        let [one, other] = [&aside, &tree.source].map(|at| fs::read(at.join("d0/f1")).unwrap());
        assert_ne!(one, other);
        rename(&aside, &tree.source.join("new")).unwrap();
        assert_eq!(count(&tree.source.join("new")), 150);
    }
}
