//! Orders a host can give, and every answer it can get.
//!
//! There is intentionally no command that sets or clears the own latch, none that restores `Normal` after anything,
//! and none that changes the fenced state, the power-off state or the rank: those are straps.

use core::fmt;

use crate::Tick;
use crate::relay::{CutState, RelayState, Segment, SegmentMask};
use crate::ticket::VoidCause;

/// An order from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Starts the dead-man for `segments`, or re-arms a running one. Answer: [`Reply::Session`], the new session.
    Arm {
        /// The session the host read.
        session: u32,
        /// Segments the dead-man opens.
        segments: SegmentMask,
        /// Most a kick can reach ahead (W), in ms; [`crate::Strapping::WINDOW_MIN_MS`] to
        /// [`crate::Strapping::WINDOW_MAX_MS`].
        window_ms: u32,
        /// Alive until this controller tick.
        deadline: Tick,
    },
    /// "Alive until controller tick `deadline`." Answer: [`Reply::Remaining`].
    Kick {
        /// The session of the arm.
        session: u32,
        /// Alive until this controller tick.
        deadline: Tick,
    },
    /// Stops the dead-man. Refused while an armed segment is closed: nothing is `Normal` without a dead-man.
    Disarm {
        /// The session of the arm.
        session: u32,
    },
    /// "I know that the dead-man expired." The timer is then disarmed and may be armed again.
    AcknowledgeExpiry {
        /// The session the host read *after* the expiry.
        session: u32,
    },
    /// Takes segments off the wire. Always executed as far as anything can be: segments that do not exist are left
    /// out, and a state the segments may not take is replaced by the fenced state; both answer [`Reply::Superseded`].
    Cut {
        /// Segments to cut.
        segments: SegmentMask,
        /// Where to.
        state: CutState,
    },
    /// Asks for a ticket. Voids the one before. Answer: [`Reply::Ticket`].
    TakeTicket,
    /// Connects segments to the host.
    Close {
        /// The ticket.
        ticket: u32,
        /// What the host claims to have proved.
        proof: Proof,
        /// Segments to close; all must be armed.
        segments: SegmentMask,
    },
    /// Asserts a fence on the peer.
    Fence {
        /// The session the host read.
        session: u32,
        /// The controller tick the host read when it decided; refused when older than V.
        read_at: Tick,
    },
    /// Drops the fence on the peer. Voids the own ticket. Always works.
    Release,
    /// Changes a non-volatile setting. Compared first; an equal value is not written.
    Set {
        /// Segment concerned.
        segment: Segment,
        /// Which of the four settings.
        setting: Setting,
        /// The new state.
        state: RelayState,
    },
}

/// What the host has proved about the peer before it closes.
///
/// The controller can check only [`Proof::Fenced`]; the others are the host's word, given with a ticket that dies
/// when anything the controller can see has changed since it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The peer's acknowledge. The controller reads it itself, in the step that closes.
    Fenced,
    /// The peer's signed answer to a numbered request.
    Released,
    /// The peer's lease has run out.
    LeaseExpired,
    /// A named person said so.
    OperatorConfirmed,
    /// The host closes as a hot Backup: it holds no vip. Gives no right to serve.
    NotServing,
    /// There is no peer.
    Solo,
}

/// The four settings of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The run-time state; changed by [`Command::Cut`] and [`Command::Close`] only.
    RunTime,
    /// State at power-up. Non-volatile.
    PowerUp,
    /// State without power. A strap.
    PowerOff,
    /// State when the dead-man expires. Non-volatile.
    Expiry,
}

/// A command was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Done,
    /// Already so; nothing was moved or written.
    Unchanged,
    /// A cut was accepted, but the segments are not (all) where it asked: the latch or a strap outranks it. They are
    /// off the wire. Read them back.
    Superseded,
    /// The number of the ticket.
    Ticket(u32),
    /// The session of the dead-man.
    Session(u32),
    /// Milliseconds until the dead-man expires.
    Remaining(u32),
}

