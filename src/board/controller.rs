//! The one shape of every controller driver, and the words for what it reports.
//!
//! Every verb is absolute and idempotent: repeating it is harmless. A driver compares before it writes
//! (relays and non-volatile cells wear), bounds its retries, and reads back; what it cannot read it
//! reports as [`RelayState::Unknown`].

use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::bus::BusError;
use crate::node::Instant;

/// One kind of bypass controller, opened.
pub trait Controller: Send {
    /// Who answers: model, firmware version, unique id. Touches nothing.
    fn identify(&mut self) -> Result<Identity, Fault>;

    /// Every segment's state and the dead-man's, as the hardware says now. Touches nothing.
    fn read(&mut self) -> Result<Reading, Fault>;

    /// Bring the power-up, power-off and expiry settings to the profile's values where they differ.
    fn configure(&mut self, settings: &[SegmentSettings]) -> Result<(), Fault>;

    /// Start the dead-man with `period` (an effective value of the profile) and read it back.
    /// Clears a sticky expiry first. Moves no relay.
    fn arm(&mut self, period: Duration) -> Result<Armed, Fault>;

    /// The host is trusted until `alive_until` (node time). A controller with deadline kicks is told the
    /// deadline; one with bare kicks is kicked only if that is still worth it, and a kick that comes too
    /// late is refused as [`Fault::Stale`] instead of extending a right that has ended.
    fn kick(&mut self, alive_until: Instant) -> Result<(), Fault>;

    /// Stop the dead-man. Only on an ordered stop, after every segment was cut, and in `disarmed` mode.
    fn disarm(&mut self) -> Result<(), Fault>;

    /// Permission to close, void after any change of the latch, expiry, a cut, or age. Controllers
    /// without tickets hand out one that their driver voids by the same events it can see.
    fn take_ticket(&mut self) -> Result<Ticket, Fault>;

    /// Put a segment into `Normal`, if the ticket is still good, and read it back after settling.
    fn close(&mut self, segment: usize, ticket: Ticket) -> Result<Moved, Fault>;

    /// Take the host off the segment. Needs no ticket, ever.
    fn cut(&mut self, segment: usize, state: CutState) -> Result<Moved, Fault>;

    /// [`Controller::close`], saying what was proved about a peer. Only a controller that reads the peer's
    /// acknowledge itself can use it; others close on the ticket alone.
    fn close_on(
        &mut self,
        segment: usize,
        ticket: Ticket,
        _proof: CloseProof,
    ) -> Result<Moved, Fault> {
        self.close(segment, ticket)
    }

    /// Hold the peer's latch: assert the fence output. An order decided too long ago is refused.
    fn fence(&mut self, _decided: Instant) -> Result<(), Fault> {
        Err(no_fence_output())
    }

    /// Let the peer's latch go. Voids the ticket that is out.
    fn unfence(&mut self) -> Result<(), Fault> {
        Err(no_fence_output())
    }

    /// [`Controller::read`], and the fence lines in the same look: lines and latch first, then contacts.
    fn read_fence(&mut self) -> Result<FenceReading, Fault> {
        self.read().map(|reading| FenceReading {
            reading,
            hold: Hold::Released,
            acknowledge: Acknowledge::Idle,
        })
    }
}

fn no_fence_output() -> Fault {
    Fault::Incapable {
        what: "fence wire".to_owned(),
        advice: "its controller has no fence output; use other means".to_owned(),
    }
}

/// What the host has proved about its peer before it closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseProof {
    /// There is no peer.
    #[default]
    Solo,
    /// It closes without serving.
    NotServing,
    /// The peer's acknowledge; a controller that can reads it in the step that closes.
    Fenced,
    /// The peer's word.
    Released,
    /// The peer's lease has run out.
    LeaseExpired,
    /// A named person said so.
    OperatorConfirmed,
}

/// One look at controller and fence lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceReading {
    /// Everything else.
    pub reading: Reading,
    /// We assert the peer's latch.
    pub hold: Hold,
    /// The peer's acknowledge line as it is, whoever asked.
    pub acknowledge: Acknowledge,
}

/// Whether we hold the peer's latch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// No.
    Released,
    /// Yes, and no acknowledge that counts is read.
    Asserted,
    /// Yes, and the peer's acknowledge was seen to change after our order: its contacts are open and it is latched.
    Acknowledged,
}

/// The acknowledge line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acknowledge {
    /// Not asserted; also what a broken cable reads as.
    Idle,
    /// Asserted.
    Asserted,
}

/// Where a segment's relay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayState {
    /// Both ports go through the host.
    Normal,
    /// The ports are a plain wire.
    Bypass,
    /// Both ports are dark.
    Disconnect,
    /// The hardware cannot say, or did not. Never treated as good.
    Unknown,
}

