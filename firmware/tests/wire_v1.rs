//! The bytes of protocol version 1, frozen.
//!
//! If a test in this file fails, do not change the test: controllers in the field speak these bytes. Change the code
//! back, or raise the protocol version and add `wire_v2.rs` beside this file.
//!
//! The bytes were computed apart from this crate, by another program.
#![allow(
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

use fencepost_firmware::wire::report::Flags;
use fencepost_firmware::wire::{
    ADDRESS, Block, BusTally, Capabilities, Counters, FrameError, Identity, LogCursor, LogEntry,
    LogRange, MAGIC, OrderResult, PROTOCOL, Register, Report, Request, SegmentReport, Segments,
    SettingReport, Settings, Shape, Status, Wear, parse_block, parse_word, pec, write_block,
    write_byte, write_word,
};
use fencepost_firmware::{
    Cause, Command, Contact, CutPath, CutState, Event, EventKind, Line, NonVolatile, Proof, Rank,
    Refusal, RelayState, Reply, Segment, SegmentMask, Setting, StateSet, TimerState, VoidCause,
};

const SEQUENCE: u16 = 0x1234;
const SESSION: u32 = 0x0A0B_0C0D;
const TICKET: u32 = 0xCAFE_F00D;
const GENERATION: u32 = 0x1122_3344;
const TICK: u64 = 0x0000_0001_0203_0405;
const BOTH: SegmentMask = SegmentMask(0b11);

fn hex(text: &str) -> Vec<u8> {
    text.split(' ')
        .map(|byte| u8::from_str_radix(byte, 16).expect("hex"))
        .collect()
}

fn check_order(command: Command, frame: &str) {
    let request = Request {
        sequence: SEQUENCE,
        command,
    };
    let register = request.register();
    let payload = request.encode();
    assert_eq!(
        write_block(ADDRESS, register, &payload).as_slice(),
        hex(frame),
        "{command:?}"
    );
    assert_eq!(Request::decode(register, payload.as_slice()), Ok(request));
    assert_eq!(
        register.shape(),
        Shape::WriteBlock(payload.count()),
        "{register:?}"
    );
}

fn check_report<R: Report + PartialEq + std::fmt::Debug>(report: &R, raw: &str) {
    let payload = report.encode();
    let block = parse_block(ADDRESS, R::REGISTER, &hex(raw)).expect("frame");
    assert_eq!(payload.as_slice(), block.as_slice(), "{report:?}");
    assert_eq!(R::decode(block.as_slice()).as_ref(), Some(report));
    assert_eq!(R::decode(&block.as_slice()[1..]), None, "too short");
    assert_eq!(
        R::REGISTER.shape(),
        Shape::ReadBlock(payload.count()),
        "{:?}",
        R::REGISTER
    );
}

#[test]
fn constants() {
    assert_eq!((ADDRESS, PROTOCOL, MAGIC), (0x42, 1, *b"FPBC"));
    assert_eq!(pec(b"123456789"), 0xF4, "CRC-8/SMBus check value");
}

#[test]
fn orders() {
    let (session, segments) = (SESSION, BOTH);
    check_order(
        Command::Arm {
            session,
            segments,
            window_ms: 500,
            deadline: TICK,
        },
        "10 13 34 12 0d 0c 0b 0a 03 f4 01 00 00 05 04 03 02 01 00 00 00 84",
    );
    check_order(
        Command::Kick {
            session,
            deadline: TICK,
        },
        "11 0e 34 12 0d 0c 0b 0a 05 04 03 02 01 00 00 00 45",
    );
    check_order(Command::Disarm { session }, "12 06 34 12 0d 0c 0b 0a 58");
    check_order(
        Command::AcknowledgeExpiry { session },
        "13 06 34 12 0d 0c 0b 0a 4b",
    );
    check_order(
        Command::Cut {
            segments,
            state: CutState::Bypass,
        },
        "14 04 34 12 03 02 fe",
    );
    check_order(Command::TakeTicket, "15 02 34 12 34");
    check_order(
        Command::Close {
            ticket: TICKET,
            proof: Proof::Fenced,
            segments,
        },
        "16 08 34 12 0d f0 fe ca 01 03 90",
    );
    check_order(
        Command::Fence {
            session,
            read_at: TICK,
        },
        "17 0e 34 12 0d 0c 0b 0a 05 04 03 02 01 00 00 00 49",
    );
    check_order(Command::Release, "18 02 34 12 ca");
    let (segment, setting) = (Segment::new(1).expect("segment"), Setting::Expiry);
    check_order(
        Command::Set {
            segment,
            setting,
            state: RelayState::Disconnect,
        },
        "19 05 34 12 01 04 03 3c",
    );
}

