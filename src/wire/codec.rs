//! Messages as bytes, version 1: fixed order, fixed sizes, all numbers big-endian.
//!
//! Every message has exactly one form: what is read writes back to the same bytes, unknown words, set bits without a
//! meaning and bytes left over are refused. So two implementations cannot read the same frame differently. A change of
//! layout is a new version of the frame.
//!
//! ```text
//! heartbeat     role 1 · flags 2 (first is bit 0) · epoch 8 · hears: boot 8, counter 8, per link 8 × 8 ·
//!               interval µs 4 · lateness µs 4 · failing 1 · warning 1 · generation 1+4 · names generation 1+4 ·
//!               protocol 2 · software 3 × 2 · firmware 3 × 1 · board 16 · agreement 16 · roots: count 1, each 32
//! ask           number 8 · epoch 8 · reason 1
//! answer        number 8 · epoch 8
//! decline       number 8 · reason 1
//! pin           round 8 · word 1
//! fence order   nonce 8 · epoch 8
//! fence answer  nonce 8 · outcome 1
//! introduction  host, model, firmware: bytes 1, each 1 · commissioning 1 · wall clock ms 1+8
//! ```
//!
//! What is absent is 0 in its first byte, and zeros; a text that is absent has no bytes. Kinds may be added in a version: who
//! does not know one counts it and goes on.

use super::frame::Kind;
use super::introduction::{Introduction, TEXT_BYTES_MAX, Text};
use super::message::{
    Answer, Ask, AskReason, BootId, Decline, DeclineReason, FenceAnswer, FenceOrder, FenceOutcome,
    Flags, HealthSummary, Hears, Heartbeat, LINKS_MAX, Message, Pin, PinRound, Role,
    SYNC_ROOTS_MAX, Versions,
};
use super::refusal::Refusal;
use crate::node::policy::Commissioning;

mod fields;

use fields::{Fields, put_option, put_text, put_word};

const HEARTBEAT: Kind = Kind::talk(1);
const ASK: Kind = Kind::talk(2);
const ANSWER: Kind = Kind::talk(3);
const DECLINE: Kind = Kind::talk(4);
const PIN: Kind = Kind::talk(5);
const INTRODUCTION: Kind = Kind::talk(6);
const FENCE_ORDER: Kind = Kind::fence(1);
const FENCE_ANSWER: Kind = Kind::fence(2);

/// A heartbeat with more roots than [`SYNC_ROOTS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} sync roots; at most {SYNC_ROOTS_MAX}")]
pub struct TooManyRoots(usize);

/// Write a message into `out` (which is emptied first); its kind goes into the frame.
///
/// # Errors
/// A heartbeat with too many roots.
pub fn encode(message: &Message, out: &mut Vec<u8>) -> Result<Kind, TooManyRoots> {
    out.clear();
    Ok(match message {
        Message::Heartbeat(heartbeat) => {
            put_heartbeat(heartbeat, out)?;
            HEARTBEAT
        }
        Message::Ask(ask) => {
            put_numbers(out, &[ask.number, ask.epoch]);
            put_word(out, &ASK_REASONS, ask.reason);
            ASK
        }
        Message::Answer(answer) => {
            put_numbers(out, &[answer.number, answer.epoch]);
            ANSWER
        }
        Message::Decline(decline) => {
            put_numbers(out, &[decline.number]);
            put_word(out, &DECLINE_REASONS, decline.reason);
            DECLINE
        }
        Message::Pin(pin) => {
            put_numbers(out, &[pin.round]);
            put_word(out, &PIN_WORDS, pin.word);
            PIN
        }
        Message::FenceOrder(order) => {
            put_numbers(out, &[order.nonce, order.epoch]);
            FENCE_ORDER
        }
        Message::FenceAnswer(answer) => {
            put_numbers(out, &[answer.nonce]);
            put_word(out, &OUTCOMES, answer.outcome);
            FENCE_ANSWER
        }
        Message::Introduction(introduction) => {
            put_introduction(introduction, out);
            INTRODUCTION
        }
    })
}

