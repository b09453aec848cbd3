//! Tests of the store, on real directories.

mod commits;
mod conformance;
mod crash;
mod disk;
mod edits;
mod hostile;
mod pair;
mod random;
mod sources;
