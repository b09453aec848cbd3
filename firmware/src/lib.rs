//! State machine and register map of the reference bypass controller.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
