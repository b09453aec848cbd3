//! What a timeline says before it is drawn: where zero is, what is worth looking at closely, and what each hole cost.
//!
//! Pure. A hole's time is split at the last move of a relay in it: before that, traffic waited for *us* (detection, decision, bus,
//! contacts); after it, for the links to renegotiate, which is physics. A hole in which no relay moved is all ours.

use crate::outcome::{Path, Since, Timeline};

/// Holes closer together than this are one to a user.
const TOGETHER_MS: f64 = 2.0;
/// From a move of the contacts to the first frame lost: the wire looks at them each millisecond, on a busy machine later.
const OPENED_BY_MS: f64 = 20.0;
/// The close view must be at least this much shorter than the run to be worth having.
const CLOSE_SHARE: f64 = 0.6;

/// A hole in the traffic, over both directions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hole {
    /// First frame lost.
    pub(super) from_ms: f64,
    /// Until when it was ours: the last relay move in it, or its end.
    pub(super) ours_until_ms: f64,
    /// First frame that came again.
    pub(super) to_ms: f64,
}

impl Hole {
    pub(super) fn length_ms(&self) -> f64 {
        self.to_ms - self.from_ms
    }

    pub(super) fn ours_ms(&self) -> f64 {
        self.ours_until_ms - self.from_ms
    }

    pub(super) fn relink_ms(&self) -> f64 {
        self.to_ms - self.ours_until_ms
    }
}

/// Who an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Voice {
    /// The rig did it.
    Fault,
    Controller,
    Agent,
    Machine,
}

impl Voice {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Controller => "controller",
            Self::Agent => "agent",
            Self::Machine => "machine",
        }
    }

    pub(super) const fn letter(self) -> char {
        match self {
            Self::Fault => 'F',
            Self::Controller => 'C',
            Self::Agent => 'A',
            Self::Machine => 'M',
        }
    }
}

/// One line of the story.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) t_ms: f64,
    pub(super) voice: Voice,
    /// Which one of its voice, from 1.
    pub(super) number: usize,
    pub(super) text: String,
}

impl Told {
    /// How the picture points at it: `C2` is the controller's second event.
    pub(super) fn mark(&self) -> String {
        match self.voice {
            Voice::Fault => "⚑".to_owned(),
            Voice::Controller | Voice::Agent | Voice::Machine => {
                format!("{}{}", self.voice.letter(), self.number)
            }
        }
    }
}

/// Everything the picture needs that is not in the timeline itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Story {
    /// Times are counted from here: the first fault, or the beginning.
    pub(super) zero_ms: f64,
    /// Whether zero is a fault.
    pub(super) zero_is_fault: bool,
    /// What deserves a close view; `None`: the whole run does.
    pub(super) close: Option<(f64, f64)>,
    /// Holes, in order.
    pub(super) holes: Vec<Hole>,
    /// Everything that happened, in order.
    pub(super) told: Vec<Told>,
}

/// Reads a timeline.
pub(super) fn read(timeline: &Timeline) -> Story {
    let first_fault = timeline.faults.iter().map(|fault| fault.t_ms);
    let first_fault = first_fault.min_by(f64::total_cmp);
    let holes = holes(timeline);
    Story {
        zero_ms: first_fault.unwrap_or(0.0),
        zero_is_fault: first_fault.is_some(),
        close: close(timeline, &holes),
        told: told(timeline),
        holes,
    }
}

/// How long the timeline is, whatever it says of itself.
pub(super) fn end_ms(timeline: &Timeline) -> f64 {
    let moments = [
        &timeline.controller_events,
        &timeline.agent_events,
        &timeline.faults,
        &timeline.machine_events,
    ];
    let moments = moments.into_iter().flatten().map(|moment| moment.t_ms);
    let relays = timeline.relay.iter().flat_map(|track| &track.states);
    let relays = relays.map(|since| since.t_ms);
    let gaps = timeline.gaps.iter().map(|gap| gap.to_ms);
    let bounds = timeline.bounds.iter().map(|bound| bound.to_ms);
    moments
        .chain(relays)
        .chain(gaps)
        .chain(bounds)
        .filter(|t| t.is_finite())
        .fold(timeline.duration_ms.max(1.0), f64::max)
}

