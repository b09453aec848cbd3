//! Which of the board's segments the configuration means.

use crate::board::Board;
use crate::board::profile::ControllerSpec;
use crate::config::places::SegmentPlaces;
use crate::config::{Config, Segment};
use crate::diagnose::{Findings, Mistake, nearest};

/// Board index and configuration index of each segment in use, in board order.
pub(super) fn choose(
    config: &Config,
    board: &Board,
    findings: &mut Findings,
) -> Vec<(usize, usize)> {
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
        _ if names.is_empty() => Mistake::new(
            places.name.clone(),
            format!("board {} has no segments", board.id),
        )
        .help("take every [[segment]] out, or name the board whose relays they are"),
        _ => Mistake::new(
            places.name.clone(),
            format!("board {} has only {} segments", board.id, names.len()),
        )
        .help(format!("it has: {list}")),
    }
}

pub(super) fn reorder(config: &mut Config, chosen: &[(usize, usize)]) {
    let pick = |nth: &usize| config.segments[*nth].clone();
    let segments = chosen.iter().map(|(_, nth)| pick(nth)).collect();
    let places = &config.places.segments;
    let places = chosen.iter().map(|(_, nth)| places[*nth].clone()).collect();
    config.segments = segments;
    config.places.segments = places;
}
