//! What truly happened, told to the oracle at its own moment.
//!
//! A job of the controller thread is carried out in one go, so the board is ahead of the world for its length: what it
//! did meanwhile is kept here until the world has come that far. A world that ends before tells no more.

use super::{Host, Moment, Seen, World};
use crate::board::RelayState;
use crate::node::Instant;
use crate::sim::fault::BoardFault;
use crate::sim::ideal::lock;
use crate::sim::invariants::DeadManTruth;
use crate::sim::journal::{BoardEvent, BoardFact};
use crate::sim::relay::MoveCause;

/// What the board and the host did of themselves, to be told at its own moment.
#[derive(Debug)]
pub(super) enum Truth {
    Board(BoardEvent),
    Host(Host),
    Defect { fault: BoardFault, begins: bool },
}

impl World {
    pub(super) fn note_truth(&mut self, log: Vec<BoardEvent>) {
        for event in log {
            self.truth.push_back((event.at, Truth::Board(event)));
        }
        self.truth.make_contiguous().sort_by_key(|(at, _)| *at);
    }

    /// Tells the oracle what has truly happened up to now.
    pub(super) fn tell_truth(&mut self) {
        while self.truth.front().is_some_and(|(at, _)| *at <= self.now) {
            let Some((at, truth)) = self.truth.pop_front() else {
                return;
            };
            let moment = Moment {
                world: at,
                host: at - self.machine.behind,
            };
            match truth {
                Truth::Host(host) if host == self.host_at(at) => {
                    self.see_at(moment, &Seen::Host(host));
                }
                Truth::Host(_) => {}
                Truth::Defect { fault, begins } => {
                    let fault = &fault;
                    self.see_at(moment, &Seen::Defect { fault, begins });
                }
                Truth::Board(event) => self.tell_board(moment, &event.fact),
            }
        }
    }

    /// What was foreseen may have come otherwise: killed while it stood still, started again meanwhile.
    pub(super) fn host_at(&self, at: Instant) -> Host {
        let still = |until: Option<Instant>| until.is_some_and(|until| until > at);
        match &self.agent {
            Some(agent) if !still(agent.paused_until) && !still(self.machine.paused_until) => {
                Host::Able
            }
            _ => Host::Unable,
        }
    }

    pub(super) fn foresee(&mut self, at: Instant, host: Host) {
        self.expect(at, Truth::Host(host));
    }

    fn expect(&mut self, at: Instant, truth: Truth) {
        self.truth.push_back((at, truth));
        self.truth.make_contiguous().sort_by_key(|(at, _)| *at);
    }

    fn tell_board(&mut self, moment: Moment, fact: &BoardFact) {
        self.film.board(moment.world, fact);
        match fact {
            BoardFact::RelayMoved {
                segment,
                to,
                cause,
                commanded_at,
                ..
            } => {
                if *segment >= self.scenario.policy.segments.len() {
                    return;
                }
                if *cause == MoveCause::External {
                    self.tally.strangers += 1;
                }
                if *to == RelayState::Normal {
                    self.tally.closes += 1;
                } else {
                    self.tally.cuts += 1;
                }
                let seen = Seen::Moved {
                    segment: *segment,
                    to: *to,
                    cause: *cause,
                    commanded_at: *commanded_at,
                };
                self.see_at(moment, &seen);
            }
            BoardFact::DeadManArmed { timer, .. } => {
                self.dead_man(moment, *timer, DeadManTruth::Running);
            }
            BoardFact::DeadManExpired { timer } => {
                self.tally.expiries += 1;
                self.dead_man(moment, *timer, DeadManTruth::Expired);
            }
            BoardFact::DeadManDisarmed { timer } => {
                self.dead_man(moment, *timer, DeadManTruth::Stopped);
            }
            _ => {}
        }
    }

    /// Of several timers the worst counts.
    fn dead_man(&mut self, moment: Moment, timer: u8, truth: DeadManTruth) {
        self.dead_men.insert(timer, truth);
        let worst = self.dead_men.values().copied().max().unwrap_or(truth);
        self.see_at(moment, &Seen::DeadMan(worst));
    }

    pub(super) fn set_fault(&mut self, fault: &BoardFault, begins: bool) {
        let (done, at) = {
            let mut shop = lock(&self.shop);
            let done = shop.plant.set_fault(self.now, fault, begins);
            (done, shop.plant.lived_until)
        };
        if done.is_ok() {
            let fault = fault.clone();
            self.expect(at, Truth::Defect { fault, begins });
        }
        self.board_changed();
    }
}
