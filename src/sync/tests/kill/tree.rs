//! What a generation looks like, and a walker that tells which one a tree is. It shares nothing with the product.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that every generation rewrites.
const FILES: u64 = 10;
/// Bytes of the one that travels by blocks.
const LARGE_BYTES: usize = 150_000;

/// All of a generation: files by path, and directories as nothing.
fn expected(number: u64) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    let mut file = |path: String, bytes: Vec<u8>| {
        let path = PathBuf::from(path);
        for above in path
            .ancestors()
            .skip(1)
            .filter(|at| !at.as_os_str().is_empty())
        {
            all.insert(above.to_owned(), None);
        }
        all.insert(path, Some(bytes));
    };
    for at in 0..FILES {
        file(format!("d{}/deep/f{at}", at % 3), number.to_string().into());
    }
    // One that comes and goes, and one that is now a file, now a directory.
    file(format!("only/{number}"), b"only".to_vec());
    match number % 2 {
        0 => file("kind".to_owned(), b"file".to_vec()),
        _ => file(format!("kind/{number}"), b"inside".to_vec()),
    }
    let mut large = vec![7; LARGE_BYTES];
    large[..8].copy_from_slice(&number.to_le_bytes());
    large[LARGE_BYTES - 8..].copy_from_slice(&number.to_le_bytes());
    file("large".to_owned(), large);
    all
}

/// Makes the tree this generation, file by file.
pub(crate) fn write(root: &Path, number: u64) {
    let next = expected(number);
    for (path, was) in found(root).iter().rev() {
        let kept = next
            .get(path)
            .is_some_and(|is| is.is_some() == was.is_some());
        match was {
            _ if kept => {}
            Some(_) => fs::remove_file(root.join(path)).unwrap(),
            None => fs::remove_dir(root.join(path)).unwrap(),
        }
    }
    for (path, bytes) in next {
        match bytes {
            Some(bytes) => fs::write(root.join(path), bytes).unwrap(),
            None => fs::create_dir_all(root.join(path)).unwrap(),
        }
    }
}

/// Which generation a tree is; what does not fit if it is none.
pub(crate) fn generation(root: &Path) -> Result<u64, String> {
    let found = found(root);
    let first = found.get(Path::new("d0/deep/f0")).cloned().flatten();
    let text = first.and_then(|bytes| String::from_utf8(bytes).ok());
    let number: Option<u64> = text.and_then(|text| text.parse().ok());
    let number = number.ok_or_else(|| "its first file is of no generation".to_owned())?;
    let expected = expected(number);
    let differs = |path: &&PathBuf| found.get(*path) != expected.get(*path);
    match found.keys().chain(expected.keys()).find(differs) {
        None => Ok(number),
        Some(path) => Err(format!("{}: not as in generation {number}", path.display())),
    }
}

fn found(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(dir) = waiting.pop() {
        // What is being renamed meanwhile is there next time, or is missed and told.
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let below = path.strip_prefix(root).unwrap().to_owned();
            if path.is_dir() {
                found.insert(below, None);
                waiting.push(path);
            } else {
                found.insert(below, Some(fs::read(&path).unwrap_or_default()));
            }
        }
    }
    found
}
