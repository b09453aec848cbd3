//! A controller as one would wish it: deadline kicks, sticky expiry, tickets, contacts that are read.
//!
//! With it the node is tried alone, without drivers in between and many times faster. It lies and breaks
//! only where it is told to.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::chips::Power;
use super::chips::countdown::Countdown;
use super::fault::{BoardFault, NotApplicable};
use super::journal::{BoardEvent, BoardFact, Journal};
use super::plant::{Hardware, Shop};
use super::relay::{MoveCause, Relay, RelayKind, RelayTiming};
use crate::board::controller::{
    ArmProof, Armed, Controller, CutState, DeadManReading, Evidence, Fault, Identity, Latch, Moved,
    Reading, SegmentReading, SegmentSettings, Ticket,
};
use crate::board::{BusError, RelayState};
use crate::node::Instant;

/// An adapter gives up on a hung bus after this.
const BUS_TIMEOUT: Duration = Duration::from_millis(30);
/// Time from a command until contacts may be read.
pub(super) const SETTLE: Duration = Duration::from_millis(10);

/// The hardware.
pub(super) struct Ideal {
    relays: Vec<Relay>,
    shows: Vec<Option<RelayState>>,
    dead_man: Countdown,
    period: Duration,
    generation: u32,
    ticket: Option<u32>,
    tickets: u32,
    power: Power,
    dead: bool,
    stuck: bool,
    nacks: u32,
    delay: Duration,
    journal: Journal,
}

impl Ideal {
    pub(super) fn new(segments: usize) -> Self {
        let rest = RelayState::Bypass;
        let relay = Relay::new(RelayKind::Monostable { rest }, RelayTiming::default(), rest);
        Self {
            relays: vec![relay; segments],
            shows: vec![None; segments],
            dead_man: Countdown::Stopped,
            period: Duration::ZERO,
            generation: 1,
            ticket: None,
            tickets: 0,
            power: Power::On,
            dead: false,
            stuck: false,
            nacks: 0,
            delay: Duration::ZERO,
            journal: Journal::default(),
        }
    }

