//! Who is on the wire: fail-open, and cuts that arrive.

use core::time::Duration;

use super::{FailOpen, Ground, Host, Moment, Seen, Turn, Verdict, broken};
use crate::board::RelayState;
use crate::node::policy::ReadBackPolicy;
use crate::node::{Action, Instant, Policy, Status};

/// Three tries to cut, each behind a job of a hung or slow bus.
const TRIES: Duration = Duration::from_secs(6);

/// What was last shown, and since when.
#[derive(Debug)]
pub(super) struct Wire {
    policy: Policy,
    wanted: Vec<RelayState>,
    /// Since when each segment should be cut, as far as the node has shown.
    wanted_cut_since: Vec<Option<Instant>>,
    cuts_decided: Vec<bool>,
    cuts_under_way: Vec<bool>,
}

impl Wire {
    pub(super) fn new(policy: &Policy) -> Self {
        let count = policy.segments.len();
        Self {
            policy: policy.clone(),
            wanted: vec![RelayState::Unknown; count],
            wanted_cut_since: vec![None; count],
            cuts_decided: vec![false; count],
            cuts_under_way: vec![false; count],
        }
    }

    /// From the moment the host can no longer be trusted, every segment leaves `Normal` within the board's
    /// promise. A kick that was under way may come late and wake a board that has fired already: the promise counts from
    /// there, once.
    pub(super) fn invariant_fail_open(&self, ground: &Ground, at: Moment) -> Verdict {
        if ground.host == Host::Able {
            return Ok(());
        }
        let within = match ground.promise.fail_open {
            FailOpen::DeadMan(within) => within,
            FailOpen::Reset(within) if ground.watchdog_runs => within,
            FailOpen::Reset(_) | FailOpen::Never => return Ok(()),
        };
        for (index, segment) in ground.segments.iter().enumerate() {
            if segment.contacts != RelayState::Normal || segment.defective() || segment.excused {
                continue;
            }
            let from = ground
                .host_since
                .max(segment.mended_at)
                .max(segment.woken_at);
            let late = at.world.since(from + within + segment.slow);
            if late > Duration::ZERO {
                return broken(
                    "invariant_fail_open",
                    format!(
                        "nobody to trust since {}, segment {index} still Normal {} ms later, promised within {} ms",
                        ground.host_since,
                        at.world.since(from).as_millis(),
                        within.as_millis()
                    ),
                );
            }
        }
        Ok(())
    }

    /// A segment that should be cut leaves `Normal`: by order, or because kicks end and the board acts. Not where
    /// somebody else has put it there and it was not seen since behind a running dead-man: with a bus that hangs too, there
    /// is neither a way for an order nor anything that would act.
    pub(super) fn invariant_cut_arrives(&self, ground: &Ground, at: Moment) -> Verdict {
        let within = match ground.promise.fail_open {
            FailOpen::DeadMan(within) | FailOpen::Reset(within) => within,
            FailOpen::Never => return Ok(()),
        };
        if ground.host == Host::Unable || ground.is_late() {
            return Ok(());
        }
        for (index, segment) in ground.segments.iter().enumerate() {
            let Some(since) = self.wanted_cut_since.get(index).copied().flatten() else {
                continue;
            };
            if segment.contacts != RelayState::Normal || segment.defective() || segment.excused {
                continue;
            }
            let from = since
                .max(segment.since)
                .max(segment.mended_at)
                .max(ground.host_since)
                .max(ground.late_until);
            if at.world > from + within + TRIES + segment.slow {
                return broken(
                    "invariant_cut_arrives",
                    format!("segment {index} should be cut since {since} and is still Normal"),
                );
            }
        }
        Ok(())
    }

    pub(super) fn see(&mut self, ground: &Ground, at: Moment, seen: &Seen<'_>) -> Verdict {
        match seen {
            Seen::Started(_) | Seen::Ended => {
                self.wanted.fill(RelayState::Unknown);
                self.wanted_cut_since.fill(None);
                self.cuts_under_way.fill(false);
            }
            Seen::Decided(Action::Cut { segment, .. }) => {
                if let Some(decided) = self.cuts_decided.get_mut(*segment) {
                    *decided = true;
                }
                if let Some(under_way) = self.cuts_under_way.get_mut(*segment) {
                    *under_way = true;
                }
            }
            Seen::Told(crate::node::Event::SegmentCut { segment, .. }) => {
                if let Some(under_way) = self.cuts_under_way.get_mut(*segment) {
                    *under_way = false;
                }
            }
            Seen::Turned(turn) => {
                let verdict = self.turned(ground, at, turn);
                self.cuts_decided.fill(false);
                return verdict;
            }
            _ => {}
        }
        Ok(())
    }

    fn turned(&mut self, ground: &Ground, at: Moment, turn: &Turn<'_>) -> Verdict {
        let Some(status) = turn.status else {
            return Ok(());
        };
        self.invariant_cut_in_same_turn(ground, status)?;
        for (index, segment) in status.segments.iter().enumerate() {
            let since = &mut self.wanted_cut_since[index];
            if segment.wanted == RelayState::Normal {
                *since = None;
            } else if since.is_none() {
                *since = Some(at.world);
            }
            self.wanted[index] = segment.wanted;
        }
        Ok(())
    }

    /// The turn that finds that a serving segment must be cut orders the cut.
    fn invariant_cut_in_same_turn(&self, ground: &Ground, status: &Status) -> Verdict {
        for (index, segment) in status.segments.iter().enumerate() {
            let turned_away =
                self.wanted[index] == RelayState::Normal && segment.wanted != RelayState::Normal;
            let read = ground.segments[index].told == RelayState::Normal
                && segment.state == RelayState::Normal;
            let required = self.policy.segments[index].read_back == ReadBackPolicy::Required;
            if turned_away
                && read
                && required
                && !self.cuts_decided[index]
                && !self.cuts_under_way[index]
            {
                return broken(
                    "invariant_cut_in_same_turn",
                    format!(
                        "segment {index} reads Normal, should be {} ({}), and no cut was ordered",
                        segment.wanted, segment.cause
                    ),
                );
            }
        }
        Ok(())
    }
}
