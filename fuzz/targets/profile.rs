//! A board profile, as an operator may have changed it.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| fencepost_fuzz::text::profile(text));
