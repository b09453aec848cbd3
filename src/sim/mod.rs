//! The world without hardware: boards, faults and time under our control.

pub mod port;
pub mod remote;