/// Read a message.
///
/// # Errors
/// [`Refusal::Body`]: it is none of this version.
pub fn decode(kind: Kind, body: &[u8]) -> Result<Message, Refusal> {
    let mut fields = Fields::new(body);
    let message = read(kind, &mut fields);
    message.filter(|_| fields.is_empty()).ok_or(Refusal::Body)
}

fn read(kind: Kind, from: &mut Fields<'_>) -> Option<Message> {
    Some(match kind {
        HEARTBEAT => Message::Heartbeat(heartbeat(from)?),
        ASK => Message::Ask(Ask {
            number: from.u64()?,
            epoch: from.u64()?,
            reason: from.word(&ASK_REASONS)?,
        }),
        ANSWER => Message::Answer(Answer {
            number: from.u64()?,
            epoch: from.u64()?,
        }),
        DECLINE => Message::Decline(Decline {
            number: from.u64()?,
            reason: from.word(&DECLINE_REASONS)?,
        }),
        PIN => Message::Pin(Pin {
            round: from.u64()?,
            word: from.word(&PIN_WORDS)?,
        }),
        FENCE_ORDER => Message::FenceOrder(FenceOrder {
            nonce: from.u64()?,
            epoch: from.u64()?,
        }),
        FENCE_ANSWER => Message::FenceAnswer(FenceAnswer {
            nonce: from.u64()?,
            outcome: from.word(&OUTCOMES)?,
        }),
        INTRODUCTION => Message::Introduction(introduction(from)?),
        _ => return None,
    })
}

/// On the wire each word is its place in its list, from 1; a list only ever grows at its end, in a new version.
const ROLES: [Role; 4] = [Role::Init, Role::Backup, Role::Active, Role::Fault];
const ASK_REASONS: [AskReason; 4] = [
    AskReason::Election,
    AskReason::Switchover,
    AskReason::Preempt,
    AskReason::Invited,
];
const DECLINE_REASONS: [DeclineReason; 5] = [
    DeclineReason::Claiming,
    DeclineReason::AskedFirst,
    DeclineReason::Pinned,
    DeclineReason::Busy,
    DeclineReason::NoNeed,
];
const PIN_WORDS: [PinRound; 4] = [
    PinRound::Ask,
    PinRound::Promised,
    PinRound::Release,
    PinRound::Released,
];
const OUTCOMES: [FenceOutcome; 2] = [FenceOutcome::Cut, FenceOutcome::Unproven];
const COMMISSIONINGS: [Commissioning; 3] = [
    Commissioning::Done,
    Commissioning::Waived,
    Commissioning::Missing,
];

