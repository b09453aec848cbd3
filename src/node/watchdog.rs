//! The machine's watchdog and the service manager's: fed from the node's turn, through a gate.
//!
//! A failing check is no reason to reset a machine: its segments are cut and the wire is safe. A thread that
//! has been stuck in the kernel for longer than any bus time-out is one, because nothing else frees it; and
//! on a board without a dead-man, so is a relay that should be cut and is not.

use core::time::Duration;

use super::action::{Action, Service};
use super::event::WatchdogFacts;
use super::outbox::Outbox;
use super::policy::WatchdogPolicy;
use super::record::{Fact, Level};
use super::status::WatchdogStatus;
use super::time::Instant;

/// Sign of life to the service manager.
const ALIVE_EVERY: Duration = Duration::from_secs(1);
/// While keepalives are withheld, the gate is looked at this often.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Between tries to open a device that somebody else holds.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The watchdog.
#[derive(Debug, Clone)]
pub(super) struct Watchdog {
    policy: Option<WatchdogPolicy>,
    phase: Phase,
    facts: Option<WatchdogFacts>,
    fault: Option<String>,
    try_at: Instant,
    keep_at: Instant,
    keeping: bool,
    kept_at: Option<Instant>,
    alive_at: Instant,
    withheld: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Opening,
    Open,
}

impl Watchdog {
    pub(super) fn new(policy: Option<WatchdogPolicy>, now: Instant) -> Self {
        Self {
            policy,
            phase: Phase::Closed,
            facts: None,
            fault: None,
            try_at: now,
            keep_at: now,
            keeping: false,
            kept_at: None,
            alive_at: now,
            withheld: false,
        }
    }

    /// It runs and will reset the machine if we stop.
    pub(super) fn runs(&self) -> bool {
        self.phase == Phase::Open
    }

    /// How long a controller job may stay unanswered.
    pub(super) fn job_overdue_after(&self) -> Option<Duration> {
        self.policy.map(|policy| policy.job_overdue_after)
    }

    /// Open the device if it should be ours.
    pub(super) fn step_open(&mut self, now: Instant, out: &mut Outbox) {
        if self.policy.is_some() && self.phase == Phase::Closed && now >= self.try_at {
            self.phase = Phase::Opening;
            out.push(Action::OpenWatchdog);
        }
    }

    /// Feed the device and the service manager, if nothing speaks against it.
    pub(super) fn step_feed(&mut self, now: Instant, objection: Option<String>, out: &mut Outbox) {
        if let Some(reason) = objection {
            self.keep_at = self.keep_at.max(now + LOOK_AGAIN_AFTER);
            self.alive_at = self.alive_at.max(now + LOOK_AGAIN_AFTER);
            if !self.withheld {
                self.withheld = true;
                out.record(now, Level::Alarm, Fact::KeepaliveWithheld { reason });
            }
            return;
        }
        self.withheld = false;
        if now >= self.alive_at {
            self.alive_at = now + ALIVE_EVERY;
            out.push(Action::Tell(Service::Alive));
        }
        if let Some(policy) = self.policy
            && self.phase == Phase::Open
            && !self.keeping
            && now >= self.keep_at
        {
            self.keeping = true;
            self.keep_at = now + policy.keepalive_every;
            out.push(Action::Keepalive);
        }
    }

    pub(super) fn opened(
        &mut self,
        now: Instant,
        outcome: Result<WatchdogFacts, String>,
        out: &mut Outbox,
    ) {
        match outcome {
            Ok(facts) => {
                self.phase = Phase::Open;
                self.keep_at = now;
                self.fault = None;
                let fact = Fact::WatchdogRuns {
                    identity: facts.identity.clone(),
                    timeout: facts.timeout,
                    caused_reset: facts.reset_by_watchdog,
                };
                self.facts = Some(facts);
                out.record(now, Level::Info, fact);
            }
            Err(error) => {
                self.phase = Phase::Closed;
                self.try_at = now + TRY_AGAIN_AFTER;
                self.failed(now, error, out);
            }
        }
    }

    pub(super) fn kept(&mut self, now: Instant, outcome: Result<(), String>, out: &mut Outbox) {
        self.keeping = false;
        match outcome {
            Ok(()) => {
                self.kept_at = Some(now);
                self.fault = None;
            }
            Err(error) => self.failed(now, error, out),
        }
    }

    fn failed(&mut self, now: Instant, error: String, out: &mut Outbox) {
        if self.fault.as_ref() != Some(&error) {
            out.record(
                now,
                Level::Alarm,
                Fact::WatchdogFailed {
                    error: error.clone(),
                },
            );
        }
        self.fault = Some(error);
    }

    /// Stop it for good. Ordered stop and `disarmed` only.
    pub(super) fn release(&mut self, now: Instant, out: &mut Outbox) {
        if self.phase == Phase::Open {
            out.push(Action::ReleaseWatchdog);
        }
        self.phase = Phase::Closed;
        self.keeping = false;
        self.try_at = now;
    }

    pub(super) fn next(&self) -> Option<Instant> {
        match (self.policy, self.phase) {
            (Some(_), Phase::Closed) => Some(self.try_at),
            (Some(_), Phase::Open) if !self.keeping => Some(self.keep_at),
            _ => None,
        }
    }

    pub(super) fn next_alive(&self) -> Instant {
        self.alive_at
    }

    pub(super) fn status(&self) -> Option<WatchdogStatus> {
        self.policy.map(|_| WatchdogStatus {
            facts: self.facts.clone(),
            fault: self.fault.clone(),
            kept_at: self.kept_at,
        })
    }
}
