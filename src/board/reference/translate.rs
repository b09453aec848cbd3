//! Between the controller's words and ours: its clock, its states, its refusals.

use core::time::Duration;

use fencepost_firmware::wire::Status;
use fencepost_firmware::{self as firmware, Contact, Proof, Refusal, SegmentMask, TimerState};

use super::super::controller::{
    Acknowledge, CloseProof, CutState, DeadManReading, Fault, FenceReading, Hold, Reading,
    RelayState,
};
use crate::node::Instant;

/// How much faster the host's clock may run than the controller's, in thousandths. Internal RC oscillators of small
/// microcontrollers are good to 1 % over temperature; crystals are far better.
const DRIFT_PER_MILLE: u64 = 10;

/// A tick that was read, the node time when it was in, and the dead-man session it belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct ControllerTime {
    pub(super) session: u32,
    pub(super) tick: u64,
    pub(super) seen: Instant,
}

impl ControllerTime {
    /// A tick that surely comes no later than `until`.
    pub(super) fn deadline(self, until: Instant) -> u64 {
        let span_ms = u64::try_from(until.since(self.seen).as_millis()).unwrap_or(u64::MAX);
        let drift_ms = span_ms.saturating_mul(DRIFT_PER_MILLE).div_ceil(1_000);
        self.tick.saturating_add(span_ms.saturating_sub(drift_ms))
    }

    /// A tick that was surely no later than `decided`: an order decided long ago must look its age.
    pub(super) fn tick_at(self, decided: Instant) -> u64 {
        if decided >= self.seen {
            return self.deadline(decided);
        }
        let age_ms = u64::try_from(self.seen.since(decided).as_millis()).unwrap_or(u64::MAX);
        let drift_ms = age_ms.saturating_mul(DRIFT_PER_MILLE).div_ceil(1_000);
        self.tick
            .saturating_sub(age_ms.saturating_add(drift_ms).saturating_add(1))
    }
}

pub(super) fn proof_of(proof: CloseProof) -> Proof {
    match proof {
        CloseProof::Solo => Proof::Solo,
        CloseProof::NotServing => Proof::NotServing,
        CloseProof::Fenced => Proof::Fenced,
        CloseProof::Released => Proof::Released,
        CloseProof::LeaseExpired => Proof::LeaseExpired,
        CloseProof::OperatorConfirmed => Proof::OperatorConfirmed,
    }
}

pub(super) fn fence_reading(status: Status, reading: Reading) -> FenceReading {
    let hold = if status.flags.peer_fenced {
        Hold::Acknowledged
    } else if status.flags.holds {
        Hold::Asserted
    } else {
        Hold::Released
    };
    let acknowledge = if status.flags.peer_ack.is_asserted() {
        Acknowledge::Asserted
    } else {
        Acknowledge::Idle
    };
    FenceReading {
        reading,
        hold,
        acknowledge,
    }
}

pub(super) fn refused(what: &str, refusal: Refusal) -> Fault {
    Fault::Refused {
        what: what.to_owned(),
        reason: refusal.to_string(),
    }
}

pub(super) fn segment_of(index: usize) -> Option<firmware::Segment> {
    firmware::Segment::new(u8::try_from(index).ok()?)
}

pub(super) fn segment_masks() -> impl Iterator<Item = SegmentMask> {
    (0..firmware::MAX_SEGMENTS)
        .filter_map(segment_of)
        .map(SegmentMask::only)
}

pub(super) fn to_firmware(state: CutState) -> firmware::CutState {
    match state {
        CutState::Bypass => firmware::CutState::Bypass,
        CutState::Disconnect => firmware::CutState::Disconnect,
    }
}

pub(super) fn state_of(contact: Contact) -> RelayState {
    match contact {
        Contact::Normal => RelayState::Normal,
        Contact::Bypass => RelayState::Bypass,
        Contact::Disconnect => RelayState::Disconnect,
        Contact::Unknown => RelayState::Unknown,
    }
}

pub(super) fn dead_man_of(status: Status) -> DeadManReading {
    match status.timer {
        TimerState::Disarmed => DeadManReading::Disarmed,
        TimerState::Expired => DeadManReading::Expired,
        TimerState::Running => DeadManReading::Running {
            period: Duration::from_millis(status.window_ms.into()),
            remaining: Some(Duration::from_millis(status.remaining_ms.into())),
        },
    }
}
