//! Strapping: facts of the board and its cabling, read once at power-up.
//!
//! They come from jumpers and from the part itself, never over the bus: a confused host must not be able to turn a
//! parallel appliance (where `Bypass` shorts two switches) into one that may bypass.

use core::fmt;

use crate::relay::{CutState, RelayState, SegmentMask, StateSet};
use crate::{MAX_SEGMENTS, nonvolatile::NonVolatile};

/// How a cut to `Bypass` is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutPath {
    /// Each segment goes where it is told at once.
    Direct,
    /// Chained pairs: all segments to `Disconnect`, contacts read, only then `Bypass`. A stuck one keeps the rest in
    /// `Disconnect`, and a lone cut segment waits there for the others.
    BreakAllFirst,
}

/// Which of the two controllers wins when both ask at once. Exactly one of a pair must be `Preferred`: two preferred
/// ones would ignore each other while open. The controller cannot see that; the host's `check` must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// Wins.
    Preferred,
    /// Yields.
    Ordinary,
}

/// Board facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strapping {
    segments: u8,
    supported: StateSet,
    fenced: CutState,
    power_off: CutState,
    path: CutPath,
    rank: Rank,
    unique_id: [u8; 12],
    ticket_max_age_ms: u32,
    standing_ms: u32,
}

/// A strapping that would not be safe. The board must leave its relays de-energised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrappingError {
    /// The number of segments is not 1 to 8.
    SegmentCount {
        /// What was strapped.
        found: u8,
    },
    /// The relays cannot take a state the strapping relies on.
    StateMissing {
        /// The missing state.
        state: RelayState,
    },
    /// A time is outside its range, in ms.
    TimeOutOfRange {
        /// What was strapped.
        found_ms: u32,
        /// Least allowed.
        min_ms: u32,
        /// Most allowed.
        max_ms: u32,
    },
}

impl Strapping {
    /// Shortest dead-man window a host may arm. Ten ticks: below that the 1 ms sampling shows.
    pub const WINDOW_MIN_MS: u32 = 10;
    /// Longest dead-man window a host may arm.
    pub const WINDOW_MAX_MS: u32 = 60_000;
    /// Default ticket age (V). A fence takes two lines and one relay time (tens of ms); a host that needs longer
    /// than this between deciding and closing should decide again.
    pub const TICKET_MAX_AGE_MS: u32 = 1_000;
    /// Default of [`Strapping::standing_ms`]: several relay times.
    pub const STANDING_MS: u32 = 100;

    /// One appliance, fails to a wire: relays with `Normal` and `Bypass`.
    pub fn inline(segments: u8) -> Result<Self, StrappingError> {
        Self::new(
            segments,
            StateSet::NORMAL_BYPASS,
            CutState::Bypass,
            CutPath::Direct,
        )
    }

    /// Bridging pair on one wire: cut is `Bypass`.
    pub fn series(segments: u8) -> Result<Self, StrappingError> {
        Self::new(
            segments,
            StateSet::NORMAL_BYPASS,
            CutState::Bypass,
            CutPath::Direct,
        )
    }

    /// Two paths side by side: cut is `Disconnect`, `Bypass` is never taken.
    pub fn parallel(segments: u8) -> Result<Self, StrappingError> {
        Self::new(
            segments,
            StateSet::NORMAL_DISCONNECT,
            CutState::Disconnect,
            CutPath::Direct,
        )
    }

    /// The node through whose segments the other reaches the wire: cut is `Bypass`, by way of `Disconnect`.
    pub fn chained(segments: u8) -> Result<Self, StrappingError> {
        Self::new(
            segments,
            StateSet::ALL,
            CutState::Bypass,
            CutPath::BreakAllFirst,
        )
    }

    /// Any other board. De-energised relays are taken to fall into the fenced state; see
    /// [`Strapping::with_power_off`].
    pub fn new(
        segments: u8,
        supported: StateSet,
        fenced: CutState,
        path: CutPath,
    ) -> Result<Self, StrappingError> {
        if segments == 0 || usize::from(segments) > MAX_SEGMENTS {
            return Err(StrappingError::SegmentCount { found: segments });
        }
        let needed = [RelayState::Normal, fenced.into()];
        let broken = (path == CutPath::BreakAllFirst).then_some(RelayState::Disconnect);
        for state in needed.into_iter().chain(broken) {
            if !supported.contains(state) {
                return Err(StrappingError::StateMissing { state });
            }
        }
        Ok(Self {
            segments,
            supported,
            fenced,
            power_off: fenced,
            path,
            rank: Rank::Ordinary,
            unique_id: [0; 12],
            ticket_max_age_ms: Self::TICKET_MAX_AGE_MS,
            standing_ms: Self::STANDING_MS,
        })
    }

