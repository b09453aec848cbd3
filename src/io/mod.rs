//! The machine: everything that touches the kernel. No policy lives here.

pub mod sys;
