//! The driver against exact transactions: two modules, the second behind two muxes.

use super::*;
use crate::board::script::{Script, ScriptClock};

const BOARD: u8 = 0x37;
const CARD: u8 = 0x30;

struct Bench {
    driver: LannerGen3,
    script: Script,
    clock: ScriptClock,
}

fn bench(segments: Vec<Segment>) -> Bench {
    let (script, clock) = (Script::new(), ScriptClock::new());
    let modules = vec![
        LannerModule {
            name: "onboard".to_owned(),
            address: BOARD,
            mux: vec![],
        },
        LannerModule {
            name: "slot4".to_owned(),
            address: CARD,
            mux: vec![(0x73, 0x01), (0x71, 0x04)],
        },
    ];
    let pairs = vec![
        LannerPair { module: 0, bit: 0 },
        LannerPair { module: 0, bit: 1 },
        LannerPair { module: 1, bit: 0 },
    ];
    let io = Retrying::new(script.bus(), clock.boxed());
    let driver = LannerGen3::new(io, modules, pairs, segments);
    Bench {
        driver,
        script,
        clock,
    }
}

fn segment(used: vendor::Used) -> Segment {
    let states = [RelayState::Normal, RelayState::Bypass];
    Segment {
        used,
        ..Segment::bench("lan", &states)
    }
}

/// Only the first pair of the first module is used.
fn one() -> Bench {
    use vendor::Used::{No, Yes};
    bench(vec![segment(Yes), segment(No), segment(No)])
}

/// Only the card is used.
fn card() -> Bench {
    use vendor::Used::{No, Yes};
    bench(vec![segment(No), segment(No), segment(Yes)])
}

/// An answer with its marker.
fn answers(script: &Script, address: u8, command: u8, value: u8) {
    script.word(address, command, command | 0x80, value);
}

fn soon(bench: &Bench) -> Instant {
    bench.driver.now() + Duration::from_millis(500)
}

fn ticket(bench: &mut Bench) -> Ticket {
    answers(&bench.script, BOARD, 0x20, 1);
    answers(&bench.script, BOARD, 0x22, 2);
    answers(&bench.script, BOARD, 0x23, 2);
    bench.driver.take_ticket().unwrap()
}

#[test]
fn a_close_clears_one_bit_and_reads_it_back() {
    let mut bench = one();
    let ticket = ticket(&mut bench);
    let script = &bench.script;
    for (command, value) in [(0x20, 1), (0x22, 2), (0x23, 2)] {
        answers(script, BOARD, command, value);
    }
    for (command, value) in [(0x12, 0b11), (0x20, 1), (0x12, 0b11)] {
        answers(script, BOARD, command, value);
    }
    script.write(BOARD, 0x12, 0b10);
    answers(script, BOARD, 0x12, 0b10);
    answers(script, BOARD, 0x20, 1);
    let moved = bench.driver.close(0, ticket).unwrap();
    assert_eq!(
        (moved.before, moved.after.state),
        (RelayState::Bypass, RelayState::Normal)
    );
    bench.script.assert_done();
}

#[test]
fn a_read_back_that_did_not_change_is_not_moved() {
    let mut bench = one();
    let script = &bench.script;
    answers(script, BOARD, 0x12, 0);
    answers(script, BOARD, 0x20, 1);
    for _ in 0..vendor::CUT_COMMANDS_MAX {
        answers(script, BOARD, 0x12, 0);
        script.write(BOARD, 0x12, 1);
        answers(script, BOARD, 0x12, 0);
        answers(script, BOARD, 0x20, 1);
    }
    let fault = bench.driver.cut(0, CutState::Bypass).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "segment 0 should be Bypass and reads Normal"
    );
    bench.script.assert_done();
}

#[test]
fn a_cut_that_is_there_writes_nothing() {
    let mut bench = one();
    answers(&bench.script, BOARD, 0x12, 1);
    answers(&bench.script, BOARD, 0x20, 1);
    assert!(!bench.driver.cut(0, CutState::Bypass).unwrap().commanded);
    bench.script.assert_done();
}

#[test]
fn a_cut_is_commanded_though_the_relay_cannot_be_read() {
    let mut bench = one();
    let script = &bench.script;
    script
        .word_nack(BOARD, 0x12)
        .word_nack(BOARD, 0x12)
        .word_nack(BOARD, 0x12);
    answers(script, BOARD, 0x12, 0);
    script.write(BOARD, 0x12, 1);
    answers(script, BOARD, 0x12, 1);
    answers(script, BOARD, 0x20, 1);
    let moved = bench.driver.cut(0, CutState::Bypass).unwrap();
    assert_eq!(moved.before, RelayState::Unknown);
    bench.script.assert_done();
}

#[test]
fn every_attempt_selects_the_muxes_anew() {
    let mut bench = card();
    let script = &bench.script;
    let select = || {
        script.send(0x73, 0x01).send(0x71, 0x04);
    };
    select();
    script.word_nack(CARD, 0x20);
    select();
    answers(script, CARD, 0x20, 1);
    select();
    script.write_nack(CARD, 0x24, 0);
    select();
    script.write(CARD, 0x24, 0);
    let until = soon(&bench);
    bench.driver.kick(until).unwrap();
    bench.script.assert_done();
}

#[test]
fn a_wrong_marker_is_tried_again_and_then_named() {
    let mut bench = card();
    for _ in 0..3 {
        bench
            .script
            .send(0x73, 0x01)
            .send(0x71, 0x04)
            .word(CARD, 0x20, 0x12, 1);
    }
    let until = soon(&bench);
    let fault = bench.driver.kick(until).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "answer of module slot4 (0x30) to command 0x20: expected marker 0xa0, got 0x12: not answered, \
         or unknown to its firmware"
    );
    bench.script.assert_done();
}

