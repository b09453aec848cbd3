//! Orders as bytes: a sequence number, then the fields in the order in which [`Command`] lists them.

use super::payload::Fields;
use super::{Block, Register};
use crate::command::{Command, Proof, Setting};
use crate::relay::{CutState, RelayState, Segment, SegmentMask};

/// An order with the host's sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Chosen by the host; echoed in [`super::OrderResult`].
    pub sequence: u16,
    /// The order.
    pub command: Command,
}

/// Payload of [`Register::LogCursor`]: the event to read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogCursor(pub u32);

/// An order whose fields make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Its sequence number, if it got that far.
    pub sequence: Option<u16>,
}

impl Request {
    /// The register this order is written to.
    #[must_use]
    pub fn register(&self) -> Register {
        match self.command {
            Command::Arm { .. } => Register::Arm,
            Command::Kick { .. } => Register::Kick,
            Command::Disarm { .. } => Register::Disarm,
            Command::AcknowledgeExpiry { .. } => Register::AcknowledgeExpiry,
            Command::Cut { .. } => Register::Cut,
            Command::TakeTicket => Register::TakeTicket,
            Command::Close { .. } => Register::Close,
            Command::Fence { .. } => Register::Fence,
            Command::Release => Register::Release,
            Command::Set { .. } => Register::Set,
        }
    }

    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Block {
        let block = Block::new().put_u16(self.sequence);
        match self.command {
            Command::Arm {
                session,
                segments,
                window_ms,
                deadline,
            } => block
                .put_u32(session)
                .put(&[segments.0])
                .put_u32(window_ms)
                .put_u64(deadline),
            Command::Kick { session, deadline } => block.put_u32(session).put_u64(deadline),
            Command::Disarm { session } | Command::AcknowledgeExpiry { session } => {
                block.put_u32(session)
            }
            Command::Cut { segments, state } => block.put(&[segments.0, state.code()]),
            Command::TakeTicket | Command::Release => block,
            Command::Close {
                ticket,
                proof,
                segments,
            } => block.put_u32(ticket).put(&[proof.code(), segments.0]),
            Command::Fence { session, read_at } => block.put_u32(session).put_u64(read_at),
            Command::Set {
                segment,
                setting,
                state,
            } => block.put(&[segment.number(), setting.code(), state.code()]),
        }
    }

    /// From the payload written to `register`.
    pub fn decode(register: Register, payload: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(payload);
        let sequence = fields.u16();
        let command = decode_command(register, &mut fields);
        match (sequence, command) {
            (Some(sequence), Some(command)) => Ok(Self { sequence, command }),
            _ => Err(Malformed { sequence }),
        }
    }
}

impl LogCursor {
    /// The payload.
    #[must_use]
    pub fn encode(self) -> Block {
        Block::new().put_u32(self.0)
    }

    /// From the payload.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let cursor = fields.u32()?;
        fields.end(Self(cursor))
    }
}

fn decode_command(register: Register, fields: &mut Fields<'_>) -> Option<Command> {
    let command = match register {
        Register::Arm => Command::Arm {
            session: fields.u32()?,
            segments: SegmentMask(fields.u8()?),
            window_ms: fields.u32()?,
            deadline: fields.u64()?,
        },
        Register::Kick => Command::Kick {
            session: fields.u32()?,
            deadline: fields.u64()?,
        },
        Register::Disarm => Command::Disarm {
            session: fields.u32()?,
        },
        Register::AcknowledgeExpiry => Command::AcknowledgeExpiry {
            session: fields.u32()?,
        },
        Register::Cut => Command::Cut {
            segments: SegmentMask(fields.u8()?),
            state: CutState::from_code(fields.u8()?)?,
        },
        Register::TakeTicket => Command::TakeTicket,
        Register::Close => Command::Close {
            ticket: fields.u32()?,
            proof: Proof::from_code(fields.u8()?)?,
            segments: SegmentMask(fields.u8()?),
        },
        Register::Fence => Command::Fence {
            session: fields.u32()?,
            read_at: fields.u64()?,
        },
        Register::Release => Command::Release,
        Register::Set => Command::Set {
            segment: Segment::new(fields.u8()?)?,
            setting: Setting::from_code(fields.u8()?)?,
            state: RelayState::from_code(fields.u8()?)?,
        },
        _ => return None,
    };
    fields.end(command)
}
