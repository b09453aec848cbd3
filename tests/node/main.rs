//! The node by itself: events in, actions out, time as an argument.

mod bench;
mod checks;
mod life;
mod orders;
mod relays;
