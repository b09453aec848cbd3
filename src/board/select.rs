//! The part of a board that a site uses: other segments are left alone, and their modules never addressed.

use super::profile::{Board, CaswellPeriod, ControllerSpec, LannerPair};

impl Board {
    /// This board with only the segments at `wanted` (ascending indices), in board order.
    ///
    /// # Errors
    /// A sentence, if the controller cannot be used in part that way.
    pub fn only(&self, wanted: &[usize]) -> Result<Self, String> {
        let mut board = self.clone();
        board.segments = pick(&self.segments, wanted);
        match &mut board.controller {
            ControllerSpec::Absent => {}
            ControllerSpec::Reference { .. } | ControllerSpec::PulseTrain { .. } => {
                if !wanted.iter().copied().eq(0..wanted.len()) {
                    return Err(format!(
                        "this controller counts its segments from the first: use them in order from `{}` without \
                         a gap",
                        self.segments
                            .first()
                            .map_or("", |first| first.name.as_str())
                    ));
                }
            }
            ControllerSpec::LannerGen3 { modules, pairs, .. } => {
                let chosen: Vec<LannerPair> = pick(pairs, wanted);
                let used: Vec<usize> = (0..modules.len())
                    .filter(|module| chosen.iter().any(|pair| pair.module == *module))
                    .collect();
                *modules = pick(modules, &used);
                *pairs = chosen
                    .into_iter()
                    .map(|pair| LannerPair {
                        module: used
                            .iter()
                            .position(|used| *used == pair.module)
                            .unwrap_or(0),
                        bit: pair.bit,
                    })
                    .collect();
            }
            ControllerSpec::CaswellGen2 { chips, period, .. } => {
                if *period == CaswellPeriod::Shared && !wanted.contains(&0) {
                    return Err(format!(
                        "the first chip holds the period of all segments: use `{}` too",
                        self.segments
                            .first()
                            .map_or("", |first| first.name.as_str())
                    ));
                }
                *chips = pick(chips, wanted);
            }
            ControllerSpec::GpioMonostable { coils, .. } => *coils = pick(coils, wanted),
            ControllerSpec::GpioLatching { coils, .. } => *coils = pick(coils, wanted),
            ControllerSpec::Riverbed { ports, .. } => *ports = pick(ports, wanted),
        }
        Ok(board)
    }
}

fn pick<T: Clone>(all: &[T], wanted: &[usize]) -> Vec<T> {
    wanted
        .iter()
        .filter_map(|index| all.get(*index).cloned())
        .collect()
}
