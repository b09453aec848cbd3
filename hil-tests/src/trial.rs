//! One scenario under way on one appliance: what was done to it, what was awaited, and the record of both.
//!
//! Nothing sleeps and hopes: whatever is awaited has a deadline, and its absence is the failure. Bounds count from the stimulus; a stimulus
//! given in the guest is dated by the guest's own clock just before it, so that a slow command channel is not held against the product.

mod judge;
mod record;

pub use record::Measured;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fencepost::board::RelayState;
use fencepost::control::{AgentStatus, Entry};
use fencepost::node::Instant;
use fencepost::sim::BoardFault;

use crate::appliance::guest_clock::ms;
use crate::appliance::{Appliance, POLL};
use crate::oracle::{Span, Track};
use crate::outcome::{Bound, Moment};

/// What an emulated machine may be late by, beyond what the hardware's own times explain.
pub const SLACK: Duration = Duration::from_millis(1_500);

/// What a stimulus given inside an emulated machine may take to happen: `systemctl` alone has taken two seconds. Whether the
/// board's own timer was in time is judged apart, on the board's clock ([`Trial::expect_expiry_in_time`]).
pub const LATE: Duration = Duration::from_secs(5);
/// From a record to the history that is read.
const WRITTEN: Duration = Duration::from_secs(5);
/// From `systemctl stop` to an agent that has heard of it: systemd starts two programs, which an emulator has to translate first.
pub const TO_HEAR: Duration = Duration::from_secs(30);

/// A scenario under way.
pub struct Trial<'a> {
    /// The appliance.
    pub appliance: &'a mut Appliance,
    start: Instant,
    at_start: Vec<RelayState>,
    stimulus: Instant,
    relay: Option<Duration>,
    bound: Option<Duration>,
    faults: Vec<Moment>,
    bounds: Vec<Bound>,
    away: Vec<Span>,
    first_event: u64,
    seen: Vec<String>,
}

impl<'a> Trial<'a> {
    /// Begins on an appliance at rest.
    pub fn begin(appliance: &'a mut Appliance) -> Result<Self> {
        let first_event = appliance.last_event().unwrap_or(0);
        appliance.begin();
        let start = appliance.now();
        let at_start = appliance.relays();
        ensure!(
            at_start.iter().all(|relay| *relay == RelayState::Normal),
            "the appliance is not at rest: relays {at_start:?}"
        );
        Ok(Self {
            appliance,
            start,
            at_start,
            stimulus: start,
            relay: None,
            bound: None,
            faults: Vec::new(),
            bounds: Vec::new(),
            away: Vec::new(),
            first_event,
            seen: Vec::new(),
        })
    }

    /// The dead-man's effective period; without one, nothing.
    pub fn period(&self) -> Option<Duration> {
        self.appliance.model().effective_period()
    }

    /// When the last stimulus was given.
    pub fn stimulus(&self) -> Instant {
        self.stimulus
    }

    /// Notes what the rig did, without it being what bounds count from.
    pub fn note(&mut self, text: impl Into<String>) {
        let t_ms = ms(self.appliance.now());
        self.faults.push(Moment {
            t_ms,
            text: text.into(),
        });
    }

    /// A sentence for the result of a pass.
    pub fn saw(&mut self, text: impl Into<String>) {
        self.seen.push(text.into());
    }

    /// Does something from outside the guest; bounds count from just before it.
    pub fn strike<T>(
        &mut self,
        text: &str,
        act: impl FnOnce(&mut Appliance) -> Result<T>,
    ) -> Result<T> {
        self.note(text);
        self.stimulus = self.appliance.now();
        act(self.appliance).with_context(|| format!("stimulus: {text}"))
    }

    /// The agent is stopped in order, and the relays have come to rest: somebody else's turn.
    pub fn stop_agent(&mut self) -> Result<()> {
        self.strike("systemctl stop", |appliance| {
            Ok(appliance.shell("systemctl stop fencepost")?)
        })?;
        // Systemd starts a program to tell the agent; under emulation that takes what it takes.
        let bound = self.ordered_within(TO_HEAR);
        self.expect_relays(RelayState::Bypass, bound, "after a stop")?;
        self.may_return();
        Ok(())
    }

    /// A fault of the board begins.
    pub fn inject(&mut self, text: &str, fault: BoardFault) -> Result<()> {
        self.strike(text, |appliance| Ok(appliance.inject(fault)?))
    }

