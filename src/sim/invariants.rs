//! The oracle: what must always hold of one appliance, judged from outside.
//!
//! It is told what was *seen*: contacts that moved, the host that came and went, what the node was told and
//! what it decided. From that it keeps its own picture and never asks the node how it came to a decision,
//! so the same functions judge a simulated appliance, a guest in the rig and a real one.
//!
//! Each invariant is one function named `invariant_…`. What breaks one is reported with what was expected;
//! what excuses one (a relay that is physically stuck, a reading that the board itself falsifies) is written
//! where it is excused, in `ground`.

mod closing;
mod feeding;
mod ground;
mod orders;
mod pace;
mod renewal;
mod restart;
mod telling;
mod wire;

use core::time::Duration;

use super::fault::BoardFault;
use super::relay::MoveCause;
use crate::board::RelayState;
use crate::node::policy::Arming;
use crate::node::{Action, Event, Instant, PersistentState, Policy, Saved, Status};

pub use ground::{DeadManTruth, Ground};

/// A moment on both clocks that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// The world's.
    pub world: Instant,
    /// The host's, on which the node lives.
    pub host: Instant,
}

/// Something seen of the appliance.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A segment's true contacts moved.
    Moved {
        /// Which.
        segment: usize,
        /// Where to.
        to: RelayState,
        /// Why, as the board knows.
        cause: MoveCause,
        /// When the coil was told.
        commanded_at: Instant,
    },
    /// The dead-man as the board knows it.
    DeadMan(DeadManTruth),
    /// A defect of the board begins or ends.
    Defect {
        /// Which.
        fault: &'a BoardFault,
        /// Whether it begins.
        begins: bool,
    },
    /// The host can forward and answer for itself, or cannot.
    Host(Host),
    /// The host runs far too late, or in time again.
    Late(bool),
    /// A new agent begins with what the ledger gave it.
    Started(&'a Saved),
    /// The agent is no more.
    Ended,
    /// The machine's watchdog device runs, or does not.
    WatchdogRuns(bool),
    /// The disk made this durable.
    Durable(&'a PersistentState),
    /// The node was told this.
    Told(&'a Event),
    /// The node decided this.
    Decided(&'a Action),
    /// The controller's driver carried a kick out, beginning at this moment of its host, with success.
    Kicked {
        /// Its right.
        alive_until: Instant,
    },
    /// One turn of the node ended.
    Turned(Turn<'a>),
}

/// A turn that ended.
#[derive(Debug)]
pub struct Turn<'a> {
    /// What the node shows; not taken after every routine turn.
    pub status: Option<&'a Status>,
    /// When it wants to be woken.
    pub wakes_at: Option<Instant>,
    /// How many actions it decided.
    pub actions: usize,
    /// Whether it was woken by its deadline and not by an event.
    pub by_deadline: bool,
}

/// Whether the host can be trusted to forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Its agent runs.
    Able,
    /// No agent runs: dead, stopped, paused, panicked, without power.
    Unable,
}

/// What this board promises, derived from its profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// What takes an untrusted host off the wire.
    pub fail_open: FailOpen,
    /// Whether the board's dead-man can be seen to run.
    pub arming: Arming,
    /// From a command until contacts rest.
    pub settle: Duration,
}

/// What takes an untrusted host off the wire, and how soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOpen {
    /// The dead-man, within this.
    DeadMan(Duration),
    /// The machine's watchdog, within this, if it runs.
    Reset(Duration),
    /// Nothing: latching relays without a dead-man stay where they are, as the profile says.
    Never,
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {says}")]
pub struct Broken {
    /// Its function.
    pub invariant: &'static str,
    /// What was expected and what was seen.
    pub says: String,
}

/// Verdict of one invariant.
pub type Verdict = Result<(), Broken>;

fn broken(invariant: &'static str, says: String) -> Verdict {
    Err(Broken { invariant, says })
}

/// All invariants over one appliance's life.
#[derive(Debug)]
pub struct Oracle {
    ground: Ground,
    closing: closing::Closing,
    feeding: feeding::Feeding,
    orders: orders::Orders,
    pace: pace::Pace,
    restart: restart::Restart,
    telling: telling::Telling,
    wire: wire::Wire,
}

impl Oracle {
    /// An appliance that has just been put up: segments cut, nobody running.
    pub fn new(policy: &Policy, promise: Promise) -> Self {
        Self {
            closing: closing::Closing::new(policy),
            feeding: feeding::Feeding::new(policy),
            orders: orders::Orders::default(),
            pace: pace::Pace::default(),
            restart: restart::Restart::new(policy),
            telling: telling::Telling::new(policy),
            wire: wire::Wire::new(policy),
            ground: Ground::new(policy, promise),
        }
    }

    /// Something was seen. Moments must not go backwards.
    ///
    /// # Errors
    /// The first invariant that does not hold any more.
    pub fn see(&mut self, at: Moment, seen: &Seen<'_>) -> Verdict {
        let ground = &mut self.ground;
        self.wire.invariant_fail_open(ground, at)?;
        self.wire.invariant_cut_arrives(ground, at)?;
        ground.see(at, seen);
        self.closing.see(ground, &self.orders, at, seen)?;
        self.orders.see(at, seen)?;
        self.feeding.see(ground, &self.orders, at, seen)?;
        self.telling.see(ground, at, seen)?;
        self.wire.see(ground, at, seen)?;
        self.restart.see(ground, at, seen)?;
        self.pace.see(at, seen)
    }

    /// Whether the next turn cannot be judged without its status.
    pub fn wants_status(&self) -> bool {
        self.feeding.is_suspicious()
    }

    /// The oracle's own picture.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }
}
