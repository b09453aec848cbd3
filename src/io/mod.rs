//! The machine: everything that touches the kernel. No policy lives here.

pub mod gpio;
pub mod i2c;
pub mod kernel_wiring;
pub mod remote_board;
pub mod sys;
