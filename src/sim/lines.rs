//! GPIO lines between the host and the board: levels outside, active or inactive inside.
//!
//! A line nobody drives is pulled to its inactive level. Like the kernel's virtio driver, a host may set a
//! level before it takes the line as output; the level then waits.

use super::chips::Drive;
use super::port::LineDirection;
use crate::board::profile::Active;

/// What is at the board's end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineWire {
    /// An input pin of a chip.
    ToChip {
        /// Chip index.
        chip: usize,
        /// Its pin.
        pin: usize,
    },
    /// An output pin of a chip.
    FromChip {
        /// Chip index.
        chip: usize,
        /// Its pin.
        pin: usize,
    },
    /// A push button.
    Button,
    /// An LED.
    Led,
    /// Order to the peer's latch.
    FenceOrder,
    /// Acknowledge from the peer.
    FenceAcknowledge,
}

/// One line.
#[derive(Debug, Clone)]
pub struct BoardLine {
    /// As the kernel names it.
    pub name: String,
    /// Which level is active.
    pub active: Active,
    /// The other end.
    pub wire: LineWire,
    /// What the host does with it.
    pub direction: LineDirection,
    /// Level the host has set, driven only while it holds the line as output.
    pub level: bool,
    /// Another consumer holds it: the host's levels do not reach the board.
    pub busy: bool,
    /// Button, LED and fence lines: active as driven from the board's side.
    pub board_active: bool,
}

impl BoardLine {
    /// A line nobody holds.
    pub fn new(name: impl Into<String>, active: Active, wire: LineWire) -> Self {
        Self {
            name: name.into(),
            active,
            wire,
            direction: LineDirection::Released,
            level: false,
            busy: false,
            board_active: false,
        }
    }

    /// What the host does to the board's end.
    pub fn drive(&self) -> Drive {
        match self.direction {
            LineDirection::Released | LineDirection::Input => Drive::Floating,
            LineDirection::Output if self.is_active(self.level) => Drive::Active,
            LineDirection::Output => Drive::Inactive,
        }
    }

    /// Active or inactive to electrical level.
    pub fn level_of(&self, active: bool) -> bool {
        active == (self.active == Active::High)
    }

    fn is_active(&self, level: bool) -> bool {
        level == (self.active == Active::High)
    }
}
