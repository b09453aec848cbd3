//! Health: checks, folded over their rise and fall counts, and how long a segment has been green.
//!
//! A check that says nothing is no evidence of health: silence counts as failing once `stale_after` is
//! over. But time during which *we* slept is not the check's silence; it is forgiven.

use core::time::Duration;

use super::event::Verdict;
use super::outbox::Outbox;
use super::policy::{CarrierRole, CheckPolicy, CheckSeverity};
use super::record::{Fact, Level};
use super::segment::Segment;
use super::status::{CheckHealth, CheckStatus};
use super::time::Instant;

mod told;

use told::Loss;

/// All checks of the node.
#[derive(Debug, Clone)]
pub(super) struct Health {
    checks: Vec<Check>,
}

/// What speaks against a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Objection {
    /// This failover check fails.
    Failing(String),
    /// This failover check stopped reporting.
    Silent(String),
    /// This failover check has not decided yet.
    Pending(String),
}

#[derive(Debug, Clone)]
struct Check {
    policy: CheckPolicy,
    health: CheckHealth,
    in_row: u32,
    row_is_good: bool,
    verdict: Option<Verdict>,
    output: String,
    reported_at: Option<Instant>,
    /// Silence is counted from here.
    heard_at: Instant,
    passing_since: Option<Instant>,
    /// Told, and not judged yet: its relays are being read.
    loss: Option<Loss>,
    /// It fails because the kernel said so.
    stated: bool,
}

impl Health {
    pub(super) fn new(policies: &[CheckPolicy], now: Instant) -> Self {
        let checks = policies
            .iter()
            .map(|policy| Check::new(policy.clone(), now))
            .collect();
        Self { checks }
    }

    pub(super) fn reported(
        &mut self,
        now: Instant,
        check: usize,
        verdict: Verdict,
        output: String,
        segments: &[Segment],
        out: &mut Outbox,
    ) {
        if let Some(check) = self.checks.get_mut(check) {
            let physics = check.is_physics(now, segments);
            check.reported(now, verdict, output, physics, out);
        }
    }

    /// A segment went to `Normal`: what its dark ports said before says nothing about now.
    pub(super) fn closed(&mut self, now: Instant, segment: usize) {
        for check in &mut self.checks {
            let concerned = check.policy.segments.contains(&segment);
            if concerned && check.policy.carrier == CarrierRole::InNormalOnly {
                *check = Check {
                    output: core::mem::take(&mut check.output),
                    ..Check::new(check.policy.clone(), now)
                };
            }
        }
    }

    /// Checks that have been silent for too long become `Silent`.
    pub(super) fn expire(&mut self, now: Instant, out: &mut Outbox) {
        for check in &mut self.checks {
            check.expire(now, out);
        }
    }

    /// We slept: nobody could have been heard in that time.
    pub(super) fn forgive(&mut self, slept: Duration) {
        for check in &mut self.checks {
            check.heard_at += slept;
        }
    }

    /// The agent begins now: until here nobody could have been heard, however long its start took.
    pub(super) fn begin(&mut self, now: Instant) {
        for check in &mut self.checks {
            check.heard_at = check.heard_at.max(now);
        }
    }

    /// The first thing that speaks against `segment`, worst first.
    pub(super) fn objection(&self, segment: &Segment) -> Option<Objection> {
        worst(|| self.failover_checks(segment))
    }

    /// The first thing that speaks against a host without segments, worst first.
    pub(super) fn objection_to_host(&self) -> Option<Objection> {
        worst(|| self.all_failover_checks())
    }

    /// Since when every failover check of `segment` has been passing; `None` while one is not. A segment
    /// without failover checks has been green for ever.
    pub(super) fn green_since(&self, segment: &Segment) -> Option<Instant> {
        self.failover_checks(segment)
            .try_fold(Instant::ZERO, |latest, check| {
                check.passing_since.map(|since| latest.max(since))
            })
    }

    /// When the next check will have been silent for too long.
    pub(super) fn next_silence(&self) -> Option<Instant> {
        self.checks
            .iter()
            .filter(|check| check.health != CheckHealth::Silent)
            .map(|check| check.heard_at + check.policy.stale_after)
            .min()
    }

    pub(super) fn status(&self) -> Vec<CheckStatus> {
        self.checks.iter().map(Check::status).collect()
    }

    fn all_failover_checks(&self) -> impl Iterator<Item = &Check> {
        let checks = self.checks.iter();
        checks.filter(|check| check.policy.severity == CheckSeverity::Failover)
    }