fn put_numbers(out: &mut Vec<u8>, numbers: &[u64]) {
    for number in numbers {
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn put_heartbeat(heartbeat: &Heartbeat, out: &mut Vec<u8>) -> Result<(), TooManyRoots> {
    let roots = heartbeat.sync_roots.len();
    let count = u8::try_from(roots).map_err(|_| TooManyRoots(roots))?;
    if roots > SYNC_ROOTS_MAX {
        return Err(TooManyRoots(roots));
    }
    put_word(out, &ROLES, heartbeat.role);
    out.extend_from_slice(&bits(&heartbeat.flags).to_be_bytes());
    let hears = &heartbeat.hears;
    put_numbers(out, &[heartbeat.epoch, hears.boot.0, hears.counter]);
    put_numbers(out, &hears.links);
    out.extend_from_slice(&heartbeat.interval_us.to_be_bytes());
    out.extend_from_slice(&heartbeat.lateness_us.to_be_bytes());
    out.extend_from_slice(&[heartbeat.health.failing, heartbeat.health.warning]);
    put_option(out, heartbeat.generation);
    put_option(out, heartbeat.names_generation);
    let versions = &heartbeat.versions;
    out.extend_from_slice(&versions.protocol.to_be_bytes());
    for part in versions.software {
        out.extend_from_slice(&part.to_be_bytes());
    }
    out.extend_from_slice(&versions.firmware);
    out.extend_from_slice(&heartbeat.board);
    out.extend_from_slice(&heartbeat.agreement);
    out.push(count);
    for root in &heartbeat.sync_roots {
        out.extend_from_slice(root);
    }
    Ok(())
}

fn heartbeat(from: &mut Fields<'_>) -> Option<Heartbeat> {
    let mut heartbeat = Heartbeat {
        role: from.word(&ROLES)?,
        flags: flags(from.u16()?)?,
        epoch: from.u64()?,
        hears: hears(from)?,
        interval_us: from.u32()?,
        lateness_us: from.u32()?,
        health: HealthSummary {
            failing: from.u8()?,
            warning: from.u8()?,
        },
        generation: from.option()?,
        names_generation: from.option()?,
        versions: Versions {
            protocol: from.u16()?,
            software: [from.u16()?, from.u16()?, from.u16()?],
            firmware: from.array()?,
        },
        board: from.array()?,
        agreement: from.array()?,
        sync_roots: Vec::new(),
    };
    let count = usize::from(from.u8()?);
    if count > SYNC_ROOTS_MAX {
        return None;
    }
    for _ in 0..count {
        heartbeat.sync_roots.push(from.array()?);
    }
    Some(heartbeat)
}

fn put_introduction(introduction: &Introduction, out: &mut Vec<u8>) {
    put_text(out, introduction.host.as_str());
    for text in [&introduction.model, &introduction.firmware] {
        put_text(out, text.as_ref().map_or("", Text::as_str));
    }
    put_word(out, &COMMISSIONINGS, introduction.commissioning);
    out.push(u8::from(introduction.wall_clock_ms.is_some()));
    put_numbers(out, &[introduction.wall_clock_ms.unwrap_or(0)]);
}

fn introduction(from: &mut Fields<'_>) -> Option<Introduction> {
    Some(Introduction {
        host: text(from)??,
        model: text(from)?,
        firmware: text(from)?,
        commissioning: from.word(&COMMISSIONINGS)?,
        wall_clock_ms: match (from.u8()?, from.u64()?) {
            (0, 0) => None,
            (1, number) => Some(number),
            _ => return None,
        },
    })
}

/// A text that may be absent.
fn text(from: &mut Fields<'_>) -> Option<Option<Text>> {
    let text = from.text(TEXT_BYTES_MAX)?;
    if text.is_empty() {
        return Some(None);
    }
    Text::try_from(text).ok().map(Some)
}

fn hears(from: &mut Fields<'_>) -> Option<Hears> {
    let mut hears = Hears {
        boot: BootId(from.u64()?),
        counter: from.u64()?,
        links: [0; LINKS_MAX],
    };
    for link in &mut hears.links {
        *link = from.u64()?;
    }
    Some(hears)
}

fn bits(flags: &Flags) -> u16 {
    let Flags {
        maintenance,
        pinned,
        quarantined,
        bound,
        preferred,
        serving,
        holds,
        ready,
        last_active,
        latched,
        yielding,
        leaving,
    } = *flags;
    let all = [
        maintenance,
        pinned,
        quarantined,
        bound,
        preferred,
        serving,
        holds,
        ready,
        last_active,
        latched,
        yielding,
        leaving,
    ];
    let set = all.iter().enumerate().filter(|(_, set)| **set);
    set.fold(0, |bits, (at, _)| bits | 1 << at)
}

/// `None` if a bit is set that has no meaning.
fn flags(bits: u16) -> Option<Flags> {
    let bit = |at: u16| bits >> at & 1 == 1;
    let flags = Flags {
        maintenance: bit(0),
        pinned: bit(1),
        quarantined: bit(2),
        bound: bit(3),
        preferred: bit(4),
        serving: bit(5),
        holds: bit(6),
        ready: bit(7),
        last_active: bit(8),
        latched: bit(9),
        yielding: bit(10),
        leaving: bit(11),
    };
    (bits >> 12 == 0).then_some(flags)
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
