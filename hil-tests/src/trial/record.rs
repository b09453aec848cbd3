//! The end of a trial: measurements, and the timeline for the picture.

use std::time::Duration;

use fencepost::board::RelayState;
use fencepost::node::Instant;
use fencepost::sim::{BoardEvent, BoardFact};

use super::Trial;
use crate::appliance::guest_clock::ms;
use crate::oracle::{Leaks, Span, Track, leaks};
use crate::outcome::{Bound, Gap, Moment, Path, RelayTrack, Since, Timeline, Way};
use crate::wire::traffic::{Direction, Report, Via};

/// Holes shorter than this are not drawn.
const GAP_MIN_MS: f64 = 1.0;
/// Most of anything that is drawn.
const DRAWN_MAX: usize = 2_000;
/// What is still under way at the end of a measurement counts as lost: give it this long.
const UNDER_WAY: Duration = Duration::from_millis(300);

/// What was measured.
pub struct Measured {
    /// Longest hole since the last stimulus, milliseconds.
    pub gap_ms: f64,
    /// Frames that were where they should not have been.
    pub leaks: Leaks,
    /// From stimulus to contacts.
    pub relay: Option<Duration>,
    /// What was allowed.
    pub bound: Option<Duration>,
    /// What was seen, in sentences.
    pub seen: String,
    /// For the picture.
    pub timeline: Timeline,
}

impl Trial<'_> {
    /// Ends the trial, whatever came of it. `failed`: keep logs.
    pub fn end(mut self, failed: bool) -> Measured {
        let to = self.appliance.now();
        std::thread::sleep(UNDER_WAY);
        let whole = Span {
            from: self.start,
            to,
        };
        let wire = Track {
            at_start: RelayState::Normal,
            moves: self.appliance.wire_moves_since(self.start),
        };
        let wires = wire.wire_spans(whole, self.appliance.relink());
        let away: Vec<Span> = self
            .away
            .iter()
            .map(|span| Span {
                from: span.from,
                to: span.to.min(to),
            })
            .filter(|span| span.from < span.to)
            .collect();
        let traffic = self.appliance.traffic();
        let leaks = leaks(&away, &wires, 0, |span| traffic.report(span.from, span.to));
        let since_stimulus = traffic.report(self.stimulus.max(self.start), to);
        let report = traffic.report(self.start, to);
        let timeline = self.timeline(to, &report, failed);
        Measured {
            gap_ms: since_stimulus
                .a_to_b
                .longest_loss_ms
                .max(since_stimulus.b_to_a.longest_loss_ms),
            leaks,
            relay: self.relay,
            bound: self.bound,
            seen: self.seen.join("; "),
            timeline,
        }
    }

    fn timeline(&mut self, to: Instant, report: &Report, failed: bool) -> Timeline {
        let zero = ms(self.start);
        let entries = self.appliance.events(self.first_event).unwrap_or_default();
        let agent_events = self.appliance.agent_moments(&entries);
        let journal = self.appliance.journal().to_vec();
        let machine_events = self.appliance.machine_log();
        let relay = self.relay_tracks(zero);
        let paths = report.a_to_b.paths.iter().filter_map(|path| {
            let state = match path.via[0] {
                Via::Host => Path::Host,
                Via::Bypass => Path::Bypass,
                Via::Nothing => return None,
            };
            Some(Since {
                t_ms: ms(path.at) - zero,
                state,
            })
        });
        let bounds = self.bounds.iter().map(|bound| Bound {
            from_ms: bound.from_ms - zero,
            to_ms: bound.to_ms - zero,
            text: bound.text.clone(),
        });
        Timeline {
            duration_ms: ms(to) - zero,
            relay,
            controller_events: shifted(
                journal.iter().filter_map(controller_moment).collect(),
                zero,
            ),
            agent_events: shifted(agent_events, zero),
            faults: shifted(self.faults.clone(), zero),
            gaps: gaps(&report.a_to_b, Way::AToB, zero)
                .chain(gaps(&report.b_to_a, Way::BToA, zero))
                .collect(),
            paths: paths.take(DRAWN_MAX).collect(),
            machine_events: shifted(machine_events, zero),
            bounds: bounds.collect(),
            log: if failed {
                self.appliance.logs()
            } else {
                String::new()
            },
        }
    }

    fn relay_tracks(&mut self, zero: f64) -> Vec<RelayTrack> {
        let tracks = self.tracks();
        let named = tracks.into_iter().enumerate().map(|(segment, track)| {
            let start = Since {
                t_ms: 0.0,
                state: track.at_start,
            };
            let moves = track.moves.into_iter().map(|(at, state)| Since {
                t_ms: ms(at) - zero,
                state,
            });
            RelayTrack {
                segment: self.appliance.model().site_name(segment),
                states: [start].into_iter().chain(moves).take(DRAWN_MAX).collect(),
            }
        });
        named.collect()
    }
}

fn shifted(moments: Vec<Moment>, zero: f64) -> Vec<Moment> {
    let mut moments: Vec<Moment> = moments
        .into_iter()
        .map(|moment| Moment {
            t_ms: moment.t_ms - zero,
            ..moment
        })
        .collect();
    moments.sort_by(|a, b| a.t_ms.total_cmp(&b.t_ms));
    moments.truncate(DRAWN_MAX);
    moments
}

fn gaps(way: &Direction, direction: Way, zero: f64) -> impl Iterator<Item = Gap> + '_ {
    let long = way
        .losses
        .iter()
        .filter(|loss| loss.length_ms >= GAP_MIN_MS);
    long.take(DRAWN_MAX).map(move |loss| {
        let from_ms = ms(loss.from) - zero;
        Gap {
            from_ms,
            to_ms: from_ms + loss.length_ms,
            direction,
        }
    })
}

/// What a controller did, without its kicks.
fn controller_moment(event: &BoardEvent) -> Option<Moment> {
    let text = match &event.fact {
        BoardFact::DeadManKicked { .. } | BoardFact::Nacked { .. } | BoardFact::BusHung { .. } => {
            return None;
        }
        BoardFact::RelayMoved {
            segment,
            from,
            to,
            cause,
            ..
        } => format!("segment {segment}: {from} to {to} ({cause:?})"),
        BoardFact::DeadManArmed { timer, period } => {
            format!("dead-man {timer} armed, {} ms", period.as_millis())
        }
        BoardFact::DeadManExpired { timer } => format!("dead-man {timer} expired"),
        BoardFact::DeadManDisarmed { timer } => format!("dead-man {timer} disarmed"),
        BoardFact::Refused { what } => format!("refused: {what}"),
        other => format!("{other:?}"),
    };
    Some(Moment {
        t_ms: ms(event.at),
        text,
    })
}
