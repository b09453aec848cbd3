//! A look at a running bed from another thread: relays as the boards have them, answers as the neighbour got them.

use std::time::Duration;

use fencepost::board::RelayState;
use fencepost::node::Instant;

use super::boards::{SharedBoard, lock};
use crate::board::Clock;
use crate::wire::neighbour::Eye;

/// A pair of eyes on a bed.
#[derive(Clone)]
pub struct Watch {
    clock: Clock,
    boards: [SharedBoard; 2],
    eye: Eye,
}

/// What the client got in a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// The rig was too late to ask anything.
    Unasked,
    /// Nothing.
    Nothing,
    /// Fewer answers than questions.
    Some,
    /// All answers, and this side was the only one that had the address.
    By(usize),
    /// All answers, and the address moved meanwhile.
    Moving,
    /// Both sides answered one question: what must never be.
    Both,
}

impl Watch {
    pub(super) fn new(clock: Clock, boards: [SharedBoard; 2], eye: Eye) -> Self {
        Self { clock, boards, eye }
    }

    /// Now.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The contacts of one side.
    pub fn relay(&self, index: usize) -> RelayState {
        lock(&self.boards[index]).segment_state(0)
    }

    /// What the client got from `from` on for so long. Leave answers time to come.
    pub fn answered(&self, from: Instant, span: Duration) -> Answered {
        let to = from + span;
        let (asked, answered) = self.eye.answered(from, to);
        judge(asked, answered, &self.eye.answers(from, to))
    }
}

/// `owners`: per question behind the neighbour's table, which of the two answered it.
fn judge(asked: usize, answered: usize, owners: &[(Instant, Vec<bool>)]) -> Answered {
    let has = |side: usize| {
        owners
            .iter()
            .any(|(_, owners)| owners.get(side) == Some(&true))
    };
    let both = |owners: &Vec<bool>| owners.iter().filter(|one| **one).count() > 1;
    match (has(0), has(1)) {
        _ if owners.iter().any(|(_, owners)| both(owners)) => Answered::Both,
        _ if asked == 0 => Answered::Unasked,
        _ if answered == 0 => Answered::Nothing,
        _ if answered < asked => Answered::Some,
        (true, true) => Answered::Moving,
        (false, true) => Answered::By(1),
        (true, false) => Answered::By(0),
        (false, false) => Answered::Some,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_owners_hide_behind_nothing() {
        let asked = |owners: &[[bool; 2]]| -> Vec<(Instant, Vec<bool>)> {
            let at = |owners: &[bool; 2]| (Instant::ZERO, owners.to_vec());
            owners.iter().map(at).collect()
        };
        let (a, b, none) = ([true, false], [false, true], [false, false]);
        assert_eq!(judge(2, 2, &asked(&[a, a])), Answered::By(0));
        assert_eq!(judge(2, 2, &asked(&[b, b])), Answered::By(1));
        assert_eq!(judge(2, 2, &asked(&[a, b])), Answered::Moving);
        assert_eq!(judge(2, 1, &asked(&[a, none])), Answered::Some);
        assert_eq!(judge(2, 0, &asked(&[none, none])), Answered::Nothing);
        assert_eq!(judge(0, 0, &[]), Answered::Unasked);
        assert_eq!(judge(2, 0, &asked(&[none, [true, true]])), Answered::Both);
    }
}
