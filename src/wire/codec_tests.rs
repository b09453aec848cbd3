use proptest::prelude::*;

use super::super::frame::BODY_BYTES_MAX;
use super::*;

fn sample() -> Heartbeat {
    Heartbeat {
        role: Role::Active,
        flags: Flags {
            bound: true,
            preferred: true,
            serving: true,
            leaving: true,
            ..Flags::default()
        },
        epoch: 7,
        hears: Hears {
            boot: BootId(0x1122_3344_5566_7788),
            counter: 0x99,
            links: [1, 2, 3, 4, 5, 6, 7, 8],
        },
        interval_us: 10_000,
        lateness_us: 250,
        health: HealthSummary {
            failing: 1,
            warning: 2,
        },
        generation: Some(0xABCD),
        names_generation: None,
        versions: Versions {
            protocol: 1,
            software: [0, 1, 2],
            firmware: [3, 4, 5],
        },
        board: [0xB0; 16],
        agreement: [0xA6; 16],
        sync_roots: vec![[0x5C; 32]],
    }
}

fn bytes(message: &Message) -> (Kind, Vec<u8>) {
    let mut out = Vec::new();
    let kind = encode(message, &mut out).unwrap();
    (kind, out)
}

fn hex(message: &Message) -> String {
    let (_, bytes) = bytes(message);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Version 1, as it will be for ever.
#[test]
fn the_heartbeat_of_version_1_is_frozen() {
    let expected = [
        "03",                               // Active
        "0838",                             // leaving, serving, preferred, bound
        "0000000000000007",                 // epoch
        "1122334455667788",                 // hears: boot
        "0000000000000099",                 // counter
        "00000000000000010000000000000002", // per link
        "00000000000000030000000000000004",
        "00000000000000050000000000000006",
        "00000000000000070000000000000008",
        "00002710",                         // interval µs
        "000000fa",                         // lateness µs
        "0102",                             // failing, warning
        "010000abcd",                       // generation
        "0000000000",                       // names none
        "0001",                             // protocol
        "000000010002",                     // software
        "030405",                           // firmware
        "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0", // board
        "a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6", // agreement
        "01",                               // one root
        "5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c",
        "5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c",
    ];
    assert_eq!(hex(&Message::Heartbeat(sample())), expected.concat());
}

fn introduction() -> Introduction {
    Introduction {
        host: Text::of("gate").unwrap(),
        model: Text::of("reference"),
        firmware: None,
        commissioning: Commissioning::Missing,
        wall_clock_ms: Some(0x0102),
    }
}

#[test]
fn the_introduction_of_version_1_is_frozen() {
    let expected = [
        "0467617465",           // host
        "097265666572656e6365", // model
        "00",                   // no firmware told
        "03",                   // commissioning missing
        "010000000000000102",   // wall clock
    ];
    let message = Message::Introduction(introduction());
    assert_eq!(hex(&message), expected.concat());
    assert_eq!(bytes(&message).0, Kind::talk(6));
}

#[test]
fn an_introduction_without_a_host_or_with_what_cannot_be_printed_is_refused() {
    let (kind, good) = bytes(&Message::Introduction(introduction()));
    assert!(decode(kind, &good).is_ok());
    let with = |at: usize, byte: u8| {
        let mut body = good.clone();
        body[at] = byte;
        decode(kind, &body)
    };
    // An escape, half a character of UTF-8, a word for commissioning that is none, a third form of presence.
    for (at, byte) in [(1, 0x1b), (2, 0xc3), (16, 4), (17, 2)] {
        assert_eq!(with(at, byte), Err(Refusal::Body), "{at}");
    }
    let nameless = [&[0], &good[5..]].concat();
    assert_eq!(decode(kind, &nameless), Err(Refusal::Body));
    let mut long = vec![65];
    long.extend([b'x'; 65]);
    long.extend(&good[5..]);
    assert_eq!(decode(kind, &long), Err(Refusal::Body));
    let mut largest = introduction();
    let most = Text::of(&"x".repeat(TEXT_BYTES_MAX));
    largest.host = most.clone().unwrap();
    (largest.model, largest.firmware) = (most.clone(), most);
    let (_, body) = bytes(&Message::Introduction(largest));
    assert!(body.len() <= BODY_BYTES_MAX);
}

#[test]
fn the_other_messages_of_version_1_are_frozen() {
    let frozen = [
        (
            Message::Ask(Ask {
                number: 1,
                epoch: 2,
                reason: AskReason::Switchover,
            }),
            ASK,
            "0000000000000001000000000000000202",
        ),
        (
            Message::Answer(Answer {
                number: 1,
                epoch: 2,
            }),
            ANSWER,
            "00000000000000010000000000000002",
        ),
        (
            Message::Decline(Decline {
                number: 1,
                reason: DeclineReason::NoNeed,
            }),
            DECLINE,
            "000000000000000105",
        ),
        (
            Message::Pin(Pin {
                round: 1,
                word: PinRound::Released,
            }),
            PIN,
            "000000000000000104",
        ),
        (
            Message::FenceOrder(FenceOrder { nonce: 1, epoch: 2 }),
            FENCE_ORDER,
            "00000000000000010000000000000002",
        ),
        (
            Message::FenceAnswer(FenceAnswer {
                nonce: 1,
                outcome: FenceOutcome::Cut,
            }),
            FENCE_ANSWER,
            "000000000000000101",
        ),
    ];
    for (message, kind, expected) in frozen {
        assert_eq!(hex(&message), expected, "{message:?}");
        assert_eq!(bytes(&message).0, kind);
        assert_eq!(kind.is_fence(), format!("{message:?}").starts_with("Fence"));
    }
}

#[test]
fn the_largest_heartbeat_fits_and_more_roots_do_not() {
    let mut heartbeat = sample();
    heartbeat.sync_roots = vec![[1; 32]; SYNC_ROOTS_MAX];
    let (kind, body) = bytes(&Message::Heartbeat(heartbeat.clone()));
    assert!(body.len() <= BODY_BYTES_MAX);
    assert!(decode(kind, &body).is_ok());
    heartbeat.sync_roots.push([1; 32]);
    let error = encode(&Message::Heartbeat(heartbeat), &mut Vec::new());
    assert_eq!(error, Err(TooManyRoots(SYNC_ROOTS_MAX + 1)));
}

#[test]
fn what_has_no_meaning_is_refused() {
    let (kind, good) = bytes(&Message::Heartbeat(sample()));
    let with = |at: usize, byte: u8| {
        let mut body = good.clone();
        body[at] = byte;
        decode(kind, &body)
    };
    assert!(decode(kind, &good).is_ok());
    // Role, a flag, an absent generation that has a number, a third form of presence, the count of roots.
    for (at, byte) in [
        (0, 0),
        (0, 5),
        (1, 0x18),
        (101, 0),
        (106, 2),
        (110, 1),
        (154, 2),
    ] {
        assert_eq!(with(at, byte), Err(Refusal::Body), "{at}");
    }
    for kind in [Kind::talk(0), Kind::talk(7), Kind::fence(3), Kind::fence(5)] {
        assert_eq!(decode(kind, &good), Err(Refusal::Body));
    }
    // A fence order is no ask, though their bytes could be the same.
    assert_eq!(decode(Kind::talk(1), &[0; 16]), Err(Refusal::Body));
}

fn heartbeats() -> impl Strategy<Value = Message> {
    let numbers = (any::<[u64; 11]>(), any::<[u32; 4]>(), any::<[u16; 4]>());
    let bytes = (any::<[u8; 5]>(), any::<[u8; 16]>(), any::<[u8; 16]>());
    let roots = prop::collection::vec(any::<[u8; 32]>(), 0..=SYNC_ROOTS_MAX);
    (
        0_usize..4,
        0_u16..4096,
        numbers,
        bytes,
        roots,
        any::<[bool; 2]>(),
    )
        .prop_map(
            |(role, bits, (n, words, halves), (small, board, agreement), sync_roots, there)| {
                Message::Heartbeat(Heartbeat {
                    role: ROLES[role],
                    flags: flags(bits).unwrap(),
                    epoch: n[0],
                    hears: Hears {
                        boot: BootId(n[1]),
                        counter: n[2],
                        links: core::array::from_fn(|at| n[3 + at]),
                    },
                    interval_us: words[0],
                    lateness_us: words[1],
                    health: HealthSummary {
                        failing: small[0],
                        warning: small[1],
                    },
                    generation: there[0].then_some(words[2]),
                    names_generation: there[1].then_some(words[3]),
                    versions: Versions {
                        protocol: halves[0],
                        software: [halves[1], halves[2], halves[3]],
                        firmware: [small[2], small[3], small[4]],
                    },
                    board,
                    agreement,
                    sync_roots,
                })
            },
        )
}

fn others() -> impl Strategy<Value = Message> {
    (0_usize..7, any::<u64>(), any::<u64>(), 0_usize..20).prop_map(|(kind, n, epoch, word)| {
        match kind {
            0 => Message::Ask(Ask {
                number: n,
                epoch,
                reason: ASK_REASONS[word % 4],
            }),
            1 => Message::Answer(Answer { number: n, epoch }),
            2 => Message::Decline(Decline {
                number: n,
                reason: DECLINE_REASONS[word % 5],
            }),
            3 => Message::Pin(Pin {
                round: n,
                word: PIN_WORDS[word % 4],
            }),
            4 => Message::FenceOrder(FenceOrder { nonce: n, epoch }),
            5 => Message::Introduction(Introduction {
                host: Text::of(&n.to_string()).unwrap(),
                model: Text::of(&"m".repeat(word)),
                firmware: Text::of(&"1.2".repeat(word % 2)),
                commissioning: COMMISSIONINGS[word % 3],
                wall_clock_ms: (word % 2 == 0).then_some(epoch),
            }),
            _ => Message::FenceAnswer(FenceAnswer {
                nonce: n,
                outcome: OUTCOMES[word % 2],
            }),
        }
    })
}

proptest! {
    #[test]
    fn every_message_comes_back(message in prop_oneof![heartbeats(), others()]) {
        let (kind, body) = bytes(&message);
        prop_assert_eq!(decode(kind, &body), Ok(message));
        prop_assert_eq!(decode(kind, &body[..body.len() - 1]), Err(Refusal::Body));
        let longer = [&body[..], &[0]].concat();
        prop_assert_eq!(decode(kind, &longer), Err(Refusal::Body));
    }

    /// One form only: whatever can be read is written back as it was.
    #[test]
    fn what_is_read_is_what_would_be_written(
        kind in 0_u8..8,
        fence in any::<bool>(),
        start in prop_oneof![heartbeats(), others()],
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        as_it_is in any::<bool>(),
    ) {
        let (own, mut body) = bytes(&start);
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let kind = match (as_it_is, fence) {
            (true, _) => own,
            (false, true) => Kind::fence(kind),
            (false, false) => Kind::talk(kind),
        };
        if let Ok(message) = decode(kind, &body) {
            prop_assert_eq!(bytes(&message), (kind, body));
        }
    }
}
