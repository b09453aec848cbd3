//! `Normal` is earned: every close is justified when it is decided and when the contacts meet.

use core::time::Duration;
use std::collections::VecDeque;

use super::orders::Orders;
use super::renewal::Renewal;
use super::{DeadManTruth, Ground, Moment, Seen, Verdict, broken};
use crate::board::RelayState;
use crate::node::policy::{Arming, CheckPolicy, CheckSeverity, Commissioning, ReadBackPolicy};
use crate::node::{
    Action, Cause, Event, Fact, Instant, Policy, Status, Stop, Verdict as CheckVerdict,
};
use crate::sim::relay::MoveCause;

/// A turn that is late for less than a sleep is not forgiven by the node, nor held against it here.
const GRACE: Duration = Duration::from_millis(500);
const HOUR: Duration = Duration::from_secs(3600);

/// Checks as reported, closes as decided.
#[derive(Debug)]
pub(super) struct Closing {
    policy: Policy,
    checks: Vec<CheckFold>,
    /// Per segment: a close was decided and its move has not been seen.
    decided: Vec<bool>,
    ordered: Vec<Ordered>,
    /// Per segment: a cut was decided since the agent started.
    cut: Vec<bool>,
    closes: Vec<VecDeque<Instant>>,
    /// Per segment: this agent has closed or cut it already.
    touched: Vec<bool>,
    /// Until when, on its own clock, the host was last away or late: a silence is counted from there.
    away_until: Instant,
    /// The node was told to hand over: it moves nothing more, its successor judges.
    handing_over: bool,
    /// Per segment: a kick put it back into `Normal`.
    woken: Vec<Woken>,
    renewal: Renewal,
}

/// What has been ordered of a segment in this agent's life. An order to cut counts once it is acknowledged: until then
/// the board goes on as it was told before, however urgently it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Ordered {
    /// Nothing: it is as a predecessor left it.
    #[default]
    Nothing,
    /// To close.
    Close,
    /// To cut.
    Cut { since: Instant, served: bool },
}

impl Ordered {
    fn cut(self, since: Instant) -> Self {
        match self {
            Self::Nothing => Self::Cut {
                since,
                served: false,
            },
            Self::Close => Self::Cut {
                since,
                served: true,
            },
            Self::Cut { .. } => self,
        }
    }

    /// What was commanded then goes on ordering what an earlier close began.
    fn serves(self, commanded_at: Instant) -> bool {
        match self {
            Self::Nothing => false,
            Self::Close => true,
            Self::Cut { since, served } => served && commanded_at <= since,
        }
    }

    /// A kick that was carried out then may have found it left in `Normal`.
    fn may_wake(self, commanded_at: Instant) -> bool {
        match self {
            Self::Nothing | Self::Close => true,
            Self::Cut { since, .. } => commanded_at <= since,
        }
    }
}

/// What a late kick put back, which no host can prevent: see [`Renewal`]. It can know afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Woken {
    #[default]
    No,
    /// The kick is not answered yet.
    Unheard,
    /// It is, but the controller has not been read since.
    Answered,
    /// It has: the segment must be proven anew.
    Heard,
}

/// One check, folded over rise and fall without looking at the node's own fold.
#[derive(Debug, Clone, Default)]
struct CheckFold {
    good_row: u32,
    bad_row: u32,
    passing_since: Option<Instant>,
    /// It fell, or fell silent, and has not risen since.
    fails: bool,
    heard_at: Option<Instant>,
    /// Reported in the turn under way.
    just: Option<(Instant, CheckVerdict)>,
}

impl Closing {
    pub(super) fn new(policy: &Policy) -> Self {
        let count = policy.segments.len();
        Self {
            policy: policy.clone(),
            checks: vec![CheckFold::default(); policy.checks.len()],
            decided: vec![false; count],
            ordered: vec![Ordered::Nothing; count],
            cut: vec![false; count],
            closes: vec![VecDeque::new(); count],
            touched: vec![false; count],
            away_until: Instant::ZERO,
            handing_over: false,
            woken: vec![Woken::No; count],
            renewal: Renewal::default(),
        }
    }

