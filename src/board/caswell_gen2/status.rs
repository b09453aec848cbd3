//! What the second input port of a segment's expander says. Source: `boards/caswell-gen2.toml`.

use crate::board::RelayState;

/// The level that decides what non-normal means; an output of the expander and read back on its pin.
pub(super) const BPE: u8 = 1 << 4;
const NON_NORMAL: u8 = 1 << 6;
const NOT_EXPIRED: u8 = 1 << 7;

/// One look at a chip's second input port.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status(pub(super) u8);

/// Who decides what non-normal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bpe {
    /// The expander drives the pin.
    Driven,
    /// It floats: the CPLD's own idea, which no source states, holds.
    Floating,
}

impl Status {
    pub(super) fn state(self, bpe: Bpe) -> RelayState {
        match (self.0 & NON_NORMAL != 0, bpe, self.0 & BPE != 0) {
            (false, _, _) => RelayState::Normal,
            (true, Bpe::Floating, _) => RelayState::Unknown,
            (true, Bpe::Driven, true) => RelayState::Bypass,
            (true, Bpe::Driven, false) => RelayState::Disconnect,
        }
    }

    pub(super) fn expired(self) -> bool {
        self.0 & NOT_EXPIRED == 0
    }
}
