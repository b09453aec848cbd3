//! Fail state and stored settings: what is wished against what the board can do.

use crate::board::controller::{CutState, RelayState, SegmentSettings};
use crate::board::profile::{BoardSegment, Kept, SettingSpec};
use crate::config::places::{Place, SegmentPlaces};
use crate::config::{Segment, Topology};
use crate::diagnose::{Findings, Mistake};

pub(super) fn refuse_impossible_fail(
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

/// What to bring the board to: each setting as overridden, or the fail state, or the nearest the board can. A strap is
/// not brought anywhere: a pair's must be what its cabling needs, or the driver refuses to go on.
pub(super) fn derive(
    segment: &Segment,
    topology: Topology,
    fact: &BoardSegment,
    places: &SegmentPlaces,
    findings: &mut Findings,
) -> SegmentSettings {
    let mut one = |key: &str, wish: Option<CutState>, spec: &SettingSpec, place: &Option<Place>| {
        if let (Some(wish), Some(place)) = (wish, place)
            && (matches!(spec.kept, Kept::Stays | Kept::Strapped)
                || !spec.possible.contains(&wish.into()))
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
            Kept::Strapped => (topology != Topology::Inline).then(|| topology.strap()),
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
pub(super) fn refuse_split_bit(segment: &Segment, places: &SegmentPlaces, findings: &mut Findings) {
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

/// A setting's range in words.
fn describe(spec: &SettingSpec) -> String {
    match spec.kept {
        Kept::Wired if spec.possible.is_empty() => "this board has no dead-man".to_owned(),
        Kept::Wired => format!("wired: {}", list(&spec.possible)),
        Kept::Strapped => "a strap on the controller, which belongs to the cabling".to_owned(),
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
