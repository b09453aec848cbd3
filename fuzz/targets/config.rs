//! A site's configuration, as an operator may have written it.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| fencepost_fuzz::text::config(text));