/// A command was not executed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A field holds a value that has no meaning.
    Malformed,
    /// No such segment on this board, or none named.
    NoSuchSegment,
    /// The segment may not take this state here, or the setting may never be `Normal`.
    StateNotAllowed,
    /// This setting is not changed this way.
    SettingFixed,
    /// The order names another session: it is from before an arm, disarm, expiry, acknowledge or power-up.
    StaleSession,
    /// The dead-man does not run.
    TimerNotRunning,
    /// The dead-man has expired and the expiry is not acknowledged.
    Expired,
    /// There is no expiry to acknowledge.
    NotExpired,
    /// The deadline is not in the future. A late kick: harmless, and of no effect.
    DeadlinePassed,
    /// The window is out of range.
    WindowOutOfRange,
    /// The peer's fence latches this controller.
    Latched,
    /// Not a ticket this controller has issued lately.
    TicketUnknown,
    /// The ticket is void.
    TicketVoid(VoidCause),
    /// A segment to close is not covered by the dead-man.
    NotArmed,
    /// An armed segment is still closed.
    StillClosed,
    /// Proof `Fenced`, but this controller does not hold the peer.
    NotHolding,
    /// Proof `Fenced`, but the peer's acknowledge is not asserted.
    PeerNotAcknowledged,
    /// The peer's acknowledge is asserted, but was never seen idle since our last release: it may be stuck. Release,
    /// wait until it reads idle, start over.
    AcknowledgeNotSeenToChange,
    /// The lines were not sampled recently enough to close on them: a fault of this controller.
    InputsStale,
    /// The fence order was decided too long ago.
    OrderTooOld,
    /// The tick the order names has not come yet: it is from before a power-up.
    TickAhead,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "a field of the order has no meaning; speak protocol version 1",
            Self::NoSuchSegment => "the board has no such segment; read CAPABILITIES",
            Self::StateNotAllowed => "the segment may not take this state here; read CAPABILITIES",
            Self::SettingFixed => "the setting is a strap or the run-time state; use CUT or CLOSE",
            Self::StaleSession => "the order is from another dead-man session; read STATUS anew",
            Self::TimerNotRunning => "the dead-man is not armed; arm it first",
            Self::Expired => "the dead-man has expired; acknowledge it, then arm anew",
            Self::NotExpired => "there is no expiry to acknowledge",
            Self::DeadlinePassed => "the deadline is not in the controller's future; the kick was late",
            Self::WindowOutOfRange => "the window is out of range; read CAPABILITIES",
            Self::Latched => "the peer's fence latches this controller; it is the peer's to release",
            Self::TicketUnknown => "this controller has not issued that ticket lately; take a new one",
            Self::TicketVoid(cause) => return write!(f, "the ticket is void: {cause}; start over"),
            Self::NotArmed => "a segment to close is not covered by the dead-man; arm it",
            Self::StillClosed => "an armed segment is still Normal; cut it first",
            Self::NotHolding => "proof Fenced without a hold on the peer; fence it first",
            Self::PeerNotAcknowledged => "the peer does not acknowledge the fence",
            Self::AcknowledgeNotSeenToChange => {
                "the peer's acknowledge was not seen to change and may be stuck; release, wait for idle"
            }
            Self::InputsStale => "the controller has not sampled its lines; it is faulty",
            Self::OrderTooOld => "the fence order was decided too long ago; decide anew",
            Self::TickAhead => "the order names a tick that has not come; read STATUS anew",
        })
    }
}

impl core::error::Error for Refusal {}

impl fmt::Display for VoidCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LatchChanged => "the latch changed",
            Self::Expiry => "the dead-man expired",
            Self::OwnCut => "the host cut a segment",
            Self::HoldDropped => "the hold on the peer was dropped",
            Self::Newer => "a newer ticket was taken",
            Self::Aged => "it grew too old",
            Self::Used => "it was used",
        })
    }
}
