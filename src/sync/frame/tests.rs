#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use super::*;
use crate::blocks::Run;
use crate::category_id::CategoryId;
use crate::digest::Digest;
use crate::entry::{Entry, Kind, Roots};
use crate::lineage::{CommitRecord, Epoch, NodeId};
use crate::path::RelPath;

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn roots(byte: u8) -> Roots {
    let (content, meta) = (digest(byte), digest(byte + 1));
    Roots { content, meta }
}

fn record(seq: u64) -> CommitRecord {
    CommitRecord {
        epoch: Epoch(7),
        seq,
        parent: Some(digest(1)),
        root: digest(2),
        author: NodeId(9),
    }
}

fn id() -> CategoryId {
    CategoryId::new("firewall").unwrap()
}

fn entry() -> Entry {
    Entry {
        kind: Kind::File {
            size: 5,
            content: digest(3),
        },
        mode: 0o640,
        uid: 0,
        gid: 1000,
        mtime_ns: -1,
        xattrs: [(b"user.a".to_vec(), b"1".to_vec())].into(),
    }
}

/// One of each.
fn all() -> Vec<Message> {
    let path = RelPath::new("etc/app.conf").unwrap();
    let dir = Some(RelPath::new("etc").unwrap());
    let held = Some(Held {
        roots: roots(4),
        newest: Some(record(3)),
    });
    let category = id();
    let child = Child {
        path: path.clone(),
        entry: entry(),
        below: Some(roots(6)),
    };
    let changed = Changed {
        path,
        entry: Some(entry()),
    };
    let offer = Offer {
        id: id(),
        policy: digest(5),
        held,
    };
    vec![
        Message::Hello(Hello {
            protocol: 0,
            version: Text::new("0.1.0"),
            node: NodeId(1),
            epoch: Epoch(7),
            categories: Capped::new([offer]),
        }),
        Message::Check {
            round: 1,
            look: Look::Rehash,
            roots: Capped::new([(0, roots(8))]),
        },
        Message::Checked {
            round: 1,
            held: Capped::new([(0, held)]),
        },
        Message::AskLineage { category: id() },
        Message::Lineage {
            category: id(),
            records: Capped::new([record(1)]),
            last: true,
        },
        Message::AskDirectories {
            category: id(),
            dirs: Capped::new([None, dir.clone()]),
        },
        Message::Directory {
            category: id(),
            dir,
            children: Capped::new([child]),
            last: false,
        },
        Message::Stage(Stage {
            transfer: 300,
            category,
            epoch: Epoch(7),
            record: record(4),
            history: Capped::new([record(3)]),
            base: digest(1),
            changes: 2,
            deletions_meant: false,
            replaces_history: true,
        }),
        Message::Changes {
            transfer: 300,
            changes: Capped::new([changed]),
        },
        Message::Need {
            transfer: 300,
            contents: Capped::new([Needed {
                content: digest(3),
                base: Some(digest(4)),
            }]),
            last: true,
        },
        Message::Content(Content {
            transfer: 300,
            content: digest(3),
            offset: 0,
            last: true,
            packed: false,
            bytes: Capped::new(*b"hello"),
        }),
        Message::Prepared { transfer: 300 },
        Message::Commit {
            transfer: 300,
            epoch: Epoch(7),
        },
        Message::Done {
            transfer: 300,
            roots: roots(4),
        },
        Message::Refused {
            transfer: 300,
            refusal: Refusal::Validation(Text::new("line 3")),
        },
        Message::Abort { transfer: 300 },
        Message::Bye {
            reason: Text::new("demoted"),
        },
        Message::Base {
            transfer: 300,
            content: digest(3),
            base: digest(4),
            runs: Capped::new([Run {
                first: 24_000,
                count: 1,
            }]),
        },
    ]
}

/// Added within version 1, after the others.
fn later() -> Vec<Message> {
    let ran = Ran {
        code: 7,
        output: Capped::new(*b"line 3\n"),
    };
    vec![
        Message::Run {
            run: 2,
            epoch: Epoch(7),
            name: Text::new("reload-all"),
        },
        Message::Ran {
            run: 2,
            outcome: Ok(ran),
        },
        Message::Ran {
            run: 3,
            outcome: Err(Text::new("busy")),
        },
    ]
}

#[test]
fn what_was_added_is_frozen_too() {
    let frames = later()
        .into_iter()
        .map(|message| message.to_frame().unwrap());
    let frames: Vec<Vec<u8>> = frames.collect();
    assert_eq!(frames[0], b"\0\0\0\x0e\x12\x02\x07\x0areload-all");
    assert_eq!(frames[1], b"\0\0\0\x0c\x13\x02\0\x07\x07line 3\n");
    assert_eq!(frames[2], b"\0\0\0\x08\x13\x03\x01\x04busy");
}

#[test]
fn more_output_than_is_kept_is_no_message() {
    let output = vec![b'x'; crate::hooks::OUTPUT_BYTES_MAX + 1];
    let mut body = vec![19, 2, 0, 7];
    body.extend(postcard::to_stdvec(&output).unwrap());
    assert!(Message::from_body(&body).is_err());
    body.pop();
    let fits = vec![b'x'; crate::hooks::OUTPUT_BYTES_MAX];
    body.truncate(4);
    body.extend(postcard::to_stdvec(&fits).unwrap());
    assert!(Message::from_body(&body).is_ok());
}

#[test]
fn every_message_survives_the_wire() {
    for message in all().into_iter().chain(later()) {
        let frame = message.to_frame().unwrap();
        let (prefix, body) = frame.split_at(LENGTH_BYTES);
        assert_eq!(body_length(prefix.try_into().unwrap()), Ok(body.len()));
        assert_eq!(Message::from_body(body), Ok(message));
    }
}

