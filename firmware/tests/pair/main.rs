//! Two controllers wired to each other: the counter-examples of the protocol, one by one, and random worlds.

mod counterexamples;
mod random;
mod world;
