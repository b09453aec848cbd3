//! The dead-man's kind, periods and expiry.

use core::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::Span;
use crate::board::profile::{Confidence, DeadManKind, DeadManSpec, Expiry, Periods};
use crate::diagnose::{Findings, Mistake};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDeadMan {
    pub(super) source: Spanned<String>,
    pub(super) confidence: Confidence,
    pub(super) kind: Spanned<RawKind>,
    expiry: Option<Spanned<RawExpiry>>,
    periods: Option<Spanned<RawPeriods>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawKind {
    Deadline,
    Kick,
    PulseTrain,
    Absent,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawExpiry {
    Sticky,
    KickRestores,
    Unknown,
}

/// Exactly one form: min/max/step, a list, a fixed period, or an assumed one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPeriods {
    min_ms: Option<Spanned<i64>>,
    max_ms: Option<Spanned<i64>>,
    step_ms: Option<Spanned<i64>>,
    list_ms: Option<Spanned<Vec<Spanned<i64>>>>,
    fixed_ms: Option<Spanned<i64>>,
    assumed_ms: Option<Spanned<i64>>,
}

/// Longest period any known part has, in ms: Silicom's 3,276.8 s.
const PERIOD_MS_MAX: u32 = 3_600_000;

impl RawDeadMan {
    pub(super) fn is_absent(&self) -> bool {
        *self.kind.get_ref() == RawKind::Absent
    }

    pub(super) fn understand(&self, at: Span, findings: &mut Findings) -> DeadManSpec {
        let kind = match self.kind.get_ref() {
            RawKind::Deadline => DeadManKind::Deadline,
            RawKind::Kick => DeadManKind::Kick,
            RawKind::PulseTrain => DeadManKind::PulseTrain,
            RawKind::Absent => DeadManKind::Absent,
        };
        if self.is_absent() {
            let extra = self.expiry.as_ref().map(Spanned::span);
            let extra = extra.or(self.periods.as_ref().map(Spanned::span));
            if let Some(span) = extra {
                findings.refuse(
                    Mistake::new(span, "an absent dead-man has no period and no expiry")
                        .help("kind = \"absent\" takes neither `expiry` nor `periods`"),
                );
            }
            return DeadManSpec {
                kind,
                periods: Periods::None,
                expiry: Expiry::Unknown,
            };
        }
        let expiry = match self.expiry.as_ref().map(Spanned::get_ref) {
            Some(RawExpiry::Sticky) => Expiry::Sticky,
            Some(RawExpiry::KickRestores) => Expiry::KickRestores,
            Some(RawExpiry::Unknown) => Expiry::Unknown,
            None => {
                findings.refuse(Mistake::new(at.clone(), "missing key `expiry`").help(
                    "does it stay fired until armed anew? allowed: sticky, kick-restores, unknown \
                         (treated as the worse one)",
                ));
                Expiry::Unknown
            }
        };
        let periods = match &self.periods {
            Some(raw) => raw.get_ref().understand(raw.span(), findings),
            None => {
                findings.refuse(Mistake::new(at, "missing key `periods`").help(FORMS));
                Periods::None
            }
        };
        DeadManSpec {
            kind,
            periods,
            expiry,
        }
    }
}

const FORMS: &str = "allowed: { min_ms, max_ms, step_ms }, { list_ms = […] }, { fixed_ms }, or, if no source tells, \
                     { assumed_ms }";

impl RawPeriods {
    fn understand(&self, at: Span, findings: &mut Findings) -> Periods {
        let one = |key: &str, raw: &Spanned<i64>, findings: &mut Findings| {
            Duration::from_millis(u64::from(findings.number(key, raw, 1..=PERIOD_MS_MAX)))
        };
        let range = (&self.min_ms, &self.max_ms, &self.step_ms);
        match (range, &self.list_ms, &self.fixed_ms, &self.assumed_ms) {
            ((Some(min), Some(max), Some(step)), None, None, None) => {
                if min.get_ref() >= max.get_ref() {
                    findings.refuse(
                        Mistake::new(max.span(), "max_ms is not above min_ms")
                            .label(format!("min_ms is {}", min.get_ref())),
                    );
                }
                Periods::Range {
                    min: one("min_ms", min, findings),
                    max: one("max_ms", max, findings),
                    step: one("step_ms", step, findings),
                }
            }
            ((None, None, None), Some(list), None, None) => {
                let periods: Vec<Duration> = list
                    .get_ref()
                    .iter()
                    .map(|raw| one("list_ms", raw, findings))
                    .collect();
                if periods.is_empty() || !periods.is_sorted_by(|a, b| a < b) {
                    findings.refuse(Mistake::new(
                        list.span(),
                        "list_ms must name periods, each longer than the one before",
                    ));
                }
                Periods::List(periods)
            }
            ((None, None, None), None, Some(fixed), None) => {
                Periods::Fixed(one("fixed_ms", fixed, findings))
            }
            ((None, None, None), None, None, Some(assumed)) => {
                Periods::Assumed(one("assumed_ms", assumed, findings))
            }
            _ => {
                findings.refuse(Mistake::new(at, "periods in no known form").help(FORMS));
                Periods::None
            }
        }
    }
}
