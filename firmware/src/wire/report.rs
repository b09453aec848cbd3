//! What can be read, as types and as bytes. Fields stand on the wire in the order in which they are declared.

use super::payload::Fields;
use super::{Block, MAGIC, Register};
use crate::command::{Refusal, Reply};
use crate::deadman::TimerState;
use crate::fence::Line;
use crate::log::{Event, EventKind};
use crate::relay::{Cause, Contact, CutState, RelayState, Segment, SegmentMask, StateSet};
use crate::strapping::{CutPath, Rank};
use crate::{MAX_SEGMENTS, Tick};

/// A readable register's contents.
pub trait Report: Sized {
    /// The register it is read from.
    const REGISTER: Register;

    /// The payload.
    fn encode(&self) -> Block;

    /// From the payload; `None` if it has another length or a byte this version does not know.
    fn decode(payload: &[u8]) -> Option<Self>;
}

/// Who this is. On the wire preceded by [`MAGIC`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Protocol version; [`super::PROTOCOL`].
    pub protocol: u8,
    /// Firmware version: major, minor, patch.
    pub firmware: [u8; 3],
    /// Unique id of the part.
    pub unique_id: [u8; 12],
}

/// What the board can do, and how it is strapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Segments, 1 to 8.
    pub segments: u8,
    /// Relay states allowed.
    pub supported: StateSet,
    /// State that cuts this host off in this topology.
    pub fenced: CutState,
    /// State without power.
    pub power_off: CutState,
    /// How a cut to `Bypass` is carried out.
    pub path: CutPath,
    /// Rank strap.
    pub rank: Rank,
    /// Shortest dead-man window, in ms.
    pub window_min_ms: u32,
    /// Longest dead-man window, in ms.
    pub window_max_ms: u32,
    /// Greatest age of a ticket and of a fence order (V), in ms.
    pub ticket_max_age_ms: u32,
    /// How long a latched controller that must yield keeps asking, in ms.
    pub standing_ms: u32,
    /// Events the log keeps.
    pub log_capacity: u8,
    /// Oldest line sample a `Fenced` close is executed on, in ms.
    pub inputs_max_age_ms: u8,
}

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

/// The three settings of one segment besides the run-time state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingReport {
    /// State at power-up; non-volatile.
    pub power_up: CutState,
    /// State without power; a strap.
    pub power_off: CutState,
    /// State at expiry; non-volatile.
    pub expiry: CutState,
}

/// All settings; `None` past the board's last segment (0xFF on the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// By segment.
    pub segments: [Option<SettingReport>; MAX_SEGMENTS],
    /// Changes of the non-volatile image since the factory.
    pub writes: u32,
}

/// Frames refused on the bus since power-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusTally {
    /// Bad PEC or bad window CRC.
    pub bad_pec: u32,
    /// Unknown register, or one that cannot be accessed so.
    pub bad_register: u32,
    /// Wrong length.
    pub bad_length: u32,
}

/// Counters since power-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Frames refused.
    pub bus: BusTally,
    /// Orders executed.
    pub executed: u32,
    /// Orders refused.
    pub refused: u32,
    /// Dead-man expiries.
    pub expiries: u32,
    /// Times the latch was set.
    pub latches: u32,
}

/// Commanded relay moves since power-up, by segment; 0 past the board's last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wear(pub [u32; MAX_SEGMENTS]);

/// Outcome of the last order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderResult {
    /// The order's sequence number.
    pub sequence: u16,
    /// The order's register number.
    pub register: u8,
    /// Its outcome and value (5 bytes); `None` before the first order since power-up.
    pub outcome: Option<Result<Reply, Refusal>>,
    /// Latch generation when it was executed.
    pub generation: u32,
    /// Tick when it was executed.
    pub tick: Tick,
}

/// Which events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRange {
    /// Oldest kept.
    pub oldest: u32,
    /// Number the next one will get.
    pub next: u32,
    /// The cursor.
    pub cursor: u32,
}

/// The event at the cursor; `None` if it is not kept (all zero on the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry(pub Option<Event>);

const ABSENT: u8 = 0xFF;
const NO_ORDER_YET: u8 = 0x7F;

impl Report for Identity {
    const REGISTER: Register = Register::Identity;

    fn encode(&self) -> Block {
        Block::new()
            .put(&MAGIC)
            .put(&[self.protocol])
            .put(&self.firmware)
            .put(&self.unique_id)
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        if fields.take()? != MAGIC {
            return None;
        }
        let identity = Self {
            protocol: fields.u8()?,
            firmware: fields.take()?,
            unique_id: fields.take()?,
        };
        fields.end(identity)
    }
}

impl Report for Capabilities {
    const REGISTER: Register = Register::Capabilities;

    fn encode(&self) -> Block {
        Block::new()
            .put(&[self.segments, self.supported.bits(), self.fenced.code()])
            .put(&[self.power_off.code(), self.path.code(), self.rank.code()])
            .put_u32(self.window_min_ms)
            .put_u32(self.window_max_ms)
            .put_u32(self.ticket_max_age_ms)
            .put_u32(self.standing_ms)
            .put(&[self.log_capacity, self.inputs_max_age_ms])
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let capabilities = Self {
            segments: fields.u8()?,
            supported: StateSet::from_bits(fields.u8()?),
            fenced: CutState::from_code(fields.u8()?)?,
            power_off: CutState::from_code(fields.u8()?)?,
            path: CutPath::from_code(fields.u8()?)?,
            rank: Rank::from_code(fields.u8()?)?,
            window_min_ms: fields.u32()?,
            window_max_ms: fields.u32()?,
            ticket_max_age_ms: fields.u32()?,
            standing_ms: fields.u32()?,
            log_capacity: fields.u8()?,
            inputs_max_age_ms: fields.u8()?,
        };
        fields.end(capabilities)
    }
}

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

