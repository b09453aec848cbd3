//! What goes wrong around an appliance, and what its people do: drawn from a seed.
//!
//! Each seed first chooses a few kinds, then draws many of those: a world in which everything breaks a little
//! hides what one thing breaking often would show.

use core::time::Duration;

use super::dice::Dice;
use super::fault::BoardFault;
use super::plant::HostClock;
use super::relay::RelayFault;
use crate::board::RelayState;
use crate::node::{Command, Policy, Stop};

/// Something that happens to the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mishap {
    /// A fault of the board; it ends after this long if it lasts at all.
    Board {
        /// Which.
        fault: BoardFault,
        /// How long.
        lasts: Duration,
    },
    /// The agent is killed.
    Kill,
    /// The agent is killed in the middle of its next controller job.
    KillInJob {
        /// After this many bus transactions.
        transactions: u32,
    },
    /// The agent is killed after its next few actions were carried out, and before the next.
    KillAfterActions {
        /// How many.
        actions: u32,
    },
    /// The agent is stopped (SIGSTOP) or hangs.
    Hang {
        /// How long.
        span: Duration,
    },
    /// The machine stands still.
    Pause {
        /// How long.
        span: Duration,
        /// Whether its clock does too.
        clock: HostClock,
    },
    /// The machine stands still in the middle of the next controller job.
    PauseInJob {
        /// After this many bus transactions.
        transactions: u32,
        /// How long.
        span: Duration,
        /// Whether its clock stands still too.
        clock: HostClock,
    },
    /// The kernel panics.
    Panic,
    /// Power fails, and comes back.
    PowerCut {
        /// How long it is gone.
        span: Duration,
    },
    /// Every turn and every job comes late.
    Late {
        /// For this long.
        span: Duration,
        /// By up to this much.
        lateness: Duration,
    },
    /// The disk refuses.
    DiskFull {
        /// How long.
        span: Duration,
    },
    /// The disk takes its time.
    DiskSlow {
        /// How long.
        span: Duration,
        /// A save takes this much.
        latency: Duration,
    },
    /// What the ledger holds becomes unreadable.
    LedgerTorn,
    /// What a check looks at is broken.
    CheckFails {
        /// Which.
        check: usize,
        /// How long.
        span: Duration,
    },
    /// A check no longer reports.
    CheckHangs {
        /// Which.
        check: usize,
        /// How long.
        span: Duration,
    },
    /// A check says something else each time.
    CheckFlaps {
        /// Which.
        check: usize,
        /// How long.
        span: Duration,
    },
    /// The watchdog device refuses to be opened or fed; its timer runs on.
    WatchdogFails {
        /// How long.
        span: Duration,
    },
    /// Somebody orders something, this many times at once.
    Order {
        /// What.
        command: Command,
        /// How often.
        times: u32,
    },
    /// The service is stopped; for good ends only with a start after `span`.
    Stop {
        /// How.
        stop: Stop,
        /// Until it is started again.
        span: Duration,
    },
}

/// Kinds of mishaps, to be chosen per seed.
const KINDS: [Kind; 10] = [
    Kind::Bus,
    Kind::Relay,
    Kind::Controller,
    Kind::Agent,
    Kind::Machine,
    Kind::Lateness,
    Kind::Disk,
    Kind::Check,
    Kind::Operator,
    Kind::Service,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bus,
    Relay,
    Controller,
    Agent,
    Machine,
    Lateness,
    Disk,
    Check,
    Operator,
    Service,
}

/// Draws mishaps of the kinds that its seed chose.
pub(super) struct Troubles<'a> {
    dice: Dice,
    policy: &'a Policy,
    kinds: Vec<Kind>,
}

impl<'a> Troubles<'a> {
    pub(super) fn new(mut dice: Dice, policy: &'a Policy) -> Self {
        let count = dice.between(1, 4);
        let kinds = (0..count).filter_map(|_| dice.pick(&KINDS)).collect();
        Self {
            dice,
            policy,
            kinds,
        }
    }

    pub(super) fn draw(&mut self) -> Mishap {
        match self.dice.pick(&self.kinds).unwrap_or(Kind::Agent) {
            Kind::Bus => self.bus(),
            Kind::Relay => self.relay(),
            Kind::Controller => self.controller(),
            Kind::Agent => self.agent(),
            Kind::Machine => self.machine(),
            Kind::Lateness => Mishap::Late {
                span: self.dice.millis(100, 10_000),
                lateness: match self.dice.index(3) {
                    0 => self.dice.millis(1, 20),
                    1 => self.dice.millis(20, 400),
                    _ => self.dice.millis(400, 3_000),
                },
            },
            Kind::Disk => self.disk(),
            Kind::Check => self.check(),
            Kind::Operator => self.operator(),
            Kind::Service => Mishap::Stop {
                stop: if self.dice.chance(600) {
                    Stop::Handover
                } else {
                    Stop::Ordered
                },
                span: self.dice.millis(100, 5_000),
            },
        }
    }

