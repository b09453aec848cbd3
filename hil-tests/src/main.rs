//! The rig's command line.
fn main() {}
