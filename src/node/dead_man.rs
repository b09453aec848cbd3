//! The dead-man: armed, verified, kicked; and assumed to have fired once its right has run out.
//!
//! A kick is an ordinary action, decided here and nowhere else. At most one is decided and not yet executed,
//! so that a host that slept cannot wake up to a queue of old kicks.

use core::time::Duration;

use super::action::Action;
use super::outbox::Outbox;
use super::policy::{Arming, DeadManPolicy};
use super::record::{Fact, Level};
use super::status::DeadManStatus;
use super::time::Instant;
use crate::board::controller::{ArmProof, Armed, DeadManReading, Fault};

/// After this many failures in a row, what still serves is cut.
const TRIES_MAX: u32 = 3;
/// Between two tries to arm.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The dead-man.
#[derive(Debug, Clone)]
pub(super) struct DeadMan {
    policy: DeadManPolicy,
    reading: DeadManReading,
    verified: bool,
    /// A predecessor's, still running: it may be kicked before it is armed anew.
    inherited: bool,
    arming: bool,
    tries: u32,
    try_at: Instant,
    kicking: bool,
    /// The right has run out, and nothing has said since how much is left: the next renewal may come too late.
    doubtful: bool,
    kick_at: Instant,
    /// Armed no earlier than the decision, it runs until then at least.
    armed_until: Instant,
    /// The right of the last kick that was answered as done, or of arming.
    alive_until: Option<Instant>,
    pending_until: Instant,
    kicked_at: Option<Instant>,
    expiry_told: bool,
}

/// What a look at the dead-man means for the segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing new.
    Same,
    /// It had fired: whatever served must be proven anew.
    Expired,
}

impl DeadMan {
    pub(super) fn new(policy: DeadManPolicy, now: Instant) -> Self {
        Self {
            policy,
            reading: DeadManReading::Unknown,
            verified: false,
            inherited: false,
            arming: false,
            tries: 0,
            try_at: now,
            kicking: false,
            doubtful: false,
            kick_at: now,
            armed_until: now,
            alive_until: None,
            pending_until: now,
            kicked_at: None,
            expiry_told: false,
        }
    }

    pub(super) fn verified(&self) -> bool {
        self.verified || self.policy.arming == Arming::Absent
    }

    /// Tries enough to arm it have failed.
    pub(super) fn hopeless(&self) -> bool {
        !self.verified() && self.tries >= TRIES_MAX
    }

    /// Verification no longer counts: the controller restarted, or a forced state ended.
    /// What ran goes on being kicked meanwhile.
    pub(super) fn verify_again(&mut self) {
        self.inherited |= self.verified;
        self.verified = false;
    }

    /// The right of the last kick has run out: the hardware may have acted, whatever we believe.
    pub(super) fn lapse(&mut self, now: Instant) -> bool {
        let lapsed = self.alive_until.is_some_and(|until| now >= until);
        if lapsed {
            self.alive_until = None;
            self.doubtful = true;
            self.verified = false;
            self.inherited = false;
            self.tries = 0;
            self.try_at = now;
        }
        lapsed
    }

    pub(super) fn step_arm(&mut self, now: Instant, out: &mut Outbox) {
        if self.verified() || self.arming || now < self.try_at {
            return;
        }
        self.arming = true;
        self.armed_until = now + self.policy.period;
        out.push(Action::Arm {
            period: self.policy.period,
        });
    }

    /// Arming was answered. What is said of a kick holds here, too.
    pub(super) fn armed(
        &mut self,
        now: Instant,
        outcome: Result<Armed, Fault>,
        out: &mut Outbox,
    ) -> Finding {
        self.arming = false;
        let late = core::mem::take(&mut self.doubtful);
        match outcome {
            Ok(armed) if self.fits(armed) => {
                self.verified = true;
                self.inherited = false;
                self.tries = 0;
                self.expiry_told = false;
                // The period runs from some moment before this answer; the first kick settles it. Should none
                // come through, the hardware fires and nobody may believe otherwise.
                self.kick_at = now;
                if armed.proof != ArmProof::Inherent {
                    self.alive_until = self.alive_until.max(Some(self.armed_until));
                }
                self.reading = DeadManReading::Unknown;
                let fact = Fact::DeadManArmed {
                    period: armed.effective,
                    proof: armed.proof,
                };
                out.record(now, Level::Info, fact);
            }
            Ok(armed) => {
                let reads = format!(
                    "{} ms in force, {} ms planned",
                    armed.effective.as_millis(),
                    self.policy.period.as_millis()
                );
                self.arm_failed(now, reads, out);
            }
            Err(fault) => self.arm_failed(now, fault.to_string(), out),
        }
        if late {
            Finding::Expired
        } else {
            Finding::Same
        }
    }

