//! One seed's world: its board and policy, its habits, and what will happen when.

use core::time::Duration;

use super::dice::Dice;
use super::faults::{Mishap, Troubles};
use super::run::Mode;
use super::world::LOOKS_AGAIN_AFTER;
use crate::board::controller::SegmentSettings;
use crate::board::profile::{Board, DeadManKind, Kept, Periods, ReadBack, SettingSpec};
use crate::board::{CutState, RelayState};
use crate::node::policy::{
    Arming, CarrierRole, CheckPolicy, CheckSeverity, Commissioning, DeadManPolicy, ReadBackPolicy,
    SegmentPolicy, WatchdogPolicy,
};
use crate::node::{Instant, Policy};

/// Segments that are used of a board that has more: enough for one to disturb another.
const SEGMENTS_MAX: usize = 3;

/// Everything that a seed decides before the first event.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) policy: Policy,
    pub(super) habits: Habits,
    /// By time, earliest first.
    pub(super) plan: Vec<(Instant, Mishap)>,
    /// When everything is repaired, if it is.
    pub(super) heal_at: Option<Instant>,
    pub(super) end: Instant,
}

/// How this machine and its people are.
#[derive(Debug, Clone)]
pub(super) struct Habits {
    /// Board's clock against the host's.
    pub(super) drift_ppm: i64,
    /// From power or reset to the agent's start.
    pub(super) boot: Duration,
    /// A panicked kernel reboots by itself after this, if at all.
    pub(super) panic_reboots_after: Option<Duration>,
    /// From the agent's death to its successor's start.
    pub(super) restart: Duration,
    /// Without a sign of life for this long the service manager kills the agent.
    pub(super) unit_watchdog: Duration,
    /// The watchdog's timeout.
    pub(super) watchdog: Duration,
    /// How often each check reports.
    pub(super) check_every: Duration,
    /// An ordinary turn is late by up to this.
    pub(super) lateness: Duration,
    /// The service manager keeps GPIO descriptors for the agent's successor.
    pub(super) keeps_lines: bool,
    /// An ordinary save takes up to this.
    pub(super) save: Duration,
}

impl Scenario {
    /// The world of `seed`. `board` is `None` for the ideal controller.
    pub(super) fn draw(seed: u64, board: Option<&Board>, mode: Mode) -> Self {
        let mut dice = Dice::new(seed);
        let habits = habits(&mut dice);
        let policy = policy(&mut dice, board, &habits);
        let quiet_until = 3_000 + dice.between(0, 6_000);
        let (span, count) = match mode {
            Mode::Storm => (dice.between(15_000, 60_000), dice.between(1, 40)),
            Mode::Heal => (dice.between(5_000, 25_000), dice.between(1, 15)),
        };
        let mut troubles = Troubles::new(dice.fork(), &policy);
        let mut plan: Vec<_> = (0..count)
            .map(|_| {
                let at = quiet_until + dice.between(0, span);
                (
                    Instant::from_millis(at) + dice.micros(0, 1_000),
                    troubles.draw(),
                )
            })
            .collect();
        plan.sort_by_key(|(at, _)| *at);
        let over = Instant::from_millis(quiet_until + span);
        let heal_at = (mode == Mode::Heal).then_some(over);
        let end = over
            + match mode {
                Mode::Storm => Duration::from_secs(10),
                Mode::Heal => back_within(&policy, &habits),
            };
        Self {
            policy,
            habits,
            plan,
            heal_at,
            end,
        }
    }
}

/// From the end of all faults to `Normal` on all segments, at the latest: a boot; the slowest retry of each
/// kind one after another (stuck relay 10 s, watchdog 10 s, arming 5 s, controller and settings 2 s each);
/// people who find that an order was not heard, and say it again; checks rising; the longest dwell, twice, because the last expiry may be found late.
pub(super) fn back_within(policy: &Policy, habits: &Habits) -> Duration {
    let dwell = policy.segments.iter().map(|segment| segment.dwell).max();
    let rises = policy.checks.iter().map(|check| check.rise).max();
    let rising = habits.check_every * (rises.unwrap_or(0) + 1);
    let retries = Duration::from_secs(10 + 10 + 5 + 2 + 2);
    let dwells = dwell.unwrap_or_default() * 2;
    habits.boot + retries + LOOKS_AGAIN_AFTER + rising + dwells + policy.dead_man.period * 2
}

fn habits(dice: &mut Dice) -> Habits {
    let drift = i64::try_from(dice.between(0, 1_000)).unwrap_or(0) - 500;
    Habits {
        drift_ppm: drift,
        boot: dice.millis(4_000, 15_000),
        panic_reboots_after: dice.chance(700).then(|| dice.millis(1_000, 10_000)),
        restart: dice.millis(20, 250),
        unit_watchdog: dice.millis(2_500, 6_000),
        watchdog: Duration::from_secs(dice.between(6, 20)),
        check_every: dice.millis(100, 800),
        lateness: dice.micros(50, 3_000),
        save: dice.millis(1, 40),
        keeps_lines: dice.chance(700),
    }
}