impl Report for Settings {
    const REGISTER: Register = Register::Settings;

    fn encode(&self) -> Block {
        self.segments
            .iter()
            .fold(Block::new(), |block, setting| {
                block.put(&setting.map_or([ABSENT; 3], |setting| {
                    [
                        setting.power_up.code(),
                        setting.power_off.code(),
                        setting.expiry.code(),
                    ]
                }))
            })
            .put_u32(self.writes)
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let mut segments = [None; MAX_SEGMENTS];
        for segment in &mut segments {
            let [power_up, power_off, expiry] = fields.take()?;
            if [power_up, power_off, expiry] == [ABSENT; 3] {
                continue;
            }
            *segment = Some(SettingReport {
                power_up: CutState::from_code(power_up)?,
                power_off: CutState::from_code(power_off)?,
                expiry: CutState::from_code(expiry)?,
            });
        }
        let writes = fields.u32()?;
        fields.end(Self { segments, writes })
    }
}

impl Report for Counters {
    const REGISTER: Register = Register::Counters;

    fn encode(&self) -> Block {
        Block::new()
            .put_u32(self.bus.bad_pec)
            .put_u32(self.bus.bad_register)
            .put_u32(self.bus.bad_length)
            .put_u32(self.executed)
            .put_u32(self.refused)
            .put_u32(self.expiries)
            .put_u32(self.latches)
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let counters = Self {
            bus: BusTally {
                bad_pec: fields.u32()?,
                bad_register: fields.u32()?,
                bad_length: fields.u32()?,
            },
            executed: fields.u32()?,
            refused: fields.u32()?,
            expiries: fields.u32()?,
            latches: fields.u32()?,
        };
        fields.end(counters)
    }
}

impl Report for Wear {
    const REGISTER: Register = Register::Wear;

    fn encode(&self) -> Block {
        self.0
            .iter()
            .fold(Block::new(), |block, moves| block.put_u32(*moves))
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let mut moves = [0; MAX_SEGMENTS];
        for slot in &mut moves {
            *slot = fields.u32()?;
        }
        fields.end(Self(moves))
    }
}

impl Report for OrderResult {
    const REGISTER: Register = Register::Result;

    fn encode(&self) -> Block {
        let (code, value) = encode_outcome(self.outcome);
        Block::new()
            .put_u16(self.sequence)
            .put(&[self.register, code])
            .put_u32(value)
            .put_u32(self.generation)
            .put_u64(self.tick)
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let result = Self {
            sequence: fields.u16()?,
            register: fields.u8()?,
            outcome: decode_outcome(fields.u8()?, fields.u32()?)?,
            generation: fields.u32()?,
            tick: fields.u64()?,
        };
        fields.end(result)
    }
}

fn encode_outcome(outcome: Option<Result<Reply, Refusal>>) -> (u8, u32) {
    match outcome {
        None => (NO_ORDER_YET, 0),
        Some(Ok(Reply::Done)) => (0, 0),
        Some(Ok(Reply::Unchanged)) => (1, 0),
        Some(Ok(Reply::Superseded)) => (2, 0),
        Some(Ok(Reply::Ticket(number))) => (3, number),
        Some(Ok(Reply::Session(number))) => (4, number),
        Some(Ok(Reply::Remaining(ms))) => (5, ms),
        Some(Err(refusal)) => (refusal.code(), 0),
    }
}

/// The outer `None`: a code this version does not know.
#[expect(
    clippy::option_option,
    reason = "unknown code and no order yet are different things"
)]
fn decode_outcome(code: u8, value: u32) -> Option<Option<Result<Reply, Refusal>>> {
    let reply = match code {
        NO_ORDER_YET => return Some(None),
        0 => Reply::Done,
        1 => Reply::Unchanged,
        2 => Reply::Superseded,
        3 => Reply::Ticket(value),
        4 => Reply::Session(value),
        5 => Reply::Remaining(value),
        _ => return Refusal::from_code(code).map(|refusal| Some(Err(refusal))),
    };
    Some(Some(Ok(reply)))
}

impl Report for LogRange {
    const REGISTER: Register = Register::LogRange;

    fn encode(&self) -> Block {
        Block::new()
            .put_u32(self.oldest)
            .put_u32(self.next)
            .put_u32(self.cursor)
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let range = Self {
            oldest: fields.u32()?,
            next: fields.u32()?,
            cursor: fields.u32()?,
        };
        fields.end(range)
    }
}

impl Report for LogEntry {
    const REGISTER: Register = Register::LogEntry;

    fn encode(&self) -> Block {
        let Some(event) = self.0 else {
            return Block::new().put(&[0; 16]);
        };
        Block::new()
            .put_u32(event.sequence)
            .put_u64(event.tick)
            .put(&[
                event.kind.code(),
                event.segment.map_or(ABSENT, Segment::number),
                event.state.map_or(0, RelayState::code),
                event.detail,
            ])
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let (sequence, tick) = (fields.u32()?, fields.u64()?);
        let [kind, segment, state, detail] = fields.take()?;
        if sequence == 0 {
            return fields.end(Self(None));
        }
        let kind = EventKind::from_code(kind)?;
        let segment = if segment == ABSENT {
            None
        } else {
            Some(Segment::new(segment)?)
        };
        let state = if state == 0 {
            None
        } else {
            Some(RelayState::from_code(state)?)
        };
        fields.end(Self(Some(Event {
            sequence,
            tick,
            kind,
            segment,
            state,
            detail,
        })))
    }
}
