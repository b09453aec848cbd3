//! State sync: what the Active saves reaches the Backup within milliseconds, verified, atomic and fenced, and at any
//! time the pair can say *in sync, checked two seconds ago*, or exactly what differs.

pub mod activation;
pub mod blocks;
pub mod category;
pub mod category_id;
pub mod client;
pub mod confine;
pub mod contents;
pub mod control;
pub mod diff;
pub mod digest;
pub mod disk;
pub mod entry;
pub mod export;
pub mod filter;
pub mod frame;
pub mod hooks;
pub mod identity;
pub mod lineage;
pub mod link;
pub mod manifest;
pub mod path;
pub mod policy;
mod resolve;
mod retry;
pub mod role;
pub mod scan;
mod seam;
pub mod service;
pub mod session;
pub mod settings;
pub mod sqlite;
#[cfg(test)]
mod stand_in;
pub mod store;
pub mod tls;
pub mod tree;
pub mod watch;