fn policy(dice: &mut Dice, board: Option<&Board>, habits: &Habits) -> Policy {
    let mut segments = segments(dice, board);
    if dice.chance(500) {
        // The ordinary configuration: all segments are ready in the same turn.
        let dwell = segments.first().map(|segment| segment.dwell);
        for segment in &mut segments {
            segment.dwell = dwell.unwrap_or(segment.dwell);
        }
    }
    let checks = checks(dice, segments.len(), habits);
    let has_watchdog = dice.chance(900);
    Policy {
        pair: None,
        segments,
        checks,
        dead_man: dead_man(dice, board),
        watchdog: has_watchdog.then(|| WatchdogPolicy {
            keepalive_every: habits.watchdog / 4,
            job_overdue_after: habits.watchdog / 2,
        }),
        read_every: dice.millis(100, 500),
        commissioning: match dice.index(20) {
            0 => Commissioning::Missing,
            1 => Commissioning::Waived,
            _ => Commissioning::Done,
        },
    }
}

fn dead_man(dice: &mut Dice, board: Option<&Board>) -> DeadManPolicy {
    let wished = [400, 600, 1_000, 2_000, 3_000, 5_000];
    let wished = Duration::from_millis(dice.pick(&wished).unwrap_or(1_000));
    let (arming, period) = match board.map(|board| &board.dead_man) {
        None => (Arming::Required, wished),
        Some(spec) => {
            let arming = match spec.kind {
                DeadManKind::Deadline | DeadManKind::Kick => Arming::Required,
                DeadManKind::PulseTrain => Arming::Inherent,
                DeadManKind::Absent => Arming::Absent,
            };
            let shortest = match &spec.periods {
                Periods::Range { min, .. } => *min,
                Periods::List(list) => list.first().copied().unwrap_or(wished),
                Periods::Fixed(period) | Periods::Assumed(period) => *period,
                Periods::None => wished,
            };
            let period = spec.periods.effective(wished).unwrap_or(shortest);
            (arming, period)
        }
    };
    DeadManPolicy {
        arming,
        period,
        kick_every: period / 4,
    }
}

fn segments(dice: &mut Dice, board: Option<&Board>) -> Vec<SegmentPolicy> {
    let Some(board) = board else {
        let count = dice.between(1, 2);
        return (0..count)
            .map(|index| SegmentPolicy {
                name: format!("segment{}", index + 1),
                fail: CutState::Bypass,
                settings: SegmentSettings::default(),
                dwell: dice.millis(300, 4_000),
                relink: Duration::ZERO,
                closes_per_hour_max: closes(dice),
                read_back: ReadBackPolicy::Required,
            })
            .collect();
    };
    let used = board.segments.iter().take(SEGMENTS_MAX);
    used.map(|segment| {
        let fail = cut_state(&segment.expiry)
            .or_else(|| cut_state(&segment.power_off))
            .unwrap_or(CutState::Bypass);
        let settable = |spec: &SettingSpec| {
            let kept = matches!(spec.kept, Kept::Volatile | Kept::NonVolatile);
            (kept && spec.possible.contains(&fail.into())).then_some(fail)
        };
        SegmentPolicy {
            name: segment.name.clone(),
            fail,
            settings: SegmentSettings {
                power_up: settable(&segment.power_up),
                power_off: settable(&segment.power_off),
                expiry: settable(&segment.expiry),
            },
            dwell: dice.millis(300, 4_000),
            relink: Duration::ZERO,
            closes_per_hour_max: closes(dice),
            read_back: match segment.read_back {
                ReadBack::Nothing => ReadBackPolicy::Impossible,
                ReadBack::Contacts | ReadBack::Register | ReadBack::Drive => {
                    ReadBackPolicy::Required
                }
            },
        }
    })
    .collect()
}

fn closes(dice: &mut Dice) -> u32 {
    dice.pick(&[2, 5, 20, 60]).unwrap_or(6)
}

fn cut_state(spec: &SettingSpec) -> Option<CutState> {
    if spec.possible.contains(&RelayState::Bypass) {
        return Some(CutState::Bypass);
    }
    let disconnects = spec.possible.contains(&RelayState::Disconnect);
    disconnects.then_some(CutState::Disconnect)
}

fn checks(dice: &mut Dice, segments: usize, habits: &Habits) -> Vec<CheckPolicy> {
    let count = dice.between(1, 3);
    (0..count)
        .map(|index| {
            let first = index == 0;
            CheckPolicy {
                name: format!("check{}", index + 1),
                severity: if first || dice.chance(600) {
                    CheckSeverity::Failover
                } else {
                    CheckSeverity::Notify
                },
                // The first speaks for all, so that every segment has one.
                segments: (0..segments)
                    .filter(|_| first || dice.chance(500))
                    .collect(),
                rise: u32::try_from(dice.between(1, 3)).unwrap_or(1),
                fall: u32::try_from(dice.between(1, 3)).unwrap_or(1),
                carrier: CarrierRole::None,
                stale_after: (habits.check_every * 4).max(Duration::from_secs(2)),
            }
        })
        .collect()
}