/// When relays changed after the start.
fn moves(timeline: &Timeline) -> Vec<f64> {
    let tracks = timeline.relay.iter();
    let mut moves: Vec<f64> = tracks
        .flat_map(|track| track.states.iter().skip(1))
        .map(|since| since.t_ms)
        .collect();
    moves.sort_by(f64::total_cmp);
    moves
}

fn holes(timeline: &Timeline) -> Vec<Hole> {
    let mut gaps: Vec<(f64, f64)> = timeline
        .gaps
        .iter()
        .map(|gap| (gap.from_ms, gap.to_ms.max(gap.from_ms)))
        .collect();
    gaps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut merged: Vec<(f64, f64)> = Vec::new();
    for (from, to) in gaps {
        match merged.last_mut() {
            Some(last) if from <= last.1 + TOGETHER_MS => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    let moves = moves(timeline);
    let split = |(from_ms, to_ms): (f64, f64)| {
        // The move that opened the hole lies just before the first lost frame.
        let inside = moves
            .iter()
            .rev()
            .find(|t| (from_ms - OPENED_BY_MS..=to_ms).contains(*t));
        Hole {
            from_ms,
            ours_until_ms: inside.map_or(to_ms, |t| t.clamp(from_ms, to_ms)),
            to_ms,
        }
    };
    merged.into_iter().map(split).collect()
}

fn close(timeline: &Timeline, holes: &[Hole]) -> Option<(f64, f64)> {
    let end = end_ms(timeline);
    let faults = timeline.faults.iter().map(|fault| fault.t_ms);
    // What came before the first fault is how the bench was brought to rest.
    let begin = faults.clone().fold(f64::INFINITY, f64::min);
    let begin = if begin.is_finite() { begin } else { 0.0 };
    let worth: Vec<f64> = faults
        .chain(moves(timeline))
        .chain(timeline.bounds.iter().flat_map(|it| [it.from_ms, it.to_ms]))
        .chain(
            holes
                .iter()
                .filter(|hole| hole.length_ms() > 20.0)
                .flat_map(|hole| [hole.from_ms, hole.to_ms]),
        )
        .filter(|t| *t >= begin)
        .collect();
    let first = worth.iter().copied().min_by(f64::total_cmp)?;
    let last = worth.iter().copied().max_by(f64::total_cmp)?;
    let margin = ((last - first) * 0.06).max(150.0);
    let (from, to) = ((first - margin).max(0.0), (last + margin).min(end));
    (to - from < CLOSE_SHARE * end).then_some((from, to))
}

fn told(timeline: &Timeline) -> Vec<Told> {
    let voices = [
        (Voice::Fault, &timeline.faults),
        (Voice::Controller, &timeline.controller_events),
        (Voice::Agent, &timeline.agent_events),
        (Voice::Machine, &timeline.machine_events),
    ];
    let mut told: Vec<Told> = voices
        .into_iter()
        .flat_map(|(voice, moments)| {
            moments.iter().map(move |moment| Told {
                t_ms: moment.t_ms,
                voice,
                number: 0,
                text: moment.text.clone(),
            })
        })
        .collect();
    told.sort_by(|a, b| a.t_ms.total_cmp(&b.t_ms).then(a.voice.cmp(&b.voice)));
    let mut counts = [0; 4];
    for line in &mut told {
        let count = &mut counts[line.voice as usize];
        *count += 1;
        line.number = *count;
    }
    told
}

/// Stretches of a track between `from_ms` and `to_ms`: where each begins, ends, and what it is.
pub(super) fn stretches<T: Copy>(
    states: &[Since<T>],
    from_ms: f64,
    to_ms: f64,
) -> Vec<(f64, f64, T)> {
    let ends = states.iter().skip(1).map(|since| since.t_ms);
    states
        .iter()
        .zip(ends.chain([f64::INFINITY]))
        .map(|(since, end)| (since.t_ms.max(from_ms), end.min(to_ms), since.state))
        .filter(|(start, end, _)| end > start)
        .collect()
}

/// The parts of `from_ms..to_ms` in which frames of one direction passed, each with its path.
pub(super) fn passing(
    paths: &[Since<Path>],
    gaps: &[(f64, f64)],
    from_ms: f64,
    to_ms: f64,
) -> Vec<(f64, f64, Option<Path>)> {
    let known: Vec<(f64, f64, Option<Path>)> = if paths.is_empty() {
        vec![(from_ms, to_ms, None)]
    } else {
        let before = paths.first().map_or(to_ms, |first| first.t_ms.min(to_ms));
        let unknown = (before > from_ms).then_some((from_ms, before, None));
        let rest = stretches(paths, from_ms, to_ms);
        let rest = rest.into_iter().map(|(a, b, path)| (a, b, Some(path)));
        unknown.into_iter().chain(rest).collect()
    };
    let mut passing = Vec::new();
    for (start, end, path) in known {
        let mut at = start;
        for (gap_from, gap_to) in gaps {
            if *gap_to <= at || *gap_from >= end {
                continue;
            }
            if *gap_from > at {
                passing.push((at, *gap_from, path));
            }
            at = gap_to.min(end);
        }
        if end > at {
            passing.push((at, end, path));
        }
    }
    passing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Bound, Gap, Moment, RelayTrack, Way};
    use fencepost::board::RelayState;

    fn timeline() -> Timeline {
        let relay = |t_ms, state| Since { t_ms, state };
        let gap = |from_ms, to_ms, direction| Gap {
            from_ms,
            to_ms,
            direction,
        };
        Timeline {
            duration_ms: 40_000.0,
            relay: vec![RelayTrack {
                segment: "wan".into(),
                states: vec![
                    relay(0.0, RelayState::Normal),
                    relay(11_000.0, RelayState::Unknown),
                    relay(11_006.0, RelayState::Bypass),
                ],
            }],
            faults: vec![Moment {
                t_ms: 10_000.0,
                text: "kernel panics".into(),
            }],
            agent_events: vec![Moment {
                t_ms: 12_000.0,
                text: "gone".into(),
            }],
            gaps: vec![
                gap(10_003.0, 12_506.0, Way::BToA),
                gap(10_001.0, 12_505.0, Way::AToB),
                gap(13_000.0, 13_001.0, Way::AToB),
            ],
            bounds: vec![Bound {
                from_ms: 10_000.0,
                to_ms: 13_000.0,
                text: "relay at Bypass".into(),
            }],
            ..Timeline::default()
        }
    }

    #[test]
    fn a_hole_is_split_at_the_last_move() {
        let story = read(&timeline());
        assert_eq!(story.holes.len(), 2);
        let hole = story.holes[0];
        assert!((hole.length_ms() - 2505.0).abs() < 1e-9);
        assert!((hole.ours_ms() - 1005.0).abs() < 1e-9);
        assert!((hole.relink_ms() - 1500.0).abs() < 1e-9);
        let still = story.holes[1];
        assert!((still.ours_ms() - 1.0).abs() < 1e-9, "no relay moved in it");
    }

    #[test]
    fn a_hole_opened_by_the_move_is_all_physics() {
        let mut timeline = timeline();
        timeline.gaps = vec![Gap {
            from_ms: 11_007.0,
            to_ms: 12_506.0,
            direction: Way::AToB,
        }];
        let hole = read(&timeline).holes[0];
        assert!(hole.ours_ms().abs() < 1e-9 && hole.relink_ms() > 1400.0);
    }

    #[test]
    fn zero_is_the_first_fault_and_the_close_view_holds_what_matters() {
        let story = read(&timeline());
        assert!(story.zero_is_fault && (story.zero_ms - 10_000.0).abs() < 1e-9);
        let (from, to) = story.close.unwrap();
        assert!(from < 10_000.0 && to > 13_000.0 && to < 15_000.0);
        assert_eq!(story.told.len(), 2);
        assert_eq!(story.told[1].mark(), "A1");
    }

    #[test]
    fn traffic_has_its_holes_and_its_paths() {
        let paths = [
            Since {
                t_ms: 10.0,
                state: Path::Host,
            },
            Since {
                t_ms: 60.0,
                state: Path::Bypass,
            },
        ];
        let parts = passing(&paths, &[(40.0, 55.0), (70.0, 71.0)], 0.0, 100.0);
        assert_eq!(
            parts,
            [
                (0.0, 10.0, None),
                (10.0, 40.0, Some(Path::Host)),
                (55.0, 60.0, Some(Path::Host)),
                (60.0, 70.0, Some(Path::Bypass)),
                (71.0, 100.0, Some(Path::Bypass)),
            ]
        );
    }

    #[test]
    fn an_empty_timeline_has_an_empty_story() {
        let story = read(&Timeline::default());
        assert_eq!(story.close, None);
        assert!(story.holes.is_empty() && story.told.is_empty());
        assert!(end_ms(&Timeline::default()) > 0.0);
    }
}
