//! What has happened: the last order's outcome, counters, wear, events.

use super::{ABSENT, Report};
use crate::command::{Refusal, Reply};
use crate::log::{Event, EventKind};
use crate::relay::{RelayState, Segment};
use crate::wire::payload::Fields;
use crate::wire::{Block, Register};
use crate::{MAX_SEGMENTS, Tick};

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

/// Outcome byte of RESULT before the first order; neither a reply nor a refusal.
const NO_ORDER_YET: u8 = 0x7F;

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
