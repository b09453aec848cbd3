//! One host's kernel, as far as it serves: vips that answer until they are removed, and serve actions that land when
//! they land.
//!
//! It outlives the agent and dies with the host. Actions die with the agent that ordered them, as calls made in its
//! own process do.

use crate::node::Instant;
use crate::node::pair::Presence;

/// A serve action or its undoing, on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Hold(u64),
    Refresh(u64),
    Announce(u64),
    Drop(u64),
    Read(u64),
}

/// The kernel of a running host.
#[derive(Debug, Clone, Default)]
pub(super) struct Kernel {
    pub(super) vips: Vips,
    /// When the vips' lifetime ends, if they have one.
    pub(super) ends_at: Option<Instant>,
    /// Serve actions on their way, for the checks.
    pub(super) under_way: u32,
    /// Calls take this much longer at present.
    pub(super) slow: core::time::Duration,
    /// The next hold fails.
    pub(super) refuses: bool,
}

/// The vips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Vips {
    #[default]
    Absent,
    Present,
}

impl Kernel {
    pub(super) fn presence(&self) -> Presence {
        match self.vips {
            Vips::Absent => Presence::Absent,
            Vips::Present => Presence::Present,
        }
    }
}

impl Call {
    /// Whether it can make a vip answer.
    pub(super) fn serves(self) -> bool {
        matches!(self, Self::Hold(_) | Self::Refresh(_))
    }
}