/// A relay state that takes the host off the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CutState {
    /// The wire stays: fail open.
    Bypass,
    /// The wire ends: fail closed.
    Disconnect,
}

impl From<CutState> for RelayState {
    fn from(cut: CutState) -> Self {
        match cut {
            CutState::Bypass => Self::Bypass,
            CutState::Disconnect => Self::Disconnect,
        }
    }
}

impl fmt::Display for RelayState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Normal => "Normal",
            Self::Bypass => "Bypass",
            Self::Disconnect => "Disconnect",
            Self::Unknown => "Unknown",
        })
    }
}

impl fmt::Display for CutState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RelayState::from(*self).fmt(f)
    }
}

/// Who answers on the bus.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Identity {
    /// What it is, in the vendor's words.
    pub model: String,
    /// Firmware version, if it tells.
    pub firmware: Option<String>,
    /// Unique id, if it has one.
    pub unique_id: Option<String>,
}

/// The four settings' three stored ones, for one segment; `None` leaves a setting alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SegmentSettings {
    /// State from power-up until software takes over.
    pub power_up: Option<CutState>,
    /// State without power.
    pub power_off: Option<CutState>,
    /// State on dead-man expiry.
    pub expiry: Option<CutState>,
}

/// One complete look at the hardware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// In the profile's segment order.
    pub segments: Vec<SegmentReading>,
    /// The dead-man.
    pub dead_man: DeadManReading,
    /// Cut imposed from outside (fence latch), where the controller has one.
    pub latch: Latch,
    /// Changes whenever the controller restarted or its latch moved; 0 where it has none.
    pub generation: u32,
}

/// One segment, as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentReading {
    /// Where the relay is.
    pub state: RelayState,
    /// What that rests on.
    pub evidence: Evidence,
}

/// What a reported relay state rests on, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// The relay's own contacts.
    Contacts,
    /// A status register of the controller.
    Register,
    /// The level of a line or latch that drives the coil; the relay itself was not seen.
    Drive,
    /// Nothing can be read; the state is `Unknown`.
    Nothing,
}

/// The fence latch as its own host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Latch {
    /// This controller has no fence latch.
    Absent,
    /// Clear.
    Clear,
    /// Held by the peer.
    Latched,
}

/// The dead-man, as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadManReading {
    /// The board has none.
    Absent,
    /// Not running.
    Disarmed,
    /// Running.
    Running {
        /// Its effective period.
        period: Duration,
        /// Time that is left at least, where the part tells.
        remaining: Option<Duration>,
    },
    /// It fired, and stays so until armed again.
    Expired,
    /// The part cannot say (CASwell Gen2: the run bit is not readable).
    Unknown,
}

/// Result of arming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    /// What the part really does, read back where it can be.
    pub effective: Duration,
    /// Whether `effective` was read back or only written.
    pub proof: ArmProof,
}

/// How arming was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArmProof {
    /// The part reads back as running.
    ReadBack,
    /// The part cannot say; the writes were acknowledged.
    WriteOnly,
    /// There is nothing to arm: the pulse train is the dead-man, or there is none.
    Inherent,
}

/// Permission to close, from the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub u32);

/// Result of a close or a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// State read before.
    pub before: RelayState,
    /// State read after settling.
    pub after: SegmentReading,
    /// Whether a command was sent; `false` when it already was where it should be.
    pub commanded: bool,
}

/// Why a controller did not do as told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Fault {
    /// The bus failed, after the driver's bounded retries.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The part answered something it must not.
    #[error("{what}: expected {expected}, got {got}")]
    Integrity {
        /// Which register or reply.
        what: String,
        /// What would have been right.
        expected: String,
        /// What came.
        got: String,
    },
    /// The controller refused, in its own words.
    #[error("the controller refused {what}: {reason}")]
    Refused {
        /// Which command.
        what: String,
        /// Its reason.
        reason: String,
    },
    /// The command was carried out and the relay reads otherwise.
    #[error("segment {segment} should be {wanted} and reads {read}")]
    NotMoved {
        /// Index in the profile.
        segment: usize,
        /// What was ordered.
        wanted: RelayState,
        /// What it reads.
        read: RelayState,
    },
    /// The order's time has passed.
    #[error("{what} came {late_ms} ms too late and was not sent")]
    Stale {
        /// Which order.
        what: String,
        /// How late.
        late_ms: u64,
    },
    /// The board cannot do this at all.
    #[error("{what}: this board cannot; {advice}")]
    Incapable {
        /// What was asked.
        what: String,
        /// What it can do.
        advice: String,
    },
}
