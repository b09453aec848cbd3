//! The three ways in: plain I2C, SMBus blocks, and the byte/word window; and what a disturbed bus does (nothing).
#![allow(
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

use fencepost_firmware::wire::{
    ADDRESS, Block, Counters, Identity, LogCursor, LogEntry, LogRange, OrderResult, Register,
    Report, Request, Segments, Shape, Status, parse_block, parse_word, write_block, write_byte,
    write_word,
};
use fencepost_firmware::{
    Command, Contact, Controller, CutState, Entropy, EventKind, I2cTarget, Inputs, Nack, Proof,
    Refusal, RelayState, Reply, SegmentMask, Strapping, TimerState,
};
use proptest::prelude::*;

const BOTH: SegmentMask = SegmentMask(0b11);

fn target() -> I2cTarget {
    let strapping = Strapping::inline(2)
        .expect("inline")
        .with_unique_id(*b"unique-id-12");
    let stored = Some(strapping.factory_settings());
    let entropy = Entropy {
        generation: 1,
        ticket: 2_000,
        session: 3_000,
    };
    let inputs = Inputs::quiet(Contact::Bypass);
    I2cTarget::new(
        Controller::power_up(strapping, stored, entropy, inputs, 0),
        ADDRESS,
    )
}

/// Plain I2C and SMBus block transfers look the same on the bus.
fn order(target: &mut I2cTarget, sequence: u16, command: Command) -> OrderResult {
    let request = Request { sequence, command };
    let frame = write_block(ADDRESS, request.register(), &request.encode());
    assert_eq!(target.write(0, frame.as_slice()), Ok(()));
    let result = read::<OrderResult>(target);
    assert_eq!(
        (result.sequence, result.register),
        (sequence, request.register().code())
    );
    result
}

fn read<R: Report>(target: &mut I2cTarget) -> R {
    assert_eq!(target.write(0, &[R::REGISTER.code()]), Ok(()));
    let mut raw = [0; 40];
    target.read(0, &mut raw);
    let block = parse_block(ADDRESS, R::REGISTER, &raw).expect("frame");
    R::decode(block.as_slice()).expect("report")
}

/// The window, as a host with byte and word transfers and no PEC drives it.
fn window_read<R: Report>(target: &mut I2cTarget) -> R {
    assert_eq!(target.write(0, &[0x20, R::REGISTER.code()]), Ok(()));
    let mut raw = Vec::new();
    let mut length = 1;
    while raw.len() < length {
        assert_eq!(target.write(0, &[Register::WindowData.code()]), Ok(()));
        let mut word = [0; 2];
        target.read(0, &mut word);
        assert_eq!(usize::from(word[1]), raw.len(), "the index is echoed");
        raw.push(word[0]);
        length = usize::from(raw[0]) + 2;
    }
    let block = parse_block(ADDRESS, R::REGISTER, &raw).expect("frame");
    R::decode(block.as_slice()).expect("report")
}

fn window_order(target: &mut I2cTarget, sequence: u16, command: Command) -> OrderResult {
    let request = Request { sequence, command };
    let payload = request.encode();
    let frame = write_block(ADDRESS, request.register(), &payload);
    let check = *frame.as_slice().last().expect("pec");
    assert_eq!(target.write(0, &[0x20, request.register().code()]), Ok(()));
    for (byte, index) in payload.as_slice().iter().zip(0u8..) {
        assert_eq!(target.write(0, &[0x22, *byte, index]), Ok(()));
    }
    assert_eq!(target.write(0, &[0x23, payload.count(), check]), Ok(()));
    window_read::<OrderResult>(target)
}

fn arm_and_close(
    target: &mut I2cTarget,
    order: impl Fn(&mut I2cTarget, u16, Command) -> OrderResult,
) {
    let session = read::<Status>(target).session;
    let arm = Command::Arm {
        session,
        segments: BOTH,
        window_ms: 500,
        deadline: 400,
    };
    assert_eq!(
        order(target, 1, arm).outcome,
        Some(Ok(Reply::Session(3_001)))
    );
    let taken = order(target, 2, Command::TakeTicket);
    assert_eq!(taken.outcome, Some(Ok(Reply::Ticket(2_000))));
    let close = Command::Close {
        ticket: 2_000,
        proof: Proof::Solo,
        segments: BOTH,
    };
    assert_eq!(order(target, 3, close).outcome, Some(Ok(Reply::Done)));
    assert_eq!(
        order(target, 4, close)
            .outcome
            .and_then(Result::err)
            .map(Refusal::code),
        Some(0xC7)
    );
}

#[test]
fn a_life_by_blocks() {
    let mut target = target();
    assert_eq!(read::<Identity>(&mut target).unique_id, *b"unique-id-12");
    assert_eq!(read::<OrderResult>(&mut target).outcome, None);
    arm_and_close(&mut target, order);
    let status = read::<Status>(&mut target);
    assert_eq!(
        (status.timer, status.remaining_ms),
        (TimerState::Running, 400)
    );
    let segments = read::<Segments>(&mut target).0;
    let first = segments[0].expect("segment");
    assert_eq!(
        (first.drive, first.contact),
        (RelayState::Normal, Contact::Bypass)
    );
    assert_eq!(segments[2], None);
}

