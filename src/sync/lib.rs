//! State sync of Fencepost: the active's configuration and state reach the backup verified, atomic and fenced.

pub mod identity;
pub mod tls;
