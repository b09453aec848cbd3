//! The machine: everything that touches the kernel. No policy lives here.

pub mod i2c;
pub mod sys;
