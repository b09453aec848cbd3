//! What can be read from the machine. Nothing here changes it, nor lets time pass.

use super::{Controller, Tally, Tick};
use crate::deadman::TimerState;
use crate::fence::Line;
use crate::log::Event;
use crate::nonvolatile::NonVolatile;
use crate::relay::{Cause, Contact, RelayState, Segment, SegmentMask};
use crate::strapping::Strapping;

impl Controller {
    /// The controller's tick: the greatest `now` it was ever given.
    #[must_use]
    pub fn now(&self) -> Tick {
        self.now
    }

    /// Board facts.
    #[must_use]
    pub fn strapping(&self) -> &Strapping {
        &self.strapping
    }

    /// Non-volatile settings in force.
    #[must_use]
    pub fn settings(&self) -> &NonVolatile {
        &self.settings
    }

    /// State of the dead-man.
    #[must_use]
    pub fn timer(&self) -> TimerState {
        self.deadman.state()
    }

    /// The dead-man's session.
    #[must_use]
    pub fn session(&self) -> u32 {
        self.deadman.session()
    }

    /// The tick at which the dead-man expires, while it runs.
    #[must_use]
    pub fn deadline(&self) -> Option<Tick> {
        self.deadman.deadline()
    }

    /// Milliseconds until the dead-man expires; 0 unless it runs.
    #[must_use]
    pub fn remaining_ms(&self) -> u32 {
        self.deadman.remaining_ms(self.now)
    }

    /// The armed window W, in ms; 0 before the first arm.
    #[must_use]
    pub fn window_ms(&self) -> u32 {
        self.deadman.window_ms()
    }

    /// Segments the dead-man will open.
    #[must_use]
    pub fn armed(&self) -> SegmentMask {
        self.deadman.armed()
    }

    /// Whether the peer's fence latches us.
    #[must_use]
    pub fn latched(&self) -> bool {
        self.fence.latched()
    }

    /// Latch generation: random at power-up, +1 on every change of the latch.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.fence.generation()
    }

    /// Whether we fence the peer.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.fence.holds()
    }

    /// Whether our fence is acknowledged by a line that was seen to change.
    #[must_use]
    pub fn peer_fenced(&self) -> bool {
        self.fence.acknowledged()
    }

    /// The fence line from the peer, as last sampled.
    #[must_use]
    pub fn fence_line(&self) -> Line {
        self.fence.line()
    }

    /// The peer's acknowledge, as last sampled.
    #[must_use]
    pub fn peer_ack(&self) -> Line {
        self.fence.peer_ack()
    }

    /// Whether a valid ticket is out.
    #[must_use]
    pub fn ticket_out(&self) -> bool {
        self.tickets.is_valid()
    }

    /// What a segment was last told to be, under latch and chained rule; `None` for segments the board lacks.
    #[must_use]
    pub fn target(&self, segment: Segment) -> Option<RelayState> {
        self.relays.relay(segment).map(|relay| relay.target)
    }

    /// What a segment's coils are given.
    #[must_use]
    pub fn drive(&self, segment: Segment) -> Option<RelayState> {
        self.relays.relay(segment).map(|relay| relay.drive)
    }

    /// What a segment's contacts read.
    #[must_use]
    pub fn contact(&self, segment: Segment) -> Option<Contact> {
        self.relays.relay(segment).map(|relay| relay.contact)
    }

    /// Why a segment's relay was last commanded.
    #[must_use]
    pub fn cause(&self, segment: Segment) -> Option<Cause> {
        self.relays.relay(segment).map(|relay| relay.cause)
    }

    /// How often a segment's relay was commanded since power-up.
    #[must_use]
    pub fn moves(&self, segment: Segment) -> Option<u32> {
        self.relays.relay(segment).map(|relay| relay.moves)
    }

    /// The event log.
    #[must_use]
    pub fn event(&self, sequence: u32) -> Option<&Event> {
        self.log.get(sequence)
    }

    /// Oldest event kept, and the number the next one will get.
    #[must_use]
    pub fn event_range(&self) -> core::ops::Range<u32> {
        self.log.oldest_sequence()..self.log.next_sequence()
    }

    /// Counters since power-up.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }
}