    /// Those that can say something about `segment` where its relay is now.
    fn failover_checks(&self, segment: &Segment) -> impl Iterator<Item = &Check> {
        let (index, held) = (segment.index, segment.held());
        self.all_failover_checks().filter(move |check| {
            check.policy.segments.contains(&index)
                && (held || check.policy.carrier != CarrierRole::InNormalOnly)
        })
    }
}

/// The first objection of these checks, worst first.
fn worst<'a, Checks>(checks: impl Fn() -> Checks) -> Option<Objection>
where
    Checks: Iterator<Item = &'a Check>,
{
    let of = |health: CheckHealth| {
        let found = checks().find(|check| check.health == health);
        found.map(|check| check.policy.name.clone())
    };
    of(CheckHealth::Failing)
        .map(Objection::Failing)
        .or_else(|| of(CheckHealth::Silent).map(Objection::Silent))
        .or_else(|| of(CheckHealth::Pending).map(Objection::Pending))
}

impl Check {
    fn new(policy: CheckPolicy, now: Instant) -> Self {
        Self {
            policy,
            health: CheckHealth::Pending,
            in_row: 0,
            row_is_good: false,
            verdict: None,
            output: String::new(),
            reported_at: None,
            heard_at: now,
            passing_since: None,
            loss: None,
            stated: false,
        }
    }

    /// Whether a bad verdict now would only say that a relay has just moved, or that a cut port is dark.
    fn is_physics(&self, now: Instant, segments: &[Segment]) -> bool {
        let mut mine = self
            .policy
            .segments
            .iter()
            .filter_map(|index| segments.get(*index));
        match self.policy.carrier {
            CarrierRole::None => false,
            CarrierRole::Always => mine.any(|segment| segment.relinking(now)),
            CarrierRole::InNormalOnly => {
                mine.any(|segment| segment.relinking(now) || !segment.held())
            }
        }
    }

    fn reported(
        &mut self,
        now: Instant,
        verdict: Verdict,
        output: String,
        physics: bool,
        out: &mut Outbox,
    ) {
        let good = matches!(verdict, Verdict::Ok | Verdict::Warning);
        if !good && physics {
            self.verdict = Some(verdict);
            self.output = output;
            self.reported_at = Some(now);
            self.heard_at = now;
            return;
        }
        self.in_row = if good == self.row_is_good {
            self.in_row.saturating_add(1)
        } else {
            1
        };
        self.row_is_good = good;
        self.verdict = Some(verdict);
        self.output = output;
        self.reported_at = Some(now);
        self.heard_at = now;
        if good && self.in_row >= self.rise() {
            self.become_passing(now, out);
        } else if !good && self.in_row >= self.policy.fall.max(1) {
            self.become_failing(now, CheckHealth::Failing, out);
        } else if self.health == CheckHealth::Silent {
            // It speaks again, but has not yet said enough to be believed; till then it fails.
            self.health = CheckHealth::Failing;
        }
    }

    fn expire(&mut self, now: Instant, out: &mut Outbox) {
        if now.since(self.heard_at) >= self.policy.stale_after && self.health != CheckHealth::Silent
        {
            let stale_ms = self.policy.stale_after.as_millis();
            self.output = format!("no report for {stale_ms} ms");
            self.in_row = 0;
            self.become_failing(now, CheckHealth::Silent, out);
        }
    }

    fn become_passing(&mut self, now: Instant, out: &mut Outbox) {
        if self.health == CheckHealth::Passing {
            return;
        }
        self.health = CheckHealth::Passing;
        (self.loss, self.stated) = (None, false);
        self.passing_since = Some(now);
        out.record(
            now,
            Level::Info,
            Fact::CheckPassed {
                check: self.policy.name.clone(),
            },
        );
    }

    fn become_failing(&mut self, now: Instant, health: CheckHealth, out: &mut Outbox) {
        let known = matches!(self.health, CheckHealth::Failing | CheckHealth::Silent);
        self.health = health;
        self.loss = None;
        self.passing_since = None;
        if !known {
            let fact = Fact::CheckFailed {
                check: self.policy.name.clone(),
                output: self.output.clone(),
            };
            out.record(now, Level::Warning, fact);
        }
    }

    fn status(&self) -> CheckStatus {
        CheckStatus {
            name: self.policy.name.clone(),
            severity: self.policy.severity,
            health: self.health,
            verdict: self.verdict,
            output: self.output.clone(),
            reported_at: self.reported_at,
        }
    }
}