#[test]
fn a_life_through_the_window() {
    let mut target = target();
    assert_eq!(window_read::<Identity>(&mut target).protocol, 1);
    arm_and_close(&mut target, window_order);
    let segments = window_read::<Segments>(&mut target).0;
    assert_eq!(
        segments[1].map(|segment| segment.drive),
        Some(RelayState::Normal)
    );
    let status = window_read::<Status>(&mut target);
    assert_eq!(status.timer, TimerState::Running);
    assert_eq!(window_read::<Counters>(&mut target).bus.bad_pec, 0);
}

#[test]
fn window_accepts_pec_and_repeats() {
    let mut target = target();
    let select = write_byte(ADDRESS, Register::WindowSelect, Register::Status.code());
    assert_eq!(target.write(0, select.as_slice()), Ok(()));
    let mut disturbed = select.as_slice().to_vec();
    disturbed[2] ^= 1;
    assert_eq!(target.write(0, &disturbed), Err(Nack::BadPec));
    // A lost word: set the index and go on.
    assert_eq!(target.write(0, &[0x22]), Ok(()));
    let mut first = [0; 3];
    target.read(0, &mut first);
    assert_eq!(
        parse_word(ADDRESS, Register::WindowData, &first),
        Ok([31, 0])
    );
    let index = write_byte(ADDRESS, Register::WindowIndex, 0);
    assert_eq!(target.write(0, index.as_slice()), Ok(()));
    let mut again = [0; 3];
    target.read(0, &mut again);
    assert_eq!(first, again);

    let data = write_word(ADDRESS, Register::WindowData, 7, 32);
    assert_eq!(
        target.write(0, data.as_slice()),
        Err(Nack::BadLength),
        "no such place"
    );
}

/// The snapshot is of the moment of SELECT: tick and remaining time belong together.
#[test]
fn window_snapshot_stands_still() {
    let mut target = target();
    assert_eq!(target.write(5, &[0x20, Register::Status.code()]), Ok(()));
    target.controller_mut().tick(900);
    let mut raw = Vec::new();
    for _ in 0..33 {
        assert_eq!(target.write(900, &[0x22]), Ok(()));
        let mut word = [0; 2];
        target.read(900, &mut word);
        raw.push(word[0]);
    }
    let block = parse_block(ADDRESS, Register::Status, &raw).expect("frame");
    assert_eq!(
        Status::decode(block.as_slice()).map(|status| status.tick),
        Some(5)
    );
}

#[test]
fn commit_executes_once_and_only_what_was_written() {
    let mut target = target();
    let request = Request {
        sequence: 9,
        command: Command::TakeTicket,
    };
    let payload = request.encode();
    let frame = write_block(ADDRESS, Register::TakeTicket, &payload);
    let check = *frame.as_slice().last().expect("pec");
    let write = |target: &mut I2cTarget| {
        assert_eq!(
            target.write(0, &[0x20, Register::TakeTicket.code()]),
            Ok(())
        );
        for (byte, index) in payload.as_slice().iter().zip(0u8..) {
            assert_eq!(target.write(0, &[0x22, *byte, index]), Ok(()));
        }
    };
    write(&mut target);
    assert_eq!(target.write(0, &[0x23, 2, check ^ 1]), Err(Nack::BadPec));
    assert_eq!(
        target.write(0, &[0x23, 2, check]),
        Err(Nack::BadLength),
        "starts over"
    );
    assert!(!target.controller().ticket_out());
    write(&mut target);
    assert_eq!(target.write(0, &[0x23, 2, check]), Ok(()));
    assert_eq!(
        target.write(0, &[0x23, 2, check]),
        Err(Nack::BadLength),
        "a repeat finds nothing"
    );
    assert_eq!(target.controller().tally().executed, 1);
}

#[test]
fn refused_frames_are_counted_and_change_nothing() {
    let mut target = target();
    arm_and_close(&mut target, order);
    let cut = Request {
        sequence: 77,
        command: Command::Cut {
            segments: BOTH,
            state: CutState::Bypass,
        },
    };
    let good = write_block(ADDRESS, Register::Cut, &cut.encode());
    let (body, check) = good.as_slice().split_at(good.as_slice().len() - 1);
    let mut bad = good.as_slice().to_vec();
    bad[3] ^= 0x80;
    let foreign = write_block(0x43, Register::Cut, &cut.encode());
    let long = [body, check, &[0]].concat();
    let status = write_block(ADDRESS, Register::Status, &cut.encode());
    let cases: [(&[u8], Nack); 10] = [
        (&bad, Nack::BadPec),
        (foreign.as_slice(), Nack::BadPec),
        (body, Nack::BadLength),
        (&body[..2], Nack::BadLength),
        (&long, Nack::BadLength),
        (&[0x14, 0, 0x10], Nack::BadPec),
        (&[0x77], Nack::BadRegister),
        (&[0x14], Nack::BadRegister),
        (status.as_slice(), Nack::BadRegister),
        (&[0x20, 0x22], Nack::BadRegister),
    ];
    for (frame, nack) in cases {
        assert_eq!(target.write(0, frame), Err(nack), "{frame:02x?}");
    }
    let bus = read::<Counters>(&mut target).bus;
    assert_eq!((bus.bad_pec, bus.bad_length, bus.bad_register), (3, 3, 4));
    assert_eq!(
        read::<OrderResult>(&mut target).sequence,
        4,
        "the last good order"
    );
    assert_eq!(target.controller().outputs().relays[0], RelayState::Normal);
}