    pub(super) fn see(
        &mut self,
        ground: &Ground,
        orders: &Orders,
        at: Moment,
        seen: &Seen<'_>,
    ) -> Verdict {
        self.renewal.see(at, seen);
        match seen {
            Seen::Host(_) | Seen::Late(_) => self.away_until = at.host,
            Seen::Started(_) => self.started(),
            Seen::Told(Event::StopRequested {
                stop: Stop::Handover,
            }) => self.handing_over = true,
            Seen::Told(Event::Kicked { .. } | Event::DeadManArmed { .. }) => {
                self.wake(Woken::Unheard, Woken::Answered);
            }
            Seen::Told(Event::ControllerRead { outcome: Ok(_) }) => {
                self.wake(Woken::Answered, Woken::Heard);
            }
            Seen::Told(Event::CheckReported { check, verdict, .. }) => {
                if ground.is_late() {
                    self.away_until = at.host;
                }
                let policy = self.policy.checks.get(*check);
                if let (Some(fold), Some(policy)) = (self.checks.get_mut(*check), policy) {
                    fold.reported(at.host, policy, *verdict, self.away_until);
                }
            }
            Seen::Told(Event::SegmentClosed {
                segment,
                outcome: Ok(_),
            }) => self.touched[*segment] = true,
            Seen::Told(Event::SegmentCut {
                segment,
                outcome: Ok(_),
                ..
            }) => self.ordered[*segment] = self.ordered[*segment].cut(at.world),
            Seen::Decided(Action::Record(record)) => self.recorded(&record.fact),
            Seen::Turned(turn) => {
                self.checks.iter_mut().for_each(|fold| fold.just = None);
                if let Some(status) = turn.status {
                    self.invariant_woken_is_cut(status)?;
                    return self.invariant_failing_check_wants_cut(status);
                }
            }
            Seen::Decided(Action::Cut { segment, .. }) => {
                self.cut[*segment] = true;
                self.touched[*segment] = true;
            }
            Seen::Decided(Action::Close { segment, .. }) => {
                self.decided[*segment] = true;
                self.ordered[*segment] = Ordered::Close;
                self.invariant_close_is_justified(orders, at, *segment)?;
                return self.invariant_close_limit(orders, at, *segment);
            }
            Seen::Moved {
                segment,
                to,
                cause,
                commanded_at,
            } => {
                self.invariant_moves_have_an_order(ground, *segment, *to, *cause, *commanded_at)?;
                let woken = *to == RelayState::Normal && *cause == MoveCause::Kick;
                let unknowable =
                    ground.segments[*segment].excused || self.renewal.is_unknowable(*commanded_at);
                self.woken[*segment] = if woken && !unknowable {
                    Woken::Unheard
                } else {
                    Woken::No
                };
                if *to == RelayState::Normal && *cause == MoveCause::Command {
                    self.decided[*segment] = false;
                    return invariant_never_unguarded(ground, *segment, *commanded_at);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn started(&mut self) {
        self.checks.fill(CheckFold::default());
        self.decided.fill(false);
        self.ordered.fill(Ordered::Nothing);
        self.cut.fill(false);
        self.touched.fill(false);
        self.closes.fill(VecDeque::new());
        self.handing_over = false;
        // A successor cannot know.
        self.woken.fill(Woken::No);
    }

    /// What the node itself calls failing (fallen silent, too) fails until it has risen. A node that wakes first
    /// looks who was silent for too long, then hears the report that woke it: that report counts towards rising.
    fn recorded(&mut self, fact: &Fact) {
        let Fact::CheckFailed { check, .. } = fact else {
            return;
        };
        let folds = self.checks.iter_mut().zip(&self.policy.checks);
        for (fold, policy) in folds.filter(|(_, policy)| policy.name == *check) {
            fold.fails = true;
            fold.good_row = 0;
            fold.passing_since = None;
            if let Some((host, verdict)) = fold.just.take() {
                fold.count(host, policy, verdict);
            }
        }
    }

    fn wake(&mut self, from: Woken, to: Woken) {
        let woken = self.woken.iter_mut().filter(|one| **one == from);
        woken.for_each(|one| *one = to);
    }

    /// A segment that a late kick put back is wanted cut as soon as that kick is answered and the controller was read
    /// (some keep a mark of the expiry), unless an operator forces it or a handover leaves it to the successor.
    fn invariant_woken_is_cut(&mut self, status: &Status) -> Verdict {
        for (index, segment) in status.segments.iter().enumerate() {
            if self.woken[index] != Woken::Heard {
                continue;
            }
            let forced = matches!(segment.cause, Cause::Operator(_));
            if segment.wanted == RelayState::Normal && !forced && !self.handing_over {
                return broken(
                    "invariant_woken_is_cut",
                    format!(
                        "a late kick put segment {index} back into Normal, and it is left there ({})",
                        segment.cause
                    ),
                );
            }
            self.woken[index] = Woken::No;
        }
        Ok(())
    }

    /// No segment is wanted in `Normal` while one of its failover checks fails, unless an operator forces it. Nothing
    /// is judged any more in a handover.
    fn invariant_failing_check_wants_cut(&self, status: &Status) -> Verdict {
        if self.handing_over {
            return Ok(());
        }
        for (fold, check) in self.checks.iter().zip(&self.policy.checks) {
            if check.severity != CheckSeverity::Failover || !fold.fails {
                continue;
            }
            for index in &check.segments {
                let segment = &status.segments[*index];
                let forced = matches!(segment.cause, Cause::Operator(_));
                if segment.wanted == RelayState::Normal && !forced {
                    return broken(
                        "invariant_failing_check_wants_cut",
                        format!(
                            "{} fails and segment {index} is wanted in Normal",
                            check.name
                        ),
                    );
                }
            }
        }
        Ok(())
    }

    /// A close is decided only when commissioned, not ordered otherwise, and either forced by an operator or
    /// all failover checks passed for the whole dwell.
    fn invariant_close_is_justified(&self, orders: &Orders, at: Moment, segment: usize) -> Verdict {
        let name = "invariant_close_is_justified";
        let policy = &self.policy.segments[segment];
        if self.policy.commissioning == Commissioning::Missing {
            return broken(name, format!("segment {segment}: not commissioned"));
        }
        let in_force = orders.in_force();
        if in_force.disarmed.is_some() {
            return broken(name, format!("segment {segment}: disarmed"));
        }
        if let Some(forced) = in_force.forced.get(&policy.name) {
            if forced.state == RelayState::Normal {
                return Ok(());
            }
            return broken(
                name,
                format!("segment {segment}: forced to {}", forced.state),
            );
        }
        if in_force.maintenance.is_some() {
            return broken(name, format!("segment {segment}: maintenance"));
        }
        // Left in Normal by a predecessor and said again, on a board that cannot be read.
        let again = policy.read_back == ReadBackPolicy::Impossible && !self.touched[segment];
        if again {
            return Ok(());
        }
        for (fold, check) in self.checks.iter().zip(&self.policy.checks) {
            if check.severity != CheckSeverity::Failover || !check.segments.contains(&segment) {
                continue;
            }
            let Some(since) = fold.passing_since else {
                return broken(
                    name,
                    format!("segment {segment}: {} does not pass", check.name),
                );
            };
            let passed = at.host.since(since);
            if passed < policy.dwell {
                return broken(
                    name,
                    format!(
                        "segment {segment}: {} passes for {} ms, the dwell is {} ms",
                        check.name,
                        passed.as_millis(),
                        policy.dwell.as_millis()
                    ),
                );
            }
        }
        Ok(())
    }

    /// No more closes in any hour than allowed, except by order of an operator.
    fn invariant_close_limit(&mut self, orders: &Orders, at: Moment, segment: usize) -> Verdict {
        let policy = &self.policy.segments[segment];
        let again = policy.read_back == ReadBackPolicy::Impossible && !self.touched[segment];
        if again {
            return Ok(());
        }
        let closes = &mut self.closes[segment];
        closes.retain(|close| at.host.since(*close) < HOUR);
        let forced = orders.in_force().forced.contains_key(&policy.name);
        let before = u32::try_from(closes.len()).unwrap_or(u32::MAX);
        closes.push_back(at.host);
        if !forced && before >= policy.closes_per_hour_max {
            return broken(
                "invariant_close_limit",
                format!(
                    "segment {segment}: close number {} within an hour, {} allowed",
                    before + 1,
                    policy.closes_per_hour_max
                ),
            );
        }
        Ok(())
    }

    /// Contacts move because somebody decided it, or because the board protects the wire; never because a
    /// driver was opened. A kick may put back what expiry cut, if it comes too late to know: see [`Woken`].
    fn invariant_moves_have_an_order(
        &self,
        ground: &Ground,
        segment: usize,
        to: RelayState,
        cause: MoveCause,
        commanded_at: Instant,
    ) -> Verdict {
        let explained = match cause {
            // A wave or a held coil goes on ordering what was once decided, and no reading could end that.
            MoveCause::Command if to == RelayState::Normal => {
                let unread = self.policy.segments[segment].read_back;
                let goes_on = unread == ReadBackPolicy::Impossible
                    && self.ordered[segment].serves(commanded_at);
                self.decided[segment] || goes_on
            }
            MoveCause::Command => self.cut[segment],
            MoveCause::Kick => {
                to == RelayState::Normal && self.ordered[segment].may_wake(commanded_at)
            }
            MoveCause::LineReleased => ground.host == super::Host::Unable,
            MoveCause::Expiry | MoveCause::PowerOff | MoveCause::PowerUp => {
                to != RelayState::Normal
            }
            MoveCause::Fence | MoveCause::External | MoveCause::Freed => true,
        };
        // A part whose registers falsify a segment has that falsehood written back with the next command. What was
        // commanded before that defect ended moves contacts after it.
        let falsified = &ground.segments[segment];
        let was_defective = commanded_at <= falsified.mended_at;
        if explained || falsified.excused || falsified.defective() || was_defective {
            return Ok(());
        }
        broken(
            "invariant_moves_have_an_order",
            format!("segment {segment} moved to {to} by {cause:?} and nobody had decided it"),
        )
    }
}

/// No segment goes to `Normal` without a running dead-man behind it (or a running watchdog, where the board
/// has no dead-man).
fn invariant_never_unguarded(ground: &Ground, segment: usize, commanded_at: Instant) -> Verdict {
    let guarded = match ground.promise.arming {
        Arming::Required => {
            ground.dead_man == DeadManTruth::Running || ground.dead_man_since > commanded_at
        }
        Arming::Inherent => true,
        Arming::Absent => ground.watchdog_runs,
    };
    if guarded || ground.segments[segment].excused {
        return Ok(());
    }
    broken(
        "invariant_never_unguarded",
        format!(
            "segment {segment} went to Normal while the dead-man was {:?}",
            ground.dead_man
        ),
    )
}

impl CheckFold {
    fn reported(
        &mut self,
        host: Instant,
        policy: &CheckPolicy,
        verdict: CheckVerdict,
        away_until: Instant,
    ) {
        let heard_at = self.heard_at.map(|heard| heard.max(away_until));
        if heard_at.is_some_and(|heard| host.since(heard) > policy.stale_after + GRACE) {
            *self = Self {
                fails: true,
                ..Self::default()
            };
        }
        self.heard_at = Some(host);
        self.just = Some((host, verdict));
        self.count(host, policy, verdict);
    }

    fn count(&mut self, host: Instant, policy: &CheckPolicy, verdict: CheckVerdict) {
        let good = matches!(verdict, CheckVerdict::Ok | CheckVerdict::Warning);
        if good {
            self.bad_row = 0;
            self.good_row += 1;
            if self.good_row >= policy.rise {
                self.fails = false;
                self.passing_since.get_or_insert(host);
            }
        } else {
            self.good_row = 0;
            self.bad_row += 1;
            if self.bad_row >= policy.fall {
                self.passing_since = None;
                self.fails = true;
            }
        }
    }
}
