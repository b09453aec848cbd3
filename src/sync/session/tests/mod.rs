#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod faults;
mod hostile;
mod ordinary;
mod runs;
mod status;
mod there_and_back;
mod world;
