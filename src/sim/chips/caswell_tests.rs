//! The vendor's sequences: initialisation, pulses, watchdog, stored settings.

use super::*;
use RelayState::{Bypass, Disconnect, Normal};

const A: u8 = 0x26;
const B: u8 = 0x22;
const SETTINGS: u8 = 0x4F;

const fn ms(at: u64) -> Instant {
    Instant::from_millis(at)
}

/// Nextboot and BPE set for both segments: in bypass at power-up.
fn board(on_expiry: CaswellExpiry, period: CaswellPeriod) -> CaswellGen2 {
    let chip = |address, bpe_bit, nextboot_bit| CaswellChip {
        address,
        bpe_bit,
        nextboot_bit,
    };
    CaswellGen2::new(CaswellSpec {
        settings_address: SETTINGS,
        chips: vec![chip(A, 0, 2), chip(B, 1, 3)],
        period,
        on_expiry,
        timing: RelayTiming::default(),
        settings: 0b1111,
    })
}

fn plain() -> CaswellGen2 {
    board(CaswellExpiry::Sticky, CaswellPeriod::PerSegment)
}

fn set(board: &mut CaswellGen2, at: u64, address: u8, register: u8, value: u8) {
    board.tick(ms(at));
    board.write(ms(at), address, &[register, value]).unwrap();
}

fn get(board: &mut CaswellGen2, at: u64, address: u8, register: u8) -> u8 {
    board.tick(ms(at));
    board.write(ms(at), address, &[register]).unwrap();
    let mut value = [0];
    board.read(ms(at), address, &mut value).unwrap();
    value[0]
}

/// Outputs first, then directions, as the vendor's initialisation does.
fn init(board: &mut CaswellGen2, address: u8) {
    for (register, value) in [(2, 0xFF), (3, 0x3F), (6, 0x00), (7, 0xC0)] {
        set(board, 0, address, register, value);
    }
}

/// High, low, high; other bits kept by read-modify-write.
fn pulse(board: &mut CaswellGen2, at: u64, address: u8, register: u8, bit: u8) {
    let kept = get(board, at, address, register);
    for value in [kept | 1 << bit, kept & !(1 << bit), kept | 1 << bit] {
        set(board, at, address, register, value);
    }
}

fn start(board: &mut CaswellGen2, at: u64, address: u8, period_s: u8) {
    let kept = get(board, at, address, 2) & 0x03;
    set(board, at, address, 2, kept | period_s << 2);
    pulse(board, at, address, 2, 0);
}

fn contacts(board: &mut CaswellGen2, at: u64) -> [RelayState; 2] {
    board.tick(ms(at));
    [
        board.body.relays[0].contacts(),
        board.body.relays[1].contacts(),
    ]
}

#[test]
fn initialising_moves_nothing() {
    let mut board = plain();
    init(&mut board, A);
    init(&mut board, B);
    assert_eq!(contacts(&mut board, 100), [Bypass, Bypass]);
    assert!(board.body.relays[0].deadline().is_none());
    assert_eq!(board.body.relays[0].operations(), 0);
}

#[test]
fn pulses_set_normal_and_non_normal_and_bpe_tells_open_from_bypass() {
    let mut board = plain();
    init(&mut board, A);
    pulse(&mut board, 0, A, 3, 1);
    assert_eq!(contacts(&mut board, 34), [Normal, Bypass]);
    assert_eq!(get(&mut board, 34, A, 1) & 0xC0, 0x80);

    pulse(&mut board, 100, A, 3, 2);
    assert_eq!(contacts(&mut board, 134), [Bypass, Bypass]);
    assert_eq!(get(&mut board, 134, A, 1) & 0xC0, 0xC0);

    set(&mut board, 200, A, 3, 0x2F);
    assert_eq!(contacts(&mut board, 234), [Disconnect, Bypass]);
}

