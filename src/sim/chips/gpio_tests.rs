//! Coils, gates, pulses, and what happens when a line is let go.

use super::*;
use Drive::{Active, Floating, Inactive};
use RelayState::{Bypass, Disconnect, Normal};

const fn ms(at: u64) -> Instant {
    Instant::from_millis(at)
}

fn drive(chip: &mut dyn Chip, at: u64, pin: usize, drive: Drive) {
    chip.tick(ms(at));
    chip.drive(ms(at), pin, drive);
}

fn contacts(chip: &mut dyn Chip, at: u64) -> RelayState {
    chip.tick(ms(at));
    chip.body().relays[0].contacts()
}

#[test]
fn a_coil_holds_normal_until_it_is_let_go() {
    for release in [Floating, Inactive] {
        let mut chip = GpioMonostable::new(&[Disconnect], None, RelayTiming::default());
        drive(&mut chip, 0, 0, Active);
        assert_eq!(contacts(&mut chip, 5), Normal);
        assert!(chip.asserts(0));
        drive(&mut chip, 100, 0, release);
        assert_eq!(contacts(&mut chip, 105), Disconnect);
        let cause = chip.body.relays[0].take_moves()[1].cause;
        let expected = match release {
            Floating => MoveCause::LineReleased,
            Active | Inactive => MoveCause::Command,
        };
        assert_eq!(cause, expected);
    }
}

#[test]
fn the_gate_cuts_the_coil_when_edges_stop_and_the_next_edge_restores_it() {
    let gate = Some(Duration::from_millis(500));
    let mut chip = GpioMonostable::new(&[Bypass], gate, RelayTiming::default());
    drive(&mut chip, 0, 0, Active);
    assert_eq!(contacts(&mut chip, 50), Bypass);
    drive(&mut chip, 100, GpioMonostable::KICK, Active);
    drive(&mut chip, 400, GpioMonostable::KICK, Inactive);
    assert_eq!(contacts(&mut chip, 899), Normal);
    assert_eq!(contacts(&mut chip, 905), Bypass);
    drive(&mut chip, 2_000, GpioMonostable::KICK, Inactive);
    assert_eq!(contacts(&mut chip, 2_010), Bypass);
    drive(&mut chip, 2_100, GpioMonostable::KICK, Active);
    assert_eq!(contacts(&mut chip, 2_110), Normal);
}

#[test]
fn a_monostable_relay_falls_without_power_and_rises_only_if_still_driven() {
    let mut chip = GpioMonostable::new(&[Bypass], None, RelayTiming::default());
    drive(&mut chip, 0, 0, Active);
    chip.tick(ms(50));
    chip.power(ms(50), Power::Off);
    assert_eq!(contacts(&mut chip, 60), Bypass);
    drive(&mut chip, 70, 0, Floating);
    chip.power(ms(80), Power::On);
    assert_eq!(contacts(&mut chip, 100), Bypass);
}

#[test]
fn a_full_pulse_moves_a_latching_relay_which_then_stays() {
    let mut chip = GpioLatching::new(&[Bypass], RelayTiming::default());
    drive(&mut chip, 0, 0, Active);
    assert_eq!(contacts(&mut chip, 9), Bypass);
    assert_eq!(contacts(&mut chip, 10), Normal);
    drive(&mut chip, 20, 0, Floating);
    chip.power(ms(30), Power::Off);
    chip.power(ms(40), Power::On);
    assert_eq!(contacts(&mut chip, 1_000), Normal);
    drive(&mut chip, 1_000, 1, Active);
    drive(&mut chip, 1_020, 1, Inactive);
    assert_eq!(contacts(&mut chip, 1_030), Bypass);
    assert_eq!(chip.bad_pulses(), 0);
}

#[test]
fn a_short_pulse_or_both_coils_move_nothing_and_are_counted() {
    let mut chip = GpioLatching::new(&[Bypass], RelayTiming::default());
    drive(&mut chip, 0, 0, Active);
    drive(&mut chip, 9, 0, Inactive);
    assert_eq!(contacts(&mut chip, 100), Bypass);
    assert_eq!(chip.bad_pulses(), 1);
    drive(&mut chip, 200, 0, Active);
    drive(&mut chip, 200, 1, Active);
    assert_eq!(contacts(&mut chip, 300), Bypass);
    assert_eq!(chip.bad_pulses(), 2);
}

#[test]
fn a_lying_contact_shows_what_it_is_told() {
    let mut chip = GpioLatching::new(&[Bypass], RelayTiming::default());
    chip.lie(0, Some(Normal)).unwrap();
    assert!(chip.asserts(0));
    chip.lie(0, None).unwrap();
    assert!(!chip.asserts(0));
}
