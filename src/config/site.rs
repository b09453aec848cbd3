//! A configuration joined with its board: every wish either possible or refused, every default derived.

use std::collections::BTreeSet;

use serde::Serialize;

use super::places::{Place, SegmentPlaces};
use super::{Adapter, CarrierWatch, Check, CheckKind, Config, Segment, Timing};
use crate::board::Board;
use crate::board::controller::{CutState, RelayState, SegmentSettings};
use crate::board::profile::{AdapterRef, BoardSegment, ControllerSpec, Kept, PortRef, SettingSpec};
use crate::diagnose::{Findings, Mistake, Mistakes, nearest};
use crate::node::policy::CheckSeverity;

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
        let mut settings = Vec::new();
        for (index, segment) in config.segments.iter_mut().enumerate() {
            let places = &config.places.segments[index];
            take_ports(segment, &part.segments[index], places, &mut findings);
            refuse_impossible_fail(segment, &part.segments[index], places, &mut findings);
            settings.push(derive(
                segment,
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

/// Board index and configuration index of each segment in use, in board order.
fn choose(config: &Config, board: &Board, findings: &mut Findings) -> Vec<(usize, usize)> {
    let family = matches!(board.controller, ControllerSpec::LannerGen3 { .. });
    let mut chosen = Vec::new();
    for (nth, segment) in config.segments.iter().enumerate() {
        let places = &config.places.segments[nth];
        let found = match &segment.at {
            Some(at) => board.segments.iter().position(|s| s.name == *at),
            None if family => None,
            None => Some(nth).filter(|nth| *nth < board.segments.len()),
        };
        match found {
            None => findings.refuse(no_such_segment(segment, places, board, family)),
            Some(index) if chosen.iter().any(|(taken, _)| *taken == index) => findings.refuse(
                Mistake::new(
                    places.at.clone().unwrap_or(places.name.clone()),
                    format!("the board's `{}` is used twice", board.segments[index].name),
                )
                .help("with `at` in one [[segment]], give it in all of them"),
            ),
            Some(index) => chosen.push((index, nth)),
        }
    }
    chosen.sort_unstable();
    chosen
}

fn no_such_segment(
    segment: &Segment,
    places: &SegmentPlaces,
    board: &Board,
    family: bool,
) -> Mistake {
    let names: Vec<&str> = board.segments.iter().map(|s| s.name.as_str()).collect();
    let list = match names.as_slice() {
        [first, .., last] if names.len() > 8 => format!("{first} to {last}"),
        _ => names.join(", "),
    };
    match (&segment.at, &places.at) {
        (Some(at), Some(place)) => {
            let near = nearest(at, names.iter().copied());
            let near = near.map_or_else(String::new, |word| format!("did you mean `{word}`? "));
            Mistake::new(
                place.clone(),
                format!("board {} has no segment `{at}`", board.id),
            )
            .help(format!("{near}it has: {list}"))
        }
        _ if family => Mistake::new(
            places.name.clone(),
            format!("segment `{}` does not say which pair it is", segment.name),
        )
        .help(format!("add at = \"…\", one of {list}")),
        _ => Mistake::new(
            places.name.clone(),
            format!("board {} has only {} segments", board.id, names.len()),
        )
        .help(format!("it has: {list}")),
    }
}

fn reorder(config: &mut Config, chosen: &[(usize, usize)]) {
    let pick = |nth: &usize| config.segments[*nth].clone();
    let segments = chosen.iter().map(|(_, nth)| pick(nth)).collect();
    let places = &config.places.segments;
    let places = chosen.iter().map(|(_, nth)| places[*nth].clone()).collect();
    config.segments = segments;
    config.places.segments = places;
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

fn refuse_impossible_fail(
    segment: &Segment,
    fact: &BoardSegment,
    places: &SegmentPlaces,
    findings: &mut Findings,
) {
    let place = places.fail.clone().unwrap_or(places.name.clone());
    let fail = RelayState::from(segment.fail);
    if !fact.run_time.contains(&fail) {
        findings.refuse(
            Mistake::new(place, format!("this board cannot {fail}"))
                .label(format!("its relays can: {}", list(&fact.run_time))),
        );
    } else if !fact.expiry.possible.is_empty() && !fact.expiry.possible.contains(&fail) {
        findings.refuse(
            Mistake::new(place, format!("this board's dead-man cannot {fail}"))
                .label(format!("on expiry it can: {}", list(&fact.expiry.possible)))
                .help("a hung host would leave the segment where the policy does not want it"),
        );
    }
}

/// What to bring the board to: each setting as overridden, or the fail state, or the nearest the board can.
fn derive(
    segment: &Segment,
    fact: &BoardSegment,
    places: &SegmentPlaces,
    findings: &mut Findings,
) -> SegmentSettings {
    let mut one = |key: &str, wish: Option<CutState>, spec: &SettingSpec, place: &Option<Place>| {
        if let (Some(wish), Some(place)) = (wish, place)
            && !(spec.kept != Kept::Stays && spec.possible.contains(&wish.into()))
        {
            findings.refuse(
                Mistake::new(
                    place.clone(),
                    format!("{key} cannot be {wish} on this board"),
                )
                .label(describe(spec)),
            );
        }
        let wanted = wish.unwrap_or(segment.fail);
        match spec.kept {
            Kept::Wired | Kept::Stays | Kept::Unknown => None,
            Kept::Volatile | Kept::NonVolatile if spec.possible.contains(&wanted.into()) => {
                Some(wanted)
            }
            Kept::Volatile | Kept::NonVolatile => {
                spec.possible.iter().find_map(|state| cut(*state))
            }
        }
    };
    let wishes = &segment.overrides;
    SegmentSettings {
        power_up: one(
            "power_up",
            wishes.power_up,
            &fact.power_up,
            &places.power_up,
        ),
        power_off: one(
            "power_off",
            wishes.power_off,
            &fact.power_off,
            &places.power_off,
        ),
        expiry: one("expiry", wishes.expiry, &fact.expiry, &places.expiry),
    }
}

/// CASwell generation 2 has one bit per segment for bypass or open, whatever leads there.
fn refuse_split_bit(segment: &Segment, places: &SegmentPlaces, findings: &mut Findings) {
    let wishes = &segment.overrides;
    for (key, wish, place) in [
        ("power_up", wishes.power_up, &places.power_up),
        ("power_off", wishes.power_off, &places.power_off),
        ("expiry", wishes.expiry, &places.expiry),
    ] {
        if let (Some(wish), Some(place)) = (wish, place)
            && wish != segment.fail
        {
            findings.refuse(
                Mistake::new(
                    place.clone(),
                    format!("{key} cannot differ from fail on this board"),
                )
                .label(format!("fail is {}", segment.fail))
                .help("one bit per segment decides between Bypass and Disconnect in every case"),
            );
        }
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

fn add_carrier_checks(config: &mut Config) {
    let mut added = Vec::new();
    for segment in &config.segments {
        if segment.carrier != CarrierWatch::Watched {
            continue;
        }
        for port in segment.ports.iter().flatten() {
            let kind = CheckKind::Carrier { port: port.clone() };
            let known = |check: &Check| {
                check.kind == kind || check.name == format!("carrier-{}", name(port))
            };
            if !config.checks.iter().any(known) {
                added.push(carrier_check(segment, port, kind));
            }
        }
    }
    added.append(&mut config.checks);
    config.checks = added;
}

fn carrier_check(segment: &Segment, port: &PortRef, kind: CheckKind) -> Check {
    use core::time::Duration;
    Check {
        name: format!("carrier-{}", name(port)),
        severity: CheckSeverity::Failover,
        segments: vec![segment.name.clone()],
        // Reading carrier costs one small kernel read; twice in a row, so that one renegotiated lane is no failure.
        interval: Duration::from_millis(100),
        timeout: Duration::from_millis(1_000),
        rise: 1,
        fall: 2,
        kind,
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
        ControllerSpec::PulseTrain { .. }
        | ControllerSpec::GpioMonostable { .. }
        | ControllerSpec::GpioLatching { .. } => findings.refuse(
            Mistake::new(
                config.places.adapter.clone().unwrap_or(0..0),
                format!("board {} has no bus", board.id),
            )
            .help("its relays hang on GPIO lines, which are found by name; take [adapter] out"),
        ),
    }
}

/// A setting's range in words.
fn describe(spec: &SettingSpec) -> String {
    match spec.kept {
        Kept::Wired if spec.possible.is_empty() => "this board has no dead-man".to_owned(),
        Kept::Wired => format!("wired: {}", list(&spec.possible)),
        Kept::Stays => "the relay stays where it was".to_owned(),
        Kept::Unknown => "no public source says what it is".to_owned(),
        Kept::Volatile | Kept::NonVolatile => format!("possible: {}", list(&spec.possible)),
    }
}

fn list(states: &[RelayState]) -> String {
    let words: Vec<String> = states.iter().map(ToString::to_string).collect();
    words.join(", ")
}

fn cut(state: RelayState) -> Option<CutState> {
    match state {
        RelayState::Bypass => Some(CutState::Bypass),
        RelayState::Disconnect => Some(CutState::Disconnect),
        RelayState::Normal | RelayState::Unknown => None,
    }
}

fn name(port: &PortRef) -> &str {
    match port {
        PortRef::Pci(name) | PortRef::Interface(name) => name,
    }
}
