//! Relays and contacts: what each segment should be, is driven to, and reads.
//!
//! Three views of one segment are kept apart, because each can differ from the next for good reasons:
//! * the *target*: what the last order asked for;
//! * the *drive*: what the coils are given now (the fence latch and the chained rule may hold it elsewhere);
//! * the *contact*: what the relay's own contacts read. The only one that proves anything.

use crate::log::{EventKind, Log};
use crate::strapping::CutPath;
use crate::{MAX_SEGMENTS, Tick};

/// State of a bypass relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelayState {
    /// Both ports lead to the host.
    Normal,
    /// The two ports are a plain wire; the host is out.
    Bypass,
    /// Both ports are open; no path, the links are down.
    Disconnect,
}

/// A relay state that keeps the host off the wire.
///
/// Power-up default, power-off state, expiry state and fenced state have this type: they can never be `Normal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CutState {
    /// See [`RelayState::Bypass`].
    Bypass,
    /// See [`RelayState::Disconnect`].
    Disconnect,
}

/// What the contacts of a relay read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contact {
    /// Contacts read normal.
    Normal,
    /// Contacts read bypass.
    Bypass,
    /// Contacts read disconnect.
    Disconnect,
    /// Contacts contradict each other: moving, stuck half-way, or not readable.
    Unknown,
}

/// Why a relay was last commanded to another state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Power-up default taken.
    PowerUp,
    /// Host's close, with ticket and proof.
    HostClose,
    /// Host's cut.
    HostCut,
    /// The peer's fence latched this controller.
    FenceLatch,
    /// The latch cleared and uncovered a cut ordered meanwhile.
    LatchCleared,
    /// The dead-man expired.
    Expiry,
}

/// One segment, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment(u8);

/// A set of segments; bit n is segment n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentMask(pub u8);

/// The relay states a segment's hardware and cabling allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateSet(u8);

impl From<CutState> for RelayState {
    fn from(cut: CutState) -> Self {
        match cut {
            CutState::Bypass => Self::Bypass,
            CutState::Disconnect => Self::Disconnect,
        }
    }
}

impl RelayState {
    /// This state as a cut, or `None` for `Normal`.
    #[must_use]
    pub fn as_cut(self) -> Option<CutState> {
        match self {
            Self::Normal => None,
            Self::Bypass => Some(CutState::Bypass),
            Self::Disconnect => Some(CutState::Disconnect),
        }
    }
}

impl From<RelayState> for Contact {
    fn from(state: RelayState) -> Self {
        match state {
            RelayState::Normal => Self::Normal,
            RelayState::Bypass => Self::Bypass,
            RelayState::Disconnect => Self::Disconnect,
        }
    }
}

impl Contact {
    /// Whether these contacts certainly keep the host off the wire. `Unknown` does not.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Bypass | Self::Disconnect)
    }
}

impl Segment {
    /// Segment `number`, counted from 0; `None` past [`MAX_SEGMENTS`].
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (usize::from(number) < MAX_SEGMENTS).then_some(Self(number))
    }

    /// Its number, counted from 0.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// Its number as an index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl SegmentMask {
    /// No segment.
    pub const NONE: Self = Self(0);

    /// The first `count` segments (more than 8 counts as 8).
    #[must_use]
    pub fn first(count: u8) -> Self {
        Self(
            u8::MAX
                .checked_shr(8u32.saturating_sub(u32::from(count)))
                .unwrap_or(0),
        )
    }

    /// Only `segment`.
    #[must_use]
    pub fn only(segment: Segment) -> Self {
        Self(1 << segment.0)
    }

    /// Whether `segment` is in the set.
    #[must_use]
    pub fn contains(self, segment: Segment) -> bool {
        self.0 & (1 << segment.0) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Segments in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Segments in this set and not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The segments, lowest first.
    pub fn iter(self) -> impl Iterator<Item = Segment> {
        (0..8u8)
            .map(Segment)
            .filter(move |segment| self.contains(*segment))
    }
}

impl StateSet {
    /// Normal and Bypass: the classic bypass relay pair.
    pub const NORMAL_BYPASS: Self = Self(0b011);
    /// Normal and Disconnect: what a parallel topology may use.
    pub const NORMAL_DISCONNECT: Self = Self(0b101);
    /// All three states.
    pub const ALL: Self = Self(0b111);

    /// From bits: 0 Normal, 1 Bypass, 2 Disconnect.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Bits: 0 Normal, 1 Bypass, 2 Disconnect.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether `state` is in the set.
    #[must_use]
    pub fn contains(self, state: RelayState) -> bool {
        let bit = match state {
            RelayState::Normal => 1,
            RelayState::Bypass => 2,
            RelayState::Disconnect => 4,
        };
        self.0 & bit != 0
    }
}

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
        let may_make = self.may_make_bypass(fenced);
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
    fn may_make_bypass(&self, fenced: Option<CutState>) -> bool {
        self.all_open()
            && self.iter(self.present).all(|relay| {
                relay.drive != RelayState::Normal && goal(relay, fenced) != RelayState::Normal
            })
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
