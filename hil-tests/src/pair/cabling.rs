//! How a pair's two segments hang in the network, and what that makes of a Backup.
//!
//! ```text
//! parallel   switch 1 ══[a]══ switch 2        series   switch 1 ══[a]══[b]══ switch 2
//!            switch 1 ══[b]══ switch 2
//! ```
//!
//! The neighbour is at switch 1.

use fencepost::board::RelayState;
use fencepost_firmware::{Strapping, StrappingError};
use serde::Serialize;

use crate::wire::SharedPort;
use crate::wire::hub::{Hub, Passes};

/// Cabling and standby.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cabling {
    /// Side by side, the Backup closed: heartbeats also go through the network.
    #[default]
    Hot,
    /// Side by side, the Backup dark.
    Cold,
    /// One behind the other, the Backup a plain wire.
    Series,
    /// Side by side without relays: what the rig has of them is closed by hand and nobody's.
    Apart,
}

impl Cabling {
    /// `topology`.
    pub(super) const fn topology(self) -> &'static str {
        match self {
            Self::Hot | Self::Cold => "parallel",
            Self::Series => "series",
            Self::Apart => "apart",
        }
    }

    /// `standby`.
    pub(super) const fn standby(self) -> &'static str {
        match self {
            Self::Hot | Self::Apart => "hot",
            Self::Cold | Self::Series => "cold",
        }
    }

    /// `fail`.
    pub(super) const fn fail(self) -> &'static str {
        match self {
            Self::Hot | Self::Cold | Self::Apart => "disconnect",
            Self::Series => "bypass",
        }
    }

    /// Of the boards.
    pub(super) fn strapping(self) -> Result<Strapping, StrappingError> {
        match self {
            Self::Hot | Self::Cold | Self::Apart => Strapping::parallel(1),
            Self::Series => Strapping::series(1),
        }
    }

    /// Whether the agents have relays.
    pub const fn has_relays(self) -> bool {
        !matches!(self, Self::Apart)
    }

    /// A Backup hears the data network.
    pub const fn hears_network(self) -> bool {
        matches!(self, Self::Hot | Self::Apart)
    }

    /// Where the relay of a Backup at rest is.
    pub const fn standby_relay(self) -> RelayState {
        match self {
            Self::Hot | Self::Apart => RelayState::Normal,
            Self::Cold => RelayState::Disconnect,
            Self::Series => RelayState::Bypass,
        }
    }

    /// The network's switches, with the net ends `[lan, wan]` of both segments and the neighbour.
    pub(super) fn switches(
        self,
        [a_lan, a_wan]: [SharedPort; 2],
        [b_lan, b_wan]: [SharedPort; 2],
        neighbour: SharedPort,
        lan: &Passes,
    ) -> Vec<Hub> {
        match self {
            Self::Hot | Self::Cold | Self::Apart => vec![
                Hub::filter(&[a_lan, b_lan, neighbour], lan),
                Hub::join(&[a_wan, b_wan]),
            ],
            Self::Series => vec![
                Hub::join(&[a_lan, neighbour]),
                Hub::join(&[a_wan, b_lan]),
                Hub::join(&[b_wan]),
            ],
        }
    }
}
