//! From a profile to a driver: which lines and buses are asked for, and which driver gets them.
//!
//! Opening moves nothing: buses are opened, lines are requested at the level they are at, nothing is written. If any
//! part cannot be had, all of it is given back and the fault names the part.
//!
//! What if the agent dies here? Nothing was ordered; lines that were requested float again as they did before.

use core::time::Duration;
use std::collections::BTreeSet;

use super::bus::{BusError, Clock, Lines, SmBus};
use super::caswell_gen2::CaswellGen2;
use super::controller::{Controller, Fault};
use super::gpio_latching::GpioLatching;
use super::gpio_monostable::{GpioMonostable, Timer};
use super::gpio_segment::{Contacts, OutputGroup};
use super::lanner_gen3::LannerGen3;
use super::no_relays::NoRelays;
use super::profile::{
    AdapterRef, Board, ControllerSpec, LatchingCoil, LineRef, MonostableCoil, Periods,
};
use super::pulse_train::PulseTrain;
use super::reference::Reference;
use super::retrying::Retrying;
use super::riverbed::Riverbed;
use super::vendor::{Segment, Used};

/// Where buses and lines come from: the kernel, a virtual board, a simulator.
pub trait Wiring {
    /// Open an adapter.
    ///
    /// # Errors
    /// [`BusError::Absent`] if there is none or more than one of that name.
    fn smbus(&mut self, adapter: &AdapterRef) -> Result<Box<dyn SmBus>, BusError>;

