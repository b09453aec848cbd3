//! Frames between the two nodes of a pair: sealed, damaged, repeated, held back, across restarts.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fencepost_fuzz::peer::frames(bytes));
