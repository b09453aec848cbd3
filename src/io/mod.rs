//! The machine: everything that touches the kernel. No policy lives here.
//!
//! Adapters carry out what the node asked for and report what became of it as events. They never call each
//! other's verbs, never decide, and try once; each says in its own head what happens when it dies.

pub mod announce;
pub mod carriers;
pub mod checks;
pub mod claims;
pub mod clock;
pub mod control;
pub mod controller_thread;
pub mod desk;
pub mod fence;
pub mod gpio;
pub mod history;
pub mod hooks;
pub mod hostname;
pub mod i2c;
pub mod inbox;
pub mod journal;
pub mod kernel_wiring;
pub mod ledger;
pub mod left;
pub mod links;
pub mod lock;
pub mod mailbox;
pub mod netlink;
pub mod program;
pub mod random;
pub mod realtime;
pub mod recorder;
pub mod remote_board;
pub mod services;
pub mod signals;
#[cfg(test)]
mod stand_in;
pub mod sync_watch;
pub mod sys;
pub mod systemd;
pub mod tracking;
pub mod vips;
pub mod watchdog;
mod watchdog_holder;
