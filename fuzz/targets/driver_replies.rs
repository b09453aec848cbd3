//! Arbitrary answers to every board's driver.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fencepost_fuzz::bus::replies(bytes);
});