    /// Mostly a moment, sometimes long.
    fn span(&mut self) -> Duration {
        match self.dice.index(4) {
            0 => self.dice.millis(1, 50),
            1 => self.dice.millis(50, 500),
            2 => self.dice.millis(500, 3_000),
            _ => self.dice.millis(3_000, 15_000),
        }
    }

    fn segment(&mut self) -> usize {
        self.dice.index(self.policy.segments.len())
    }

    fn bus(&mut self) -> Mishap {
        let fault = match self.dice.index(5) {
            0 | 1 => BoardFault::NackBurst {
                transactions: u32::try_from(self.dice.between(1, 60)).unwrap_or(1),
            },
            2 => BoardFault::BusStuck,
            3 => BoardFault::BusSlow {
                delay: self.dice.millis(1, 60),
            },
            _ => BoardFault::FlipBit {
                replies: u32::try_from(self.dice.between(1, 20)).unwrap_or(1),
                bit: u32::try_from(self.dice.between(0, 255)).unwrap_or(0),
            },
        };
        let lasts = self.span();
        Mishap::Board { fault, lasts }
    }

    fn relay(&mut self) -> Mishap {
        let segment = self.segment();
        let fault = match self.dice.index(4) {
            0 | 1 => BoardFault::Relay {
                segment,
                fault: RelayFault::Stuck,
            },
            2 => BoardFault::Relay {
                segment,
                fault: RelayFault::Slow {
                    extra: self.dice.millis(1, 200),
                },
            },
            _ => BoardFault::ReadBackLies {
                segment,
                shows: self.state(),
            },
        };
        let lasts = self.span();
        Mishap::Board { fault, lasts }
    }

    fn controller(&mut self) -> Mishap {
        let segment = self.segment();
        let fault = match self.dice.index(4) {
            0 | 1 => BoardFault::ControllerReset,
            2 => BoardFault::ControllerDead,
            _ => BoardFault::ExternalWrite {
                segment,
                state: self.state(),
            },
        };
        let lasts = self.span();
        Mishap::Board { fault, lasts }
    }

    fn state(&mut self) -> RelayState {
        let states = [RelayState::Normal, RelayState::Bypass];
        self.dice.pick(&states).unwrap_or(RelayState::Bypass)
    }

    fn agent(&mut self) -> Mishap {
        match self.dice.index(4) {
            0 => Mishap::Kill,
            1 => Mishap::KillInJob {
                transactions: self.few(),
            },
            2 => Mishap::KillAfterActions {
                actions: self.few(),
            },
            _ => Mishap::Hang { span: self.span() },
        }
    }

    fn few(&mut self) -> u32 {
        u32::try_from(self.dice.between(0, 9)).unwrap_or(0)
    }

    fn clock(&mut self) -> HostClock {
        if self.dice.chance(300) {
            HostClock::Stops
        } else {
            HostClock::Runs
        }
    }

    fn machine(&mut self) -> Mishap {
        let (span, clock) = (self.span(), self.clock());
        match self.dice.index(8) {
            0..=2 => Mishap::Pause { span, clock },
            3..=5 => Mishap::PauseInJob {
                transactions: self.few(),
                span,
                clock,
            },
            6 => Mishap::Panic,
            _ => Mishap::PowerCut { span },
        }
    }

    fn disk(&mut self) -> Mishap {
        let span = self.span();
        match self.dice.index(5) {
            0 | 1 => Mishap::DiskFull { span },
            2 => Mishap::DiskSlow {
                span,
                latency: self.dice.millis(50, 5_000),
            },
            3 => Mishap::LedgerTorn,
            // Trouble with the disk shows only when something is saved.
            _ => self.operator(),
        }
    }

    fn check(&mut self) -> Mishap {
        let (check, span) = (self.dice.index(self.policy.checks.len()), self.span());
        match self.dice.index(5) {
            0..=2 => Mishap::CheckFails { check, span },
            3 => Mishap::CheckHangs { check, span },
            _ => Mishap::CheckFlaps { check, span },
        }
    }

    fn operator(&mut self) -> Mishap {
        let reason = "drill".to_owned();
        let on = self.dice.chance(500);
        let command = match self.dice.index(8) {
            0 => Command::Maintenance { on, reason },
            1 => Command::Disarm { on, reason },
            2 => Command::Acknowledge,
            _ => {
                let index = self.segment();
                let states = [
                    Some(RelayState::Normal),
                    Some(RelayState::Bypass),
                    None,
                    None,
                ];
                Command::Bypass {
                    segment: self
                        .policy
                        .segments
                        .get(index)
                        .map_or_else(|| "no such".to_owned(), |segment| segment.name.clone()),
                    state: self.dice.pick(&states).flatten(),
                }
            }
        };
        let times = if self.dice.chance(50) { 40 } else { 1 };
        Mishap::Order { command, times }
    }
}
