//! `fencepost`: the command line.
fn main() {}
