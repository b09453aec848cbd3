//! `RawConfig` to [`Config`]: the file as written, checked and typed; defaults are filled in here.

use core::time::Duration;
use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::check::RawCheck;
use super::pair::{self, RawLink, RawMeans, RawPair, RawPairTopology, RawVip};
use super::places::{Places, SegmentPlaces, of};
use super::sync::{self, RawCategory, RawSync};
use super::{Adapter, CarrierWatch, CarrierWhenCut, Config, Segment, Topology};
use crate::board::NO_RELAYS;
use crate::board::controller::{CutState, SegmentSettings};
use crate::board::raw::words;
use crate::diagnose::{Findings, Mistake, Mistakes, Source};

mod tables;

use tables::{RawControl, RawDeadMan, RawState, RawWatchdog};

/// Most segments and checks one agent minds; far above any appliance, far below what a turn could carry.
const SEGMENTS_MAX: usize = 32;
const CHECKS_MAX: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    board: Spanned<String>,
    topology: Option<Spanned<RawTopology>>,
    read_every_ms: Option<Spanned<i64>>,
    #[serde(default)]
    segment: Vec<RawSegment>,
    #[serde(default)]
    dead_man: RawDeadMan,
    #[serde(default)]
    watchdog: RawWatchdog,
    #[serde(default)]
    check: Vec<RawCheck>,
    #[serde(default)]
    control: RawControl,
    #[serde(default)]
    state: RawState,
    adapter: Option<RawAdapter>,
    record: Option<RawRecord>,
    pair: Option<RawPair>,
    #[serde(default)]
    link: Vec<RawLink>,
    #[serde(default)]
    vip: Vec<RawVip>,
    #[serde(default)]
    means: Vec<RawMeans>,
    sync: Option<Spanned<RawSync>>,
    #[serde(default)]
    category: Vec<Spanned<RawCategory>>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawTopology {
    Inline,
    Series,
    Parallel,
    Chained,
    Apart,
}

impl RawTopology {
    const fn of_a_pair(self) -> RawPairTopology {
        match self {
            Self::Inline => RawPairTopology::One,
            Self::Parallel => RawPairTopology::Parallel,
            Self::Apart => RawPairTopology::Apart,
            Self::Series | Self::Chained => RawPairTopology::InOneWire,
        }
    }
}