    /// Sets the rank strap.
    #[must_use]
    pub fn with_rank(mut self, rank: Rank) -> Self {
        self.rank = rank;
        self
    }

    /// Sets the part's unique id.
    #[must_use]
    pub fn with_unique_id(mut self, unique_id: [u8; 12]) -> Self {
        self.unique_id = unique_id;
        self
    }

    /// States what de-energised relays do. Where it is not the fenced state, a controller without power cannot
    /// acknowledge a fence: a power cut of this node is then never `Confirmed` over the wire.
    pub fn with_power_off(mut self, power_off: CutState) -> Result<Self, StrappingError> {
        if !self.supported.contains(power_off.into()) {
            return Err(StrappingError::StateMissing {
                state: power_off.into(),
            });
        }
        self.power_off = power_off;
        Ok(self)
    }

    /// Sets the ticket's greatest age V, 10 to 60,000 ms.
    pub fn with_ticket_max_age_ms(mut self, max_age_ms: u32) -> Result<Self, StrappingError> {
        self.ticket_max_age_ms = in_range(max_age_ms, 10, 60_000)?;
        Ok(self)
    }

    /// Sets [`Strapping::standing_ms`], 10 to 10,000 ms.
    pub fn with_standing_ms(mut self, standing_ms: u32) -> Result<Self, StrappingError> {
        self.standing_ms = in_range(standing_ms, 10, 10_000)?;
        Ok(self)
    }

    /// Number of segments, 1 to 8.
    #[must_use]
    pub fn segments(&self) -> u8 {
        self.segments
    }

    /// The segments present.
    #[must_use]
    pub fn present(&self) -> SegmentMask {
        SegmentMask::first(self.segments)
    }

    /// Relay states allowed on every segment.
    #[must_use]
    pub fn supported(&self) -> StateSet {
        self.supported
    }

    /// The state that cuts this host off the wire in this topology.
    #[must_use]
    pub fn fenced(&self) -> CutState {
        self.fenced
    }

    /// What de-energised relays do.
    #[must_use]
    pub fn power_off(&self) -> CutState {
        self.power_off
    }

    /// How a cut to `Bypass` is carried out.
    #[must_use]
    pub fn path(&self) -> CutPath {
        self.path
    }

    /// Which controller of the pair wins.
    #[must_use]
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// The part's unique id.
    #[must_use]
    pub fn unique_id(&self) -> [u8; 12] {
        self.unique_id
    }

    /// Greatest age of a ticket, and of a fence order's tick (V), in ms.
    #[must_use]
    pub fn ticket_max_age_ms(&self) -> u32 {
        self.ticket_max_age_ms
    }

    /// How long a latched, open controller that must yield keeps asking before it drops its hold, in ms.
    ///
    /// Not zero: the peer has to see the line. A node fenced by one whose host then died asks while latched; the
    /// peer answers by latching itself and letting go, which needs this line for one sample and one relay time.
    #[must_use]
    pub fn standing_ms(&self) -> u32 {
        self.standing_ms
    }

    /// Settings of a board fresh from the factory: power up as without power, expire into the fenced state.
    #[must_use]
    pub fn factory_settings(&self) -> NonVolatile {
        NonVolatile::new([self.power_off; MAX_SEGMENTS], [self.fenced; MAX_SEGMENTS])
    }
}

fn in_range(found_ms: u32, min_ms: u32, max_ms: u32) -> Result<u32, StrappingError> {
    if (min_ms..=max_ms).contains(&found_ms) {
        Ok(found_ms)
    } else {
        Err(StrappingError::TimeOutOfRange {
            found_ms,
            min_ms,
            max_ms,
        })
    }
}

impl fmt::Display for StrappingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SegmentCount { found } => {
                write!(
                    f,
                    "strapped for {found} segments; expected 1 to {MAX_SEGMENTS}"
                )
            }
            Self::StateMissing { state } => {
                write!(
                    f,
                    "relays cannot take {state:?}, which this strapping relies on"
                )
            }
            Self::TimeOutOfRange {
                found_ms,
                min_ms,
                max_ms,
            } => {
                write!(
                    f,
                    "strapped time of {found_ms} ms; expected {min_ms} to {max_ms} ms"
                )
            }
        }
    }
}

impl core::error::Error for StrappingError {}
