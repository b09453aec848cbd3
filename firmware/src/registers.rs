//! The register map: the machine as reports, reports' registers as bytes.

use crate::MAX_SEGMENTS;
use crate::command::{Refusal, Reply};
use crate::fence::Line;
use crate::log;
use crate::machine::Controller;
use crate::relay::{Segment, SegmentMask};
use crate::strapping::Strapping;
use crate::wire::report::Flags;
use crate::wire::{
    Block, BusTally, Capabilities, Counters, Identity, LogEntry, LogRange, OrderResult, PROTOCOL,
    Register, Report, SegmentReport, Segments, SettingReport, Settings, Status, Wear,
};

/// Version of this firmware: major, minor, patch; that of the package.
pub const FIRMWARE_VERSION: [u8; 3] = [
    decimal(env!("CARGO_PKG_VERSION_MAJOR")),
    decimal(env!("CARGO_PKG_VERSION_MINOR")),
    decimal(env!("CARGO_PKG_VERSION_PATCH")),
];

/// Who this controller is.
#[must_use]
pub fn identity(strapping: &Strapping) -> Identity {
    Identity {
        protocol: PROTOCOL,
        firmware: FIRMWARE_VERSION,
        unique_id: strapping.unique_id(),
    }
}

/// What a board strapped so can do.
#[must_use]
pub fn capabilities(strapping: &Strapping) -> Capabilities {
    Capabilities {
        segments: strapping.segments(),
        supported: strapping.supported(),
        fenced: strapping.fenced(),
        power_off: strapping.power_off(),
        path: strapping.path(),
        rank: strapping.rank(),
        window_min_ms: Strapping::WINDOW_MIN_MS,
        window_max_ms: Strapping::WINDOW_MAX_MS,
        ticket_max_age_ms: strapping.ticket_max_age_ms(),
        standing_ms: strapping.standing_ms(),
        log_capacity: u8::try_from(log::CAPACITY).unwrap_or(u8::MAX),
        inputs_max_age_ms: u8::try_from(Controller::INPUTS_MAX_AGE_MS).unwrap_or(u8::MAX),
    }
}

/// Timer, latch and hold.
#[must_use]
pub fn status(controller: &Controller) -> Status {
    Status {
        tick: controller.now(),
        session: controller.session(),
        generation: controller.generation(),
        timer: controller.timer(),
        flags: Flags {
            latched: controller.latched(),
            holds: controller.holds(),
            fence_line: controller.fence_line(),
            ack_out: ack_out(controller),
            peer_ack: controller.peer_ack(),
            peer_fenced: controller.peer_fenced(),
            ticket_out: controller.ticket_out(),
        },
        armed: controller.armed(),
        remaining_ms: controller.remaining_ms(),
        window_ms: controller.window_ms(),
        next_event: controller.event_range().end,
    }
}

/// Relays and contacts.
#[must_use]
pub fn segments(controller: &Controller) -> Segments {
    Segments(by_segment(|segment| {
        Some(SegmentReport {
            target: controller.target(segment)?,
            drive: controller.drive(segment)?,
            contact: controller.contact(segment)?,
            cause: controller.cause(segment)?,
        })
    }))
}

/// The settings besides the run-time state.
#[must_use]
pub fn settings(controller: &Controller) -> Settings {
    let (strapping, stored) = (controller.strapping(), controller.settings());
    let segments = by_segment(|segment| {
        strapping
            .present()
            .contains(segment)
            .then_some(SettingReport {
                power_up: *stored.power_up().get(segment.index())?,
                power_off: strapping.power_off(),
                expiry: *stored.expiry().get(segment.index())?,
            })
    });
    Settings {
        segments,
        writes: stored.writes(),
    }
}

/// Counters; the machine's and the bus's.
#[must_use]
pub fn counters(controller: &Controller, bus: BusTally) -> Counters {
    let tally = controller.tally();
    Counters {
        bus,
        executed: tally.executed,
        refused: tally.refused,
        expiries: tally.expiries,
        latches: tally.latches,
    }
}

/// Relay moves.
#[must_use]
pub fn wear(controller: &Controller) -> Wear {
    Wear(by_segment(|segment| controller.moves(segment)).map(Option::unwrap_or_default))
}

/// What the bus side adds to the machine: the last order's outcome, the log cursor, the refused frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BusState {
    pub(crate) last: OrderResult,
    pub(crate) cursor: u32,
    pub(crate) tally: BusTally,
}

impl BusState {
    pub(crate) fn new() -> Self {
        let last = OrderResult {
            sequence: 0,
            register: 0,
            outcome: None,
            generation: 0,
            tick: 0,
        };
        Self {
            last,
            cursor: 1,
            tally: BusTally::default(),
        }
    }

    pub(crate) fn note(
        &mut self,
        sequence: u16,
        register: Register,
        outcome: Result<Reply, Refusal>,
        controller: &Controller,
    ) {
        self.last = OrderResult {
            sequence,
            register: register.code(),
            outcome: Some(outcome),
            generation: controller.generation(),
            tick: controller.now(),
        };
    }
}

/// The payload of a readable register; `None` for the others.
pub(crate) fn read(controller: &Controller, bus: &BusState, register: Register) -> Option<Block> {
    let block = match register {
        Register::Identity => identity(controller.strapping()).encode(),
        Register::Capabilities => capabilities(controller.strapping()).encode(),
        Register::Status => status(controller).encode(),
        Register::Segments => segments(controller).encode(),
        Register::Settings => settings(controller).encode(),
        Register::Counters => counters(controller, bus.tally).encode(),
        Register::Wear => wear(controller).encode(),
        Register::Result => bus.last.encode(),
        Register::LogRange => log_range(controller, bus.cursor).encode(),
        Register::LogEntry => LogEntry(controller.event(bus.cursor).copied()).encode(),
        _ => return None,
    };
    Some(block)
}

fn log_range(controller: &Controller, cursor: u32) -> LogRange {
    let range = controller.event_range();
    LogRange {
        oldest: range.start,
        next: range.end,
        cursor,
    }
}

fn ack_out(controller: &Controller) -> Line {
    controller.outputs().ack
}

fn by_segment<T: Copy>(mut report: impl FnMut(Segment) -> Option<T>) -> [Option<T>; MAX_SEGMENTS] {
    let mut reports = [None; MAX_SEGMENTS];
    for (slot, segment) in reports.iter_mut().zip(SegmentMask(u8::MAX).iter()) {
        *slot = report(segment);
    }
    reports
}

const fn decimal(text: &str) -> u8 {
    let digits = text.as_bytes();
    let mut value: u8 = 0;
    let mut n = 0;
    while n < digits.len() {
        value = value * 10 + (digits[n] - b'0');
        n += 1;
    }
    value
}
