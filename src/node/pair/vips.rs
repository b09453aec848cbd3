//! Quiet and barrier: what of serving is, or may still be, in the kernel.
//!
//! A *serve action* (vips held, refreshed, announced) can land at any time until its outcome is here, however long
//! ago it was ordered. A time-out gives up the decision that wanted it, never the action. This node is *quiet* when
//! none is under way and the kernel was read, after the last one ended, to have nothing. What if an outcome never
//! comes? The node is never quiet again: no ticket, no close, no claim, no word; the machine has to be reset.

use std::collections::BTreeMap;

use core::time::Duration;

use super::event::{PairAction, Presence};
use super::guard::{self, Guard};
use crate::node::outbox::Outbox;
use crate::node::time::Instant;

/// Between two tries of a drop or a read that failed.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// While nothing should be there, the kernel is read this often.
const LOOK_EVERY: Duration = Duration::from_millis(1_000);

/// Kinds of serve actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serve {
    Hold,
    Refresh,
    Announce,
}

/// The vips of this node.
#[derive(Debug, Clone)]
pub(super) struct Vips {
    next: u64,
    in_flight: BTreeMap<u64, Serve>,
    dropping: Option<u64>,
    reading: Option<u64>,
    /// A reading counts only if its number is at least this: it was asked for after the last serve action ended.
    settled: u64,
    presence: Option<Presence>,
    /// A drop is due: something was, or may be, there.
    must_drop: bool,
    try_at: Instant,
    look_at: Instant,
    pub(super) fault: Option<String>,
}

impl Vips {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            next: 1,
            in_flight: BTreeMap::new(),
            dropping: None,
            reading: None,
            settled: 0,
            presence: None,
            must_drop: false,
            try_at: now,
            look_at: now,
            fault: None,
        }
    }

    /// Nothing there, and nothing on its way.
    pub(super) fn quiet(&self) -> bool {
        self.in_flight.is_empty()
            && self.presence == Some(Presence::Absent)
            && !self.must_drop
            && self.dropping.is_none()
    }

    /// Whether a serve action of this kind is under way.
    pub(super) fn under_way(&self, kind: Serve) -> bool {
        self.in_flight.values().any(|known| *known == kind)
    }

    /// A vip of ours may answer at this moment.
    pub(super) fn may_answer(&self) -> bool {
        !self.quiet()
    }

    /// What the kernel had when it was last read, if that still counts.
    pub(super) fn presence(&self) -> Option<Presence> {
        self.presence
    }

    /// Begin a serve action; its number.
    pub(super) fn serve(&mut self, kind: Serve, out: &mut Outbox) -> u64 {
        let number = self.number();
        self.in_flight.insert(number, kind);
        if kind != Serve::Announce {
            self.presence = None;
            self.settled = self.next;
        }
        out.pair(match kind {
            Serve::Hold => PairAction::HoldVips { number },
            Serve::Refresh => PairAction::RefreshVips { number },
            Serve::Announce => PairAction::Announce { number },
        });
        number
    }

    /// A serve action ended, well or not.
    pub(super) fn served(&mut self, number: u64) -> Option<Serve> {
        let kind = self.in_flight.remove(&number)?;
        if kind != Serve::Announce {
            self.presence = None;
            self.must_drop = true;
            self.settled = self.next;
        }
        Some(kind)
    }

    pub(super) fn dropped(&mut self, now: Instant, number: u64, outcome: Result<(), String>) {
        if self.dropping != Some(number) {
            return;
        }
        self.dropping = None;
        self.presence = None;
        self.settled = self.next;
        self.look_at = now;
        if let Err(error) = outcome {
            self.must_drop = true;
            self.try_at = now + TRY_AGAIN_AFTER;
            self.fault = Some(error);
        }
    }

    pub(super) fn read(&mut self, now: Instant, number: u64, outcome: Result<Presence, String>) {
        if self.reading != Some(number) {
            return;
        }
        self.reading = None;
        match outcome {
            Ok(presence) => {
                if number >= self.settled {
                    self.presence = Some(presence);
                    self.fault = None;
                }
                self.look_at = now + LOOK_EVERY;
            }
            Err(error) => {
                self.presence = None;
                self.fault = Some(error);
                self.look_at = now + TRY_AGAIN_AFTER;
            }
        }
        if self.presence.is_none() {
            self.look_at = self.look_at.min(now + TRY_AGAIN_AFTER);
        }
    }

    /// Nothing of ours may be served: drop what is or may be there, then look.
    pub(super) fn step_down(&mut self, now: Instant, out: &mut Outbox) {
        let found = matches!(self.presence, Some(Presence::Present | Presence::Partial))
            && guard::holds(Guard::PurgesAtStart);
        let due = self.must_drop || found;
        if due && self.dropping.is_none() && now >= self.try_at {
            let number = self.number();
            self.dropping = Some(number);
            self.must_drop = false;
            self.presence = None;
            out.pair(PairAction::DropVips { number });
        }
        if self.dropping.is_none() && self.in_flight.is_empty() && !self.must_drop {
            self.step_look(now, out);
        }
    }

    /// Look whether what should be there is there.
    pub(super) fn step_look(&mut self, now: Instant, out: &mut Outbox) {
        let unknown = self.presence.is_none();
        if self.reading.is_none() && (now >= self.look_at || unknown && now >= self.try_at) {
            let number = self.number();
            self.reading = Some(number);
            out.pair(PairAction::ReadVips { number });
        }
    }

    /// Serving has ended, whatever the reason: it all has to go.
    pub(super) fn renounce(&mut self, now: Instant) {
        self.must_drop = true;
        self.try_at = now;
    }

    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let retry = (self.must_drop && self.dropping.is_none()).then_some(self.try_at);
        let look = self.reading.is_none().then_some(self.look_at);
        let next = [retry, look].into_iter().flatten().min()?;
        (next > now).then_some(next)
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }
}
