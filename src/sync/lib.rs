//! State sync: what the Active saves reaches the Backup within milliseconds, verified, atomic and fenced, and at any
//! time the pair can say *in sync, checked two seconds ago*, or exactly what differs.

pub mod category;
pub mod blocks;
pub mod category_id;
pub mod diff;
pub mod digest;
pub mod entry;
pub mod hooks;
pub mod filter;
pub mod lineage;
pub mod manifest;
pub mod path;
pub mod policy;
pub mod settings;
pub mod sqlite;
mod resolve;
pub mod scan;
pub mod tree;