#[test]
fn log_cursor() {
    let payload = LogCursor(77).encode();
    let frame = write_block(ADDRESS, Register::LogCursor, &payload);
    assert_eq!(frame.as_slice(), hex("0a 04 4d 00 00 00 08"));
    assert_eq!(LogCursor::decode(payload.as_slice()), Some(LogCursor(77)));
}

#[test]
fn identity_and_capabilities() {
    let unique_id = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    check_report(
        &Identity {
            protocol: 1,
            firmware: [0, 1, 0],
            unique_id,
        },
        "14 46 50 42 43 01 00 01 00 01 02 03 04 05 06 07 08 09 0a 0b 0c ae",
    );
    let capabilities = Capabilities {
        segments: 2,
        supported: StateSet::NORMAL_BYPASS,
        fenced: CutState::Bypass,
        power_off: CutState::Bypass,
        path: CutPath::Direct,
        rank: Rank::Preferred,
        window_min_ms: 10,
        window_max_ms: 60_000,
        ticket_max_age_ms: 1_000,
        standing_ms: 100,
        log_capacity: 32,
        inputs_max_age_ms: 10,
    };
    check_report(
        &capabilities,
        "18 02 03 02 02 01 02 0a 00 00 00 60 ea 00 00 e8 03 00 00 64 00 00 00 20 0a 4b",
    );
}

#[test]
fn status() {
    let running = Status {
        tick: TICK,
        session: SESSION,
        generation: GENERATION,
        timer: TimerState::Running,
        flags: Flags {
            latched: true,
            holds: false,
            fence_line: Line::Idle,
            ack_out: Line::Idle,
            peer_ack: Line::Idle,
            peer_fenced: false,
            ticket_out: true,
        },
        armed: BOTH,
        remaining_ms: 490,
        window_ms: 500,
        next_event: 9,
    };
    check_report(
        &running,
        "1f 05 04 03 02 01 00 00 00 0d 0c 0b 0a 44 33 22 11 02 41 03 ea 01 00 00 f4 01 00 00 09 00 00 00 92",
    );
    let expired = Status {
        timer: TimerState::Expired,
        flags: Flags {
            latched: false,
            holds: true,
            fence_line: Line::Asserted,
            ack_out: Line::Asserted,
            peer_ack: Line::Asserted,
            peer_fenced: true,
            ticket_out: false,
        },
        armed: SegmentMask::NONE,
        remaining_ms: 0,
        ..running
    };
    check_report(
        &expired,
        "1f 05 04 03 02 01 00 00 00 0d 0c 0b 0a 44 33 22 11 03 3e 00 00 00 00 00 f4 01 00 00 09 00 00 00 c8",
    );
}

#[test]
fn segments_and_settings() {
    let mut segments = [None; 8];
    segments[0] = Some(SegmentReport {
        target: RelayState::Normal,
        drive: RelayState::Normal,
        contact: Contact::Unknown,
        cause: Cause::HostClose,
    });
    segments[1] = Some(SegmentReport {
        target: RelayState::Bypass,
        drive: RelayState::Bypass,
        contact: Contact::Bypass,
        cause: Cause::HostCut,
    });
    check_report(
        &Segments(segments),
        "20 01 01 00 02 02 02 02 03 ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff d8",
    );

    let plain = SettingReport {
        power_up: CutState::Bypass,
        power_off: CutState::Bypass,
        expiry: CutState::Bypass,
    };
    let mut settings = [None; 8];
    settings[0] = Some(plain);
    settings[1] = Some(SettingReport {
        power_up: CutState::Disconnect,
        expiry: CutState::Disconnect,
        ..plain
    });
    check_report(
        &Settings {
            segments: settings,
            writes: 5,
        },
        "1c 02 02 02 03 02 03 ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff 05 00 00 00 16",
    );
}

#[test]
fn counters_and_wear() {
    let bus = BusTally {
        bad_pec: 1,
        bad_register: 2,
        bad_length: 3,
    };
    let counters = Counters {
        bus,
        executed: 4,
        refused: 5,
        expiries: 6,
        latches: 7,
    };
    check_report(
        &counters,
        "1c 01 00 00 00 02 00 00 00 03 00 00 00 04 00 00 00 05 00 00 00 06 00 00 00 07 00 00 00 14",
    );
    check_report(
        &Wear([10, 20, 0, 0, 0, 0, 0, 0]),
        "20 0a 00 00 00 14 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 53",
    );
}