    pub(super) fn tick(&mut self, now: Instant) {
        if !self.dead
            && let Some(at) = self.dead_man.fire(now)
        {
            self.journal
                .note(at, BoardFact::DeadManExpired { timer: 1 });
            self.cut_all(at, MoveCause::Expiry);
        }
        for (segment, relay) in self.relays.iter_mut().enumerate() {
            relay.tick(now);
            for moved in relay.take_moves() {
                let fact = BoardFact::RelayMoved {
                    segment,
                    from: moved.from,
                    to: moved.to,
                    cause: moved.cause,
                    commanded_at: moved.commanded_at,
                };
                self.journal.note(moved.at, fact);
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let timer = self.dead_man.deadline().filter(|_| !self.dead);
        let relays = self.relays.iter().filter_map(Relay::deadline);
        relays.chain(timer).min()
    }

    pub(super) fn contacts(&self, segment: usize) -> RelayState {
        self.relays
            .get(segment)
            .map_or(RelayState::Unknown, Relay::contacts)
    }

    pub(super) fn delay(&self) -> Duration {
        self.delay
    }

    pub(super) fn take_log(&mut self) -> Vec<BoardEvent> {
        self.journal.take()
    }

    pub(super) fn power(&mut self, now: Instant, power: Power) {
        self.tick(now);
        self.power = power;
        self.dead = false;
        match power {
            Power::Off => self.restart(now, MoveCause::PowerOff),
            Power::On => self.restart(now, MoveCause::PowerUp),
        }
    }

    pub(super) fn set_fault(
        &mut self,
        now: Instant,
        fault: &BoardFault,
        begins: bool,
    ) -> Result<(), NotApplicable> {
        self.tick(now);
        match fault {
            BoardFault::NackBurst { transactions } => {
                self.nacks = if begins { *transactions } else { 0 };
            }
            BoardFault::BusStuck => self.stuck = begins,
            BoardFault::BusSlow { delay } => {
                self.delay = if begins { *delay } else { Duration::ZERO };
            }
            BoardFault::Relay { segment, fault } => {
                let relay = self.relays.get_mut(*segment);
                let relay = relay.ok_or_else(|| no_segment(*segment))?;
                relay.set_fault(now, begins.then_some(*fault));
            }
            BoardFault::ReadBackLies { segment, shows } => {
                let lie = self.shows.get_mut(*segment);
                *lie.ok_or_else(|| no_segment(*segment))? = begins.then_some(*shows);
            }
            BoardFault::ControllerReset => {
                if begins && self.power == Power::On {
                    self.dead = false;
                    self.restart(now, MoveCause::PowerUp);
                }
            }
            BoardFault::ControllerDead => {
                self.dead = begins;
                // A supervisor drops the coils of a controller that hangs, and resets it when it is repaired.
                self.restart(now, MoveCause::PowerUp);
            }
            BoardFault::ExternalWrite { segment, state } => {
                if begins && let Some(relay) = self.relays.get_mut(*segment) {
                    relay.command(now, *state, MoveCause::External);
                }
            }
            BoardFault::FlipBit { .. } | BoardFault::LineBusy { .. } => {
                return Err(NotApplicable::new("noise", "there is no wire in between"));
            }
        }
        self.tick(now);
        Ok(())
    }

    fn restart(&mut self, now: Instant, cause: MoveCause) {
        self.dead_man = Countdown::Stopped;
        self.ticket = None;
        self.generation = self.generation.wrapping_add(1);
        self.journal
            .note(now, BoardFact::DeadManDisarmed { timer: 1 });
        self.cut_all(now, cause);
    }

    fn cut_all(&mut self, now: Instant, cause: MoveCause) {
        self.ticket = None;
        for relay in &mut self.relays {
            relay.command(now, RelayState::Bypass, cause);
        }
    }

    fn reading(&self, segment: usize) -> SegmentReading {
        let truth = self
            .relays
            .get(segment)
            .map_or(RelayState::Unknown, Relay::auxiliary);
        SegmentReading {
            state: self.shows.get(segment).copied().flatten().unwrap_or(truth),
            evidence: Evidence::Contacts,
        }
    }
}

fn no_segment(segment: usize) -> NotApplicable {
    NotApplicable::new(format!("fault of segment {segment}"), "no such segment")
}

/// Its driver.
pub(super) struct IdealController(pub(super) Arc<Mutex<Shop>>);

impl IdealController {
    /// One transaction with the hardware.
    fn transact<T>(
        &self,
        what: &str,
        verb: impl FnOnce(&mut Ideal, Instant) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut shop = lock(&self.0);
        let nack = || BusError::Nack {
            adapter: "sim".to_owned(),
            address: 0,
            transaction: what.to_owned(),
        };
        let now = shop.begin().ok_or_else(nack)?;
        let Hardware::Ideal(ideal) = &mut shop.plant.hardware else {
            return Err(nack().into());
        };
        ideal.tick(now);
        if ideal.stuck {
            shop.pass(BUS_TIMEOUT);
            let transaction = what.to_owned();
            let adapter = "sim".to_owned();
            return Err(Fault::Bus(BusError::Timeout {
                adapter,
                address: 0,
                transaction,
            }));
        }
        if ideal.nacks > 0 || ideal.dead || ideal.power == Power::Off {
            ideal.nacks = ideal.nacks.saturating_sub(1);
            return Err(nack().into());
        }
        verb(ideal, now)
    }

    fn move_to(
        &self,
        segment: usize,
        wanted: RelayState,
        permission: impl FnOnce(&mut Ideal) -> Result<(), Fault>,
    ) -> Result<Moved, Fault> {
        let before = self.transact("move", |ideal, now| {
            let before = ideal.reading(segment).state;
            permission(ideal)?;
            if let Some(relay) = ideal.relays.get_mut(segment) {
                relay.command(now, wanted, MoveCause::Command);
            }
            Ok(before)
        })?;
        if before == wanted {
            let after = self.transact("read back", |ideal, _| Ok(ideal.reading(segment)))?;
            return Ok(Moved {
                before,
                after,
                commanded: false,
            });
        }
        lock(&self.0).pass(SETTLE);
        let after = self.transact("read back", |ideal, _| Ok(ideal.reading(segment)))?;
        if after.state != wanted {
            let read = after.state;
            return Err(Fault::NotMoved {
                segment,
                wanted,
                read,
            });
        }
        Ok(Moved {
            before,
            after,
            commanded: true,
        })
    }
}

impl Controller for IdealController {
    fn identify(&mut self) -> Result<Identity, Fault> {
        self.transact("identify", |_, _| Ok(Identity::default()))
    }

    fn read(&mut self) -> Result<Reading, Fault> {
        self.transact("read", |ideal, now| {
            let dead_man = match ideal.dead_man {
                Countdown::Stopped => DeadManReading::Disarmed,
                Countdown::Expired => DeadManReading::Expired,
                Countdown::Running { due } => DeadManReading::Running {
                    period: ideal.period,
                    remaining: Some(due.since(now)),
                },
            };
            Ok(Reading {
                segments: (0..ideal.relays.len())
                    .map(|at| ideal.reading(at))
                    .collect(),
                dead_man,
                latch: Latch::Absent,
                generation: ideal.generation,
            })
        })
    }

    fn configure(&mut self, _settings: &[SegmentSettings]) -> Result<(), Fault> {
        self.transact("configure", |_, _| Ok(()))
    }

    fn arm(&mut self, period: Duration) -> Result<Armed, Fault> {
        self.transact("arm", |ideal, now| {
            ideal.period = period;
            ideal.dead_man.start(now, period);
            ideal
                .journal
                .note(now, BoardFact::DeadManArmed { timer: 1, period });
            let proof = ArmProof::ReadBack;
            Ok(Armed {
                effective: period,
                proof,
            })
        })
    }

    fn kick(&mut self, alive_until: Instant) -> Result<(), Fault> {
        let host_now = lock(&self.0).host_now();
        if host_now >= alive_until {
            let late_ms = u64::try_from(host_now.since(alive_until).as_millis());
            return Err(Fault::Stale {
                what: "kick".to_owned(),
                late_ms: late_ms.unwrap_or(u64::MAX),
            });
        }
        // A deadline is absolute: a pause on the way does not extend it.
        let until = {
            let shop = lock(&self.0);
            shop.plant.board_time(shop.job.at) + alive_until.since(host_now)
        };
        self.transact("kick", |ideal, now| {
            if let Countdown::Running { due } = ideal.dead_man {
                let until = until.max(due).min(now + ideal.period);
                ideal.dead_man = Countdown::Running { due: until };
                ideal
                    .journal
                    .note(now, BoardFact::DeadManKicked { timer: 1 });
            }
            Ok(())
        })
    }

    fn disarm(&mut self) -> Result<(), Fault> {
        self.transact("disarm", |ideal, now| {
            ideal.dead_man = Countdown::Stopped;
            ideal.ticket = None;
            ideal
                .journal
                .note(now, BoardFact::DeadManDisarmed { timer: 1 });
            Ok(())
        })
    }

    fn take_ticket(&mut self) -> Result<Ticket, Fault> {
        self.transact("ticket", |ideal, _| {
            ideal.tickets += 1;
            ideal.ticket = Some(ideal.tickets);
            Ok(Ticket(ideal.tickets))
        })
    }

    fn close(&mut self, segment: usize, ticket: Ticket) -> Result<Moved, Fault> {
        self.move_to(segment, RelayState::Normal, |ideal| {
            let running = matches!(ideal.dead_man, Countdown::Running { .. });
            if ideal.ticket.take() == Some(ticket.0) && running {
                return Ok(());
            }
            Err(Fault::Refused {
                what: "close".to_owned(),
                reason: "ticket void or dead-man not running".to_owned(),
            })
        })
    }

    fn cut(&mut self, segment: usize, state: CutState) -> Result<Moved, Fault> {
        self.move_to(segment, state.into(), |ideal| {
            ideal.ticket = None;
            Ok(())
        })
    }
}

/// The shop. A panic while it was held ends the whole simulation anyway.
pub(super) fn lock(shop: &Mutex<Shop>) -> MutexGuard<'_, Shop> {
    shop.lock().unwrap_or_else(PoisonError::into_inner)
}
