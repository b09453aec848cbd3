//! State sync: what the Active saves reaches the Backup within milliseconds, verified, atomic and fenced, and at any
//! time the pair can say *in sync, checked two seconds ago*, or exactly what differs.

pub mod blocks;
pub mod category;
pub mod category_id;
pub mod confine;
pub mod diff;
pub mod digest;
pub mod entry;
pub mod export;
pub mod filter;
pub mod hooks;
pub mod lineage;
pub mod manifest;
pub mod path;
pub mod policy;
mod resolve;
pub mod scan;
pub mod settings;
pub mod sqlite;
pub mod tree;
