//! From a board profile to a board: which chips, at which addresses, behind which muxes, on which lines.
//!
//! Where a profile says that something is not known, the worse behaviour is built.

use core::time::Duration;

use fencepost_firmware::{CutPath, CutState, StateSet, Strapping};

use super::board::{FencePins, VirtualBoard};
use super::chips::riverbed::PowerStates;
use super::chips::{
    CaswellExpiry, CaswellGen2, CaswellSpec, GpioLatching, GpioMonostable, LannerExpiry, LannerMcu,
    LannerSpec, PulseTrainMcu, ReferenceController, RiverbedMcu, pulse_train,
};
use super::lines::{BoardLine, LineWire};
use super::relay::RelayTiming;
use crate::board::profile::{
    CaswellChip, CaswellPeriod, ControllerSpec, Expiry, FenceWires, LannerModule, LannerPair,
    LatchingCoil, LineRef, MonostableCoil, SettingSpec,
};
use crate::board::{Board, RelayState};
use crate::node::Instant;

/// What a profile does not say about one particular board.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// For everything a real board would draw by chance.
    pub seed: u64,
    /// Of every relay.
    pub timing: RelayTiming,
    /// Straps of the reference controller; by default those of a single appliance that fails to a wire.
    pub strapping: Option<Strapping>,
    /// Pairs fitted to every Lanner module; by default as many as the profile names.
    pub lanner_pairs: Option<u8>,
    /// When the board is powered up.
    pub powered_at: Instant,
}

impl VirtualBoard {
    /// The board a profile describes, just powered up.
    pub fn for_board(profile: &Board, options: Options) -> Self {
        let mut board = Self::bare();
        let timing = options.timing;
        match &profile.controller {
            ControllerSpec::Absent => {}
            ControllerSpec::Reference { address, .. } => {
                board.wire_reference(profile, *address, options);
            }
            ControllerSpec::LannerGen3 { modules, pairs, .. } => {
                board.wire_lanner(profile, modules, pairs, &options);
            }
            ControllerSpec::CaswellGen2 {
                settings_address,
                chips,
                period,
                ..
            } => board.wire_caswell(profile, *settings_address, chips, *period, timing),
            ControllerSpec::PulseTrain { line, .. } => {
                board.wire_pulse_train(profile, line, timing);
            }
            ControllerSpec::GpioMonostable { coils, kick } => {
                board.wire_monostable(profile, coils, kick.as_ref(), timing);
            }
            ControllerSpec::GpioLatching { coils, .. } => {
                board.wire_latching(profile, coils, timing);
            }
            ControllerSpec::Riverbed { address, ports, .. } => {
                board.wire_riverbed(profile, *address, ports, timing);
            }
        }
        board.wire_panel(profile);
        board
    }

    fn wire_reference(&mut self, profile: &Board, address: u8, options: Options) {
        let strapping = options.strapping.or_else(|| strapping_of(profile));
        // A strapping that is not safe leaves the relays de-energised: nothing answers.
        let Some(strapping) = strapping else {
            return;
        };
        let segments = usize::from(strapping.segments());
        let chip = self.add_chip(Box::new(ReferenceController::new(
            options.powered_at,
            strapping,
            address,
            options.seed,
            options.timing,
        )));
        self.add_to_bus(&[], address, chip);
        for segment in 0..segments {
            self.add_segment(chip, segment);
        }
        self.fence = Some(FencePins {
            chip,
            order_in: ReferenceController::ORDER_IN,
            acknowledge_in: ReferenceController::ACKNOWLEDGE_IN,
            order_out: ReferenceController::ORDER_OUT,
            acknowledge_out: ReferenceController::ACKNOWLEDGE_OUT,
        });
    }

