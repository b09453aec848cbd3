//! A configuration joined with its board: every wish either possible or refused, every default derived.

use std::collections::BTreeSet;

use serde::Serialize;

use super::pair::How;
use super::places::SegmentPlaces;
use super::{Adapter, Config, Segment, Timing};
use crate::board::Board;
use crate::board::controller::SegmentSettings;
use crate::board::profile::{AdapterRef, BoardSegment, ControllerSpec, PortRef};
use crate::diagnose::{Findings, Mistake, Mistakes};

mod carrier;
mod choose;
mod settings;

use carrier::add_carrier_checks;
use choose::{choose, reorder};
use settings::{derive, refuse_impossible_fail, refuse_split_bit};

/// What runs here: only [`Site::new`] makes one, so the parts are known to fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    /// The configuration, segments in board order, each with its ports, checks complete.
    pub config: Config,
    /// The board, reduced to the segments in use.
    pub board: Board,
    /// Stored settings to bring the board to, in segment order; `None` where nothing is to be set.
    pub settings: Vec<SegmentSettings>,
    /// The dead-man's effective times.
    pub timing: Timing,
}

impl Site {
    /// Join the two.
    ///
    /// # Errors
    /// Everything the board cannot do or does not have, placed in the configuration file.
    pub fn new(mut config: Config, board: &Board) -> Result<Self, Mistakes> {
        let mut findings = Findings::default();
        let source = config.places.source.clone();
        let chosen = choose(&config, board, &mut findings);
        // Without the right segments nothing below can be judged.
        let (chosen, mut findings) = match findings.finish(&source, chosen) {
            Ok(chosen) => (chosen, Findings::default()),
            Err(mistakes) => return Err(mistakes),
        };
        let indices: Vec<usize> = chosen.iter().map(|(index, _)| *index).collect();
        let mut part = match board.only(&indices) {
            Ok(part) => part,
            Err(sentence) => {
                let mut findings = Findings::default();
                let place = config.places.segments.first();
                let place = place.map_or(config.places.board.clone(), |s| s.name.clone());
                findings.refuse(
                    Mistake::new(place, "these segments cannot be used by themselves")
                        .help(sentence),
                );
                findings.finish(&source, ())?;
                board.clone()
            }
        };
        reorder(&mut config, &chosen);
        let topology = config.topology;
        let mut settings = Vec::new();
        for (index, segment) in config.segments.iter_mut().enumerate() {
            let places = &config.places.segments[index];
            take_ports(segment, &part.segments[index], places, &mut findings);
            refuse_impossible_fail(segment, &part.segments[index], places, &mut findings);
            settings.push(derive(
                segment,
                topology,
                &part.segments[index],
                places,
                &mut findings,
            ));
            if matches!(part.controller, ControllerSpec::CaswellGen2 { .. }) {
                refuse_split_bit(segment, places, &mut findings);
            }
            part.segments[index].ports = segment.ports.clone();
        }
        refuse_shared_ports(&config, &mut findings);
        add_carrier_checks(&mut config);
        use_adapter(&config, &mut part, &mut findings);
        refuse_missing_fence_wire(&config, &part, &mut findings);
        let timing = Timing::resolve(&config, &mut part, &mut findings);
        findings.finish(
            &source,
            Self {
                config,
                board: part,
                settings,
                timing,
            },
        )
    }
}

fn take_ports(
    segment: &mut Segment,
    fact: &BoardSegment,
    places: &SegmentPlaces,
    findings: &mut Findings,
) {
    match (&segment.ports, &fact.ports) {
        (None, None) => findings.refuse(
            Mistake::new(
                places.name.clone(),
                format!("segment `{}` does not name its ports", segment.name),
            )
            .help(
                "add ports = [\"…\", \"…\"]: no public source says which ports this board's relay joins, and \
                 commissioning proves what you write",
            ),
        ),
        (Some(said), Some(known)) if said != known => findings.refuse(
            Mistake::new(
                places.ports.clone().unwrap_or(places.name.clone()),
                "the board's profile knows other ports for this segment",
            )
            .label(format!("profile: {} and {}", name(&known[0]), name(&known[1])))
            .help("leave `ports` out, or correct the profile in /etc/fencepost/boards"),
        ),
        (None, Some(known)) => segment.ports = Some(known.clone()),
        _ => {}
    }
}

fn refuse_shared_ports(config: &Config, findings: &mut Findings) {
    let mut seen: BTreeSet<&PortRef> = BTreeSet::new();
    for (segment, places) in config.segments.iter().zip(&config.places.segments) {
        for port in segment.ports.iter().flatten() {
            if !seen.insert(port) {
                let place = places.ports.clone().unwrap_or(places.name.clone());
                findings.refuse(
                    Mistake::new(place, format!("port {} is in two segments", name(port)))
                        .label("a port has one relay"),
                );
            }
        }
    }
}

fn use_adapter(config: &Config, board: &mut Board, findings: &mut Findings) {
    let Some(Adapter::Machine(wanted)) = &config.adapter else {
        return;
    };
    match &mut board.controller {
        ControllerSpec::Reference { adapter, .. }
        | ControllerSpec::LannerGen3 { adapter, .. }
        | ControllerSpec::CaswellGen2 { adapter, .. }
        | ControllerSpec::Riverbed { adapter, .. } => *adapter = AdapterRef::clone(wanted),
        ControllerSpec::Absent
        | ControllerSpec::PulseTrain { .. }
        | ControllerSpec::GpioMonostable { .. }
        | ControllerSpec::GpioLatching { .. } => findings.refuse(
            Mistake::new(
                config.places.adapter.clone().unwrap_or(0..0),
                format!("board {} has no bus", board.id),
            )
            .help("its relays, if any, hang on GPIO lines, which are found by name; take [adapter] out"),
        ),
    }
}

fn refuse_missing_fence_wire(config: &Config, board: &Board, findings: &mut Findings) {
    let means = config.pair.as_ref().and_then(|pair| pair.means.as_ref());
    for (means, place) in means.into_iter().flatten().zip(&config.places.means) {
        if means.how == How::FenceWire && board.fence.is_none() {
            findings.refuse(
                Mistake::new(
                    place.clone(),
                    format!("board {} has no fence output", board.id),
                )
                .help("take this [[means]] out, and name another one"),
            );
        }
    }
}

fn name(port: &PortRef) -> &str {
    match port {
        PortRef::Pci(name) | PortRef::Interface(name) => name,
    }
}
