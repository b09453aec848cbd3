//! One appliance under simulated time: the real node, a real driver, a modelled board, and everybody who can
//! get in their way.
//!
//! A heap of dues is the only clock. Each due names who acts next: the agent takes a turn, the controller
//! thread takes a job, a check reports, the disk answers, the service manager restarts, a mishap strikes.
//! A host that stands still keeps its dues until it goes on; the board never waits for it.
//!
//! Every observation goes to the oracle at its own moment. The first invariant that breaks ends the world.

mod agent;
mod machine;
mod mishaps;
mod surroundings;
mod tally;
mod thread;
mod truth;

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::{Arc, Mutex};

use super::dice::Dice;
use super::film::Film;
use super::ideal::lock;
use super::invariants::{Broken, DeadManTruth, Host, Moment, Oracle, Seen};
use super::mutant::Mutant;
use super::plant::{Job, Plant, Shop};
use super::scenario::Scenario;
use crate::board::controller::Fault;
use crate::board::{Controller, RelayState};
use crate::node::{Event, Instant, Saved, Status};

use agent::Agent;
use machine::Machine;
pub(super) use mishaps::LOOKS_AGAIN_AFTER;
use surroundings::{Checks, Disk};
pub use tally::Tally;
use truth::Truth;

/// Opens a driver over the board's hands.
pub(super) type Opener =
    Box<dyn Fn(&Arc<Mutex<Shop>>) -> Result<Box<dyn Controller>, Fault> + Send>;

/// Who acts next.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Due {
    /// The agent takes a turn, if this is still the latest plan.
    Turn { plan: u64 },
    /// The controller thread takes its next job.
    Job { life: u64 },
    /// Something reaches the agent's inbox.
    Deliver { life: u64, event: Box<Event> },
    /// A check reports.
    Check { life: u64, check: usize },
    /// The watchdog's keeper opens or feeds the device.
    Watchdog { life: u64, open: bool },
    /// A save is over.
    Saved {
        life: u64,
        sequence: u64,
        saved: Box<crate::node::PersistentState>,
        done: bool,
    },
    /// The service manager starts an agent.
    Start { life: u64 },
    /// The service manager looks for a sign of life.
    UnitWatchdog,
    /// The watchdog device looks at its timer.
    Reset,
    /// The machine is up again.
    Booted { boot: u64 },
    /// A mishap strikes.
    Mishap { index: usize },
    /// A mishap is over.
    Over { index: usize },
    /// Everything is repaired.
    Heal,
    /// Operators take their standing orders back, or look again whether they have.
    TakeBack { again: bool },
    /// Something on the board happens by itself.
    Board,
    /// A mutant kicks beside the agent.
    StrayKick,
}

impl Due {
    /// Whether it needs a host that runs.
    fn needs_machine(&self) -> bool {
        !matches!(
            self,
            Self::Reset
                | Self::Booted { .. }
                | Self::Mishap { .. }
                | Self::Over { .. }
                | Self::Heal
                | Self::TakeBack { .. }
                | Self::Board
        )
    }

