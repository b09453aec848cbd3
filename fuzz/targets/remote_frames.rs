//! Frames between an agent and a virtual board, in both directions.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fencepost_fuzz::socket::remote(bytes));
