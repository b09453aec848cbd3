//! One controller, one rule per test.
#![allow(
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

mod bench;
mod board;
mod close;
mod deadman;
