//! Tests of the store, on real directories.

mod conformance;
mod crash;
mod pair;
