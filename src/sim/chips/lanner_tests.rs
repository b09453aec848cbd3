//! The vendor's own acceptance demo, and the table command by command.

use super::*;
use RelayState::{Bypass, Normal};

const ADDRESS: u8 = 0x37;

const fn ms(at: u64) -> Instant {
    Instant::from_millis(at)
}

fn mcu(on_expiry: LannerExpiry) -> LannerMcu {
    LannerMcu::new(LannerSpec {
        on_expiry,
        ..LannerSpec::default()
    })
}

fn set(mcu: &mut LannerMcu, at: u64, command: u8, value: u8) {
    mcu.tick(ms(at));
    mcu.write(ms(at), ADDRESS, &[command, value]).unwrap();
}

fn word(mcu: &mut LannerMcu, at: u64, command: u8) -> [u8; 2] {
    mcu.tick(ms(at));
    mcu.write(ms(at), ADDRESS, &[command]).unwrap();
    let mut reply = [0; 2];
    mcu.read(ms(at), ADDRESS, &mut reply).unwrap();
    reply
}

fn get(mcu: &mut LannerMcu, at: u64, command: u8) -> u8 {
    let [marker, value] = word(mcu, at, command);
    assert_eq!(marker, command | 0x80, "command 0x{command:02x}");
    value
}

fn contacts(mcu: &mut LannerMcu, at: u64) -> [RelayState; 2] {
    mcu.tick(ms(at));
    [mcu.body.relays[0].contacts(), mcu.body.relays[1].contacts()]
}

#[test]
fn vendor_demo_pair_1_bypasses_within_5_s_of_the_last_kick() {
    let mut mcu = mcu(LannerExpiry::OverridesMask);
    set(&mut mcu, 0, 0x12, 0x00);
    set(&mut mcu, 0, 0x21, 0x01);
    set(&mut mcu, 0, 0x22, 5);
    for kick in 0..10 {
        set(&mut mcu, 1_000 + kick * 3_000, 0x24, 0);
        assert_eq!(contacts(&mut mcu, 1_010 + kick * 3_000), [Normal, Normal]);
    }
    let last = 1_000 + 9 * 3_000;
    assert_eq!(contacts(&mut mcu, last + 4_999), [Normal, Normal]);
    assert_eq!(get(&mut mcu, last + 4_999, 0x20), 1);
    assert_eq!(contacts(&mut mcu, last + 5_005), [Bypass, Normal]);
    assert_eq!(get(&mut mcu, last + 5_005, 0x20), 2);
    assert_eq!(get(&mut mcu, last + 5_005, 0x23), 0);
}

#[test]
fn every_listed_command_answers_with_the_marker_and_others_do_not() {
    let mut mcu = mcu(LannerExpiry::WritesMask);
    let mut listed: Vec<u8> = (0x01..=0x0C).chain(0x10..=0x12).collect();
    listed.extend((0x20..=0x25).chain(0x30..=0x35).chain(0x40..=0x43));
    listed.push(0x45);
    for command in 0..=0x7F {
        let marked = word(&mut mcu, 0, command)[0] == command | 0x80;
        assert_eq!(marked, listed.contains(&command), "command 0x{command:02x}");
    }
}

#[test]
fn commands_of_a_missing_capability_are_unsupported() {
    let mut mcu = LannerMcu::new(LannerSpec {
        capabilities: 0b0000_1100,
        ..LannerSpec::default()
    });
    assert_eq!(get(&mut mcu, 0, 0x03), 0b0000_1100);
    for command in [0x10, 0x11, 0x30, 0x34, 0x40] {
        assert_eq!(word(&mut mcu, 0, command), UNSUPPORTED);
    }
    assert_eq!(get(&mut mcu, 0, 0x12), 0b11);
}

#[test]
fn remaining_counts_down_in_seconds_and_stop_stops() {
    let mut mcu = mcu(LannerExpiry::WritesMask);
    set(&mut mcu, 0, 0x21, 0x03);
    set(&mut mcu, 0, 0x22, 3);
    set(&mut mcu, 500, 0x24, 0);
    assert_eq!(get(&mut mcu, 500, 0x23), 3);
    assert_eq!(get(&mut mcu, 1_600, 0x23), 2);
    set(&mut mcu, 1_700, 0x25, 0);
    assert_eq!(get(&mut mcu, 60_000, 0x20), 0);
}

