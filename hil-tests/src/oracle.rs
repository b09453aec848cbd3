//! What must hold of the wire, judged from true contacts and numbered frames alone.
//!
//! Named as the simulator's invariants where they are the same. *Leaks* are counted in frames: those that passed the host while its relay
//! should have been away, and those lost while the wire should have been a plain one. A run with a leak is a failure, whatever else it showed.

use std::time::Duration;

use fencepost::board::RelayState;
use fencepost::node::Instant;

use crate::wire::traffic::{Direction, Report};

/// After a move and its relinking, what was under way on the rig's threads may still be lost.
pub const SETTLING: Duration = Duration::from_millis(250);

/// A span of time, half open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First instant in it.
    pub from: Instant,
    /// First instant after it.
    pub to: Instant,
}

/// A relay over time: where it was at the beginning, and its moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Contacts at the beginning.
    pub at_start: RelayState,
    /// Moves, oldest first.
    pub moves: Vec<(Instant, RelayState)>,
}

impl Track {
    /// Spans in which the contacts joined the two nets and had settled: a wire that must carry every frame.
    pub fn wire_spans(&self, whole: Span, relink: Duration) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut state = self.at_start;
        let mut since = whole.from;
        let moves = self
            .moves
            .iter()
            .copied()
            .chain([(whole.to, RelayState::Unknown)]);
        for (at, to) in moves {
            let settled = if since == whole.from {
                since
            } else {
                since + relink + SETTLING
            };
            // Frames sent in the last moments may have been under way when it moved again.
            let end = at.min(whole.to);
            let end = Instant::ZERO + end.since(Instant::ZERO).saturating_sub(SETTLING);
            if state == RelayState::Bypass && settled < end {
                spans.push(Span {
                    from: settled,
                    to: end,
                });
            }
            (state, since) = (to, at);
        }
        spans
    }

    /// Contacts at an instant.
    pub fn state_at(&self, at: Instant) -> RelayState {
        let last = self.moves.iter().rfind(|(moved, _)| *moved <= at);
        last.map_or(self.at_start, |(_, state)| *state)
    }
}

/// Frames that should not have been where they were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leaks {
    /// Passed the host while its relay should have been away.
    pub through_host: u64,
    /// Lost while the wire should have been a plain one.
    pub lost_on_wire: u64,
}

impl Leaks {
    /// All of them.
    pub fn frames(self) -> u64 {
        self.through_host + self.lost_on_wire
    }
}

/// Counts leaks: `away` are the spans in which the host should have been off the wire, `wires` those in which it was a plain one.
pub fn leaks(
    away: &[Span],
    wires: &[Span],
    segment: usize,
    report: impl Fn(Span) -> Report,
) -> Leaks {
    let both = |span: &Span, count: fn(&Direction, usize) -> u64| {
        let seen = report(*span);
        count(&seen.a_to_b, segment) + count(&seen.b_to_a, segment)
    };
    Leaks {
        through_host: away
            .iter()
            .map(|span| both(span, |way, segment| way.through_host[segment]))
            .sum(),
        lost_on_wire: wires
            .iter()
            .map(|span| both(span, |way, _| way.sent - way.came))
            .sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn whole() -> Span {
        Span {
            from: at(1_000),
            to: at(20_000),
        }
    }

    #[test]
    fn a_wire_counts_from_its_settling_to_just_before_its_next_move() {
        let track = Track {
            at_start: RelayState::Normal,
            moves: vec![
                (at(2_000), RelayState::Bypass),
                (at(10_000), RelayState::Normal),
            ],
        };
        let spans = track.wire_spans(whole(), Duration::from_millis(1_500));
        assert_eq!(
            spans,
            [Span {
                from: at(3_750),
                to: at(9_750)
            }]
        );
        assert_eq!(track.state_at(at(1_999)), RelayState::Normal);
        assert_eq!(track.state_at(at(2_000)), RelayState::Bypass);
    }

    #[test]
    fn a_wire_from_the_beginning_has_settled() {
        let track = Track {
            at_start: RelayState::Bypass,
            moves: vec![],
        };
        assert_eq!(
            track.wire_spans(whole(), Duration::ZERO),
            [Span {
                from: at(1_000),
                to: at(19_750)
            }]
        );
        let short = Track {
            at_start: RelayState::Normal,
            moves: vec![(at(19_900), RelayState::Bypass)],
        };
        assert_eq!(short.wire_spans(whole(), Duration::from_secs(1)), []);
    }

    #[test]
    fn leaks_are_frames_of_both_directions() {
        let way = |sent, came, host| Direction {
            sent,
            came,
            through_host: [host, 0, 0, 0],
            ..Direction::default()
        };
        let report = |_: Span| Report {
            a_to_b: way(10, 8, 1),
            b_to_a: way(10, 10, 2),
        };
        let counted = leaks(&[whole()], &[whole()], 0, report);
        assert_eq!(
            counted,
            Leaks {
                through_host: 3,
                lost_on_wire: 2
            }
        );
        assert_eq!(counted.frames(), 5);
    }
}