    fn wire_lanner(
        &mut self,
        profile: &Board,
        modules: &[LannerModule],
        pairs: &[LannerPair],
        options: &Options,
    ) {
        let on_expiry = match profile.dead_man.expiry {
            Expiry::Sticky => LannerExpiry::WritesMask,
            Expiry::KickRestores | Expiry::Unknown => LannerExpiry::OverridesMask,
        };
        let first = self.chips.len();
        for (index, module) in modules.iter().enumerate() {
            let own = pairs.iter().filter(|pair| pair.module == index);
            let highest = own.map(|pair| pair.bit).max().unwrap_or(0);
            let chip = self.add_chip(Box::new(LannerMcu::new(LannerSpec {
                pairs: options.lanner_pairs.unwrap_or(highest.saturating_add(1)),
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

    fn wire_caswell(
        &mut self,
        profile: &Board,
        settings_address: u8,
        chips: &[CaswellChip],
        period: CaswellPeriod,
        timing: RelayTiming,
    ) {
        let on_expiry = match profile.dead_man.expiry {
            Expiry::Sticky => CaswellExpiry::Sticky,
            Expiry::KickRestores | Expiry::Unknown => CaswellExpiry::LoadRestores,
        };
        // Delivered in bypass, without power and at boot.
        let settings = (chips.iter())
            .flat_map(|chip| [chip.bpe_bit, chip.nextboot_bit])
            .fold(0, |bits, bit| bits | 1 << bit.min(7));
        let chip = self.add_chip(Box::new(CaswellGen2::new(CaswellSpec {
            settings_address,
            chips: chips.to_vec(),
            period,
            on_expiry,
            timing,
            settings,
        })));
        self.add_to_bus(&[], settings_address, chip);
        for (segment, part) in chips.iter().enumerate() {
            self.add_to_bus(&[], part.address, chip);
            self.add_segment(chip, segment);
        }
    }

    fn wire_pulse_train(&mut self, profile: &Board, line: &LineRef, timing: RelayTiming) {
        let rest = rest_of(profile, 0);
        let timeout = own_period(profile).unwrap_or(pulse_train::ASSUMED_TIMEOUT);
        let chip = self.add_chip(Box::new(PulseTrainMcu::new(rest, timeout, timing)));
        self.wire_input(line, chip, PulseTrainMcu::WAVE);
        self.add_segment(chip, 0);
    }

    fn wire_monostable(
        &mut self,
        profile: &Board,
        coils: &[MonostableCoil],
        kick: Option<&LineRef>,
        timing: RelayTiming,
    ) {
        let rests: Vec<_> = (0..coils.len()).map(|n| rest_of(profile, n)).collect();
        let gate = kick.map(|_| own_period(profile).unwrap_or(pulse_train::ASSUMED_TIMEOUT));
        let chip = self.add_chip(Box::new(GpioMonostable::new(&rests, gate, timing)));
        for (segment, coil) in coils.iter().enumerate() {
            self.wire_input(&coil.coil, chip, segment);
            self.wire_contact(coil.contact.as_ref(), chip, segment);
            self.add_segment(chip, segment);
        }
        if let Some(kick) = kick {
            self.wire_input(kick, chip, GpioMonostable::KICK);
        }
    }

    fn wire_latching(&mut self, profile: &Board, coils: &[LatchingCoil], timing: RelayTiming) {
        let cuts: Vec<_> = (0..coils.len()).map(|n| cut_of(profile, n)).collect();
        let chip = self.add_chip(Box::new(GpioLatching::new(&cuts, timing)));
        for (segment, coil) in coils.iter().enumerate() {
            self.wire_input(&coil.set, chip, segment * 2);
            self.wire_input(&coil.reset, chip, segment * 2 + 1);
            self.wire_contact(coil.contact.as_ref(), chip, segment);
            self.add_segment(chip, segment);
        }
    }

    fn wire_riverbed(&mut self, profile: &Board, address: u8, ports: &[u8], timing: RelayTiming) {
        let told = |setting: fn(&Board) -> Option<&SettingSpec>| {
            setting(profile).and_then(|spec| spec.possible.first().copied())
        };
        let states = PowerStates {
            up: told(|board| board.segments.first().map(|segment| &segment.power_up)),
            off: told(|board| board.segments.first().map(|segment| &segment.power_off)),
        };
        let chip = self.add_chip(Box::new(RiverbedMcu::new(ports, states, timing)));
        self.add_to_bus(&[], address, chip);
        for segment in 0..ports.len() {
            self.add_segment(chip, segment);
        }
    }

    fn wire_input(&mut self, line: &LineRef, chip: usize, pin: usize) {
        let wire = LineWire::ToChip { chip, pin };
        self.add_line(BoardLine::new(&line.name, line.active, wire));
    }

    fn wire_contact(&mut self, line: Option<&LineRef>, chip: usize, pin: usize) {
        if let Some(line) = line {
            let wire = LineWire::FromChip { chip, pin };
            self.add_line(BoardLine::new(&line.name, line.active, wire));
        }
    }

    fn wire_panel(&mut self, profile: &Board) {
        for led in &profile.leds {
            let line = &led.line;
            self.add_line(BoardLine::new(&line.name, line.active, LineWire::Led));
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

/// A single appliance: cut is the state without power.
fn strapping_of(profile: &Board) -> Option<Strapping> {
    let bits = (profile.segments.iter())
        .flat_map(|segment| &segment.run_time)
        .fold(0, |bits, state| {
            bits | match state {
                RelayState::Normal => {
                    StateSet::NORMAL_BYPASS.bits() & StateSet::NORMAL_DISCONNECT.bits()
                }
                RelayState::Bypass => StateSet::NORMAL_BYPASS.bits(),
                RelayState::Disconnect => StateSet::NORMAL_DISCONNECT.bits(),
                RelayState::Unknown => 0,
            }
        });
    let supported = StateSet::from_bits(bits);
    let cut = match rest_of(profile, 0) {
        RelayState::Disconnect => CutState::Disconnect,
        RelayState::Bypass | RelayState::Normal | RelayState::Unknown => CutState::Bypass,
    };
    let segments = u8::try_from(profile.segments.len()).ok()?;
    Strapping::new(segments, supported, cut, CutPath::Direct).ok()
}

/// Where a segment's relay rests without drive.
fn rest_of(profile: &Board, segment: usize) -> RelayState {
    let spec = profile.segments.get(segment).map(|it| &it.power_off);
    spec.and_then(|spec| spec.possible.first().copied())
        .unwrap_or_else(|| cut_of(profile, segment))
}

/// The state other than Normal that a segment can be put in.
fn cut_of(profile: &Board, segment: usize) -> RelayState {
    let states = profile.segments.get(segment).map(|it| &it.run_time);
    let cut = |state: &&RelayState| **state != RelayState::Normal;
    states
        .and_then(|states| states.iter().find(cut).copied())
        .unwrap_or(RelayState::Bypass)
}

/// The one period of a dead-man that cannot be set.
fn own_period(profile: &Board) -> Option<Duration> {
    profile.dead_man.periods.effective(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use embedded_hal::i2c::Operation;

    use super::*;
    use crate::board::catalogue;
    use crate::sim::port::HostPort;

    /// Sets the muxes on the way and probes the part.
    fn probe(board: &mut VirtualBoard, path: &[(u8, u8)], address: u8) {
        let now = Instant::from_millis(1);
        for (mux, channel) in path {
            let select = &mut [Operation::Write(&[*channel])];
            board.i2c(now, *mux, select).unwrap();
        }
        let probe = board.i2c(now, address, &mut [Operation::Write(&[])]);
        assert_eq!(probe, Ok(()), "0x{address:02x} behind {path:02x?}");
    }

    fn probe_all(profile: &Board, board: &mut VirtualBoard) {
        match &profile.controller {
            ControllerSpec::Absent => {}
            ControllerSpec::Reference { address, .. }
            | ControllerSpec::Riverbed { address, .. } => probe(board, &[], *address),
            ControllerSpec::LannerGen3 { modules, .. } => {
                for module in modules {
                    probe(board, &module.mux, module.address);
                }
            }
            ControllerSpec::CaswellGen2 {
                settings_address,
                chips,
                ..
            } => {
                probe(board, &[], *settings_address);
                chips
                    .iter()
                    .for_each(|chip| probe(board, &[], chip.address));
            }
            ControllerSpec::PulseTrain { line, .. } => {
                assert!(board.line_names().contains(&line.name));
            }
            ControllerSpec::GpioMonostable { coils, .. } => {
                assert!(board.line_names().contains(&coils[0].coil.name));
            }
            ControllerSpec::GpioLatching { coils, .. } => {
                assert!(board.line_names().contains(&coils[0].set.name));
            }
        }
    }

    #[test]
    fn every_shipped_board_comes_up_cut_with_every_part_in_its_place() {
        let mut boards = 0;
        for entry in catalogue::list(&[]) {
            for profile in entry.profile.unwrap().boards {
                let mut board = VirtualBoard::for_board(&profile, Options::default());
                board.tick(Instant::from_millis(100));
                assert_eq!(board.segments(), profile.segments.len(), "{}", profile.id);
                for segment in 0..board.segments() {
                    let state = board.segment_state(segment);
                    assert_eq!(state, RelayState::Bypass, "{} {segment}", profile.id);
                }
                probe_all(&profile, &mut board);
                boards += 1;
            }
        }
        assert!(boards >= 7, "{boards} boards");
    }

    #[test]
    fn pairs_that_are_not_fitted_have_no_relay() {
        let profile = catalogue::load(&[], "lanner-gen3/sni40").unwrap();
        let options = Options {
            lanner_pairs: Some(2),
            ..Options::default()
        };
        let board = VirtualBoard::for_board(&profile, options);
        assert_eq!(board.segment_state(1), RelayState::Bypass);
        assert_eq!(board.segment_state(2), RelayState::Unknown);
    }
}