    /// Runs a script in the guest; bounds count from the guest's own clock just before it.
    pub fn strike_in_guest(&mut self, text: &str, script: &str) -> Result<String> {
        let said = self
            .appliance
            .shell(&format!("cat /proc/uptime; {script}"))
            .with_context(|| format!("stimulus: {text}"))?;
        let (uptime, rest) = said.split_once('\n').unwrap_or((&said, ""));
        let seconds: f64 = uptime
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok())
            .context("no uptime from the guest")?;
        let at_ms = self
            .appliance
            .guest_to_rig_ms(seconds * 1000.0)
            .context("the guest's clock is not known")?;
        self.stimulus = Instant::ZERO + Duration::from_secs_f64(at_ms.max(0.0) / 1000.0);
        self.faults.push(Moment {
            t_ms: at_ms,
            text: text.to_owned(),
        });
        Ok(rest.to_owned())
    }

    /// Runs a script in the guest that ends the guest: no answer is expected.
    pub fn strike_guest_dead(&mut self, text: &str, script: &str) -> Result<()> {
        // What the guest still had to write must not die with it, and how long its disk takes for that is not the board's lateness.
        self.appliance.shell("sync")?;
        self.note(text);
        self.stimulus = self.appliance.now();
        let done = self.appliance.shell(script);
        match done {
            Ok(_)
            | Err(crate::error::RigError::Restarted { .. } | crate::error::RigError::Gone { .. }) => {
                Ok(())
            }
            Err(error) => Err(error).with_context(|| format!("stimulus: {text}")),
        }
    }

    /// All relays come to `state` within `bound` of the stimulus.
    pub fn expect_relays(&mut self, state: RelayState, bound: Duration, why: &str) -> Result<()> {
        let due = self.stimulus + bound;
        let (from_ms, to_ms) = (ms(self.stimulus), ms(due));
        self.bounds.push(Bound {
            from_ms,
            to_ms,
            text: format!("{state}: {why}"),
        });
        self.bound = Some(bound);
        if state != RelayState::Normal {
            // From then on nothing may pass the host, until it is told that it may come back.
            self.away.push(Span {
                from: due,
                to: Instant::from_nanos(u64::MAX),
            });
        }
        // What came late is still looked for, so that the result can say how late.
        let give_up = due + bound.max(SLACK);
        while self.appliance.relays().iter().any(|relay| *relay != state) {
            if self.appliance.now() > give_up {
                bail!(
                    "invariant_fail_open: {why}: relays are {:?} {:.0} ms after the stimulus; expected {state} within {:.0} ms",
                    self.appliance.relays(),
                    ms(self.appliance.now()) - from_ms,
                    bound.as_secs_f64() * 1000.0
                );
            }
            std::thread::sleep(POLL);
        }
        let arrived = self
            .appliance
            .moves_since(self.stimulus)
            .into_iter()
            .filter(|(_, _, to)| *to == state)
            .map(|(at, ..)| at)
            .max();
        let took = arrived.unwrap_or(self.stimulus).since(self.stimulus);
        self.relay = Some(took);
        ensure!(
            took <= bound,
            "invariant_fail_open: {why}: {state} came {:.0} ms after the stimulus; expected within {:.0} ms",
            took.as_secs_f64() * 1000.0,
            bound.as_secs_f64() * 1000.0
        );
        Ok(())
    }

    /// From the stimulus to the contacts, as last awaited.
    pub fn relay_took(&self) -> Duration {
        self.relay.unwrap_or_default()
    }

    /// The host may be on the wire again from now on.
    pub fn may_return(&mut self) {
        let now = self.appliance.now();
        for span in &mut self.away {
            span.to = span.to.min(now);
        }
    }

    /// No relay in use moves for `span`.
    pub fn expect_still(&mut self, span: Duration, why: &str) -> Result<()> {
        let from = self.appliance.now();
        let until = from + span;
        while self.appliance.now() < until {
            std::thread::sleep(POLL.min(span));
        }
        self.expect_no_move_since(from, why)
    }

    /// No relay in use has moved since `from`.
    pub fn expect_no_move_since(&mut self, from: Instant, why: &str) -> Result<()> {
        let moves = self.appliance.moves_since(from);
        ensure!(
            moves.is_empty(),
            "invariant_no_needless_move: {why}: {}",
            moves
                .iter()
                .map(|(at, segment, to)| format!(
                    "segment {segment} to {to} after {:.0} ms",
                    at.since(from).as_secs_f64() * 1000.0
                ))
                .collect::<Vec<_>>()
                .join(", ")
        );
        Ok(())
    }

    /// No hole in the traffic since the stimulus is longer than `longest`. Emulation drops and delays frames by itself: the bound is the caller's.
    pub fn expect_no_gap(&mut self, longest: Duration, why: &str) -> Result<()> {
        let to = self.appliance.now();
        let seen = self.appliance.traffic().report(self.stimulus, to);
        let gap_ms = seen.a_to_b.longest_loss_ms.max(seen.b_to_a.longest_loss_ms);
        ensure!(
            gap_ms <= longest.as_secs_f64() * 1000.0,
            "{why}: nothing came for {gap_ms:.0} ms; expected at most {:.0} ms",
            longest.as_secs_f64() * 1000.0
        );
        Ok(())
    }

    /// The agent says so itself within `timeout`.
    pub fn expect_status(
        &mut self,
        timeout: Duration,
        what: &str,
        good: impl FnMut(&AgentStatus) -> bool,
    ) -> Result<AgentStatus> {
        match self.appliance.wait_status(timeout, good)? {
            Ok(status) => Ok(status),
            Err(None) => bail!("{what}: no agent answered within {timeout:?}"),
            Err(Some(last)) => bail!(
                "{what}: not within {timeout:?}; last it said {:?}, segments {:?}",
                last.node.reasons,
                last.node
                    .segments
                    .iter()
                    .map(|segment| (&segment.name, segment.state, segment.wanted))
                    .collect::<Vec<_>>()
            ),
        }
    }

    /// The agent recorded a fact named `fact` (as in `events --json`) since the scenario began.
    pub fn expect_event(&mut self, fact: &str, timeout: Duration) -> Result<serde_json::Value> {
        let until = std::time::Instant::now() + timeout;
        loop {
            let events = self.appliance.events(self.first_event)?;
            let named = events
                .iter()
                .filter_map(|entry| serde_json::to_value(&entry.record.fact).ok())
                .find(|value| value["fact"] == fact);
            if let Some(event) = named {
                return Ok(event);
            }
            let told = || {
                events
                    .iter()
                    .filter_map(|entry| serde_json::to_value(&entry.record.fact).ok())
                    .map(|value| value["fact"].to_string())
                    .collect::<Vec<_>>()
            };
            ensure!(
                std::time::Instant::now() < until,
                "the agent recorded no `{fact}` within {timeout:?}; it recorded {}",
                told().join(", ")
            );
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// When the agent recorded `fact` since the scenario began, on the rig's clock.
    pub fn event_at(&mut self, fact: &str) -> Result<Instant> {
        let is_named = |entry: &Entry| {
            serde_json::to_value(&entry.record.fact).is_ok_and(|value| value["fact"] == fact)
        };
        // The history is written beside the control loop, and read a moment later.
        let until = std::time::Instant::now() + WRITTEN;
        let named = loop {
            let events = self.appliance.events(self.first_event)?;
            let named = events.into_iter().find(is_named);
            if named.is_some() || std::time::Instant::now() > until {
                break named;
            }
            std::thread::sleep(POLL);
        };
        let entry = named.with_context(|| format!("the agent recorded no `{fact}`"))?;
        let at_ms = self
            .appliance
            .agent_moments(&[entry])
            .first()
            .map(|moment| moment.t_ms)
            .context("the guest's clock is not known")?;
        Ok(Instant::ZERO + Duration::from_secs_f64(at_ms.max(0.0) / 1000.0))
    }

    /// Everything is as at rest again, within `timeout`, by itself.
    pub fn expect_rest(&mut self, timeout: Duration) -> Result<()> {
        self.may_return();
        Ok(self.appliance.wait_rest(timeout)?)
    }

    fn tracks(&mut self) -> Vec<Track> {
        let moves = self.appliance.moves_since(self.start);
        let of = |segment: usize| {
            moves
                .iter()
                .filter(move |(_, moved, _)| *moved == segment)
                .map(|(at, _, to)| (*at, *to))
                .collect()
        };
        let starts = self.at_start.iter().copied().enumerate();
        starts
            .map(|(segment, at_start)| Track {
                at_start,
                moves: of(segment),
            })
            .collect()
    }
}
