//! Relays and contacts: what each segment should be, is driven to, and reads.
//!
//! Three views of one segment are kept apart, because each can differ from the next for good reasons:
//! * the *target*: what the last order asked for;
//! * the *drive*: what the coils are given now (the fence latch and the chained rule may hold it elsewhere);
//! * the *contact*: what the relay's own contacts read. The only one that proves anything.

use crate::MAX_SEGMENTS;

mod bank;

pub(crate) use bank::Bank;

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
