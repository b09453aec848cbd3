//! One bypass relay: a coil that is told, contacts that follow later, and the ways in which they do not.
//!
//! The contacts stay where they were for the whole travel time and then jump: that is the worst case for
//! whoever counts on the host being off the wire. Motions end at their own instant, however late the
//! model is ticked, so a picture drawn from the moves is exact.
//!
//! Facts: signal relays operate and release in at most 5 ms (Panasonic TX-S data sheet); a latching
//! relay keeps its position without power; a monostable one falls to its rest position.

use core::time::Duration;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::board::RelayState;
use crate::node::Instant;

/// Moves kept until somebody takes them; older ones are dropped.
pub const MOVES_MAX: usize = 256;

/// How long the contacts take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayTiming {
    /// From the command until `Normal`.
    pub operate: Duration,
    /// From the command until any other state.
    pub release: Duration,
}

impl Default for RelayTiming {
    fn default() -> Self {
        let limit = Duration::from_millis(5);
        Self {
            operate: limit,
            release: limit,
        }
    }
}

/// What holds the contacts when the coil is not driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayKind {
    /// A spring: without coil current the relay goes to `rest`.
    Monostable {
        /// Position without current.
        rest: RelayState,
    },
    /// A magnet: without current it stays.
    Latching,
}

/// A mechanical defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelayFault {
    /// The armature does not move; data and auxiliary contacts stay where they are.
    Stuck,
    /// The data contacts are welded; the armature and the auxiliary contact move on without them.
    Welded,
    /// Every motion begun takes this much longer.
    Slow {
        /// Added to the travel time.
        extra: Duration,
    },
}

/// Why a relay was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveCause {
    /// A command from the host: a register or a line it drives.
    Command,
    /// The dead-man fired, or the pulse train ended.
    Expiry,
    /// Kicked or started again after an expiry, on a board where that restores `Normal`.
    Kick,
    /// The host released the line that held the coil.
    LineReleased,
    /// The controller's power went.
    PowerOff,
    /// The controller's power came, or it restarted by itself.
    PowerUp,
    /// The peer's fence order.
    Fence,
    /// Somebody else on the bus.
    External,
    /// A stuck or welded relay came free.
    Freed,
}

/// One move of the data contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// When the contacts changed.
    pub at: Instant,
    /// When the coil was told.
    pub commanded_at: Instant,
    /// Contacts before.
    pub from: RelayState,
    /// Contacts after.
    pub to: RelayState,
    /// Why.
    pub cause: MoveCause,
}

#[derive(Debug, Clone, Copy)]
struct Motion {
    to: RelayState,
    started: Instant,
    due: Instant,
    cause: MoveCause,
}

/// A relay with its coil, armature, data contacts and auxiliary contact.
#[derive(Debug, Clone)]
pub struct Relay {
    kind: RelayKind,
    timing: RelayTiming,
    commanded: RelayState,
    armature: RelayState,
    contacts: RelayState,
    motion: Option<Motion>,
    fault: Option<RelayFault>,
    operations: u64,
    moves: VecDeque<Move>,
}

impl Relay {
    /// A relay at rest in `position`.
    pub fn new(kind: RelayKind, timing: RelayTiming, position: RelayState) -> Self {
        Self {
            kind,
            timing,
            commanded: position,
            armature: position,
            contacts: position,
            motion: None,
            fault: None,
            operations: 0,
            moves: VecDeque::new(),
        }
    }

    /// Where the data contacts are: the truth about the wire.
    pub fn contacts(&self) -> RelayState {
        self.contacts
    }

    /// What the auxiliary contact shows; differs from [`Relay::contacts`] only when they are welded.
    pub fn auxiliary(&self) -> RelayState {
        self.armature
    }

    /// Where the coil was last told to go.
    pub fn commanded(&self) -> RelayState {
        self.commanded
    }

    /// How often the armature has moved; relays wear.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Tells the coil. Telling it again what it was told already changes nothing.
    pub fn command(&mut self, now: Instant, to: RelayState, cause: MoveCause) {
        self.tick(now);
        if self.commanded != to {
            self.commanded = to;
            self.set_off(now, cause);
        }
    }

    /// The coil lost its current, whoever drove it.
    pub fn lose_power(&mut self, now: Instant, cause: MoveCause) {
        match self.kind {
            RelayKind::Monostable { rest } => self.command(now, rest, cause),
            RelayKind::Latching => {
                self.tick(now);
                self.motion = None;
                self.commanded = self.armature;
            }
        }
    }

    /// Breaks or mends the relay. A mended one goes where its coil drives it.
    pub fn set_fault(&mut self, now: Instant, fault: Option<RelayFault>) {
        self.tick(now);
        self.fault = fault;
        match fault {
            Some(RelayFault::Stuck) => self.motion = None,
            Some(RelayFault::Welded | RelayFault::Slow { .. }) => {}
            None => {
                self.move_contacts(now, now, MoveCause::Freed);
                if self.motion.is_none() {
                    self.set_off(now, MoveCause::Freed);
                }
            }
        }
    }

