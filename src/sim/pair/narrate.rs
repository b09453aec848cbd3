//! A node's events and actions in words, for people who do not read Rust.

use crate::board::RelayState;
use crate::node::pair::{PairAction, PairEvent};
use crate::node::{Action, Event, Fact};
use crate::wire::Message;

/// What happened, if it is worth a line.
pub(super) fn event(event: &Event) -> Option<String> {
    Some(match event {
        Event::TicketTaken { segment, outcome } => {
            format!("segment {segment}: {}", done("ticket given", outcome))
        }
        Event::SegmentClosed { segment, outcome } => {
            format!("segment {segment}: {}", done("read back Normal", outcome))
        }
        Event::SegmentCut {
            segment,
            state,
            outcome,
        } => {
            format!(
                "segment {segment}: {}",
                done(&format!("read back {state}"), outcome)
            )
        }
        Event::Pair(event) => return pair_event(event),
        _ => return None,
    })
}

fn pair_event(event: &PairEvent) -> Option<String> {
    Some(match event {
        PairEvent::Persisted { outcome, .. } => done("saved", outcome),
        PairEvent::Heard { message, .. } => {
            return spoken(message).map(|what| format!("heard: {what}"));
        }
        PairEvent::LinkCarrier { link, carrier } => format!("link {link}: carrier {carrier:?}"),
        PairEvent::LinkRefused { link } => format!("link {link}: the peer's kernel refuses"),
        PairEvent::VipsHeld { outcome, .. } => done("vips are held", outcome),
        PairEvent::VipsDropped { outcome, .. } => done("vips are dropped", outcome),
        PairEvent::VipsRead { outcome, .. } => match outcome {
            Ok(presence) => format!("vips read: {presence:?}"),
            Err(error) => format!("vips not read: {error}"),
        },
        PairEvent::TicketTaken { outcome } => done("ticket given", outcome),
        PairEvent::Fenced { outcome, .. } => format!("fence order: {outcome:?}"),
        PairEvent::Unfenced { outcome, .. } => done("hold withdrawn", outcome),
        PairEvent::FenceRead { outcome, .. } => match outcome {
            Ok(read) => {
                let relay = read.reading.segments.first();
                let relay = relay.map_or(RelayState::Unknown, |segment| segment.state);
                format!(
                    "read: relay {relay}, latch {:?}, hold {:?}",
                    read.reading.latch, read.hold
                )
            }
            Err(fault) => format!("not read: {fault}"),
        },
        PairEvent::SyncTold { outcome } => done("sync told", outcome),
        PairEvent::Requested { command, .. } => format!("an operator: {command:?}"),
        _ => return None,
    })
}

/// What is wanted, if it is worth a line.
pub(super) fn action(action: &Action) -> Option<String> {
    Some(match action {
        Action::TakeTicket { segment } => format!("TakeTicket for segment {segment}"),
        Action::Close { segment, proof, .. } => format!("Close segment {segment}, proof {proof:?}"),
        Action::Cut { segment, state } => format!("Cut segment {segment} to {state}"),
        Action::Record(record) => match &record.fact {
            Fact::ClaimFailed { why, .. } => format!("Record: claim failed: {why}"),
            Fact::RoleChanged { role, epoch, why } => {
                format!("Record: {role:?} in epoch {epoch}: {why}")
            }
            Fact::TakeoverWithheld { why } => format!("Record: takeover withheld: {why}"),
            Fact::PeerFenced { means } => format!("Record: peer fenced by {means}"),
            Fact::FencedByPeer => "Record: fenced by the peer".to_owned(),
            _ => return None,
        },
        Action::Pair(action) => match &**action {
            PairAction::Persist { memory, .. } => format!(
                "Persist epoch {}{}",
                memory.epoch,
                if memory.last_active {
                    ", last active"
                } else {
                    ""
                }
            ),
            PairAction::Send { message, .. } => {
                return spoken(message).map(|what| format!("Send: {what}"));
            }
            PairAction::HoldVips { .. } => "HoldVips".to_owned(),
            PairAction::DropVips { .. } => "DropVips".to_owned(),
            PairAction::ReadVips { .. } => "ReadVips".to_owned(),
            PairAction::Announce { .. } => "Announce".to_owned(),
            PairAction::TakeTicket => "TakeTicket".to_owned(),
            PairAction::Fence { means, .. } => format!("Fence the peer by means {means}"),
            PairAction::Unfence { means } => format!("Unfence means {means}"),
            PairAction::Advertise { role, .. } => format!("Advertise {role:?}"),
            _ => return None,
        },
        _ => return None,
    })
}

/// Messages worth a line: heartbeats only where they say that somebody serves or wants to be relieved.
fn spoken(message: &Message) -> Option<String> {
    Some(match message {
        Message::Heartbeat(_) => return None,
        Message::Ask(ask) => format!("Ask {}, because {:?}", ask.number, ask.reason),
        Message::Answer(answer) => format!("Answer {}", answer.number),
        Message::Decline(decline) => format!("Decline {}: {:?}", decline.number, decline.reason),
        Message::FenceOrder(_) => "FenceOrder".to_owned(),
        Message::FenceAnswer(answer) => format!("FenceAnswer {:?}", answer.outcome),
        Message::Introduction(_) => return None,
        Message::Pin(pin) => format!("Pin {:?}", pin.word),
    })
}

fn done<T, E: core::fmt::Display>(what: &str, outcome: &Result<T, E>) -> String {
    match outcome {
        Ok(_) => what.to_owned(),
        Err(error) => format!("NOT {what}: {error}"),
    }
}
