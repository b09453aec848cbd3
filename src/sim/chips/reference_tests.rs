//! The firmware behind modelled pins: closing, the dead-man to the millisecond, power, fencing.

use fencepost_firmware::Proof;
use fencepost_firmware::wire::{Block, Register, parse_block, write_block};

use super::*;
use RelayState::{Bypass, Normal};

const ADDRESS: u8 = 0x42;
const BOTH: SegmentMask = SegmentMask(0b11);

const fn ms(at: u64) -> Instant {
    Instant::from_millis(at)
}

/// Powered up at 1 s, so that its ticks are not the host's milliseconds.
fn chip() -> ReferenceController {
    let strapping = Strapping::inline(2).unwrap();
    ReferenceController::new(ms(1_000), strapping, ADDRESS, 7, RelayTiming::default())
}

fn order(chip: &mut ReferenceController, at: u64, command: Command) {
    chip.tick(ms(at));
    let tick = chip.tick_of(ms(at));
    let target = chip.target.as_mut().unwrap();
    target.controller_mut().command(tick, command).unwrap();
    chip.follow(ms(at));
}

/// Arms with a window of `window_ms` from `at` and closes both segments.
fn close(chip: &mut ReferenceController, at: u64, window_ms: u32) {
    chip.tick(ms(at));
    let controller = chip.firmware().unwrap();
    let session = controller.session();
    let deadline = controller.now() + u64::from(window_ms);
    let arm = Command::Arm {
        session,
        segments: BOTH,
        window_ms,
        deadline,
    };
    order(chip, at, arm);
    let tick = chip.tick_of(ms(at));
    let target = chip.target.as_mut().unwrap();
    let reply = target
        .controller_mut()
        .command(tick, Command::TakeTicket)
        .unwrap();
    let fencepost_firmware::Reply::Ticket(ticket) = reply else {
        panic!("no ticket: {reply:?}");
    };
    let close = Command::Close {
        ticket,
        proof: Proof::Solo,
        segments: BOTH,
    };
    order(chip, at, close);
}

fn contacts(chip: &mut ReferenceController, at: u64) -> RelayState {
    chip.tick(ms(at));
    chip.body.relays[0].contacts()
}

#[test]
fn it_closes_on_a_ticket_and_opens_at_the_deadline_however_late_the_tick() {
    let mut chip = chip();
    close(&mut chip, 1_500, 200);
    assert_eq!(contacts(&mut chip, 1_505), Normal);
    assert_eq!(contacts(&mut chip, 9_000), Bypass);
    let moves = chip.body.relays[0].take_moves();
    assert_eq!(moves.len(), 2);
    assert_eq!(moves[1].commanded_at, ms(1_700));
    assert_eq!(moves[1].at, ms(1_705));
    assert_eq!(moves[1].cause, MoveCause::Expiry);
    let facts = chip.body.take_facts();
    let expired = BoardFact::DeadManExpired { timer: 1 };
    assert!(facts.contains(&(ms(1_700), expired)));
}

#[test]
fn stepping_every_millisecond_or_at_once_gives_the_same() {
    // A chained board goes on to bypass only once the contacts have been read open.
    let chained = || {
        let strapping = Strapping::chained(2).unwrap();
        ReferenceController::new(ms(1_000), strapping, ADDRESS, 7, RelayTiming::default())
    };
    let [mut fine, mut coarse] = [chained(), chained()];
    for chip in [&mut fine, &mut coarse] {
        close(chip, 1_500, 200);
    }
    for at in 1_500..3_000 {
        fine.tick(ms(at));
    }
    coarse.tick(ms(2_999));
    let moves = fine.body.relays[0].take_moves();
    let path: Vec<_> = moves.iter().map(|it| (it.at, it.to)).collect();
    let expected = [
        (ms(1_505), Normal),
        (ms(1_705), RelayState::Disconnect),
        (ms(1_710), Bypass),
    ];
    assert_eq!(path, expected);
    assert_eq!(moves, coarse.body.relays[0].take_moves());
    assert_eq!(fine.body.take_facts(), coarse.body.take_facts());
}

