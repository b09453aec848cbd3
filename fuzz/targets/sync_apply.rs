//! A Backup's disk under an Active that means harm: nothing outside of its tree is touched, whatever is committed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _commits = fencepost_fuzz::sync_apply::apply(bytes);
});
