//! The board in its own time, and the hands that reach it.
//!
//! A board's crystal is not its host's: everything that happens on the board happens in board time, which
//! drifts against the world's by a fixed rate. Everything seen of it from here is in world time.

use core::time::Duration;

use super::board::VirtualBoard;
use super::chips::Power;
use super::fault::{BoardFault, NotApplicable};
use super::ideal::Ideal;
use super::journal::{BoardEvent, BoardFact};
use super::port::HostPort as _;
use crate::board::RelayState;
use crate::node::Instant;

/// What stands on the board.
pub(super) enum Hardware {
    /// A controller as one would wish it: the node is tried alone.
    Ideal(Ideal),
    /// A board of the catalogue, chip by chip: the drivers are tried with it.
    Board(Box<VirtualBoard>),
}

/// A board that ages by its own crystal.
pub(super) struct Plant {
    pub(super) hardware: Hardware,
    drift_ppm: i64,
    /// The board has lived until then: what strikes while a job is under way strikes at its end.
    pub(super) lived_until: Instant,
}

impl Plant {
    /// `drift_ppm`: how much faster the board's clock runs than the world's; within ±10,000.
    pub(super) fn new(hardware: Hardware, drift_ppm: i64) -> Self {
        Self {
            hardware,
            drift_ppm,
            lived_until: Instant::ZERO,
        }
    }

    /// Board time at a moment of world time.
    pub(super) fn board_time(&self, at: Instant) -> Instant {
        shifted(at, self.drift_ppm, 1_000_000)
    }

    fn world_time(&self, at: Instant) -> Instant {
        shifted(at, -self.drift_ppm, 1_000_000 + self.drift_ppm)
    }

    fn live(&mut self, at: Instant) -> Instant {
        self.lived_until = self.lived_until.max(at);
        self.board_time(self.lived_until)
    }

    pub(super) fn tick(&mut self, at: Instant) {
        let now = self.live(at);
        match &mut self.hardware {
            Hardware::Ideal(ideal) => ideal.tick(now),
            Hardware::Board(board) => board.tick(now),
        }
    }

    /// When something next happens by itself; rounded up, so that a tick then finds it due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadline = match &self.hardware {
            Hardware::Ideal(ideal) => ideal.deadline(),
            Hardware::Board(board) => board.deadline(),
        };
        deadline.map(|at| self.world_time(at) + Duration::from_nanos(2))
    }

    /// True position of the data contacts.
    pub(super) fn contacts(&self, segment: usize) -> RelayState {
        match &self.hardware {
            Hardware::Ideal(ideal) => ideal.contacts(segment),
            Hardware::Board(board) => board.segment_state(segment),
        }
    }

    /// How much longer every transaction takes just now.
    pub(super) fn delay(&self) -> Duration {
        match &self.hardware {
            Hardware::Ideal(ideal) => ideal.delay(),
            Hardware::Board(board) => board.delay(),
        }
    }

    pub(super) fn set_fault(
        &mut self,
        at: Instant,
        fault: &BoardFault,
        begins: bool,
    ) -> Result<(), NotApplicable> {
        let now = self.live(at);
        match &mut self.hardware {
            Hardware::Ideal(ideal) => ideal.set_fault(now, fault, begins),
            Hardware::Board(board) if begins => board.inject(now, fault.clone()),
            Hardware::Board(board) => board.clear(now, fault.clone()),
        }
    }

    pub(super) fn power(&mut self, at: Instant, power: Power) {
        let now = self.live(at);
        match &mut self.hardware {
            Hardware::Ideal(ideal) => ideal.power(now, power),
            Hardware::Board(board) => board.power(now, power),
        }
    }

    pub(super) fn host_reset(&mut self, at: Instant) {
        let now = self.live(at);
        match &mut self.hardware {
            Hardware::Ideal(_) => {}
            Hardware::Board(board) => board.host_reset(now),
        }
    }

    /// What happened since the last call, in world time.
    pub(super) fn take_log(&mut self) -> Vec<BoardEvent> {
        let mut events = match &mut self.hardware {
            Hardware::Ideal(ideal) => ideal.take_log(),
            Hardware::Board(board) => board.take_log(),
        };
        for event in &mut events {
            event.at = self.world_time(event.at);
            if let BoardFact::RelayMoved { commanded_at, .. } = &mut event.fact {
                *commanded_at = self.world_time(*commanded_at);
            }
        }
        events
    }
}

