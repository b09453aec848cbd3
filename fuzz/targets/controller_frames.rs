//! Bytes and time to the reference controller's firmware.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fencepost_fuzz::controller::frames(bytes);
});