impl From<RawTopology> for Topology {
    fn from(raw: RawTopology) -> Self {
        match raw {
            RawTopology::Inline => Self::Inline,
            RawTopology::Series => Self::Series,
            RawTopology::Parallel => Self::Parallel,
            RawTopology::Chained => Self::Chained,
            RawTopology::Apart => Self::Apart,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSegment {
    name: Spanned<String>,
    at: Option<Spanned<String>>,
    ports: Option<Spanned<Vec<Spanned<String>>>>,
    fail: Option<Spanned<CutState>>,
    dwell_ms: Option<Spanned<i64>>,
    relink_ms: Option<Spanned<i64>>,
    closes_per_hour_max: Option<Spanned<i64>>,
    carrier_when_cut: Option<Spanned<CarrierWhenCut>>,
    power_up: Option<Spanned<CutState>>,
    power_off: Option<Spanned<CutState>>,
    expiry: Option<Spanned<CutState>>,
    carrier_unwatched_because: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAdapter {
    bus: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecord {
    file: Spanned<String>,
}

pub(super) fn parse(source: &Source) -> Result<Config, Mistakes> {
    let raw: RawConfig = source.parse()?;
    let mut findings = Findings::default();
    let config = raw.understand(source, &mut findings);
    findings.finish(source, config)
}

impl RawConfig {
    fn understand(&self, source: &Source, findings: &mut Findings) -> Config {
        let topology = self.topology.as_ref();
        let topology = topology.map_or(RawTopology::Inline, |raw| *raw.get_ref());
        let mut pair = pair::understand(
            (topology.of_a_pair(), of(&self.topology)),
            self.pair.as_ref(),
            &self.link,
            &self.vip,
            &self.means,
            findings,
        );
        self.refuse_counts(findings);
        self.refuse_half_without_relays(topology, findings);
        let segments: Vec<Segment> = self
            .segment
            .iter()
            .map(|s| s.understand(findings))
            .collect();
        distinct("segment", self.segment.iter().map(|s| &s.name), findings);
        distinct("check", self.check.iter().map(|c| &c.name), findings);
        let names: Vec<&str> = segments.iter().map(|s| s.name.as_str()).collect();
        let state = self.state.understand(findings);
        let key_file = pair.as_ref().map(|pair| pair.key_file.clone());
        let own = [state.dir.clone(), state.runtime_dir.clone()];
        let sync = sync::understand(
            self.sync.as_ref(),
            &self.category,
            &sync::Around {
                pair: pair.as_ref(),
                own: own.into_iter().chain(key_file).collect(),
            },
            findings,
        );
        if let (Some(pair), Some(raw)) = (&mut pair, &self.pair) {
            let by_pair = raw.takeover_requires_sync.as_ref();
            pair.sync_required = sync::required(by_pair, sync.as_ref(), &self.category, findings);
        }
        Config {
            board: self.board.get_ref().clone(),
            topology: topology.into(),
            read_every: millis(
                "read_every_ms",
                &self.read_every_ms,
                500,
                50,
                60_000,
                findings,
            ),
            checks: self
                .check
                .iter()
                .map(|c| c.understand(&names, findings))
                .collect(),
            dead_man: self.dead_man.understand(findings),
            watchdog: self.watchdog.understand(findings),
            control: self.control.understand(&state, findings),
            adapter: self.adapter.as_ref().map(|raw| adapter(&raw.bus, findings)),
            record: self.record.as_ref().map(|raw| path(&raw.file, findings)),
            pair,
            sync,
            state,
            segments,
            places: self.places(source),
        }
    }

    fn has_relays(&self) -> bool {
        self.board.get_ref() != NO_RELAYS
    }

    /// No bypass hardware and a topology without relays are one wish, said twice so that neither is a slip.
    fn refuse_half_without_relays(&self, topology: RawTopology, findings: &mut Findings) {
        if self.has_relays() == (topology != RawTopology::Apart) {
            return;
        }
        let place = of(&self.topology).unwrap_or(self.board.span());
        let mistake = if self.has_relays() {
            Mistake::new(place, "topology \"apart\" is a pair without relays").help(
                "two hosts of which only addresses move have board = \"none\"; a board's relays lie in one of the \
                 other topologies",
            )
        } else {
            Mistake::new(place, "board \"none\" has no relay that could lie in a wire").help(
                "a pair of which only addresses move has topology = \"apart\"; a single host without relays has nothing \
                 for this agent to do",
            )
        };
        findings.refuse(mistake);
    }

    fn refuse_counts(&self, findings: &mut Findings) {
        if self.segment.is_empty() && self.has_relays() {
            findings.refuse(
                Mistake::new(self.board.span(), "no segment is configured").help(
                    "add a [[segment]] with name and ports for each bypass segment that is in use",
                ),
            );
        }
        if let Some(extra) = self.segment.get(SEGMENTS_MAX) {
            findings.refuse(Mistake::new(
                extra.name.span(),
                format!("more than {SEGMENTS_MAX} segments"),
            ));
        }
        if let Some(extra) = self.check.get(CHECKS_MAX) {
            findings.refuse(Mistake::new(
                extra.name.span(),
                format!("more than {CHECKS_MAX} checks"),
            ));
        }
    }

    fn places(&self, source: &Source) -> Places {
        let segment = |raw: &RawSegment| SegmentPlaces {
            name: raw.name.span(),
            at: of(&raw.at),
            ports: of(&raw.ports),
            fail: of(&raw.fail),
            power_up: of(&raw.power_up),
            power_off: of(&raw.power_off),
            expiry: of(&raw.expiry),
        };
        Places {
            source: source.clone(),
            board: self.board.span(),
            segments: self.segment.iter().map(segment).collect(),
            period: of(&self.dead_man.period_ms),
            kick_every: of(&self.dead_man.kick_every_ms),
            measured: of(&self.dead_man.measured_ms),
            adapter: self.adapter.as_ref().map(|raw| raw.bus.span()),
            means: self.means.iter().map(RawMeans::place).collect(),
        }
    }
}

impl RawSegment {
    fn understand(&self, findings: &mut Findings) -> Segment {
        let setting = |raw: &Option<Spanned<CutState>>| raw.as_ref().map(|it| *it.get_ref());
        let closes = &self.closes_per_hour_max;
        let closes = closes
            .as_ref()
            .map(|n| findings.number("closes_per_hour_max", n, 1..=1_000_u32));
        Segment {
            name: words::name(&self.name, findings),
            at: self.at.as_ref().map(|at| at.get_ref().clone()),
            ports: self
                .ports
                .as_ref()
                .and_then(|raw| words::ports(raw, findings)),
            fail: setting(&self.fail).unwrap_or(CutState::Bypass),
            dwell: millis("dwell_ms", &self.dwell_ms, 5_000, 0, 3_600_000, findings),
            relink: millis("relink_ms", &self.relink_ms, 6_000, 0, 60_000, findings),
            closes_per_hour_max: closes.unwrap_or(20),
            carrier_when_cut: self
                .carrier_when_cut
                .as_ref()
                .map_or(CarrierWhenCut::Expected, |raw| *raw.get_ref()),
            overrides: SegmentSettings {
                power_up: setting(&self.power_up),
                power_off: setting(&self.power_off),
                expiry: setting(&self.expiry),
            },
            carrier: match &self.carrier_unwatched_because {
                None => CarrierWatch::Watched,
                Some(reason) => {
                    if reason.get_ref().trim().is_empty() {
                        findings.refuse(
                            Mistake::new(
                                reason.span(),
                                "carrier is not watched and nobody says why",
                            )
                            .help(
                                "write the reason; whoever reads `fencepost check` will ask for it",
                            ),
                        );
                    }
                    CarrierWatch::Unwatched(reason.get_ref().clone())
                }
            },
        }
    }
}

fn adapter(raw: &Spanned<String>, findings: &mut Findings) -> Adapter {
    match raw.get_ref().strip_prefix("unix:") {
        None => Adapter::Machine(words::adapter(raw, findings)),
        Some(socket) => {
            let at = Spanned::new(raw.span(), socket.to_owned());
            Adapter::Socket(path(&at, findings))
        }
    }
}

/// A time in ms within limits, or its default.
pub(super) fn millis(
    key: &str,
    raw: &Option<Spanned<i64>>,
    default: u32,
    least: u32,
    most: u32,
    findings: &mut Findings,
) -> Duration {
    let value = raw
        .as_ref()
        .map_or(default, |raw| findings.number(key, raw, least..=most));
    Duration::from_millis(u64::from(value))
}

/// An absolute path: a service has no directory of its own to be relative to.
pub(super) fn path(raw: &Spanned<String>, findings: &mut Findings) -> PathBuf {
    let path = PathBuf::from(raw.get_ref());
    if !path.is_absolute() || raw.get_ref().contains('\0') {
        findings.refuse(
            Mistake::new(
                raw.span(),
                format!("`{}` is not an absolute path", raw.get_ref()),
            )
            .label("must begin with `/`"),
        );
    }
    path
}

fn distinct<'a>(
    what: &str,
    names: impl Iterator<Item = &'a Spanned<String>>,
    findings: &mut Findings,
) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name.get_ref()) {
            findings.refuse(
                Mistake::new(
                    name.span(),
                    format!("{what} `{}` is named twice", name.get_ref()),
                )
                .label("each name once"),
            );
        }
    }
}
