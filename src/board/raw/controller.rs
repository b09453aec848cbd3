//! Controller tables: `[controller.KIND]` with each segment's wiring.

use core::time::Duration;
use std::collections::BTreeSet;

use serde::Deserialize;
use toml::Spanned;

use super::dead_man::{RawDeadMan, RawKind};
use super::family::{RawCaswell, RawLanner};
use super::words::{self, RawLine};
use super::{SEGMENTS_MAX, Wiring, fact};
use crate::board::profile::{Confidence, ControllerSpec, LatchingCoil, MonostableCoil, PortRef};
use crate::diagnose::{Findings, Mistake};

#[derive(Deserialize)]
pub(super) enum RawController {
    #[serde(rename = "reference")]
    Reference(RawReference),
    #[serde(rename = "lanner-gen3")]
    LannerGen3(RawLanner),
    #[serde(rename = "caswell-gen2")]
    CaswellGen2(RawCaswell),
    #[serde(rename = "pulse-train")]
    PulseTrain(RawPulseTrain),
    #[serde(rename = "gpio-monostable")]
    GpioMonostable(RawMonostable),
    #[serde(rename = "gpio-latching")]
    GpioLatching(RawLatching),
    #[serde(rename = "riverbed")]
    Riverbed(RawRiverbed),
}