    /// Whether it needs an agent that runs.
    fn needs_agent(&self) -> bool {
        matches!(
            self,
            Self::Turn { .. } | Self::Job { .. } | Self::Watchdog { .. }
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    at: Instant,
    order: u64,
    due: Due,
    /// Its time has come and its host stands still.
    held: bool,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The world.
pub(super) struct World {
    scenario: Scenario,
    dice: Dice,
    now: Instant,
    heap: BinaryHeap<Reverse<Entry>>,
    ordered: u64,
    shop: Arc<Mutex<Shop>>,
    opener: Opener,
    board_due: Option<Instant>,
    /// The controller thread of whichever agent has the board's hands until then.
    board_busy_until: Instant,
    truth: VecDeque<(Instant, Truth)>,
    machine: Machine,
    agent: Option<Agent>,
    /// Counts agents, so that what belonged to a dead one is dropped.
    life: u64,
    disk: Disk,
    left: BTreeMap<String, RelayState>,
    checks: Checks,
    requests: u64,
    dead_men: BTreeMap<u8, DeadManTruth>,
    oracle: Oracle,
    mutant: Mutant,
    pub(super) film: Film,
    pub(super) tally: Tally,
    pub(super) failed: Option<(Instant, Broken)>,
}

impl World {
    pub(super) fn new(
        scenario: Scenario,
        plant: Plant,
        opener: Opener,
        oracle: Oracle,
        mut dice: Dice,
        mutant: Mutant,
    ) -> Self {
        let checks = Checks::new(scenario.policy.checks.len());
        let shop = Arc::new(Mutex::new(Shop {
            plant,
            job: Job::default(),
            keeps_lines: scenario.habits.keeps_lines,
        }));
        let mut world = Self {
            dice: dice.fork(),
            now: Instant::ZERO,
            heap: BinaryHeap::new(),
            ordered: 0,
            shop,
            opener,
            board_due: None,
            board_busy_until: Instant::ZERO,
            truth: VecDeque::new(),
            machine: Machine::default(),
            agent: None,
            life: 0,
            disk: Disk::default(),
            left: BTreeMap::new(),
            checks,
            requests: 0,
            dead_men: BTreeMap::new(),
            oracle,
            mutant,
            film: Film::default(),
            tally: Tally::default(),
            failed: None,
            scenario,
        };
        world.lay_out();
        world
    }

    fn lay_out(&mut self) {
        for index in 0..self.scenario.plan.len() {
            let at = self.scenario.plan[index].0;
            self.put(at, Due::Mishap { index });
        }
        if let Some(at) = self.scenario.heal_at {
            self.put(at, Due::Heal);
        }
        if self.mutant == Mutant::KicksByItself {
            self.put(Instant::ZERO, Due::StrayKick);
        }
        self.put(Instant::from_millis(1_000), Due::Start { life: 0 });
        self.board_changed();
    }

    /// Lives until then, or to the first invariant that breaks.
    pub(super) fn run(&mut self, until: Instant) {
        while self.failed.is_none() {
            let due = self.heap.peek().filter(|next| next.0.at <= until);
            let Some(Reverse(entry)) = due.is_some().then(|| self.heap.pop()).flatten() else {
                self.now = self.now.max(until);
                self.tell_truth();
                break;
            };
            self.now = self.now.max(entry.at);
            if let Some(until) = self.held_until(&entry.due) {
                self.enter(until, entry.due, true);
                continue;
            }
            self.tell_truth();
            self.act(entry.due);
        }
    }

    /// The host stands still: the due waits, in its order.
    fn held_until(&self, due: &Due) -> Option<Instant> {
        let machine = self.machine.paused_until.filter(|_| due.needs_machine());
        let agent = self.agent.as_ref().and_then(|agent| agent.paused_until);
        let agent = agent.filter(|_| due.needs_agent());
        machine.max(agent).filter(|until| *until > self.now)
    }

    fn act(&mut self, due: Due) {
        match due {
            Due::Turn { plan } => self.turn(plan),
            Due::Job { life } => self.job(life),
            Due::Deliver { life, event } => self.deliver(life, *event),
            Due::Check { life, check } => self.check(life, check),
            Due::Watchdog { life, open } => self.watchdog(life, open),
            Due::Saved {
                life,
                sequence,
                saved,
                done,
            } => self.saved(life, sequence, *saved, done),
            Due::Start { life } => self.start_agent(life),
            Due::UnitWatchdog => self.unit_watchdog(),
            Due::Reset => self.reset_due(),
            Due::Booted { boot } => self.booted(boot),
            Due::Mishap { index } => self.strike(index),
            Due::Over { index } => self.over(index),
            Due::Heal => self.heal(),
            Due::TakeBack { again } => self.take_back(again),
            Due::Board => self.board_changed(),
            Due::StrayKick => self.stray_kick(),
        }
    }

    /// What stands still goes on now: what was held comes due, in its order.
    fn go_on(&mut self) {
        let mut entries = core::mem::take(&mut self.heap).into_vec();
        for Reverse(entry) in entries.iter_mut().filter(|entry| entry.0.held) {
            entry.at = self.now;
        }
        self.heap = entries.into();
    }

    fn put(&mut self, at: Instant, due: Due) {
        self.enter(at, due, false);
    }

    fn enter(&mut self, at: Instant, due: Due, held: bool) {
        self.ordered += 1;
        self.heap.push(Reverse(Entry {
            at: at.max(self.now),
            order: self.ordered,
            due,
            held,
        }));
    }

    fn put_after(&mut self, span: Duration, due: Due) {
        self.put(self.now + span, due);
    }

    fn host_now(&self) -> Instant {
        self.now - self.machine.behind
    }

    fn moment(&self) -> Moment {
        Moment {
            world: self.now,
            host: self.host_now(),
        }
    }

    /// Tells the oracle. What broke first counts.
    fn see(&mut self, seen: &Seen<'_>) {
        let moment = self.moment();
        self.see_at(moment, seen);
    }

    fn see_at(&mut self, at: Moment, seen: &Seen<'_>) {
        if self.failed.is_none()
            && let Err(broken) = self.oracle.see(at, seen)
        {
            self.failed = Some((at.world, broken));
        }
    }

    /// The board may have something to tell, or a new deadline.
    fn board_changed(&mut self) {
        let (log, due) = {
            let mut shop = lock(&self.shop);
            shop.plant.tick(self.now);
            (shop.plant.take_log(), shop.plant.deadline())
        };
        self.note_truth(log);
        let due = due.map(|due| due.max(self.now));
        if let Some(at) = due
            && (self
                .board_due
                .is_none_or(|known| at < known || known <= self.now))
        {
            self.board_due = due;
            self.put(at, Due::Board);
        }
        self.tell_truth();
    }

    /// How late an ordinary step of the host is just now.
    fn lateness(&mut self) -> Duration {
        let ordinary = self.scenario.habits.lateness;
        let most = self
            .machine
            .late_by
            .map_or(ordinary, |late| late.max(ordinary));
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        self.dice.micros(20, micros.max(21))
    }

    /// What the node showed last, for the liveness check.
    pub(super) fn status(&self) -> Option<Status> {
        let agent = self.agent.as_ref()?;
        Some(agent.node.status(self.host_now()))
    }

    pub(super) fn contacts(&self, segment: usize) -> RelayState {
        lock(&self.shop).plant.contacts(segment)
    }

    pub(super) fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    pub(super) fn now(&self) -> Instant {
        self.now
    }
}

/// What the ledger gives a starting agent.
fn saved_or_nothing(disk: &Disk) -> Saved {
    if disk.torn {
        return Saved::Unreadable("not a ledger".to_owned());
    }
    disk.durable.clone().map_or(Saved::Nothing, Saved::State)
}