/// `at` × (1 + `parts` / `whole`).
fn shifted(at: Instant, parts: i64, whole: i64) -> Instant {
    let shift = i128::from(at.as_nanos()) * i128::from(parts) / i128::from(whole.max(1));
    let shifted = i128::from(at.as_nanos()) + shift;
    Instant::from_nanos(u64::try_from(shifted).unwrap_or(0))
}

/// Where a job of the controller thread is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Snag {
    /// The machine stands still for this long, then goes on where it was.
    Pause {
        /// Real time.
        span: Duration,
        /// Whether its own clock stood still too (a stopped virtual machine).
        clock: HostClock,
    },
    /// The process dies here.
    Death,
}

/// What a host's monotonic clock does while the host stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostClock {
    /// It runs on.
    Runs,
    /// It stands still as well.
    Stops,
}

/// One job of the controller thread, under way: its own time, and what will befall it.
#[derive(Debug, Default)]
pub(super) struct Job {
    /// World time the job has reached.
    pub(super) at: Instant,
    /// By how much the host's clock is behind the world's.
    pub(super) behind: Duration,
    /// Interrupt after this many more transactions.
    pub(super) snag: Option<(u32, Snag)>,
    /// From here on there is no host to do anything (a watchdog that nobody can feed meanwhile).
    pub(super) gone_at: Option<Instant>,
    /// It ended before its end: nothing of it is answered.
    pub(super) cut_off: bool,
    /// The machine stood still in it.
    pub(super) paused: bool,
}

/// The board and the job that has its hands on it.
pub(super) struct Shop {
    pub(super) plant: Plant,
    pub(super) job: Job,
    /// Whether lines stay held when their descriptors close: the service manager's descriptor store.
    pub(super) keeps_lines: bool,
}

/// What one bus transaction takes: four bytes at 100 kHz, and a system call.
const TRANSACTION: Duration = Duration::from_micros(300);

impl Shop {
    /// Begins a transaction: time passes, and the host may be gone. Returns board time.
    pub(super) fn begin(&mut self) -> Option<Instant> {
        if let Some((left, snag)) = self.job.snag {
            self.job.snag = left.checked_sub(1).map(|left| (left, snag));
            if left == 0 {
                self.befall(snag);
            }
        }
        self.pass(TRANSACTION + self.plant.delay());
        (!self.job.cut_off).then(|| self.plant.live(self.job.at))
    }

    /// Time passes for the job.
    pub(super) fn pass(&mut self, span: Duration) {
        self.job.at += span;
        if self.job.gone_at.is_some_and(|gone| self.job.at >= gone) {
            self.job.cut_off = true;
        }
    }

    /// Host time of the job.
    pub(super) fn host_now(&self) -> Instant {
        self.job.at - self.job.behind
    }

    fn befall(&mut self, snag: Snag) {
        match snag {
            Snag::Death => self.job.cut_off = true,
            Snag::Pause { span, clock } => {
                self.pass(span);
                self.job.paused = true;
                if clock == HostClock::Stops {
                    self.job.behind += span;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_board_is_ahead_and_its_events_come_back_to_world_time() {
        let plant = Plant::new(Hardware::Ideal(Ideal::new(1)), 500);
        let at = Instant::from_millis(100_000);
        let board = plant.board_time(at);
        assert_eq!(board, Instant::from_millis(100_050));
        assert_eq!(plant.world_time(board), at);
    }
}
