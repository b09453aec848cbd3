//! Frames of state sync, and both machines under a peer that says anything in any order.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fencepost_fuzz::sync_frames::said(bytes));