#[test]
fn a_start_without_a_period_is_refused() {
    let mut mcu = mcu(LannerExpiry::WritesMask);
    set(&mut mcu, 0, 0x24, 0);
    assert_eq!(get(&mut mcu, 0, 0x20), 0);
    let facts = mcu.body.take_facts();
    assert!(matches!(facts[0].1, BoardFact::Refused { .. }));
}

fn expired(on_expiry: LannerExpiry) -> LannerMcu {
    let mut mcu = mcu(on_expiry);
    set(&mut mcu, 0, 0x12, 0x00);
    set(&mut mcu, 0, 0x21, 0x03);
    set(&mut mcu, 0, 0x22, 1);
    set(&mut mcu, 100, 0x24, 0);
    assert_eq!(contacts(&mut mcu, 1_200), [Bypass, Bypass]);
    mcu
}

#[test]
fn a_start_after_expiry_restores_normal_only_where_the_mask_was_overridden() {
    let mut sticky = expired(LannerExpiry::WritesMask);
    assert_eq!(get(&mut sticky, 1_200, 0x12), 0b11);
    set(&mut sticky, 1_300, 0x24, 0);
    assert_eq!(contacts(&mut sticky, 1_400), [Bypass, Bypass]);

    let mut restoring = expired(LannerExpiry::OverridesMask);
    assert_eq!(get(&mut restoring, 1_200, 0x12), 0b00);
    set(&mut restoring, 1_300, 0x24, 0);
    assert_eq!(contacts(&mut restoring, 1_400), [Normal, Normal]);
}

#[test]
fn system_off_and_just_on_masks_act_at_power_changes_and_only_saved_ones_survive() {
    let mut mcu = mcu(LannerExpiry::WritesMask);
    set(&mut mcu, 0, 0x12, 0b00);
    set(&mut mcu, 0, 0x10, 0b01);
    set(&mut mcu, 0, 0x11, 0b10);
    set(&mut mcu, 0, 0x0B, 0);
    set(&mut mcu, 0, 0x11, 0b00);
    assert_eq!(mcu.nvm_writes(), 1);
    mcu.tick(ms(100));
    mcu.power(ms(100), Power::Off);
    assert_eq!(contacts(&mut mcu, 200), [Bypass, Normal]);
    mcu.power(ms(300), Power::On);
    assert_eq!(contacts(&mut mcu, 400), [Normal, Bypass]);
    assert_eq!(get(&mut mcu, 400, 0x11), 0b10);
}

#[test]
fn watchdog_3_runs_from_power_on_in_steps_of_5_s_and_software_stops_it() {
    for stopped in [false, true] {
        let mut mcu = mcu(LannerExpiry::WritesMask);
        for (command, value) in [(0x11, 0), (0x41, 0b01), (0x42, 2), (0x0B, 0)] {
            set(&mut mcu, 0, command, value);
        }
        mcu.power(ms(1_000), Power::Off);
        mcu.power(ms(2_000), Power::On);
        assert_eq!(get(&mut mcu, 2_100, 0x40), 1);
        assert_eq!(get(&mut mcu, 2_100, 0x43), 2);
        if stopped {
            set(&mut mcu, 5_000, 0x45, 0);
        }
        assert_eq!(contacts(&mut mcu, 11_999), [Normal, Normal]);
        let expected = if stopped { Normal } else { Bypass };
        assert_eq!(contacts(&mut mcu, 12_005), [expected, Normal]);
    }
}

#[test]
fn factory_defaults_come_back_and_the_board_id_reads_in_three_words() {
    let mut mcu = mcu(LannerExpiry::WritesMask);
    set(&mut mcu, 0, 0x10, 0);
    set(&mut mcu, 0, 0x0A, 0);
    assert_eq!(get(&mut mcu, 0, 0x10), 0b11);
    set(&mut mcu, 0, 0x0C, 0);
    let id = [0; 3].map(|_: u8| get(&mut mcu, 0, 0x0C));
    assert_eq!(id, LannerSpec::default().board_id);
}

#[test]
fn a_dead_mcu_runs_no_timer_and_leaves_the_relays() {
    let mut mcu = mcu(LannerExpiry::WritesMask);
    set(&mut mcu, 0, 0x12, 0);
    set(&mut mcu, 0, 0x21, 0x03);
    set(&mut mcu, 0, 0x22, 1);
    set(&mut mcu, 100, 0x24, 0);
    mcu.die(ms(200));
    assert_eq!(contacts(&mut mcu, 9_000), [Normal, Normal]);
    assert_eq!(mcu.deadline(), None);
}
