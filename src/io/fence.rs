//! Means that are neither the own controller nor a message: what has to be run or asked elsewhere.

pub mod external;
mod program;
mod secrets;
