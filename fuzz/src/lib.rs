//! What the fuzz targets share: arbitrary bytes as a source of choices, and judges that know what must hold.
//!
//! Every judge panics at the first thing that must not be; the fuzzer saves the input that led there. Such an input
//! becomes a unit test of the module at fault, and stays in the corpus.

pub mod bus;
pub mod controller;
pub mod feed;
pub mod peer;
pub mod socket;
pub mod sync_apply;
pub mod sync_frames;
pub mod text;

// The judges are instrumented; what the instruments report to is in there.
#[cfg(test)]
use libfuzzer_sys as _;

/// The committed inputs of a target.
#[cfg(test)]
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let read = std::fs::read_dir(folder).expect("a corpus");
    read.map(|file| std::fs::read(file.expect("a file").path()).expect("readable"))
        .collect()
}