#[test]
fn watchdog_counts_seconds_and_shows_the_time_out_active_low() {
    let mut board = plain();
    init(&mut board, A);
    pulse(&mut board, 0, A, 3, 1);
    start(&mut board, 1_000, A, 2);
    pulse(&mut board, 2_500, A, 2, 0);
    assert_eq!(contacts(&mut board, 4_499), [Normal, Bypass]);
    assert_eq!(get(&mut board, 4_499, A, 1) & 0x80, 0x80);
    assert_eq!(contacts(&mut board, 4_505), [Bypass, Bypass]);
    assert_eq!(get(&mut board, 4_505, A, 1) & 0xC0, 0x40);
    pulse(&mut board, 4_600, A, 3, 0);
    assert_eq!(get(&mut board, 4_600, A, 1) & 0xC0, 0xC0);
}

#[test]
fn disable_stops_the_watchdog() {
    let mut board = plain();
    init(&mut board, A);
    pulse(&mut board, 0, A, 3, 1);
    start(&mut board, 0, A, 1);
    pulse(&mut board, 500, A, 2, 1);
    assert_eq!(contacts(&mut board, 90_000)[0], Normal);
    assert_eq!(board.deadline(), None);
}

#[test]
fn a_load_after_expiry_restores_only_where_it_is_said_to() {
    for (model, after) in [
        (CaswellExpiry::Sticky, Bypass),
        (CaswellExpiry::LoadRestores, Normal),
    ] {
        let mut board = board(model, CaswellPeriod::PerSegment);
        init(&mut board, A);
        pulse(&mut board, 0, A, 3, 1);
        start(&mut board, 0, A, 1);
        assert_eq!(contacts(&mut board, 1_100)[0], Bypass);
        pulse(&mut board, 1_200, A, 2, 0);
        assert_eq!(contacts(&mut board, 1_300)[0], after);
    }
}

#[test]
fn a_shared_period_lives_in_the_first_chip() {
    let mut board = board(CaswellExpiry::Sticky, CaswellPeriod::Shared);
    init(&mut board, A);
    init(&mut board, B);
    set(&mut board, 0, A, 2, 0x03 | 3 << 2);
    set(&mut board, 0, B, 2, 0x03 | 40 << 2);
    pulse(&mut board, 0, B, 3, 1);
    pulse(&mut board, 0, B, 2, 0);
    assert_eq!(contacts(&mut board, 2_999)[1], Normal);
    assert_eq!(contacts(&mut board, 3_005)[1], Bypass);
}

#[test]
fn nextboot_and_stored_bpe_decide_over_power_changes() {
    let mut board = plain();
    init(&mut board, A);
    pulse(&mut board, 0, A, 3, 1);
    // A: open without power, normal at the next boot. B: open without power, non-normal at the next boot.
    board.write(ms(10), SETTINGS, &[0b1000]).unwrap();
    assert_eq!(board.settings().writes(), 1);
    board.tick(ms(100));
    board.power(ms(100), Power::Off);
    assert_eq!(contacts(&mut board, 200), [Disconnect, Disconnect]);
    board.power(ms(300), Power::On);
    assert_eq!(contacts(&mut board, 400), [Normal, Disconnect]);
    let mut byte = [0];
    board.read(ms(400), SETTINGS, &mut byte).unwrap();
    assert_eq!(byte, [0b1000]);
}

#[test]
fn another_master_moves_a_segment_and_the_status_tells() {
    let mut board = plain();
    init(&mut board, A);
    pulse(&mut board, 0, A, 3, 1);
    board.external_write(ms(50), 0, Disconnect).unwrap();
    assert_eq!(contacts(&mut board, 100)[0], Disconnect);
    assert_eq!(get(&mut board, 100, A, 1) & 0x40, 0x40);
}

#[test]
fn foreign_addresses_are_not_acknowledged() {
    let mut board = plain();
    assert_eq!(board.write(ms(0), 0x21, &[]), Err(I2cFault::Nack));
    assert_eq!(board.write(ms(0), A, &[]), Ok(()));
}
