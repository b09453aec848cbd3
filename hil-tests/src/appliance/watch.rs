//! A look at an appliance from another thread, while its owner works with it: for a live view.
//!
//! Looks at the board model and at the wire, never at the agent, and changes nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fencepost::board::RelayState;
use fencepost::node::Instant;
use fencepost::sim::VirtualBoard;
use fencepost_firmware::registers;

use super::Appliance;
use crate::board::Clock;
use crate::wire::traffic::{self, Report};

/// The watcher.
#[derive(Clone)]
pub struct Watch {
    board: Arc<Mutex<VirtualBoard>>,
    traffic: traffic::Watch,
    clock: Clock,
    segment: usize,
}

/// A dead-man, as its controller has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadMan {
    /// Whether it runs, has run out, or does not run.
    pub state: fencepost_firmware::TimerState,
    /// Until it fires.
    pub left: Duration,
    /// What it was armed with.
    pub window: Duration,
}

impl Appliance {
    /// Somebody who may look on.
    pub fn watch(&self) -> Watch {
        Watch {
            board: Arc::clone(&self.virtual_board),
            traffic: self.traffic.watch(),
            clock: self.clock,
            segment: self.on_board(0),
        }
    }
}

impl Watch {
    /// Now, on the rig's clock.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// True contacts of the first segment.
    pub fn relay(&self) -> RelayState {
        self.board
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .segment_state(self.segment)
    }

    /// The dead-man; `None`: this board's controller does not tell.
    pub fn dead_man(&self) -> Option<DeadMan> {
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let status = registers::status(board.firmware()?);
        Some(DeadMan {
            state: status.timer,
            left: Duration::from_millis(u64::from(status.remaining_ms)),
            window: Duration::from_millis(u64::from(status.window_ms)),
        })
    }

    /// What became of the frames sent in `from..to`.
    pub fn traffic(&self, from: Instant, to: Instant) -> Report {
        self.traffic.report(from, to)
    }
}
