//! State sync: what the Active saves reaches the Backup within milliseconds, verified, atomic and fenced, and at any
//! time the pair can say *in sync, checked two seconds ago*, or exactly what differs.

pub mod blocks;
pub mod category_id;
pub mod diff;
pub mod digest;
pub mod entry;
pub mod frame;
pub mod identity;
pub mod filter;
pub mod lineage;
pub mod manifest;
pub mod path;
pub mod policy;
pub mod session;
pub mod tls;
mod resolve;
pub mod scan;
pub mod tree;
