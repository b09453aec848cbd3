//! What happened on a board, in order and in time: the material of pictures and invariants.

use core::time::Duration;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::fault::BoardFault;
use super::relay::MoveCause;
use crate::board::RelayState;
use crate::node::Instant;

/// Events kept until somebody takes them; older ones are dropped and counted.
pub const EVENTS_MAX: usize = 65_536;

/// One thing that happened, and when it happened (not when it was noticed).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardEvent {
    /// When.
    pub at: Instant,
    /// What.
    #[serde(flatten)]
    pub fact: BoardFact,
}

/// Everything a board can report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fact")]
pub enum BoardFact {
    /// Data contacts moved.
    RelayMoved {
        /// Segment index.
        segment: usize,
        /// Contacts before.
        from: RelayState,
        /// Contacts after.
        to: RelayState,
        /// Why.
        cause: MoveCause,
        /// When the coil was told.
        commanded_at: Instant,
    },
    /// A dead-man started.
    DeadManArmed {
        /// Which timer of the controller, counted from 1.
        timer: u8,
        /// Its effective period.
        period: Duration,
    },
    /// A running dead-man was kicked.
    DeadManKicked {
        /// Which timer.
        timer: u8,
    },
    /// A dead-man fired.
    DeadManExpired {
        /// Which timer.
        timer: u8,
    },
    /// A dead-man was stopped on purpose.
    DeadManDisarmed {
        /// Which timer.
        timer: u8,
    },
    /// A controller did not do as told, and why.
    Refused {
        /// In words.
        what: String,
    },
    /// Non-volatile cells were written.
    NvmWritten {
        /// How often so far.
        writes: u64,
    },
    /// Nobody acknowledged.
    Nacked {
        /// 7-bit address.
        address: u8,
    },
    /// The bus hung.
    BusHung {
        /// 7-bit address.
        address: u8,
    },
    /// Two targets with one address answered at once: a mux has two channels open.
    Collided {
        /// 7-bit address.
        address: u8,
    },
    /// Power of the controllers came.
    PowerOn,
    /// Power of the controllers went.
    PowerOff,
    /// The host was reset and lost its lines.
    HostReset,
    /// A fault began.
    FaultInjected {
        /// Which.
        fault: BoardFault,
    },
    /// A fault ended.
    FaultCleared {
        /// Which.
        fault: BoardFault,
    },
}

/// A bounded list of events.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    events: VecDeque<BoardEvent>,
    dropped: u64,
}

impl Journal {
    /// Appends one event.
    pub fn note(&mut self, at: Instant, fact: BoardFact) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
            self.dropped += 1;
        }
        self.events.push_back(BoardEvent { at, fact });
    }

    /// All events since the last call, in order of time.
    pub fn take(&mut self) -> Vec<BoardEvent> {
        let mut events: Vec<_> = self.events.drain(..).collect();
        // Chips report after the fact; a stable sort keeps cause before effect within one instant.
        events.sort_by_key(|event| event.at);
        events
    }

    /// How many events were lost because nobody took them.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}
