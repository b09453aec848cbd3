//! The event log: the last things that happened, readable after the host that caused them has died.
//!
//! A ring in RAM; it does not survive power-off (flash would wear). Sequence numbers count from 1 at power-up and
//! tell a reader what it has missed.

use crate::Tick;
use crate::relay::{Contact, RelayState, Segment};

/// Events kept.
pub const CAPACITY: usize = 32;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The controller powered up. Detail: 1 if the stored settings were unreadable and factory settings are in force.
    PowerUp,
    /// A relay was commanded to `state`. Detail: [`crate::Cause`].
    RelayCommanded,
    /// A contact reads a new known state.
    ContactRead,
    /// The peer's fence latched us.
    LatchSet,
    /// The peer's fence is gone.
    LatchCleared,
    /// We assert a fence on the peer.
    HoldTaken,
    /// Our host released the peer.
    HoldReleased,
    /// We let go of the peer because it fences us.
    HoldYielded,
    /// The dead-man was armed.
    Armed,
    /// The dead-man was disarmed.
    Disarmed,
    /// The dead-man expired.
    Expired,
    /// The host acknowledged the expiry.
    ExpiryAcknowledged,
    /// A close was executed. Detail: [`crate::Proof`].
    Closed,
    /// A close was refused. Detail: [`crate::Refusal`].
    CloseRefused,
    /// A non-volatile setting changed to `state`. Detail: [`crate::Setting`].
    SettingChanged,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counts from 1 at power-up.
    pub sequence: u32,
    /// When it happened.
    pub tick: Tick,
    /// What happened.
    pub kind: EventKind,
    /// Segment concerned, if one.
    pub segment: Option<Segment>,
    /// Relay state concerned, if one.
    pub state: Option<RelayState>,
    /// Further detail; its meaning depends on the kind.
    pub detail: u8,
}

/// The ring.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    events: [Option<Event>; CAPACITY],
    next: u32,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            events: [None; CAPACITY],
            next: 1,
        }
    }

    pub(crate) fn push(
        &mut self,
        tick: Tick,
        kind: EventKind,
        segment: Option<Segment>,
        state: Option<RelayState>,
        detail: u8,
    ) {
        let event = Event {
            sequence: self.next,
            tick,
            kind,
            segment,
            state,
            detail,
        };
        if let Some(slot) = self.events.get_mut(slot(self.next)) {
            *slot = Some(event);
        }
        self.next = self.next.saturating_add(1);
    }

    pub(crate) fn push_plain(&mut self, tick: Tick, kind: EventKind, detail: u8) {
        self.push(tick, kind, None, None, detail);
    }

    pub(crate) fn push_contact(&mut self, tick: Tick, segment: Segment, contact: Contact) {
        let state = match contact {
            Contact::Normal => Some(RelayState::Normal),
            Contact::Bypass => Some(RelayState::Bypass),
            Contact::Disconnect => Some(RelayState::Disconnect),
            Contact::Unknown => None,
        };
        self.push(tick, EventKind::ContactRead, Some(segment), state, 0);
    }

    /// Sequence number the next event will get.
    pub(crate) fn next_sequence(&self) -> u32 {
        self.next
    }

    /// Oldest event still kept; equals [`Log::next_sequence`] when empty.
    pub(crate) fn oldest_sequence(&self) -> u32 {
        let kept = u32::try_from(CAPACITY).unwrap_or(u32::MAX);
        self.next.saturating_sub(kept).max(1)
    }

    /// The event with this number, if still kept.
    pub(crate) fn get(&self, sequence: u32) -> Option<&Event> {
        self.events
            .get(slot(sequence))?
            .as_ref()
            .filter(|event| event.sequence == sequence)
    }
}

fn slot(sequence: u32) -> usize {
    usize::try_from(sequence).unwrap_or(0) % CAPACITY
}
