//! The last moments of a world, one aligned line per change, for the person who has to understand a failure.
//!
//! Nothing is written unless the film was asked for: a failing seed is run again with it.

use std::collections::VecDeque;

use super::journal::BoardFact;
use crate::board::RelayState;
use crate::node::{Action, Event, Fact, Instant, Status};

/// Lines kept.
const LINES_MAX: usize = 4_000;

/// Lines, if there is film in the camera.
#[derive(Debug, Default)]
pub(super) struct Film {
    rolling: bool,
    lines: VecDeque<String>,
    shown: Vec<(RelayState, RelayState, String)>,
}

impl Film {
    /// From now on, keep lines.
    pub(super) fn roll(&mut self) {
        self.rolling = true;
    }

    /// What was kept.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }

    pub(super) fn line(&mut self, at: Instant, who: &str, what: impl FnOnce() -> String) {
        if !self.rolling {
            return;
        }
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines
            .push_back(format!("{at:>12} {who:<9} {}", what()));
    }

    pub(super) fn event(&mut self, at: Instant, event: &Event) {
        let routine = match event {
            Event::Kicked { outcome } => outcome.is_ok(),
            Event::KeepaliveSent { outcome } => outcome.is_ok(),
            Event::ControllerRead { outcome } => outcome.is_ok(),
            Event::CheckReported { verdict, .. } => *verdict == crate::node::Verdict::Ok,
            _ => false,
        };
        if !routine {
            self.line(at, "event", || format!("{event:?}"));
        }
    }

    pub(super) fn action(&mut self, at: Instant, action: &Action) {
        match action {
            Action::Kick { .. } | Action::Read | Action::Keepalive | Action::Tell(_) => {}
            Action::Record(record) if matches!(record.fact, Fact::CheckPassed { .. }) => {}
            Action::Record(record) => self.line(at, "record", || format!("{:?}", record.fact)),
            action => self.line(at, "action", || format!("{action:?}")),
        }
    }

    pub(super) fn board(&mut self, at: Instant, fact: &BoardFact) {
        match fact {
            BoardFact::DeadManKicked { .. } | BoardFact::Nacked { .. } => {}
            fact => self.line(at, "board", || format!("{fact:?}")),
        }
    }

    pub(super) fn status(&mut self, at: Instant, status: &Status) {
        if !self.rolling {
            return;
        }
        for (index, segment) in status.segments.iter().enumerate() {
            let shown = (segment.state, segment.wanted, segment.cause.to_string());
            if self.shown.get(index) == Some(&shown) {
                continue;
            }
            let text = format!(
                "segment {index} shown {:<10} wanted {:<10} {}",
                shown.0, shown.1, shown.2
            );
            self.shown.resize(
                self.shown.len().max(index + 1),
                (RelayState::Unknown, RelayState::Unknown, String::new()),
            );
            self.shown[index] = shown;
            self.line(at, "status", || text);
        }
    }
}