#[test]
fn results() {
    let none = OrderResult {
        sequence: 0,
        register: 0,
        outcome: None,
        generation: 0,
        tick: 0,
    };
    check_report(
        &none,
        "14 00 00 00 7f 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 8c",
    );
    let ticket = OrderResult {
        sequence: SEQUENCE,
        register: 0x15,
        outcome: Some(Ok(Reply::Ticket(TICKET))),
        generation: GENERATION,
        tick: TICK,
    };
    check_report(
        &ticket,
        "14 34 12 15 03 0d f0 fe ca 44 33 22 11 05 04 03 02 01 00 00 00 d9",
    );
    let void = Refusal::TicketVoid(VoidCause::LatchChanged);
    let refused = OrderResult {
        register: 0x16,
        outcome: Some(Err(void)),
        ..ticket
    };
    check_report(
        &refused,
        "14 34 12 16 c1 00 00 00 00 44 33 22 11 05 04 03 02 01 00 00 00 50",
    );
}

#[test]
fn log() {
    check_report(
        &LogRange {
            oldest: 3,
            next: 35,
            cursor: 7,
        },
        "0c 03 00 00 00 23 00 00 00 07 00 00 00 21",
    );
    let event = Event {
        sequence: 7,
        tick: TICK,
        kind: EventKind::RelayCommanded,
        segment: Segment::new(1),
        state: Some(RelayState::Bypass),
        detail: Cause::Expiry.code(),
    };
    check_report(
        &LogEntry(Some(event)),
        "10 07 00 00 00 05 04 03 02 01 00 00 00 02 01 02 06 d5",
    );
    let kind = EventKind::LatchSet;
    let plain = Event {
        sequence: 8,
        kind,
        segment: None,
        state: None,
        detail: 0,
        ..event
    };
    check_report(
        &LogEntry(Some(plain)),
        "10 08 00 00 00 05 04 03 02 01 00 00 00 04 ff 00 00 c7",
    );
    check_report(
        &LogEntry(None),
        "10 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 af",
    );
}

/// A close through the window carries the same check byte as the block write.
#[test]
fn window() {
    assert_eq!(
        write_byte(ADDRESS, Register::WindowSelect, 0x14).as_slice(),
        hex("20 14 62")
    );
    assert_eq!(
        write_word(ADDRESS, Register::WindowData, 0x34, 0).as_slice(),
        hex("22 34 00 51")
    );
    let cut = Request {
        sequence: SEQUENCE,
        command: Command::Cut {
            segments: BOTH,
            state: CutState::Bypass,
        },
    };
    let frame = write_block(ADDRESS, Register::Cut, &cut.encode());
    let check = *frame.as_slice().last().expect("pec");
    let commit = write_word(ADDRESS, Register::WindowCommit, 4, check);
    assert_eq!(commit.as_slice(), hex("23 04 fe 37"));
}

#[test]
fn a_disturbed_read_is_not_believed() {
    let raw = hex("0c 03 00 00 00 23 00 00 00 07 00 00 00 21");
    for byte in 0..raw.len() {
        let mut disturbed = raw.clone();
        disturbed[byte] ^= 0x04;
        assert!(
            parse_block(ADDRESS, Register::LogRange, &disturbed).is_err(),
            "byte {byte}"
        );
    }
    let other = parse_block(ADDRESS, Register::LogEntry, &raw);
    assert!(
        matches!(other, Err(FrameError::Pec { .. })),
        "the register is part of the PEC"
    );
    assert!(parse_block(ADDRESS, Register::LogRange, &[]).is_err());
    assert!(
        parse_block(ADDRESS, Register::LogRange, &[0xFF; 40]).is_err(),
        "nobody there"
    );
    assert!(parse_word(ADDRESS, Register::WindowData, &[0xFF; 3]).is_err());
    assert!(Block::from_slice(&[0; 33]).is_err());
}

#[test]
fn stored_settings() {
    let image = hex("01 01 02 05 00 00 00 7c");
    let stored = NonVolatile::from_image(&image).expect("image");
    assert_eq!(stored.to_image().as_slice(), image);
    assert_eq!(
        stored.power_up()[..2],
        [CutState::Disconnect, CutState::Bypass]
    );
    assert_eq!(
        stored.expiry()[..2],
        [CutState::Bypass, CutState::Disconnect]
    );
    assert_eq!(stored.writes(), 5);
}
