//! From a board profile to a board: which chips, at which addresses, behind which muxes, on which lines.

use super::board::VirtualBoard;
use super::chips::{LannerExpiry, LannerMcu, LannerSpec};
use super::lines::{BoardLine, LineWire};
use super::relay::RelayTiming;
use crate::board::Board;
use crate::board::profile::{ControllerSpec, Expiry, FenceWires, LannerModule, LannerPair};

/// What a profile does not say about one particular board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// For everything a real board would draw by chance.
    pub seed: u64,
    /// Of every relay.
    pub timing: RelayTiming,
}

impl VirtualBoard {
    /// The board a profile describes, just powered up.
    pub fn for_board(profile: &Board, options: Options) -> Self {
        let mut board = Self::bare();
        match &profile.controller {
            ControllerSpec::LannerGen3 { modules, pairs, .. } => {
                board.wire_lanner(profile, modules, pairs, options);
            }
            _ => todo!(),
        }
        board.wire_panel(profile);
        board
    }

    fn wire_lanner(
        &mut self,
        profile: &Board,
        modules: &[LannerModule],
        pairs: &[LannerPair],
        options: Options,
    ) {
        let on_expiry = match profile.dead_man.expiry {
            Expiry::Sticky => LannerExpiry::WritesMask,
            // Unknown is treated as the worse one.
            Expiry::KickRestores | Expiry::Unknown => LannerExpiry::OverridesMask,
        };
        let first = self.chips.len();
        for (index, module) in modules.iter().enumerate() {
            let own = pairs.iter().filter(|pair| pair.module == index);
            let highest = own.map(|pair| pair.bit).max().unwrap_or(0);
            let chip = self.add_chip(Box::new(LannerMcu::new(LannerSpec {
                pairs: highest.saturating_add(1),
                on_expiry,
                timing: options.timing,
                ..LannerSpec::default()
            })));
            self.add_to_bus(&module.mux, module.address, chip);
        }
        for pair in pairs {
            self.add_segment(first + pair.module, usize::from(pair.bit));
        }
    }

    fn wire_panel(&mut self, profile: &Board) {
        for led in &profile.leds {
            self.add_line(BoardLine::new(
                &led.line.name,
                led.line.active,
                LineWire::Led,
            ));
        }
        for button in &profile.buttons {
            let line = &button.line;
            self.add_line(BoardLine::new(&line.name, line.active, LineWire::Button));
        }
        if let Some(FenceWires::Lines { order, acknowledge }) = &profile.fence {
            let ends = [
                (order, LineWire::FenceOrder),
                (acknowledge, LineWire::FenceAcknowledge),
            ];
            for (line, wire) in ends {
                self.add_line(BoardLine::new(&line.name, line.active, wire));
            }
        }
    }
}
