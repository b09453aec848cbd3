//! All relays of one controller: orders in, coils out, contacts read.

use super::{Cause, Contact, CutState, RelayState, Segment, SegmentMask};
use crate::log::{EventKind, Log};
use crate::strapping::CutPath;
use crate::{MAX_SEGMENTS, Tick};

/// All relays of one controller.
#[derive(Clone, Debug)]
pub(crate) struct Bank {
    present: SegmentMask,
    path: CutPath,
    relays: [Relay; MAX_SEGMENTS],
}

/// One relay as the machine sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relay {
    pub(crate) target: RelayState,
    pub(crate) drive: RelayState,
    pub(crate) contact: Contact,
    pub(crate) cause: Cause,
    /// Commanded moves since power-up: relay wear.
    pub(crate) moves: u32,
    known_contact: Contact,
    pending: Cause,
}

impl Bank {
    /// De-energised relays (`power_off`) that have just been told to take `power_up`.
    pub(crate) fn new(
        present: SegmentMask,
        path: CutPath,
        power_off: CutState,
        power_up: &[CutState; MAX_SEGMENTS],
    ) -> Self {
        let relays = power_up.map(|state| Relay {
            target: state.into(),
            drive: power_off.into(),
            contact: Contact::Unknown,
            cause: Cause::PowerUp,
            moves: 0,
            known_contact: Contact::Unknown,
            pending: Cause::PowerUp,
        });
        Self {
            present,
            path,
            relays,
        }
    }

    pub(crate) fn relay(&self, segment: Segment) -> Option<&Relay> {
        if self.present.contains(segment) {
            self.relays.get(segment.index())
        } else {
            None
        }
    }

    pub(crate) fn present(&self) -> SegmentMask {
        self.present
    }

    /// Orders `segments` to `state`. The coils follow in [`Bank::drive`].
    pub(crate) fn order(&mut self, segments: SegmentMask, state: RelayState, cause: Cause) {
        for relay in self.select(segments) {
            relay.target = state;
            relay.pending = cause;
        }
    }

    /// A latch was set: whatever was `Normal` becomes `fenced`, so that a later release restores nothing.
    pub(crate) fn latch(&mut self, fenced: CutState) {
        for relay in self.select(self.present) {
            relay.pending = Cause::FenceLatch;
            if relay.target == RelayState::Normal {
                relay.target = fenced.into();
            }
        }
    }

    /// The latch cleared; orders it covered show through.
    pub(crate) fn unlatch(&mut self) {
        for relay in self.select(self.present) {
            relay.pending = Cause::LatchCleared;
        }
    }

    /// Takes the contact readings; a changed reading is logged once it is known.
    pub(crate) fn read_contacts(
        &mut self,
        now: Tick,
        contacts: &[Contact; MAX_SEGMENTS],
        log: &mut Log,
    ) {
        for segment in self.present.iter() {
            let Some(relay) = self.relays.get_mut(segment.index()) else {
                continue;
            };
            relay.contact = contacts
                .get(segment.index())
                .copied()
                .unwrap_or(Contact::Unknown);
            if relay.contact != Contact::Unknown && relay.contact != relay.known_contact {
                relay.known_contact = relay.contact;
                log.push_contact(now, segment, relay.contact);
            }
        }
    }

    /// Gives every coil its state. `fenced` is the state the latch imposes, if it is set.
    pub(crate) fn drive(&mut self, now: Tick, fenced: Option<CutState>, log: &mut Log) {
        let may_make = self.may_make_bypass();
        for segment in self.present.iter() {
            let Some(relay) = self.relays.get_mut(segment.index()) else {
                continue;
            };
            let goal = goal(relay, fenced);
            let breaking = self.path == CutPath::BreakAllFirst
                && goal == RelayState::Bypass
                && relay.drive != RelayState::Bypass
                && !may_make;
            let drive = if breaking {
                RelayState::Disconnect
            } else {
                goal
            };
            if drive == relay.drive {
                continue;
            }
            relay.drive = drive;
            relay.cause = relay.pending;
            relay.moves = relay.moves.saturating_add(1);
            log.push(
                now,
                EventKind::RelayCommanded,
                Some(segment),
                Some(drive),
                relay.cause.code(),
            );
        }
    }

    /// Whether any coil is, or is about to be, given `Normal`.
    pub(crate) fn any_closed(&self, segments: SegmentMask) -> bool {
        self.iter(segments)
            .any(|relay| relay.target == RelayState::Normal || relay.drive == RelayState::Normal)
    }

    /// Whether the contacts of all segments certainly keep the host off the wire.
    pub(crate) fn all_open(&self) -> bool {
        self.iter(self.present).all(|relay| relay.contact.is_open())
    }

    /// Whether the contacts of all segments read exactly `state`.
    pub(crate) fn all_read(&self, state: CutState) -> bool {
        let wanted = Contact::from(RelayState::from(state));
        self.iter(self.present).all(|relay| relay.contact == wanted)
    }

    /// Chained pairs: `Bypass` on one segment while another still reads `Normal` would put the peer on that segment
    /// and the host on the other. So every contact must have parted before any is made.
    fn may_make_bypass(&self) -> bool {
        let driven = |relay: &Relay| relay.drive == RelayState::Normal;
        self.all_open() && !self.iter(self.present).any(driven)
    }

    fn iter(&self, segments: SegmentMask) -> impl Iterator<Item = &Relay> {
        segments
            .and(self.present)
            .iter()
            .filter_map(|segment| self.relays.get(segment.index()))
    }

    fn select(&mut self, segments: SegmentMask) -> impl Iterator<Item = &mut Relay> {
        let segments = segments.and(self.present);
        self.relays
            .iter_mut()
            .zip(0..8u8)
            .filter(move |(_, number)| segments.contains(Segment(*number)))
            .map(|(relay, _)| relay)
    }
}

fn goal(relay: &Relay, fenced: Option<CutState>) -> RelayState {
    fenced.map_or(relay.target, RelayState::from)
}
