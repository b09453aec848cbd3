//! What goes wrong on a board, as data: the simulator draws it from a seed, the rig sends it over its
//! control socket.
//!
//! A fault a board cannot have is refused, never ignored: a scenario that injects nothing proves nothing.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::relay::RelayFault;
use crate::board::RelayState;

/// One fault of the board, its bus or its relays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoardFault {
    /// The next transactions are not acknowledged, whatever their address.
    NackBurst {
        /// How many.
        transactions: u32,
    },
    /// SDA is held low: every transaction times out until cleared.
    BusStuck,
    /// Every transaction takes this much longer; see `VirtualBoard::delay`.
    BusSlow {
        /// Added to each.
        delay: Duration,
    },
    /// A mechanical defect of one segment's relay.
    Relay {
        /// Segment index.
        segment: usize,
        /// Which defect.
        fault: RelayFault,
    },
    /// The controller (or auxiliary contact) shows this state, wherever the relay is.
    ReadBackLies {
        /// Segment index.
        segment: usize,
        /// What it shows.
        shows: RelayState,
    },
    /// The controller restarts by itself: once, at injection.
    ControllerReset,
    /// The controllers stop: no answer, no timers; relays end where physics leaves them.
    ControllerDead,
    /// One bit of each of the next replies is inverted on the wire.
    FlipBit {
        /// How many replies (read phases).
        replies: u32,
        /// Which bit, counted from the first byte's bit 0; taken modulo the reply's length.
        bit: u32,
    },
    /// Another master puts a segment into this state: once, at injection.
    ExternalWrite {
        /// Segment index.
        segment: usize,
        /// The state it asks for.
        state: RelayState,
    },
    /// Another consumer holds a line: the host's levels do not reach it.
    LineBusy {
        /// Name of the line.
        line: String,
    },
}

/// The board has no such part, so the fault cannot happen there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot happen on this board: {reason}")]
pub struct NotApplicable {
    /// Which fault.
    pub what: String,
    /// Why not.
    pub reason: String,
}

impl NotApplicable {
    /// A refusal with its reason.
    pub fn new(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            reason: reason.into(),
        }
    }
}