    /// A shorter period than planned still fails open in time, as long as kicks keep up with it.
    fn fits(&self, armed: Armed) -> bool {
        armed.proof == ArmProof::Inherent
            || (armed.effective <= self.policy.period
                && armed.effective >= self.policy.kick_every * 2)
    }

    fn arm_failed(&mut self, now: Instant, reads: String, out: &mut Outbox) {
        self.tries = self.tries.saturating_add(1);
        self.try_at = now + TRY_AGAIN_AFTER * self.tries.min(25);
        if self.tries == TRIES_MAX {
            out.record(now, Level::Alarm, Fact::DeadManLost { reads });
        }
    }

    /// `asked`: when the reading was ordered; what it says of the time left counts from then.
    pub(super) fn read(
        &mut self,
        now: Instant,
        asked: Instant,
        reading: DeadManReading,
        out: &mut Outbox,
    ) -> Finding {
        self.reading = reading;
        match reading {
            DeadManReading::Running { period, remaining } => {
                // A predecessor's right, or what is left of our own.
                if self.alive_until.is_none() && !self.verified {
                    self.alive_until = remaining.map(|left| asked + left);
                    self.doubtful &= remaining.is_none();
                }
                let planned = period == self.policy.period;
                if !self.verified && !self.arming && self.kicked_at.is_none() {
                    self.inherited = planned;
                }
                Finding::Same
            }
            DeadManReading::Expired => {
                self.doubtful = false;
                self.verified = false;
                self.inherited = false;
                self.alive_until = None;
                if !self.expiry_told {
                    self.expiry_told = true;
                    self.try_at = now;
                    out.record(now, Level::Alarm, Fact::DeadManExpired);
                }
                Finding::Expired
            }
            DeadManReading::Disarmed => {
                if self.verified && self.policy.arming == Arming::Required {
                    self.verified = false;
                    self.try_at = now;
                    let reads = "off, although it was armed and verified".to_owned();
                    out.record(now, Level::Alarm, Fact::DeadManLost { reads });
                }
                self.inherited = false;
                Finding::Same
            }
            DeadManReading::Absent | DeadManReading::Unknown => Finding::Same,
        }
    }

    /// Decide a kick if one is due. `trusted`: everything the gate asks for holds now; `limit`: no further.
    pub(super) fn step_kick(
        &mut self,
        now: Instant,
        trusted: bool,
        limit: Option<Instant>,
        out: &mut Outbox,
    ) {
        if !trusted || !self.kickable() || self.kicking || now < self.kick_at {
            return;
        }
        self.kicking = true;
        self.kick_at = now + self.policy.kick_every;
        let window = now + self.policy.period;
        self.pending_until = limit.map_or(window, |limit| limit.min(window));
        out.push(Action::Kick {
            alive_until: self.pending_until,
        });
    }

    /// One more kick before a successor takes over, so that it has the whole period to arrive.
    pub(super) fn kick_for_successor(
        &mut self,
        now: Instant,
        limit: Option<Instant>,
        out: &mut Outbox,
    ) {
        if self.kickable() && !self.kicking {
            self.kick_at = now;
            self.step_kick(now, true, limit, out);
        }
    }

    /// A kick was answered. On many boards a kick starts a dead-man that has fired anew, and its relays go back; no
    /// driver can close the gap between its last look and its write. If the right has run out before the answer came,
    /// that may have happened, unseen by any later reading.
    pub(super) fn kicked(&mut self, now: Instant, outcome: &Result<(), Fault>) -> Finding {
        self.kicking = false;
        let late = core::mem::take(&mut self.doubtful);
        if outcome.is_ok() {
            self.alive_until = Some(self.pending_until);
            self.kicked_at = Some(now);
        }
        if late {
            Finding::Expired
        } else {
            Finding::Same
        }
    }

    pub(super) fn disarmed(&mut self) {
        self.verified = false;
        self.inherited = false;
        self.alive_until = None;
    }

    /// It would cut us if we died, as far as is known.
    pub(super) fn stands(&self) -> bool {
        self.policy.arming == Arming::Absent || self.verified || self.inherited
    }

    pub(super) fn arming(&self) -> bool {
        self.arming
    }

    pub(super) fn kicking(&self) -> bool {
        self.kicking
    }

    pub(super) fn next_kick(&self) -> Option<Instant> {
        (self.kickable() && !self.kicking).then_some(self.kick_at)
    }

    pub(super) fn next_try(&self) -> Option<Instant> {
        (!self.verified() && !self.arming).then_some(self.try_at)
    }

    pub(super) fn lapses_at(&self) -> Option<Instant> {
        self.alive_until
    }

    pub(super) fn status(&self) -> DeadManStatus {
        DeadManStatus {
            arming: self.policy.arming,
            period: self.policy.period,
            reading: self.reading,
            verified: self.verified(),
            kicked_at: self.kicked_at,
        }
    }

    fn kickable(&self) -> bool {
        self.policy.arming != Arming::Absent && (self.verified || self.inherited)
    }
}