/// Ports of a segment, where the model fixes them.
type RawPorts = Option<Spanned<Vec<Spanned<String>>>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReference {
    source: Spanned<String>,
    confidence: Confidence,
    adapter: Spanned<String>,
    address: Spanned<i64>,
    segment: Vec<RawPlainSegment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlainSegment {
    name: Spanned<String>,
    ports: RawPorts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPulseTrain {
    source: Spanned<String>,
    confidence: Confidence,
    line: RawLine,
    edge_interval_ms: Spanned<i64>,
    segment: RawPlainSegment,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMonostable {
    source: Spanned<String>,
    confidence: Confidence,
    kick: Option<RawLine>,
    segment: Vec<RawMonostableSegment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMonostableSegment {
    name: Spanned<String>,
    ports: RawPorts,
    coil: RawLine,
    contact: Option<RawLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLatching {
    source: Spanned<String>,
    confidence: Confidence,
    pulse_ms: Spanned<i64>,
    segment: Vec<RawLatchingSegment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLatchingSegment {
    name: Spanned<String>,
    ports: RawPorts,
    set: RawLine,
    reset: RawLine,
    contact: Option<RawLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRiverbed {
    source: Spanned<String>,
    confidence: Confidence,
    adapter: Spanned<String>,
    address: Spanned<i64>,
    segment: Vec<RawRiverbedSegment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRiverbedSegment {
    name: Spanned<String>,
    ports: RawPorts,
    selector: Spanned<i64>,
}

/// Longest coil pulse, in ms; a latching coil is not made for continuous current.
const PULSE_MS_MAX: u32 = 1_000;

impl RawController {
    pub(super) fn wirings(&self, findings: &mut Findings) -> Vec<Wiring> {
        match self {
            Self::Reference(raw) => vec![raw.wiring(findings)],
            Self::LannerGen3(raw) => raw.wirings(findings),
            Self::CaswellGen2(raw) => raw.wirings(findings),
            Self::PulseTrain(raw) => vec![raw.wiring(findings)],
            Self::GpioMonostable(raw) => vec![raw.wiring(findings)],
            Self::GpioLatching(raw) => vec![raw.wiring(findings)],
            Self::Riverbed(raw) => vec![raw.wiring(findings)],
        }
    }

    /// The dead-man's kind follows from the controller; a profile that says otherwise has one of them wrong.
    pub(super) fn agree_with(&self, dead_man: &Spanned<RawDeadMan>, findings: &mut Findings) {
        let said = &dead_man.get_ref().kind;
        let (right, word) = match self {
            Self::Reference(_) => (RawKind::Deadline, "deadline"),
            Self::LannerGen3(_) | Self::CaswellGen2(_) => (RawKind::Kick, "kick"),
            Self::PulseTrain(_) => (RawKind::PulseTrain, "pulse-train"),
            Self::GpioMonostable(raw) if raw.kick.is_some() => (RawKind::PulseTrain, "pulse-train"),
            Self::GpioMonostable(_) | Self::GpioLatching(_) | Self::Riverbed(_) => {
                (RawKind::Absent, "absent")
            }
        };
        if *said.get_ref() != right {
            findings.refuse(
                Mistake::new(
                    said.span(),
                    "this dead-man does not go with this controller",
                )
                .label(format!("with this controller: \"{word}\"")),
            );
        }
    }
}

impl RawReference {
    fn wiring(&self, findings: &mut Findings) -> Wiring {
        Wiring {
            model: None,
            title: None,
            facts: vec![fact("controller", &self.source, self.confidence, findings)],
            spec: ControllerSpec::Reference {
                adapter: words::adapter(&self.adapter, findings),
                address: words::address("address", &self.address, findings),
            },
            segments: names(self.segment.iter().map(|s| (&s.name, &s.ports)), findings),
        }
    }
}

impl RawPulseTrain {
    fn wiring(&self, findings: &mut Findings) -> Wiring {
        let interval = findings.number("edge_interval_ms", &self.edge_interval_ms, 1..=10_000_u32);
        Wiring {
            model: None,
            title: None,
            facts: vec![fact("controller", &self.source, self.confidence, findings)],
            spec: ControllerSpec::PulseTrain {
                line: self.line.understand(findings),
                edge_interval: Duration::from_millis(u64::from(interval)),
            },
            segments: names([(&self.segment.name, &self.segment.ports)], findings),
        }
    }
}

impl RawMonostable {
    fn wiring(&self, findings: &mut Findings) -> Wiring {
        let coils = self.segment.iter().map(|segment| MonostableCoil {
            coil: segment.coil.understand(findings),
            contact: segment
                .contact
                .as_ref()
                .map(|line| line.understand(findings)),
        });
        Wiring {
            model: None,
            title: None,
            spec: ControllerSpec::GpioMonostable {
                coils: coils.collect(),
                kick: self.kick.as_ref().map(|line| line.understand(findings)),
            },
            facts: vec![fact("controller", &self.source, self.confidence, findings)],
            segments: names(self.segment.iter().map(|s| (&s.name, &s.ports)), findings),
        }
    }
}

impl RawLatching {
    fn wiring(&self, findings: &mut Findings) -> Wiring {
        let coils = self.segment.iter().map(|segment| LatchingCoil {
            set: segment.set.understand(findings),
            reset: segment.reset.understand(findings),
            contact: segment
                .contact
                .as_ref()
                .map(|line| line.understand(findings)),
        });
        let coils = coils.collect();
        let pulse = findings.number("pulse_ms", &self.pulse_ms, 1..=PULSE_MS_MAX);
        Wiring {
            model: None,
            title: None,
            facts: vec![fact("controller", &self.source, self.confidence, findings)],
            spec: ControllerSpec::GpioLatching {
                coils,
                pulse: Duration::from_millis(u64::from(pulse)),
            },
            segments: names(self.segment.iter().map(|s| (&s.name, &s.ports)), findings),
        }
    }
}

impl RawRiverbed {
    fn wiring(&self, findings: &mut Findings) -> Wiring {
        let selectors = self.segment.iter();
        let selectors = selectors.map(|s| findings.number("selector", &s.selector, 0..=u8::MAX));
        Wiring {
            model: None,
            title: None,
            spec: ControllerSpec::Riverbed {
                ports: selectors.collect(),
                adapter: words::adapter(&self.adapter, findings),
                address: words::address("address", &self.address, findings),
            },
            facts: vec![fact("controller", &self.source, self.confidence, findings)],
            segments: names(self.segment.iter().map(|s| (&s.name, &s.ports)), findings),
        }
    }
}

/// Segment names and ports in order, each name once.
fn names<'a>(
    segments: impl IntoIterator<Item = (&'a Spanned<String>, &'a RawPorts)>,
    findings: &mut Findings,
) -> Vec<(String, Option<[PortRef; 2]>)> {
    let mut seen = BTreeSet::new();
    let mut list = Vec::new();
    for (name, ports) in segments {
        if !seen.insert(name.get_ref().clone()) {
            findings.refuse(
                Mistake::new(
                    name.span(),
                    format!("segment `{}` is named twice", name.get_ref()),
                )
                .label("each segment once"),
            );
        }
        if list.len() == SEGMENTS_MAX {
            findings.refuse(Mistake::new(
                name.span(),
                format!("more than {SEGMENTS_MAX} segments"),
            ));
            break;
        }
        let ports = ports.as_ref().and_then(|raw| words::ports(raw, findings));
        list.push((words::name(name, findings), ports));
    }
    list
}
