//! Enumerations as bytes. Codes are never reused; 0 is left free where "all zero" must not mean something.

use crate::command::{Proof, Refusal, Setting};
use crate::deadman::TimerState;
use crate::log::EventKind;
use crate::relay::{Cause, Contact, CutState, RelayState};
use crate::strapping::{CutPath, Rank};
use crate::ticket::VoidCause;

macro_rules! codes {
    ($type:ident { $($code:literal => $name:ident $(($arg:path))?),+ $(,)? }) => {
        impl $type {
            /// Its byte on the wire.
            #[must_use]
            pub fn code(self) -> u8 {
                match self {
                    $(Self::$name $(($arg))? => $code),+
                }
            }

            /// From its byte on the wire; `None` for a byte this version does not know.
            #[must_use]
            pub fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name $(($arg))?),)+
                    _ => None,
                }
            }
        }
    };
}

codes!(RelayState { 1 => Normal, 2 => Bypass, 3 => Disconnect });
codes!(CutState { 2 => Bypass, 3 => Disconnect });
codes!(Contact { 0 => Unknown, 1 => Normal, 2 => Bypass, 3 => Disconnect });
codes!(Cause {
    1 => PowerUp, 2 => HostClose, 3 => HostCut, 4 => FenceLatch, 5 => LatchCleared, 6 => Expiry,
});
codes!(TimerState { 1 => Disarmed, 2 => Running, 3 => Expired });
codes!(Rank { 1 => Ordinary, 2 => Preferred });
codes!(CutPath { 1 => Direct, 2 => BreakAllFirst });
codes!(Setting { 1 => RunTime, 2 => PowerUp, 3 => PowerOff, 4 => Expiry });
codes!(Proof {
    1 => Fenced, 2 => Released, 3 => LeaseExpired, 4 => OperatorConfirmed, 5 => NotServing, 6 => Solo,
});
codes!(EventKind {
    1 => PowerUp, 2 => RelayCommanded, 3 => ContactRead, 4 => LatchSet, 5 => LatchCleared,
    6 => HoldTaken, 7 => HoldReleased, 8 => HoldYielded, 9 => Armed, 10 => Disarmed, 11 => Expired,
    12 => ExpiryAcknowledged, 13 => Closed, 14 => CloseRefused, 15 => SettingChanged,
});
// Refusals have bit 7 set: in RESULT they share a byte with the replies, which do not.
codes!(Refusal {
    0x80 => Malformed,
    0x81 => NoSuchSegment,
    0x82 => StateNotAllowed,
    0x83 => SettingFixed,
    0x84 => StaleSession,
    0x85 => TimerNotRunning,
    0x86 => Expired,
    0x87 => NotExpired,
    0x88 => DeadlinePassed,
    0x89 => WindowOutOfRange,
    0x8A => Latched,
    0x8B => TicketUnknown,
    0x8C => NotArmed,
    0x8D => StillClosed,
    0x8E => NotHolding,
    0x8F => PeerNotAcknowledged,
    0x90 => AcknowledgeNotSeenToChange,
    0x91 => InputsStale,
    0x92 => OrderTooOld,
    0x93 => TickAhead,
    0xC1 => TicketVoid(VoidCause::LatchChanged),
    0xC2 => TicketVoid(VoidCause::Expiry),
    0xC3 => TicketVoid(VoidCause::OwnCut),
    0xC4 => TicketVoid(VoidCause::HoldDropped),
    0xC5 => TicketVoid(VoidCause::Newer),
    0xC6 => TicketVoid(VoidCause::Aged),
    0xC7 => TicketVoid(VoidCause::Used),
});
