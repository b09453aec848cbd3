//! Fencepost: the agent on network appliances that have bypass relays.
//!
//! `node` decides and is pure; `board` knows the hardware; `io` touches the machine; `agent` is the loop
//! that carries events to the node and its actions to the adapters. `sim` is a world in which all of that
//! runs under simulated time. ARCHITECTURE.md draws how they meet.

pub mod agent;
pub mod board;
pub mod commissioning;
pub mod config;
pub mod control;
pub mod control_client;
pub mod diagnose;
pub mod io;
pub mod node;
pub mod pairing;
pub mod plan;
pub mod replay;
pub mod sim;
pub mod sync_service;
pub mod wire;