#[test]
fn a_frame_without_its_check_byte_is_not_acknowledged_and_changes_nothing() {
    let mut chip = chip();
    let block = Block::from_slice(&[0; 4]).unwrap();
    let frame = write_block(ADDRESS, Register::Cut, &block);
    let bytes = frame.as_slice();
    let cut_short = &bytes[..bytes.len() - 1];
    assert_eq!(
        chip.write(ms(1_100), ADDRESS, cut_short),
        Err(I2cFault::Nack)
    );
    assert_eq!(chip.write(ms(1_100), ADDRESS, &[]), Ok(()));
}

#[test]
fn identity_reads_as_a_block_with_a_right_check_byte() {
    let mut chip = chip();
    chip.write(ms(1_100), ADDRESS, &[Register::Identity.code()])
        .unwrap();
    let mut reply = [0; 34];
    chip.read(ms(1_100), ADDRESS, &mut reply).unwrap();
    let block = parse_block(ADDRESS, Register::Identity, &reply).unwrap();
    assert!(block.as_slice().starts_with(b"FPBC"));
}

#[test]
fn without_power_it_falls_and_a_new_life_has_a_new_generation() {
    let mut chip = chip();
    let first = chip.firmware().unwrap().generation();
    close(&mut chip, 1_500, 10_000);
    assert_eq!(contacts(&mut chip, 1_600), Normal);
    chip.power(ms(1_600), Power::Off);
    assert_eq!(contacts(&mut chip, 1_605), Bypass);
    assert!(chip.write(ms(1_700), ADDRESS, &[]).is_err());
    chip.power(ms(2_000), Power::On);
    assert_eq!(contacts(&mut chip, 2_100), Bypass);
    assert_ne!(chip.firmware().unwrap().generation(), first);
}

#[test]
fn a_hung_controller_falls() {
    let mut chip = chip();
    close(&mut chip, 1_500, 10_000);
    assert_eq!(contacts(&mut chip, 1_600), Normal);
    chip.die(ms(1_600));
    assert_eq!(contacts(&mut chip, 1_605), Bypass);
    assert!(chip.write(ms(1_700), ADDRESS, &[]).is_err());
}

#[test]
fn the_peers_order_opens_it_and_the_acknowledge_waits_for_the_contacts() {
    let mut chip = chip();
    close(&mut chip, 1_500, 10_000);
    assert_eq!(contacts(&mut chip, 1_600), Normal);
    chip.tick(ms(2_000));
    chip.drive(ms(2_000), ReferenceController::ORDER_IN, Drive::Active);
    chip.tick(ms(2_004));
    assert!(!chip.asserts(ReferenceController::ACKNOWLEDGE_OUT));
    chip.tick(ms(2_005));
    assert_eq!(chip.body.relays[0].contacts(), Bypass);
    assert!(chip.asserts(ReferenceController::ACKNOWLEDGE_OUT));
}

#[test]
fn the_acknowledge_works_without_power() {
    let mut chip = chip();
    chip.power(ms(1_100), Power::Off);
    assert!(!chip.asserts(ReferenceController::ACKNOWLEDGE_OUT));
    chip.drive(ms(1_200), ReferenceController::ORDER_IN, Drive::Active);
    assert!(chip.asserts(ReferenceController::ACKNOWLEDGE_OUT));
}

#[test]
fn torn_settings_come_up_as_factory_settings() {
    let mut chip = chip();
    chip.tear_settings();
    chip.power(ms(2_000), Power::On);
    assert_eq!(contacts(&mut chip, 2_100), Bypass);
    assert_eq!(chip.firmware().unwrap().settings().writes(), 0);
}

#[test]
fn what_another_master_cuts_is_told_apart_from_what_the_host_cuts() {
    let mut chip = chip();
    close(&mut chip, 1_500, 60_000);
    chip.tick(ms(1_600));
    chip.external_write(ms(1_600), 0, Bypass).unwrap();
    let cut = Command::Cut {
        segments: BOTH,
        state: CutState::Bypass,
    };
    order(&mut chip, 1_700, cut);
    chip.tick(ms(1_800));
    let mut last = |relay: usize| chip.body.relays[relay].take_moves().pop().unwrap();
    assert_eq!(
        (last(0).cause, last(1).cause),
        (MoveCause::External, MoveCause::Command)
    );
}