#[test]
fn wrong_length_with_a_good_pec_is_refused() {
    let mut target = target();
    for payload in [&[][..], &[1], &[1, 0, 0]] {
        let block = Block::from_slice(payload).expect("block");
        let frame = write_block(ADDRESS, Register::TakeTicket, &block);
        let outcome = target.write(0, frame.as_slice());
        assert_eq!(outcome, Err(Nack::BadLength), "{payload:?}");
    }
    assert!(!target.controller().ticket_out());
}

/// A field without meaning is answered, not ignored: the host learns that it speaks wrongly.
#[test]
fn malformed_orders_are_answered() {
    let mut target = target();
    let normal = Block::from_slice(&[9, 0, 3, RelayState::Normal.code()]).expect("block");
    let frame = write_block(ADDRESS, Register::Cut, &normal);
    assert_eq!(target.write(0, frame.as_slice()), Ok(()));
    let result = read::<OrderResult>(&mut target);
    assert_eq!(
        (result.sequence, result.outcome),
        (9, Some(Err(Refusal::Malformed)))
    );
}

#[test]
fn reads_are_padded_and_may_stop_early() {
    let mut target = target();
    let mut probe = [0; 1];
    target.read(0, &mut probe);
    assert_eq!(probe, [20], "nothing selected yet: IDENTITY");
    let mut long = [0; 64];
    target.read(0, &mut long);
    assert!(long[22..].iter().all(|byte| *byte == 0xFF));
    assert_eq!(target.write(0, &[]), Ok(()), "a probe");
}

#[test]
fn events_are_read_by_cursor() {
    let mut target = target();
    arm_and_close(&mut target, order);
    let range = read::<LogRange>(&mut target);
    let mut kinds = Vec::new();
    for sequence in range.oldest..range.next {
        let frame = write_block(ADDRESS, Register::LogCursor, &LogCursor(sequence).encode());
        assert_eq!(target.write(0, frame.as_slice()), Ok(()));
        let event = read::<LogEntry>(&mut target).0.expect("kept");
        assert_eq!(
            read::<LogEntry>(&mut target).0,
            Some(event),
            "reading does not move it"
        );
        assert_eq!(event.sequence, sequence);
        kinds.push(event.kind);
    }
    assert_eq!(kinds.first(), Some(&EventKind::PowerUp));
    assert!(kinds.contains(&EventKind::Closed) && kinds.contains(&EventKind::CloseRefused));
    let frame = write_block(
        ADDRESS,
        Register::LogCursor,
        &LogCursor(range.next).encode(),
    );
    assert_eq!(target.write(0, frame.as_slice()), Ok(()));
    assert_eq!(read::<LogEntry>(&mut target).0, None);
}

#[test]
fn every_readable_register_has_its_stated_length() {
    let mut target = target();
    for register in Register::ALL {
        let Shape::ReadBlock(length) = register.shape() else {
            continue;
        };
        assert_eq!(target.write(0, &[register.code()]), Ok(()));
        let mut raw = [0; 35];
        target.read(0, &mut raw);
        assert_eq!(raw[0], length, "{register:?}");
        assert!(parse_block(ADDRESS, register, &raw).is_ok(), "{register:?}");
    }
}

proptest! {
    /// Noise never moves a relay: every order needs its length, its PEC and a living session.
    #[test]
    fn noise_moves_no_relay(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..50)) {
        let mut target = target();
        for frame in &frames {
            let _ = target.write(0, frame);
            let mut raw = [0; 8];
            target.read(0, &mut raw);
        }
        prop_assert_eq!(target.controller().outputs().relays[..2].to_vec(), vec![RelayState::Bypass; 2]);
    }

    /// One flipped bit anywhere in an order: refused.
    #[test]
    fn one_flipped_bit_is_found(byte in 0usize..22, bit in 0u8..8) {
        let mut target = target();
        let session = target.controller().session();
        let command = Command::Arm { session, segments: BOTH, window_ms: 500, deadline: 400 };
        let request = Request { sequence: 1, command };
        let mut frame = write_block(ADDRESS, Register::Arm, &request.encode()).as_slice().to_vec();
        prop_assert_eq!(frame.len(), 22);
        frame[byte] ^= 1 << bit;
        prop_assert!(target.write(0, &frame).is_err());
        prop_assert_eq!(target.controller().timer(), TimerState::Disarmed);
    }
}
