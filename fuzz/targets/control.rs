//! Lines to the control socket, from anybody on the machine.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fencepost_fuzz::socket::control(bytes));
