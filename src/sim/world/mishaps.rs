//! How each mishap strikes, and how it ends.

use core::time::Duration;

use super::surroundings::CheckState;
use super::{Due, Host, Seen, World};
use crate::node::status::SegmentMode;
use crate::node::{Command, Event, PersistentState, Stop};
use crate::sim::faults::Mishap;
use crate::sim::plant::{HostClock, Snag};

/// Between an order and a look at what became of it; longer than any save takes.
pub(in crate::sim) const LOOKS_AGAIN_AFTER: Duration = Duration::from_secs(6);

impl World {
    pub(super) fn strike(&mut self, index: usize) {
        let Some((_, mishap)) = self.scenario.plan.get(index).cloned() else {
            return;
        };
        self.tally.mishaps += 1;
        self.film.line(self.now, "mishap", || format!("{mishap:?}"));
        let over = |world: &mut Self, span| world.put_after(span, Due::Over { index });
        match mishap {
            Mishap::Board { fault, lasts } => {
                self.set_fault(&fault, true);
                over(self, lasts);
            }
            Mishap::Kill => self.kill_agent(),
            Mishap::KillInJob { transactions } => self.lay_snag(transactions, Snag::Death),
            Mishap::KillAfterActions { actions } => {
                if let Some(agent) = &mut self.agent {
                    agent.dies_after = Some(actions);
                }
            }
            Mishap::Hang { span } => self.hang(span),
            Mishap::Pause { span, clock } => self.pause(span, stopped(span, clock)),
            Mishap::PauseInJob {
                transactions,
                span,
                clock,
            } => self.lay_snag(transactions, Snag::Pause { span, clock }),
            Mishap::Panic => self.panic(),
            Mishap::PowerCut { span } => {
                self.power_off();
                over(self, span);
            }
            Mishap::Late { span, lateness } => {
                self.machine.late_by = Some(lateness);
                self.see(&Seen::Late(true));
                over(self, span);
            }
            Mishap::DiskFull { span } => {
                self.disk.full = true;
                over(self, span);
            }
            Mishap::DiskSlow { span, latency } => {
                self.disk.latency = Some(latency);
                over(self, span);
            }
            Mishap::LedgerTorn => self.disk.torn = true,
            Mishap::CheckFails { check, span } => {
                self.checks.states[check] = CheckState::Broken;
                over(self, span);
            }
            Mishap::CheckHangs { check, span } => {
                self.checks.states[check] = CheckState::Silent;
                over(self, span);
            }
            Mishap::CheckFlaps { check, span } => {
                self.checks.states[check] = CheckState::Flapping;
                over(self, span);
            }
            Mishap::WatchdogFails { span } => {
                self.machine.watchdog_fails = true;
                over(self, span);
            }
            Mishap::Order { command, times } => self.operator(&command, times),
            Mishap::Stop { stop, span } => {
                if stop == Stop::Ordered {
                    self.machine.stopped = true;
                    over(self, span);
                }
                self.deliver(self.life, Event::StopRequested { stop });
            }
        }
    }

    pub(super) fn over(&mut self, index: usize) {
        let Some((_, mishap)) = self.scenario.plan.get(index).cloned() else {
            return;
        };
        self.end_mishap(mishap);
    }

    fn end_mishap(&mut self, mishap: Mishap) {
        match mishap {
            Mishap::Board { fault, .. } => self.set_fault(&fault, false),
            Mishap::PowerCut { .. } => self.power_on(),
            Mishap::Late { .. } => {
                self.machine.late_by = None;
                self.see(&Seen::Late(false));
            }
            Mishap::DiskFull { .. } => self.disk.full = false,
            Mishap::DiskSlow { .. } => self.disk.latency = None,
            Mishap::CheckFails { check, .. }
            | Mishap::CheckHangs { check, .. }
            | Mishap::CheckFlaps { check, .. } => self.checks.states[check] = CheckState::Well,
            Mishap::WatchdogFails { .. } => self.machine.watchdog_fails = false,
            Mishap::Stop { .. } => {
                self.machine.stopped = false;
                let life = self.life;
                self.put_after(Duration::ZERO, Due::Start { life });
            }
            _ => {}
        }
    }

    /// Every fault ends, and every standing order is taken back.
    pub(super) fn heal(&mut self) {
        // A job that stands still with its machine has been lived to its end already: it is awaited.
        let in_job = self.board_busy_until > self.now && self.machine.paused_until.is_some();
        if in_job {
            let wait = self.board_busy_until.since(self.now);
            self.scenario.end += wait;
            return self.put_after(wait, Due::Heal);
        }
        self.film
            .line(self.now, "heal", || "everything is repaired".to_owned());
        let plan = self.scenario.plan.clone();
        for (_, mishap) in plan {
            self.end_mishap(mishap);
        }
        self.machine.paused_until = None;
        if let Some(agent) = &mut self.agent {
            agent.thread.snag = None;
            agent.dies_after = None;
            agent.paused_until = None;
        }
        self.go_on();
        if self.host_at(self.now) == Host::Able {
            self.see(&Seen::Host(Host::Able));
        }
        self.unhang();
        self.put_after(Duration::from_millis(1), Due::TakeBack { again: false });
    }

    /// Every standing order is taken back. People look whether it was done (the agent may be on its way down, or
    /// hear it in its last moment), and say it again.
    pub(super) fn take_back(&mut self, again: bool) {
        if self.agent.is_none() {
            return self.put_after(Duration::from_millis(500), Due::TakeBack { again });
        }
        if again && !self.has_standing_orders() {
            return;
        }
        self.put_after(LOOKS_AGAIN_AFTER, Due::TakeBack { again: true });
        let (on, reason) = (false, "over".to_owned());
        let mut commands = vec![
            Command::Maintenance {
                on,
                reason: reason.clone(),
            },
            Command::Disarm { on, reason },
        ];
        let segments = self.scenario.policy.segments.iter();
        commands.extend(segments.map(|segment| Command::Bypass {
            segment: segment.name.clone(),
            state: None,
        }));
        for command in commands {
            self.operator(&command, 1);
        }
    }

    /// In force, or in the ledger to come into force.
    pub(in crate::sim) fn has_standing_orders(&self) -> bool {
        let saved = self.disk.durable.as_ref();
        saved.is_some_and(|saved| *saved != PersistentState::default())
            || self.status().is_some_and(|status| {
                let mut segments = status.segments.iter();
                status.maintenance.is_some() || segments.any(|one| one.mode != SegmentMode::Auto)
            })
    }

    fn lay_snag(&mut self, transactions: u32, snag: Snag) {
        if let Some(agent) = &mut self.agent {
            agent.thread.snag = Some((transactions, snag));
        }
    }

    fn hang(&mut self, span: Duration) {
        let until = self.now + span;
        let Some(agent) = &mut self.agent else { return };
        agent.paused_until = agent.paused_until.max(Some(until));
        self.see(&Seen::Host(Host::Unable));
        self.foresee(until, Host::Able);
    }
}

fn stopped(span: Duration, clock: HostClock) -> Duration {
    match clock {
        HostClock::Runs => Duration::ZERO,
        HostClock::Stops => span,
    }
}
