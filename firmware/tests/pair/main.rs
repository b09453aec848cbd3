//! Two controllers wired to each other: the counter-examples of the protocol, one by one, and random worlds.
#![allow(
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

mod counterexamples;
mod random;
mod world;
