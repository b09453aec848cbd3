//! `[sync]` and `[[category]]`: what the pair keeps alike.
//!
//! The same on both nodes, like the rest of a pair's file. A category is a preset, files in place, a SQLite database, or a
//! pair of programs; whatever a node keeps to itself (host keys, its own addresses, licences, Fencepost itself) is left
//! out of all of them without being told.

mod activation;
mod category;
mod contents;
mod preset;
mod programs;
mod raw;

pub use preset::{Never, Preset, Shipped, shipped};
pub(super) use raw::{Around, RawCategory, RawSync, required, understand};

#[cfg(test)]
#[path = "sync/tests.rs"]
mod tests;
