//! What is really there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// All of a tree, by a walker that shares nothing with the product.
pub(super) fn tree(root: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(dir) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries.flatten() {
            let (path, Ok(facts)) = (entry.path(), entry.metadata()) else {
                continue;
            };
            let bytes = if facts.is_dir() {
                waiting.push(path.clone());
                b"dir".to_vec()
            } else if facts.is_symlink() {
                fs::read_link(&path)
                    .unwrap_or_default()
                    .into_os_string()
                    .into_encoded_bytes()
            } else {
                fs::read(&path).unwrap_or_default()
            };
            found.push((
                path.strip_prefix(root).unwrap().to_owned(),
                facts.mode(),
                bytes,
            ));
        }
    }
    found.sort();
    found
}
