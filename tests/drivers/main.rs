//! Every driver against an independent model of its controller: both were written from the same facts, by different
//! hands, so where they disagree one of them has read the facts wrongly.
//!
//! What a driver *says* is compared with where the model's contacts *are*. `Unknown` is always allowed; a wrong state
//! never is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod bench;
mod faults;
mod verbs;
#[path = "../support/virtual_host.rs"]
mod virtual_host;
