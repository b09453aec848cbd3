//! The files of the repository that people write.

use std::path::{Path, PathBuf};

/// A text file.
pub(crate) struct File {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

/// Folders that tools write, or that hold bytes.
const NOT_OURS: [&str; 8] = [
    "target",
    ".git",
    ".cache",
    "report",
    "fuzz/target",
    "fuzz/corpus",
    "fuzz/artifacts",
    "hil-tests/.cache",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All of them, in order.
pub(crate) fn files() -> Vec<File> {
    let mut found = Vec::new();
    collect(&root(), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 100, "only {} files found", found.len());
    found
}

/// One file that must be there.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn collect(folder: &Path, found: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let entry = entry.expect("a readable folder");
        let path = entry.path();
        let local = path.strip_prefix(root()).expect("below the root");
        let local = local.to_string_lossy().into_owned();
        if NOT_OURS.contains(&local.as_str()) {
            continue;
        }
        let kind = entry.file_type().expect("a file type");
        if kind.is_dir() {
            collect(&path, found);
        } else if kind.is_file()
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            found.push(File { path: local, text });
        }
    }
}
