//! One appliance: host, agent, board, disk and clock.

use core::time::Duration;
use std::collections::VecDeque;

use super::board::Board;
use super::kernel::Kernel;
use crate::node::pair::PairMemory;
use crate::node::{Action, Event, Instant, Node};
use crate::wire::BootId;

/// Everything in one box.
#[derive(Debug, Clone)]
pub(super) struct Appliance {
    pub(super) board: Board,
    pub(super) host: Host,
    pub(super) kernel: Kernel,
    pub(super) agent: Option<Agent>,
    /// Counts agents; what an earlier one ordered is not its successor's.
    pub(super) life: u64,
    pub(super) disk: Disk,
    pub(super) clock: HostClock,
    /// The process stands still until then.
    pub(super) paused_until: Option<Instant>,
    pub(super) bus: BusState,
    /// Failover checks find nothing wrong.
    pub(super) healthy: bool,
    /// It is not, by the word of its kernel.
    pub(super) told_dark: bool,
}

/// Whether the machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    Up,
    Down,
}

/// The way to the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BusState {
    Works,
    /// Orders do not arrive.
    Deaf,
    /// Orders are carried out and the answers are lost.
    Mute,
}

/// A running agent.
#[derive(Debug, Clone)]
pub(super) struct Agent {
    pub(super) node: Node,
    pub(super) boot: BootId,
    /// What came in while it stood still.
    pub(super) backlog: VecDeque<Event>,
    pub(super) orders: VecDeque<Action>,
    pub(super) busy: bool,
    /// Session and tick that the driver read last, and when.
    pub(super) seen: Option<(u32, u64, Instant)>,
    pub(super) turn_stamp: u64,
    pub(super) ended: bool,
}

/// What survives.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Disk {
    pub(super) memory: Option<PairMemory>,
    pub(super) full: bool,
    pub(super) slow: Duration,
}

/// A monotonic clock that runs a little fast or slow, from an arbitrary start.
#[derive(Debug, Clone, Copy)]
pub(super) struct HostClock {
    pub(super) offset: Duration,
    pub(super) ppm: i64,
}

impl HostClock {
    /// What it shows at true time `at`.
    pub(super) fn at(self, at: Instant) -> Instant {
        let nanos = i128::from(at.as_nanos());
        let shown = nanos + nanos * i128::from(self.ppm) / 1_000_000;
        Instant::from_nanos(u64::try_from(shown).unwrap_or(0)) + self.offset
    }

    /// The earliest true time at which it shows at least `shown`.
    pub(super) fn when(self, shown: Instant) -> Instant {
        let nanos = i128::from((shown - self.offset).as_nanos());
        let at = nanos * 1_000_000 / (1_000_000 + i128::from(self.ppm));
        let mut at = Instant::from_nanos(u64::try_from(at).unwrap_or(0));
        while self.at(at) < shown {
            at += Duration::from_nanos(1);
        }
        at
    }
}

impl Appliance {
    /// It answers for a vip *and* is connected.
    pub(super) fn on_wire(&self) -> bool {
        self.host == Host::Up
            && self.kernel.vips == super::kernel::Vips::Present
            && self.board.connected()
    }

    pub(super) fn paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }
}