/// Nodes of a pair are upgraded one after the other: these bytes never change within version 1.
#[test]
fn version_1_is_frozen() {
    let mut hasher = blake3::Hasher::new();
    for message in all() {
        hasher.update(&message.to_frame().unwrap());
    }
    let hash = hasher.finalize().to_hex();
    assert_eq!(&hash[..32], "bad13d9d41e4d6463fccad2420fb1ab5");
    let commit = Message::Commit {
        transfer: 300,
        epoch: Epoch(7),
    };
    assert_eq!(commit.to_frame().unwrap(), [0, 0, 0, 4, 12, 0xac, 2, 7]);
}

/// Nor do these, which came later.
#[test]
fn what_was_added_to_version_1_is_frozen() {
    let failed = |failed: Option<&str>| Message::TakenUp {
        category: id(),
        failed: failed.map(Text::new),
    };
    let behind = |for_ms| Message::Behind {
        category: id(),
        for_ms,
    };
    let ask = Message::AskBlocks {
        transfer: 300,
        content: digest(3),
        base: digest(4),
        level: 2,
        groups: Capped::new([Run { first: 1, count: 2 }]),
    };
    let asked = [
        b"\0\0\0\x47\x16\xac\x02",
        &[3; 32][..],
        &[4; 32],
        b"\x02\x01\x01\x02",
    ]
    .concat();
    let blocks = Message::Blocks {
        transfer: 300,
        content: digest(3),
        hashes: Capped::new([[7; 16]]),
    };
    let told = [b"\0\0\0\x34\x17\xac\x02", &[3; 32][..], b"\x01", &[7; 16]].concat();
    let frozen: [(Message, &[u8]); 6] = [
        (ask, &asked),
        (blocks, &told),
        (behind(None), b"\0\0\0\x0b\x14\x08firewall\0"),
        (behind(Some(300)), b"\0\0\0\x0d\x14\x08firewall\x01\xac\x02"),
        (failed(None), b"\0\0\0\x0b\x15\x08firewall\0"),
        (failed(Some("no")), b"\0\0\0\x0e\x15\x08firewall\x01\x02no"),
    ];
    for (message, frame) in frozen {
        assert_eq!(message.to_frame().unwrap(), frame, "{message:?}");
        assert_eq!(Message::from_body(&frame[LENGTH_BYTES..]), Ok(message));
    }
}

#[test]
fn lengths_are_refused_before_anything_is_read() {
    let too_long = u32::try_from(FRAME_BYTES_MAX + 1).unwrap();
    assert_eq!(body_length([0; 4]), Err(FrameError::Length(0)));
    assert_eq!(
        body_length(too_long.to_be_bytes()),
        Err(FrameError::Length(too_long.into()))
    );
    assert_eq!(
        body_length([0xff; 4]).unwrap_err().to_string(),
        "frame of 4294967295 bytes; expected 1 to 131072"
    );
}

#[test]
fn absurd_counts_are_refused() {
    // Need, transfer 1, 2^35 contents, of which none follow.
    let body = [9, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 1];
    assert_eq!(Message::from_body(&body), Err(FrameError::Garbage(8)));
    let many: Vec<Option<RelPath>> = vec![None; DIRS_MAX + 1];
    let mut body = vec![5];
    body.extend(postcard::to_stdvec(&id()).unwrap());
    body.extend(postcard::to_stdvec(&many).unwrap());
    assert_eq!(
        Message::from_body(&body),
        Err(FrameError::Garbage(body.len()))
    );
}

#[test]
fn cut_padded_and_foreign_frames_are_refused() {
    for message in all().into_iter().chain(later()) {
        let frame = message.to_frame().unwrap();
        let body = &frame[LENGTH_BYTES..];
        for cut in 0..body.len() {
            assert!(
                Message::from_body(&body[..cut]).is_err(),
                "{message:?} at {cut}"
            );
        }
        let padded = [body, &[0]].concat();
        assert_eq!(Message::from_body(&padded), Err(FrameError::Trailing(1)));
    }
    assert_eq!(Message::from_body(&[200, 1]), Err(FrameError::Garbage(2)));
}

#[test]
fn a_path_that_escapes_is_no_message() {
    for path in ["/etc/shadow", "../etc", "a//b", "a/./b"] {
        // Changes, transfer 1, one of them: path, nothing there.
        let mut body = vec![8, 1, 1];
        body.extend(postcard::to_stdvec(&path.as_bytes().to_vec()).unwrap());
        body.push(0);
        assert!(Message::from_body(&body).is_err(), "{path}");
    }
}

#[test]
fn parts_fit_their_frames() {
    let changes = (0..3000).map(|number| Changed {
        path: RelPath::new(format!("etc/{number}/{}", "x".repeat(200))).unwrap(),
        entry: Some(entry()),
    });
    let parts: Vec<Capped<Changed, CHANGES_MAX>> = parts(changes);
    assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), 3000);
    for part in parts {
        let frame = Message::Changes {
            transfer: u64::MAX,
            changes: part,
        };
        assert!(frame.to_frame().unwrap().len() < 64 * 1024);
    }
    let none: Vec<Capped<Changed, CHANGES_MAX>> = super::parts([]);
    assert_eq!(none.len(), 1);
}

#[test]
fn words_of_a_peer_cannot_act_on_a_terminal() {
    let evil = Text::new("\u{1b}[2Jgone");
    assert_eq!(evil.to_string(), "\\x1b[2Jgone");
    assert!(Text::new("y".repeat(5000)).to_string().len() <= TEXT_BYTES_MAX);
}
