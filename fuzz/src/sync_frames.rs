//! State sync's frames and the two machines that read them: a peer says anything, in any order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fencepost_sync::category_id::CategoryId;
use fencepost_sync::digest::Digest;
use fencepost_sync::frame::{
    Capped, Changed, Content, FRAME_BYTES_MAX, Hello, LENGTH_BYTES, Look, Message, Needed, Offer,
    Refusal, Stage, Text, TransferId, pack,
};
use fencepost_sync::lineage::{CommitRecord, Epoch, Lineage, NodeId};
use fencepost_sync::manifest::Manifest;
use fencepost_sync::policy::Policy;
use fencepost_sync::session::{
    Local, Moment, Own, Receiver, ReceiverAction, ReceiverEvent, Sender, SenderAction, SenderEvent,
    Standing,
};

use crate::feed::Feed;

/// Bytes of one made-up message, at most.
const BODY_BYTES: usize = 96;
const EPOCH: Epoch = Epoch(3);

/// Messages first, then both machines.
pub fn said(bytes: &[u8]) {
    decoded(bytes);
    receiver(&mut Feed::new(bytes));
    sender(&mut Feed::new(bytes));
}

/// What is understood can be said again and is then the same.
fn decoded(bytes: &[u8]) {
    if let Ok(message) = Message::from_body(bytes) {
        let frame = message.to_frame().expect("what was read can be written");
        assert!(frame.len() <= LENGTH_BYTES + FRAME_BYTES_MAX);
        assert_eq!(Message::from_body(&frame[LENGTH_BYTES..]), Ok(message));
    }
    let _refused = pack::unpack(bytes);
}

fn category() -> CategoryId {
    CategoryId::new("config").expect("a name")
}

fn digest(feed: &mut Feed<'_>) -> Digest {
    Digest::from_bytes([feed.byte() % 4; 32])
}

fn own(lineage: Lineage) -> Own {
    Own {
        id: category(),
        policy_hash: Digest::from_bytes([1; 32]),
        policy: Policy::default(),
        lineage,
        local: Some(Local::new(Manifest::new())),
        behind_since: None,
    }
}

fn hello(node: u64, lineage: &Lineage) -> Message {
    let held = fencepost_sync::frame::Held {
        roots: Manifest::new().roots(),
        newest: lineage.newest(),
    };
    Message::Hello(Hello {
        protocol: 0,
        version: Text::new("0"),
        node: NodeId(node),
        epoch: EPOCH,
        categories: Capped::new([Offer {
            id: category(),
            policy: Digest::from_bytes([1; 32]),
            held: Some(held),
        }]),
    })
}

fn record(feed: &mut Feed<'_>, lineage: &Lineage) -> CommitRecord {
    let mut record = lineage.next(EPOCH, Manifest::new().roots().content, NodeId(1));
    if feed.byte() < 64 {
        record.root = digest(feed);
        record.seq = u64::from(feed.byte());
    }
    record
}

/// Something of the protocol with numbers that may fit, or bytes that may be anything.
fn made_up(feed: &mut Feed<'_>, lineage: &Lineage) -> Option<Message> {
    let transfer = TransferId::from(feed.byte() % 4);
    let message = match feed.below(12) {
        0 => hello(feed.below(4) as u64, lineage),
        1 => Message::Check {
            round: u32::from(feed.byte()),
            look: Look::Known,
            roots: Capped::default(),
        },
        2 | 3 => Message::Stage(Stage {
            transfer,
            category: category(),
            epoch: EPOCH,
            record: record(feed, lineage),
            history: Capped::default(),
            base: Manifest::new().roots().content,
            changes: u32::from(feed.byte() % 3),
            deletions_meant: false,
            replaces_history: feed.byte() < 64,
        }),
        4 => Message::Changes {
            transfer,
            changes: Capped::<Changed, { fencepost_sync::frame::CHANGES_MAX }>::default(),
        },
        5 => Message::Need {
            transfer,
            contents: Capped::new([Needed {
                content: digest(feed),
                base: None,
            }]),
            last: true,
        },
        6 => Message::Content(Content {
            transfer,
            content: digest(feed),
            offset: u64::from(feed.word()),
            last: feed.byte() < 128,
            packed: feed.byte() < 128,
            bytes: Capped::new(feed.bytes(8).iter().copied()),
        }),
        7 => Message::Prepared { transfer },
        8 => Message::Commit {
            transfer,
            epoch: Epoch(u64::from(feed.byte() % 5)),
        },
        9 => Message::Done {
            transfer,
            roots: Manifest::new().roots(),
        },
        10 => Message::Abort { transfer },
        _ => return Message::from_body(feed.bytes(BODY_BYTES)).ok(),
    };
    Some(message)
}

