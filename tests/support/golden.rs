//! Recorded texts: what a test prints is compared with a file that a person has read.

use std::path::Path;

/// Compare `text` with `tests/golden/NAME`, or write it anew when `FENCEPOST_BLESS` is set.
pub(crate) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("FENCEPOST_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let recorded = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; FENCEPOST_BLESS=1 writes it", path.display()));
    assert!(
        recorded == text,
        "{} differs; FENCEPOST_BLESS=1 writes it anew\n--- recorded\n{recorded}\n--- now\n{text}",
        path.display()
    );
}
