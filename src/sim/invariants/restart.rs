//! An agent that dies and is back in time costs nothing: no relay moves.

use core::time::Duration;

use super::{FailOpen, Ground, Host, Moment, Seen, Verdict, broken};
use crate::board::RelayState;
use crate::board::controller::Fault;
use crate::node::policy::Commissioning;
use crate::node::{Action, Event, Fact, Instant, Policy, Stop, Verdict as CheckVerdict};
use crate::sim::relay::MoveCause;

/// The successor is watched for this long.
const WATCHED: Duration = Duration::from_secs(5);
/// Before the death nothing else may have been wrong for this long.
const CALM_BEFORE: Duration = Duration::from_secs(3);

/// The last death and its successor.
#[derive(Debug)]
pub(super) struct Restart {
    policy: Policy,
    died_at: Option<Instant>,
    back_at: Option<Instant>,
    /// Segments that were in `Normal` at the death.
    served: Vec<bool>,
    /// When something else last went wrong or was ordered.
    unrest_at: Instant,
}

impl Restart {
    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            policy: policy.clone(),
            died_at: None,
            back_at: None,
            served: vec![false; policy.segments.len()],
            unrest_at: Instant::ZERO,
        }
    }

    pub(super) fn see(&mut self, ground: &Ground, at: Moment, seen: &Seen<'_>) -> Verdict {
        match seen {
            Seen::Ended => self.died(ground, at.world),
            Seen::Started(_) => self.back_at = Some(at.world),
            // Told right after a death or a start, it says nothing new.
            Seen::Host(host) => {
                let explained = match host {
                    Host::Unable => self.died_at,
                    Host::Able => self.back_at,
                };
                if explained != Some(at.world) {
                    self.unrest_at = at.world;
                }
            }
            Seen::Told(Event::CheckReported { verdict, .. }) => {
                let good = matches!(verdict, CheckVerdict::Ok | CheckVerdict::Warning);
                if !good {
                    self.unrest_at = at.world;
                }
            }
            Seen::Told(
                Event::OperatorRequested { .. }
                | Event::Persisted { .. }
                | Event::Kicked { outcome: Err(_) }
                | Event::ControllerRead { outcome: Err(_) }
                | Event::WatchdogOpened { outcome: Err(_) }
                | Event::StopRequested {
                    stop: Stop::Ordered,
                },
            ) => self.unrest_at = at.world,
            Seen::Decided(Action::Record(record)) => {
                if matches!(record.fact, Fact::CheckFailed { .. }) {
                    self.unrest_at = at.world;
                }
            }
            Seen::Told(Event::SegmentClosed { outcome, .. }) => self.closed(at.world, outcome),
            Seen::Moved {
                segment, to, cause, ..
            } => return self.invariant_restart_moves_nothing(ground, at, *segment, *to, *cause),
            _ => {}
        }
        Ok(())
    }

    fn closed<T>(&mut self, at: Instant, outcome: &Result<T, Fault>) {
        if outcome.is_err() {
            self.unrest_at = at;
        }
    }

    fn died(&mut self, ground: &Ground, at: Instant) {
        // A death in the first moments of a successor is counted from the first death.
        let flapping = self.back_at.is_some_and(|back| at.since(back) < WATCHED);
        // One that hung before it died was gone for longer than its death says.
        let hung = ground.host == Host::Unable;
        if flapping || hung {
            self.unrest_at = at;
        }
        self.died_at = Some(at);
        self.back_at = None;
        for (served, segment) in self.served.iter_mut().zip(&ground.segments) {
            // Contacts that met just now belong to a close that may not have been heard of.
            *served = segment.contacts == RelayState::Normal
                && !segment.excused
                && at.since(segment.since) > CALM_BEFORE;
        }
    }

    /// If the successor is there within half the promise and nothing else was wrong, no segment that served
    /// moves.
    fn invariant_restart_moves_nothing(
        &self,
        ground: &Ground,
        at: Moment,
        segment: usize,
        to: RelayState,
        cause: MoveCause,
    ) -> Verdict {
        let (Some(died), Some(back)) = (self.died_at, self.back_at) else {
            return Ok(());
        };
        let FailOpen::DeadMan(within) = ground.promise.fail_open else {
            return Ok(());
        };
        let in_time = back.since(died) < within / 2 && at.world.since(back) < WATCHED;
        let calm_since = died - CALM_BEFORE;
        let calm = !ground.disturbed_since(calm_since)
            && self.unrest_at < calm_since
            && self.policy.commissioning != Commissioning::Missing;
        if !in_time || !calm || !self.served[segment] || to == RelayState::Normal {
            return Ok(());
        }
        broken(
            "invariant_restart_moves_nothing",
            format!(
                "segment {segment} moved to {to} by {cause:?}; the agent died at {died} and was back {} ms later",
                back.since(died).as_millis()
            ),
        )
    }
}