/// The Backup's machine commits only what the disk said was prepared, as Backup, under the session's epoch.
fn receiver(feed: &mut Feed<'_>) {
    let lineage = Lineage::new();
    let mut standing = Standing::Backup { epoch: EPOCH };
    let mut now = Moment::from_secs(100);
    let mut machine = Receiver::new(now, "0", NodeId(2), standing, vec![own(lineage.clone())]);
    let mut prepared: BTreeSet<TransferId> = BTreeSet::new();
    machine.handle(now, ReceiverEvent::Received(hello(1, &lineage)));
    while !feed.is_empty() {
        now += Duration::from_millis(u64::from(feed.byte()));
        for action in machine.poll_actions() {
            let event = match action {
                ReceiverAction::Open { transfer, next, .. } => opened(feed, transfer, &next),
                ReceiverAction::Prepare { transfer, .. } => {
                    let outcome = (feed.byte() < 200).then_some(()).ok_or(Refusal::Voided);
                    if outcome.is_ok() {
                        prepared.insert(transfer);
                    }
                    ReceiverEvent::Prepared { transfer, outcome }
                }
                ReceiverAction::Commit { transfer, epoch } => {
                    assert!(prepared.remove(&transfer), "a commit of nothing prepared");
                    assert_eq!(epoch, EPOCH);
                    assert!(matches!(standing, Standing::Backup { .. }), "not Backup");
                    let outcome = Ok(());
                    ReceiverEvent::Committed { transfer, outcome }
                }
                ReceiverAction::Discard { transfer } => {
                    prepared.remove(&transfer);
                    continue;
                }
                ReceiverAction::Run { run, epoch, .. } => {
                    assert_eq!(epoch, EPOCH);
                    assert!(matches!(standing, Standing::Backup { .. }), "not Backup");
                    let outcome = Err(Text::new("nothing can be run here"));
                    ReceiverEvent::Ran { run, outcome }
                }
                _ => continue,
            };
            machine.handle(now, event);
        }
        if feed.byte() < 4 {
            standing = Standing::Active { epoch: Epoch(4) };
            machine.handle(now, ReceiverEvent::Standing(standing));
        }
        if let Some(message) = made_up(feed, &lineage) {
            machine.handle(now, ReceiverEvent::Received(message));
        }
        machine.handle_timeout(now);
        assert_eq!(machine.status(now).len(), 1);
    }
}

fn opened(feed: &mut Feed<'_>, transfer: TransferId, next: &Arc<Manifest>) -> ReceiverEvent {
    assert!(next.check().is_ok(), "a manifest that nobody checked");
    let content = digest(feed);
    let missing = match feed.below(4) {
        0 => vec![Needed {
            content,
            base: None,
        }],
        _ => Vec::new(),
    };
    let missing = Ok(missing);
    ReceiverEvent::Opened { transfer, missing }
}

/// The Active's machine never says a second word to a commit that it was not told is prepared.
fn sender(feed: &mut Feed<'_>) {
    let mut lineage = Lineage::new();
    let mut now = Moment::from_secs(100);
    let mut machine = Sender::new(now, "0", NodeId(1), EPOCH, vec![own(lineage.clone())]);
    let mut prepared: BTreeSet<TransferId> = BTreeSet::new();
    machine.handle(now, SenderEvent::Received(hello(2, &lineage)));
    while !feed.is_empty() {
        now += Duration::from_millis(u64::from(feed.byte()));
        for action in machine.poll_actions() {
            match action {
                SenderAction::Send(Message::Commit { transfer, .. }) => {
                    assert!(prepared.contains(&transfer), "a commit of nothing prepared");
                }
                SenderAction::Publish { .. } => {
                    let record = lineage.next(EPOCH, Manifest::new().roots().content, NodeId(1));
                    lineage.push(record).expect("the next one");
                    machine.handle(
                        now,
                        SenderEvent::Scanned {
                            category: category(),
                            local: Local::new(Manifest::new()),
                            lineage: lineage.clone(),
                        },
                    );
                }
                _ => {}
            }
        }
        if let Some(message) = made_up(feed, &lineage) {
            if let Message::Prepared { transfer } = message {
                prepared.insert(transfer);
            }
            machine.handle(now, SenderEvent::Received(message));
        }
        machine.handle_timeout(now);
        assert_eq!(machine.status(now).len(), 1);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_passes() {
        for input in crate::inputs("sync_frames") {
            super::said(&input);
        }
    }
}
