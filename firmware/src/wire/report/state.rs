//! What is so now: timer, latch, hold, relays.

use super::{ABSENT, Report};
use crate::deadman::TimerState;
use crate::fence::Line;
use crate::relay::{Cause, Contact, RelayState, SegmentMask};
use crate::wire::payload::Fields;
use crate::wire::{Block, Register};
use crate::{MAX_SEGMENTS, Tick};

/// Timer, latch and hold, read in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The controller's tick, in ms.
    pub tick: Tick,
    /// The dead-man's session.
    pub session: u32,
    /// The latch generation.
    pub generation: u32,
    /// The dead-man's state.
    pub timer: TimerState,
    /// Latch, hold and lines; one byte.
    pub flags: Flags,
    /// Segments the dead-man will open.
    pub armed: SegmentMask,
    /// Milliseconds until the dead-man expires; 0 unless it runs.
    pub remaining_ms: u32,
    /// The armed window W, in ms.
    pub window_ms: u32,
    /// Number the next event will get: unchanged means nothing happened.
    pub next_event: u32,
}

/// Flags of [`Status`], bit 0 first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// Bit 0: latched by the peer.
    pub latched: bool,
    /// Bit 1: we hold the peer.
    pub holds: bool,
    /// Bit 2: fence line from the peer.
    pub fence_line: Line,
    /// Bit 3: our acknowledge to the peer.
    pub ack_out: Line,
    /// Bit 4: the peer's acknowledge line.
    pub peer_ack: Line,
    /// Bit 5: our hold is acknowledged by a line that was seen to change.
    pub peer_fenced: bool,
    /// Bit 6: a valid ticket is out.
    pub ticket_out: bool,
}

/// One segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// What it was last told to be.
    pub target: RelayState,
    /// What its coils are given.
    pub drive: RelayState,
    /// What its contacts read.
    pub contact: Contact,
    /// Why it was last commanded.
    pub cause: Cause,
}

/// All segments; `None` past the board's last (0xFF on the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments(pub [Option<SegmentReport>; MAX_SEGMENTS]);

impl Report for Status {
    const REGISTER: Register = Register::Status;

    fn encode(&self) -> Block {
        Block::new()
            .put_u64(self.tick)
            .put_u32(self.session)
            .put_u32(self.generation)
            .put(&[self.timer.code(), self.flags.bits(), self.armed.0])
            .put_u32(self.remaining_ms)
            .put_u32(self.window_ms)
            .put_u32(self.next_event)
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let status = Self {
            tick: fields.u64()?,
            session: fields.u32()?,
            generation: fields.u32()?,
            timer: TimerState::from_code(fields.u8()?)?,
            flags: Flags::from_bits(fields.u8()?),
            armed: SegmentMask(fields.u8()?),
            remaining_ms: fields.u32()?,
            window_ms: fields.u32()?,
            next_event: fields.u32()?,
        };
        fields.end(status)
    }
}

impl Flags {
    fn bits(self) -> u8 {
        let flags = [
            self.latched,
            self.holds,
            self.fence_line.is_asserted(),
            self.ack_out.is_asserted(),
            self.peer_ack.is_asserted(),
            self.peer_fenced,
            self.ticket_out,
        ];
        flags
            .iter()
            .rev()
            .fold(0, |bits, flag| bits << 1 | u8::from(*flag))
    }

    fn from_bits(bits: u8) -> Self {
        let bit = |n: u8| bits >> n & 1 == 1;
        Self {
            latched: bit(0),
            holds: bit(1),
            fence_line: Line::from_bool(bit(2)),
            ack_out: Line::from_bool(bit(3)),
            peer_ack: Line::from_bool(bit(4)),
            peer_fenced: bit(5),
            ticket_out: bit(6),
        }
    }
}

impl Report for Segments {
    const REGISTER: Register = Register::Segments;

    fn encode(&self) -> Block {
        self.0.iter().fold(Block::new(), |block, segment| {
            block.put(&segment.map_or([ABSENT; 4], |segment| {
                [
                    segment.target.code(),
                    segment.drive.code(),
                    segment.contact.code(),
                    segment.cause.code(),
                ]
            }))
        })
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let mut segments = [None; MAX_SEGMENTS];
        for segment in &mut segments {
            let [target, drive, contact, cause] = fields.take()?;
            if [target, drive, contact, cause] == [ABSENT; 4] {
                continue;
            }
            *segment = Some(SegmentReport {
                target: RelayState::from_code(target)?,
                drive: RelayState::from_code(drive)?,
                contact: Contact::from_code(contact)?,
                cause: Cause::from_code(cause)?,
            });
        }
        fields.end(Self(segments))
    }
}