    /// Request lines as outputs, all in one request, *at the levels they are at*.
    ///
    /// # Errors
    /// [`BusError::Busy`] if somebody else holds one, [`BusError::Absent`] if one does not exist.
    fn outputs(&mut self, lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError>;

    /// Request lines as inputs, all in one request.
    ///
    /// # Errors
    /// As for outputs.
    fn inputs(&mut self, lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError>;

    /// The clock of the node's events.
    fn clock(&self) -> Box<dyn Clock>;
}

/// Open a board's controller. `used` are the segments (by the profile's index) that this site's configuration
/// names; nothing is ever commanded on the others, for their ports may be plain network ports.
///
/// # Errors
/// Any [`BusError`] of the wiring; [`Fault::Incapable`] if the profile contradicts itself or `used` names a segment
/// that is not there.
pub fn open(
    board: &Board,
    used: &BTreeSet<usize>,
    wiring: &mut dyn Wiring,
) -> Result<Box<dyn Controller>, Fault> {
    check(board, used)?;
    let segments: Vec<Segment> = board
        .segments
        .iter()
        .enumerate()
        .map(|(index, facts)| {
            let used = if used.contains(&index) {
                Used::Yes
            } else {
                Used::No
            };
            Segment::new(facts, used)
        })
        .collect();
    match &board.controller {
        ControllerSpec::Absent => Ok(Box::new(NoRelays::default())),
        ControllerSpec::Reference { adapter, address } => {
            let io = Retrying::new(wiring.smbus(adapter)?, wiring.clock());
            Ok(Box::new(Reference::new(io, *address, segments)))
        }
        ControllerSpec::LannerGen3 {
            adapter,
            modules,
            pairs,
        } => {
            let io = Retrying::new(wiring.smbus(adapter)?, wiring.clock());
            Ok(Box::new(LannerGen3::new(
                io,
                modules.clone(),
                pairs.clone(),
                segments,
            )))
        }
        ControllerSpec::CaswellGen2 {
            adapter,
            settings_address,
            chips,
            period,
        } => {
            let io = Retrying::new(wiring.smbus(adapter)?, wiring.clock());
            let driver = CaswellGen2::new(io, *settings_address, chips.clone(), *period, segments);
            Ok(Box::new(driver))
        }
        ControllerSpec::Riverbed {
            adapter,
            address,
            ports,
        } => {
            let io = Retrying::new(wiring.smbus(adapter)?, wiring.clock());
            Ok(Box::new(Riverbed::new(
                io,
                *address,
                ports.clone(),
                segments,
            )))
        }
        ControllerSpec::PulseTrain {
            line,
            edge_interval,
        } => {
            let wave = wiring.outputs(std::slice::from_ref(line))?;
            let period = longest(&board.dead_man.periods).unwrap_or(*edge_interval);
            Ok(Box::new(PulseTrain::new(
                wave,
                wiring.clock(),
                period,
                segments,
            )))
        }
        ControllerSpec::GpioMonostable { coils, kick } => {
            monostable(board, coils, kick.as_ref(), segments, wiring)
        }
        ControllerSpec::GpioLatching { coils, pulse } => latching(coils, *pulse, segments, wiring),
    }
}

fn monostable(
    board: &Board,
    coils: &[MonostableCoil],
    kick: Option<&LineRef>,
    segments: Vec<Segment>,
    wiring: &mut dyn Wiring,
) -> Result<Box<dyn Controller>, Fault> {
    let (lines, places) = gather(&segments, |index| coils.get(index).map(|coil| &coil.coil));
    let (seen, contact_places) = gather(&segments, |index| {
        coils.get(index).and_then(|coil| coil.contact.as_ref())
    });
    let contacts = contacts(seen, contact_places, wiring)?;
    let coils = OutputGroup::new(wiring.outputs(&lines)?, places);
    let timer = match (kick, longest(&board.dead_man.periods)) {
        (None, _) => None,
        (Some(line), Some(period)) => Some(Timer::new(
            wiring.outputs(std::slice::from_ref(line))?,
            period,
        )),
        (Some(line), None) => {
            return Err(Fault::Incapable {
                what: format!("kick line {} without a period", line.name),
                advice: "give the timer's period under dead_man in the profile".to_owned(),
            });
        }
    };
    let clock = wiring.clock();
    Ok(Box::new(GpioMonostable::new(
        coils, contacts, timer, clock, segments,
    )))
}

fn latching(
    coils: &[LatchingCoil],
    pulse: Duration,
    segments: Vec<Segment>,
    wiring: &mut dyn Wiring,
) -> Result<Box<dyn Controller>, Fault> {
    let (sets, pairs) = gather(&segments, |index| coils.get(index).map(|coil| &coil.set));
    let (resets, _) = gather(&segments, |index| coils.get(index).map(|coil| &coil.reset));
    let (seen, places) = gather(&segments, |index| {
        coils.get(index).and_then(|coil| coil.contact.as_ref())
    });
    let lines: Vec<LineRef> = sets
        .into_iter()
        .zip(resets)
        .flat_map(|(set, reset)| [set, reset])
        .collect();
    let contacts = contacts(seen, places, wiring)?;
    let coils = wiring.outputs(&lines)?;
    let clock = wiring.clock();
    Ok(Box::new(GpioLatching::new(
        coils, pairs, contacts, pulse, clock, segments,
    )?))
}

fn contacts(
    lines: Vec<LineRef>,
    places: Vec<Option<usize>>,
    wiring: &mut dyn Wiring,
) -> Result<Contacts, Fault> {
    let lines = if lines.is_empty() {
        None
    } else {
        Some(wiring.inputs(&lines)?)
    };
    Ok(Contacts::new(lines, places))
}

/// The lines of used segments, and where in the group each segment's line is.
fn gather<'spec>(
    segments: &[Segment],
    line: impl Fn(usize) -> Option<&'spec LineRef>,
) -> (Vec<LineRef>, Vec<Option<usize>>) {
    let mut lines = Vec::new();
    let mut places = Vec::with_capacity(segments.len());
    for (index, segment) in segments.iter().enumerate() {
        let wanted = line(index).filter(|_| segment.is_used());
        places.push(wanted.map(|_| lines.len()));
        lines.extend(wanted.cloned());
    }
    (lines, places)
}

fn longest(periods: &Periods) -> Option<Duration> {
    match periods {
        Periods::Range { max, .. } => Some(*max),
        Periods::List(list) => list.last().copied(),
        Periods::Fixed(period) | Periods::Assumed(period) => Some(*period),
        Periods::None => None,
    }
}

fn check(board: &Board, used: &BTreeSet<usize>) -> Result<(), Fault> {
    let count = board.segments.len();
    if let Some(beyond) = used.iter().find(|index| **index >= count) {
        return Err(Fault::Incapable {
            what: format!("segment {beyond} of board {}", board.id),
            advice: format!("it has {count} segments, counted from 0"),
        });
    }
    if used.is_empty() && board.has_relays() {
        return Err(Fault::Incapable {
            what: format!("board {} without a segment", board.id),
            advice: "name at least one segment in the configuration".to_owned(),
        });
    }
    let wired = match &board.controller {
        ControllerSpec::LannerGen3 { pairs, .. } => pairs.len(),
        ControllerSpec::CaswellGen2 { chips, .. } => chips.len(),
        ControllerSpec::GpioMonostable { coils, .. } => coils.len(),
        ControllerSpec::GpioLatching { coils, .. } => coils.len(),
        ControllerSpec::Riverbed { ports, .. } => ports.len(),
        ControllerSpec::Absent
        | ControllerSpec::Reference { .. }
        | ControllerSpec::PulseTrain { .. } => count,
    };
    if wired == count {
        return Ok(());
    }
    Err(Fault::Incapable {
        what: format!(
            "board {}: {count} segments with the wiring of {wired}",
            board.id
        ),
        advice: "the profile must wire each segment, in order".to_owned(),
    })
}
