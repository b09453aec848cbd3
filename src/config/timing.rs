//! The dead-man's times: what was asked for, and what this board makes of it.

use core::time::Duration;

use serde::Serialize;

use super::Config;
use crate::board::Board;
use crate::board::profile::{ControllerSpec, DeadManKind, Periods};
use crate::diagnose::{Findings, Mistake};
use crate::node::policy::Arming;

/// Asked for when the configuration says nothing.
const PERIOD_DEFAULT: Duration = Duration::from_millis(1_000);

/// Kicks per period by default: one may be lost, one late, and one is still in time.
const KICKS_PER_PERIOD: u32 = 4;

/// The dead-man's effective times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Timing {
    /// What arming means here.
    pub arming: Arming,
    /// Effective period; without a dead-man, the beat of the control loop's own supervision.
    pub period: Duration,
    /// A kick is decided this often.
    pub kick_every: Duration,
    /// How well `period` is known.
    pub known: PeriodKnown,
}

/// How well the period is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeriodKnown {
    /// From the profile's sources.
    Stated,
    /// Measured on this machine.
    Measured,
    /// Assumed: nobody has measured it yet.
    Assumed,
    /// There is none.
    Absent,
}

impl Timing {
    pub(super) fn resolve(config: &Config, board: &mut Board, findings: &mut Findings) -> Self {
        let known = use_measured(config, board, findings);
        let arming = match board.dead_man.kind {
            DeadManKind::Deadline | DeadManKind::Kick => Arming::Required,
            DeadManKind::PulseTrain => Arming::Inherent,
            DeadManKind::Absent => Arming::Absent,
        };
        let period = match known {
            PeriodKnown::Absent => absent(config, findings),
            _ => effective(config, &board.dead_man.periods, findings),
        };
        Self {
            arming,
            period,
            kick_every: kick_every(config, board, period, findings),
            known,
        }
    }
}

/// A measured period replaces an assumed one, and only that: a stated fact is corrected in the profile.
fn use_measured(config: &Config, board: &mut Board, findings: &mut Findings) -> PeriodKnown {
    let periods = &mut board.dead_man.periods;
    let assumed = matches!(periods, Periods::Assumed(_));
    match (config.dead_man.measured, &config.places.measured) {
        (Some(measured), _) if assumed => {
            *periods = Periods::Fixed(measured);
            PeriodKnown::Measured
        }
        (Some(_), Some(place)) => {
            findings.refuse(
                Mistake::new(
                    place.clone(),
                    "this board's period is stated by its profile",
                )
                .help("measured_ms is for boards whose period no source states; take it out"),
            );
            PeriodKnown::Stated
        }
        _ if assumed => PeriodKnown::Assumed,
        _ if matches!(periods, Periods::None) => PeriodKnown::Absent,
        _ => PeriodKnown::Stated,
    }
}

fn absent(config: &Config, findings: &mut Findings) -> Duration {
    for place in [&config.places.period, &config.places.kick_every]
        .into_iter()
        .flatten()
    {
        findings.refuse(
            Mistake::new(place.clone(), "this board has no dead-man")
                .help("take this key out; what stands behind a hung host here is the [watchdog]"),
        );
    }
    PERIOD_DEFAULT
}

fn effective(config: &Config, periods: &Periods, findings: &mut Findings) -> Duration {
    let asked = config.dead_man.period.unwrap_or(PERIOD_DEFAULT);
    let shortest = periods.shortest().unwrap_or(PERIOD_DEFAULT);
    match (periods.effective(asked), &config.places.period) {
        (Some(period), _) => period,
        (None, None) => shortest,
        (None, Some(place)) => {
            findings.refuse(
                Mistake::new(place.clone(), "this board cannot trip that soon").label(format!(
                    "its shortest period is {} ms",
                    shortest.as_millis()
                )),
            );
            shortest
        }
    }
}

fn kick_every(
    config: &Config,
    board: &Board,
    period: Duration,
    findings: &mut Findings,
) -> Duration {
    if let ControllerSpec::PulseTrain { edge_interval, .. } = board.controller {
        if let Some(place) = &config.places.kick_every {
            findings.refuse(
                Mistake::new(place.clone(), "this board's wave has a rate of its own")
                    .label(format!("an edge every {} ms", edge_interval.as_millis())),
            );
        }
        return edge_interval;
    }
    let wanted = config
        .dead_man
        .kick_every
        .unwrap_or(period / KICKS_PER_PERIOD);
    if let Some(place) = &config.places.kick_every
        && wanted > period / 2
    {
        findings.refuse(
            Mistake::new(
                place.clone(),
                format!(
                    "kick_every_ms = {} is more than half the period",
                    wanted.as_millis()
                ),
            )
            .label(format!("at most {} ms", (period / 2).as_millis()))
            .help(format!(
                "the effective period is {} ms; one kick too late would trip the relay",
                period.as_millis()
            )),
        );
    }
    wanted
}