#[test]
fn a_kick_after_the_expiry_is_refused_and_not_sent() {
    let mut bench = one();
    answers(&bench.script, BOARD, 0x20, 2);
    let until = soon(&bench);
    assert!(matches!(
        bench.driver.kick(until),
        Err(Fault::Refused { .. })
    ));
    bench.script.assert_done();
}

#[test]
fn a_stale_kick_is_not_sent() {
    let mut bench = one();
    answers(&bench.script, BOARD, 0x20, 1);
    let until = soon(&bench);
    bench.clock.advance(Duration::from_secs(3));
    let fault = bench.driver.kick(until).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "kick came 2500 ms too late and was not sent"
    );
    bench.script.assert_done();
}

#[test]
fn arming_what_is_armed_so_is_one_start() {
    let mut bench = one();
    let script = &bench.script;
    for (command, value) in [(0x07, 255), (0x20, 1), (0x21, 1), (0x22, 3)] {
        answers(script, BOARD, command, value);
    }
    script.write(BOARD, 0x24, 0);
    answers(script, BOARD, 0x20, 1);
    let armed = bench.driver.arm(Duration::from_secs(3)).unwrap();
    assert_eq!(armed.proof, ArmProof::ReadBack);
    bench.script.assert_done();
}

#[test]
fn arming_after_an_expiry_orders_bypass_before_clearing_it() {
    let mut bench = one();
    let script = &bench.script;
    for (command, value) in [
        (0x07, 255),
        (0x20, 2),
        (0x12, 0b10),
        (0x21, 0b01),
        (0x12, 0b10),
    ] {
        answers(script, BOARD, command, value);
    }
    script.write(BOARD, 0x12, 0b11);
    answers(script, BOARD, 0x12, 0b11);
    script.write(BOARD, 0x25, 0);
    for (command, value) in [(0x21, 0b01), (0x22, 3)] {
        answers(script, BOARD, command, value);
    }
    script.write(BOARD, 0x24, 0);
    answers(script, BOARD, 0x20, 1);
    bench.driver.arm(Duration::from_secs(3)).unwrap();
    bench.script.assert_done();
}

#[test]
fn what_an_expiry_holds_cut_stays_cut_when_the_watchdog_is_stopped() {
    let mut bench = one();
    let script = &bench.script;
    for (command, value) in [(0x20, 2), (0x12, 0b10), (0x21, 0b01), (0x12, 0b10)] {
        answers(script, BOARD, command, value);
    }
    script.write(BOARD, 0x12, 0b11);
    answers(script, BOARD, 0x12, 0b11);
    script.write(BOARD, 0x25, 0);
    answers(script, BOARD, 0x20, 0);
    bench.driver.disarm().unwrap();
    bench.script.assert_done();
}

#[test]
fn a_pair_the_watchdog_says_it_cut_and_the_mask_denies_is_unknown() {
    let mut bench = one();
    for (command, value) in [(0x20, 2), (0x12, 0), (0x20, 2), (0x21, 1)] {
        answers(&bench.script, BOARD, command, value);
    }
    let reading = bench.driver.read().unwrap();
    assert_eq!(reading.dead_man, DeadManReading::Expired);
    let states: Vec<RelayState> = reading.segments.iter().map(|seen| seen.state).collect();
    assert_eq!(states, [RelayState::Unknown; 3]);
    assert_eq!(reading.segments[0].evidence, Evidence::Register);
    assert_eq!(
        reading.segments[1].evidence,
        Evidence::Nothing,
        "not used, not looked at"
    );
    bench.script.assert_done();
}

#[test]
fn a_ticket_dies_with_an_expiry_seen() {
    let mut bench = one();
    let ticket = ticket(&mut bench);
    answers(&bench.script, BOARD, 0x20, 2);
    let until = soon(&bench);
    assert!(bench.driver.kick(until).is_err());
    for (command, value) in [(0x20, 1), (0x22, 2), (0x23, 2), (0x12, 1), (0x20, 1)] {
        answers(&bench.script, BOARD, command, value);
    }
    let fault = bench.driver.close(0, ticket).unwrap_err();
    assert!(matches!(fault, Fault::Refused { .. }), "{fault}");
    bench.script.assert_done();
}

#[test]
fn stored_settings_are_saved_only_when_changed() {
    let mut bench = one();
    let wanted = SegmentSettings {
        power_up: Some(CutState::Bypass),
        power_off: Some(CutState::Bypass),
        expiry: Some(CutState::Bypass),
    };
    let script = &bench.script;
    for (command, value) in [
        (0x04, 3),
        (0x10, 1),
        (0x10, 1),
        (0x05, 3),
        (0x11, 3),
        (0x11, 3),
    ] {
        answers(script, BOARD, command, value);
    }
    bench.driver.configure(&[wanted]).unwrap();
    bench.script.assert_done();

    let script = &bench.script;
    for (command, value) in [(0x04, 3), (0x10, 2), (0x10, 2)] {
        answers(script, BOARD, command, value);
    }
    script.write(BOARD, 0x10, 3);
    for (command, value) in [(0x10, 3), (0x05, 3), (0x11, 3), (0x11, 3)] {
        answers(script, BOARD, command, value);
    }
    script.write(BOARD, 0x0B, 0);
    bench.driver.configure(&[wanted]).unwrap();
    bench.script.assert_done();
}

#[test]
fn a_segment_out_of_use_is_never_commanded() {
    let mut bench = one();
    let fault = bench.driver.cut(1, CutState::Bypass).unwrap_err();
    assert!(matches!(fault, Fault::Incapable { .. }), "{fault}");
    bench.script.assert_done();
}