    /// Ends a motion that is due.
    pub fn tick(&mut self, now: Instant) {
        let Some(motion) = self.motion.filter(|motion| motion.due <= now) else {
            return;
        };
        self.motion = None;
        self.armature = motion.to;
        self.operations += 1;
        if self.fault != Some(RelayFault::Welded) {
            self.move_contacts(motion.due, motion.started, motion.cause);
        }
    }

    /// When the next motion ends.
    pub fn deadline(&self) -> Option<Instant> {
        self.motion.map(|motion| motion.due)
    }

    /// Whether there are moves to take.
    pub fn has_moved(&self) -> bool {
        !self.moves.is_empty()
    }

    /// Moves since the last call, oldest first.
    pub fn take_moves(&mut self) -> Vec<Move> {
        core::mem::take(&mut self.moves).into()
    }

    fn set_off(&mut self, now: Instant, cause: MoveCause) {
        self.motion = None;
        if self.armature == self.commanded || self.fault == Some(RelayFault::Stuck) {
            return;
        }
        let travel = if self.commanded == RelayState::Normal {
            self.timing.operate
        } else {
            self.timing.release
        };
        let extra = match self.fault {
            Some(RelayFault::Slow { extra }) => extra,
            Some(RelayFault::Stuck | RelayFault::Welded) | None => Duration::ZERO,
        };
        self.motion = Some(Motion {
            to: self.commanded,
            started: now,
            due: now + travel + extra,
            cause,
        });
        // A travel time of zero ends at once.
        self.tick(now);
    }

    fn move_contacts(&mut self, at: Instant, commanded_at: Instant, cause: MoveCause) {
        if self.contacts == self.armature {
            return;
        }
        if self.moves.len() == MOVES_MAX {
            self.moves.pop_front();
        }
        self.moves.push_back(Move {
            at,
            commanded_at,
            from: self.contacts,
            to: self.armature,
            cause,
        });
        self.contacts = self.armature;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RelayState::{Bypass, Normal};

    const fn ms(at: u64) -> Instant {
        Instant::from_millis(at)
    }

    fn latching() -> Relay {
        Relay::new(RelayKind::Latching, RelayTiming::default(), Bypass)
    }

    #[test]
    fn contacts_follow_the_coil_after_the_travel_time_however_late_the_tick() {
        let mut relay = latching();
        relay.command(ms(100), Normal, MoveCause::Command);
        relay.tick(ms(104));
        assert_eq!(relay.contacts(), Bypass);
        relay.tick(ms(900));
        assert_eq!(relay.contacts(), Normal);
        let moves = relay.take_moves();
        assert_eq!(moves.len(), 1);
        assert_eq!(moves[0].at, ms(105));
        assert_eq!(moves[0].commanded_at, ms(100));
        assert_eq!(relay.operations(), 1);
    }

    #[test]
    fn a_command_taken_back_under_way_moves_nothing() {
        let mut relay = latching();
        relay.command(ms(0), Normal, MoveCause::Command);
        relay.command(ms(3), Bypass, MoveCause::Command);
        relay.tick(ms(50));
        assert_eq!(relay.contacts(), Bypass);
        assert!(relay.take_moves().is_empty());
    }

    #[test]
    fn without_power_a_latching_relay_stays_and_a_monostable_one_falls() {
        let mut keeps = Relay::new(RelayKind::Latching, RelayTiming::default(), Normal);
        let mut falls = Relay::new(
            RelayKind::Monostable { rest: Bypass },
            RelayTiming::default(),
            Normal,
        );
        for relay in [&mut keeps, &mut falls] {
            relay.lose_power(ms(0), MoveCause::PowerOff);
            relay.tick(ms(5));
        }
        assert_eq!(keeps.contacts(), Normal);
        assert_eq!(falls.contacts(), Bypass);
    }

    #[test]
    fn a_stuck_relay_keeps_both_contacts_and_moves_when_freed() {
        let mut relay = latching();
        relay.set_fault(ms(0), Some(RelayFault::Stuck));
        relay.command(ms(1), Normal, MoveCause::Command);
        relay.tick(ms(50));
        assert_eq!((relay.contacts(), relay.auxiliary()), (Bypass, Bypass));
        relay.set_fault(ms(60), None);
        relay.tick(ms(65));
        assert_eq!(relay.contacts(), Normal);
        assert_eq!(relay.take_moves()[0].cause, MoveCause::Freed);
    }

    #[test]
    fn welded_contacts_stay_while_the_auxiliary_contact_lies() {
        let mut relay = Relay::new(RelayKind::Latching, RelayTiming::default(), Normal);
        relay.set_fault(ms(0), Some(RelayFault::Welded));
        relay.command(ms(1), Bypass, MoveCause::Expiry);
        relay.tick(ms(50));
        assert_eq!((relay.contacts(), relay.auxiliary()), (Normal, Bypass));
        relay.set_fault(ms(60), None);
        assert_eq!(relay.contacts(), Bypass);
    }

    #[test]
    fn a_slow_relay_arrives_late() {
        let mut relay = latching();
        let extra = Duration::from_millis(30);
        relay.set_fault(ms(0), Some(RelayFault::Slow { extra }));
        relay.command(ms(0), Normal, MoveCause::Command);
        relay.tick(ms(34));
        assert_eq!(relay.contacts(), Bypass);
        relay.tick(ms(35));
        assert_eq!(relay.contacts(), Normal);
    }
}
