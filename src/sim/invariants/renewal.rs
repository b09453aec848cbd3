//! Whether a host can know that a renewal of its dead-man came late.
//!
//! A bare kick starts a dead-man anew even if it has fired between the driver's last look and its write; its relays go
//! back then. No host can close that gap. What it can do is to compare its own clock with the right it had, and that is
//! demanded, except in two cases. Its clock stood still since the right was decided, by at least as much as the renewal
//! was late: nothing it can read has moved. Or it is a successor that was never told how much is left of its
//! predecessor's right (parts that count whole seconds, or nothing): it has no right to compare with, and a restart
//! must move no relay.

use core::time::Duration;
use std::collections::VecDeque;

use super::{DeadManTruth, Moment, Seen};
use crate::board::controller::DeadManReading;
use crate::node::{Action, Event, Instant};

/// Far more renewals than fit into the travel time of a relay, a slow one excepted.
const FOLLOWED_MAX: usize = 8;

/// The right of the agent that runs, by its own clock.
#[derive(Debug, Clone, Default)]
pub(super) struct Renewal {
    /// By how much the host's clock is behind the world's.
    behind: Duration,
    /// The same when the renewal under way was decided.
    decided: Duration,
    /// The same when the right in force was decided.
    in_force: Duration,
    /// When a right was followed by another, and by how much the clock stood still under it. The contacts of a relay
    /// travel: a move may be seen when further renewals have followed the one that ordered it.
    followed: VecDeque<(Instant, Duration)>,
    /// The agent has been told how long some right lasts, or that there is none.
    knows: bool,
    knows_since: Instant,
    expired_at: Option<Instant>,
}

impl Renewal {
    pub(super) fn see(&mut self, at: Moment, seen: &Seen<'_>) {
        self.behind = self.behind.max(at.world.since(at.host));
        match seen {
            Seen::Started(_) => {
                self.knows = false;
                self.in_force = self.behind;
            }
            Seen::DeadMan(DeadManTruth::Expired) => self.expired_at = Some(at.world),
            Seen::Decided(Action::Kick { .. } | Action::Arm { .. }) => self.decided = self.behind,
            Seen::Told(
                Event::Kicked { outcome: Ok(()) } | Event::DeadManArmed { outcome: Ok(_) },
            ) => {
                if self.followed.len() == FOLLOWED_MAX {
                    self.followed.pop_front();
                }
                self.followed.push_back((at.world, self.stood_still()));
                self.in_force = self.decided;
                self.learn(at);
            }
            Seen::Told(Event::ControllerRead {
                outcome: Ok(reading),
            }) => match reading.dead_man {
                DeadManReading::Running {
                    remaining: Some(_), ..
                }
                | DeadManReading::Expired
                | DeadManReading::Disarmed => self.learn(at),
                _ => {}
            },
            _ => {}
        }
    }

    /// Nobody could know that the renewal which was carried out then came late.
    pub(super) fn is_unknowable(&self, carried_out: Instant) -> bool {
        if !self.knows || carried_out <= self.knows_since {
            return true;
        }
        let mut followed = self.followed.iter();
        let stood_still = followed
            .find(|(followed_at, _)| carried_out <= *followed_at)
            .map_or(self.stood_still(), |(_, stood_still)| *stood_still);
        let late = self.expired_at.map(|expired| carried_out.since(expired));
        late.is_some_and(|late| late <= stood_still)
    }

    fn stood_still(&self) -> Duration {
        self.behind.saturating_sub(self.in_force)
    }

    fn learn(&mut self, at: Moment) {
        if !self.knows {
            self.knows = true;
            self.knows_since = at.world;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::controller::{ArmProof, Armed, Latch, Reading};
    use crate::node::Saved;

    const PERIOD: Duration = Duration::from_secs(1);

    fn at(world: u64, behind: u64) -> Moment {
        Moment {
            world: Instant::from_millis(world),
            host: Instant::from_millis(world - behind),
        }
    }

    fn kick(alive_until: u64) -> Action {
        Action::Kick {
            alive_until: Instant::from_millis(alive_until),
        }
    }

    /// Started and armed at 100 ms; fired at 1,100 ms.
    fn fired() -> Renewal {
        let mut renewal = Renewal::default();
        renewal.see(at(0, 0), &Seen::Started(&Saved::Nothing));
        renewal.see(at(100, 0), &Seen::Decided(&Action::Arm { period: PERIOD }));
        let outcome = Ok(Armed {
            effective: PERIOD,
            proof: ArmProof::ReadBack,
        });
        renewal.see(at(101, 0), &Seen::Told(&Event::DeadManArmed { outcome }));
        renewal.see(at(1_100, 0), &Seen::DeadMan(DeadManTruth::Expired));
        renewal
    }

    #[test]
    fn a_clock_that_runs_tells_that_a_kick_was_late() {
        let mut renewal = fired();
        renewal.see(at(1_150, 0), &Seen::Decided(&kick(2_150)));
        assert!(!renewal.is_unknowable(Instant::from_millis(1_200)));
        let told = Event::Kicked { outcome: Ok(()) };
        renewal.see(at(1_201, 0), &Seen::Told(&told));
        assert!(!renewal.is_unknowable(Instant::from_millis(1_200)));
    }

    #[test]
    fn a_clock_that_stood_still_excuses_what_was_late_by_no_more() {
        let mut renewal = fired();
        renewal.see(at(1_150, 60), &Seen::Decided(&kick(2_090)));
        for _ in 0..2 {
            assert!(renewal.is_unknowable(Instant::from_millis(1_160)));
            assert!(!renewal.is_unknowable(Instant::from_millis(1_161)));
            // Another renewal follows before the contacts have moved.
            let told = Event::Kicked { outcome: Ok(()) };
            renewal.see(at(1_162, 60), &Seen::Told(&told));
            renewal.see(at(1_162, 60), &Seen::Decided(&kick(2_102)));
        }
        renewal.see(at(2_170, 60), &Seen::DeadMan(DeadManTruth::Expired));
        assert!(!renewal.is_unknowable(Instant::from_millis(2_171)));
    }

    #[test]
    fn a_successor_knows_only_the_right_it_was_told() {
        let mut renewal = fired();
        renewal.see(at(1_050, 0), &Seen::Started(&Saved::Nothing));
        assert!(renewal.is_unknowable(Instant::from_millis(1_120)));
        let outcome = Ok(Reading {
            segments: Vec::new(),
            dead_man: DeadManReading::Running {
                period: PERIOD,
                remaining: Some(Duration::from_millis(20)),
            },
            latch: Latch::Absent,
            generation: 0,
        });
        renewal.see(
            at(1_060, 0),
            &Seen::Told(&Event::ControllerRead { outcome }),
        );
        assert!(!renewal.is_unknowable(Instant::from_millis(1_120)));
    }
}
