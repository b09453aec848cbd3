//! Whole boards, built from typed profiles, through the host's port.

use super::*;
use crate::board::profile::{
    Active, AdapterRef, Board, BoardSegment, Confidence, ControllerSpec, DeadManKind, DeadManSpec,
    Expiry, Kept, LannerModule, LannerPair, LineRef, MonostableCoil, NamedLine, OnRelease, Periods,
    ReadBack, SettingSpec,
};
use crate::sim::wiring::Options;
use RelayState::{Bypass, Disconnect, Normal};

const fn ms(at: u64) -> Instant {
    Instant::from_millis(at)
}

fn adapter() -> AdapterRef {
    AdapterRef::Link("/dev/fencepost/smbus".into())
}

fn line(name: &str, active: Active) -> LineRef {
    LineRef {
        name: name.into(),
        active,
    }
}

fn profile(controller: ControllerSpec, segments: usize) -> Board {
    let setting = SettingSpec {
        possible: vec![Bypass],
        kept: Kept::Wired,
    };
    let segment = BoardSegment {
        name: "lan".into(),
        ports: None,
        run_time: vec![Normal, Bypass],
        power_up: setting.clone(),
        power_off: setting.clone(),
        expiry: setting,
        settle: Duration::from_millis(10),
        read_back: ReadBack::Contacts,
    };
    let button = NamedLine {
        name: "bypass".into(),
        line: line("BUTTON", Active::Low),
    };
    Board {
        id: "test".into(),
        title: "test".into(),
        confidence: Confidence::High,
        controller,
        segments: vec![segment; segments],
        dead_man: DeadManSpec {
            kind: DeadManKind::Kick,
            periods: Periods::Fixed(Duration::from_secs(1)),
            expiry: Expiry::Sticky,
        },
        on_release: OnRelease::Holds,
        fence: None,
        leds: Vec::new(),
        buttons: vec![button],
        facts: Vec::new(),
    }
}

/// One pair on board, one behind 0x73 channel 2 and then 0x71 channel 1, one behind channel 4 of the latter.
fn lanner() -> VirtualBoard {
    let module = |name: &str, address, mux: &[(u8, u8)]| LannerModule {
        name: name.into(),
        address,
        mux: mux.to_vec(),
    };
    let pair = |module| LannerPair { module, bit: 0 };
    let controller = ControllerSpec::LannerGen3 {
        adapter: adapter(),
        modules: vec![
            module("onboard", 0x37, &[]),
            module("slot1", 0x30, &[(0x73, 0x02), (0x71, 0x01)]),
            module("slot2", 0x30, &[(0x73, 0x02), (0x71, 0x04)]),
        ],
        pairs: vec![pair(0), pair(1), pair(2)],
    };
    VirtualBoard::for_board(&profile(controller, 3), Options::default())
}

fn write(board: &mut VirtualBoard, at: u64, address: u8, bytes: &[u8]) -> Result<(), I2cFault> {
    board.i2c(ms(at), address, &mut [Operation::Write(bytes)])
}

fn word(board: &mut VirtualBoard, at: u64, address: u8, command: u8) -> Result<[u8; 2], I2cFault> {
    let mut reply = [0; 2];
    let mut operations = [Operation::Write(&[command]), Operation::Read(&mut reply)];
    board.i2c(ms(at), address, &mut operations)?;
    Ok(reply)
}

fn states(board: &mut VirtualBoard, at: u64) -> Vec<RelayState> {
    board.tick(ms(at));
    (0..board.segments())
        .map(|n| board.segment_state(n))
        .collect()
}

#[test]
fn only_what_the_muxes_have_open_answers() {
    let mut board = lanner();
    assert_eq!(write(&mut board, 0, 0x37, &[]), Ok(()));
    assert_eq!(write(&mut board, 0, 0x30, &[]), Err(I2cFault::Nack));
    assert_eq!(write(&mut board, 0, 0x71, &[0x04]), Err(I2cFault::Nack));
    write(&mut board, 0, 0x73, &[0x02]).unwrap();
    write(&mut board, 0, 0x71, &[0x04]).unwrap();
    write(&mut board, 0, 0x30, &[0x12, 0x00]).unwrap();
    assert_eq!(states(&mut board, 50), [Bypass, Bypass, Normal]);
    write(&mut board, 50, 0x73, &[0x01]).unwrap();
    assert_eq!(write(&mut board, 50, 0x30, &[]), Err(I2cFault::Nack));
}

#[test]
fn two_open_channels_make_both_modules_obey() {
    let mut board = lanner();
    write(&mut board, 0, 0x73, &[0x02]).unwrap();
    write(&mut board, 0, 0x71, &[0x05]).unwrap();
    write(&mut board, 0, 0x30, &[0x12, 0x00]).unwrap();
    assert_eq!(states(&mut board, 50), [Bypass, Normal, Normal]);
    let collided = BoardFact::Collided { address: 0x30 };
    assert!(board.take_log().iter().any(|event| event.fact == collided));
}

#[test]
fn adjacent_writes_are_one_and_reads_share_one_reply() {
    let mut board = lanner();
    let (mut low, mut high) = ([0], [0]);
    let mut operations = [
        Operation::Write(&[0x21]),
        Operation::Read(&mut low),
        Operation::Read(&mut high),
    ];
    let split = &mut [Operation::Write(&[0x21]), Operation::Write(&[0x01])];
    board.i2c(ms(0), 0x37, split).unwrap();
    board.i2c(ms(0), 0x37, &mut operations).unwrap();
    assert_eq!((low, high), ([0xA1], [0x01]));
}

#[test]
fn bus_faults_act_and_end() {
    let mut board = lanner();
    let burst = BoardFault::NackBurst { transactions: 2 };
    board.inject(ms(0), burst).unwrap();
    let answers = [0; 3].map(|_| write(&mut board, 0, 0x37, &[]));
    assert_eq!(answers, [Err(I2cFault::Nack), Err(I2cFault::Nack), Ok(())]);

    board.inject(ms(0), BoardFault::BusStuck).unwrap();
    assert_eq!(write(&mut board, 0, 0x37, &[]), Err(I2cFault::Stuck));
    board.clear(ms(0), BoardFault::BusStuck).unwrap();

    let flip = BoardFault::FlipBit { replies: 1, bit: 7 };
    board.inject(ms(0), flip).unwrap();
    assert_eq!(word(&mut board, 0, 0x37, 0x12), Ok([0x12, 0x01]));
    assert_eq!(word(&mut board, 0, 0x37, 0x12), Ok([0x92, 0x01]));

    let delay = Duration::from_millis(40);
    board.inject(ms(0), BoardFault::BusSlow { delay }).unwrap();
    assert_eq!(board.delay(), delay);
}

#[test]
fn a_lying_register_does_not_move_the_relay() {
    let mut board = lanner();
    let lies = BoardFault::ReadBackLies {
        segment: 0,
        shows: Normal,
    };
    board.inject(ms(0), lies.clone()).unwrap();
    assert_eq!(word(&mut board, 0, 0x37, 0x12), Ok([0x92, 0x00]));
    assert_eq!(states(&mut board, 100)[0], Bypass);
    board.clear(ms(100), lies).unwrap();
    assert_eq!(word(&mut board, 100, 0x37, 0x12), Ok([0x92, 0x01]));
}

#[test]
fn reset_and_death_of_a_controller_take_its_settings_or_its_answer() {
    let mut board = lanner();
    write(&mut board, 0, 0x37, &[0x12, 0x00]).unwrap();
    assert_eq!(states(&mut board, 50)[0], Normal);
    board.inject(ms(50), BoardFault::ControllerReset).unwrap();
    assert_eq!(states(&mut board, 100)[0], Bypass);

    write(&mut board, 100, 0x37, &[0x12, 0x00]).unwrap();
    assert_eq!(states(&mut board, 150)[0], Normal);
    board.inject(ms(150), BoardFault::ControllerDead).unwrap();
    assert_eq!(write(&mut board, 150, 0x37, &[]), Err(I2cFault::Nack));
    assert_eq!(states(&mut board, 9_000)[0], Normal);
    board.clear(ms(9_000), BoardFault::ControllerDead).unwrap();
    assert_eq!(states(&mut board, 9_100)[0], Bypass);
}

#[test]
fn the_journal_tells_cause_and_times_in_order() {
    let mut board = lanner();
    for bytes in [[0x12, 0x00], [0x21, 0x01], [0x22, 0x02], [0x24, 0x00]] {
        write(&mut board, 0, 0x37, &bytes).unwrap();
    }
    let stuck = BoardFault::Relay {
        segment: 1,
        fault: crate::sim::RelayFault::Stuck,
    };
    board.inject(ms(500), stuck).unwrap();
    board.tick(ms(60_000));
    let events = board.take_log();
    assert!(events.is_sorted_by_key(|event| event.at));
    let last = events.last().unwrap();
    assert_eq!(last.at, ms(2_005));
    assert!(matches!(
        last.fact,
        BoardFact::RelayMoved {
            segment: 0,
            from: Normal,
            to: Bypass,
            cause: crate::sim::MoveCause::Expiry,
            commanded_at,
        } if commanded_at == ms(2_000)
    ));
    let text = serde_json::to_string(&events).unwrap();
    let back: Vec<BoardEvent> = serde_json::from_str(&text).unwrap();
    assert_eq!(back, events);
}

fn monostable() -> VirtualBoard {
    let controller = ControllerSpec::GpioMonostable {
        coils: vec![MonostableCoil {
            coil: line("COIL", Active::Low),
            contact: Some(line("CONTACT", Active::Low)),
        }],
        kick: None,
    };
    VirtualBoard::for_board(&profile(controller, 1), Options::default())
}

/// As the kernel does it: the level first, then the direction.
fn hold(board: &mut VirtualBoard, at: u64, level: bool) {
    board.line_set(ms(at), 0, level);
    board.line_direction(ms(at), 0, LineDirection::Output);
}

#[test]
fn polarity_is_the_profiles_and_a_released_line_lets_the_relay_fall() {
    let mut board = monostable();
    assert_eq!(board.line_names(), ["COIL", "CONTACT", "BUTTON"]);
    board.line_set(ms(0), 0, false);
    assert_eq!(states(&mut board, 50), [Bypass]);
    hold(&mut board, 50, false);
    assert_eq!(states(&mut board, 100), [Normal]);
    assert!(!board.line_get(ms(100), 1));
    board.host_reset(ms(100));
    assert_eq!(states(&mut board, 200), [Bypass]);
    assert!(board.line_get(ms(200), 1));
}

#[test]
fn a_busy_line_does_not_hear_the_host_until_it_is_free() {
    let mut board = monostable();
    let busy = BoardFault::LineBusy {
        line: "COIL".into(),
    };
    board.inject(ms(0), busy.clone()).unwrap();
    assert!(board.line_busy(0));
    hold(&mut board, 0, false);
    assert_eq!(states(&mut board, 50), [Bypass]);
    board.clear(ms(50), busy).unwrap();
    assert_eq!(states(&mut board, 100), [Normal]);
}

#[test]
fn buttons_reach_the_host() {
    let mut board = monostable();
    assert!(board.line_get(ms(0), 2));
    board.button("BUTTON", true).unwrap();
    assert!(!board.line_get(ms(0), 2));
    assert!(board.button("COIL", true).is_err());
}

#[test]
fn power_comes_back_to_lines_that_are_still_held() {
    let mut board = monostable();
    hold(&mut board, 0, false);
    board.power(ms(100), Power::Off);
    assert_eq!(states(&mut board, 200), [Bypass]);
    board.power(ms(300), Power::On);
    assert_eq!(states(&mut board, 400), [Normal]);
}

#[test]
fn faults_that_cannot_happen_are_refused() {
    let mut board = monostable();
    let flip = BoardFault::FlipBit { replies: 1, bit: 0 };
    let foreign = BoardFault::ExternalWrite {
        segment: 0,
        state: Disconnect,
    };
    let elsewhere = BoardFault::ReadBackLies {
        segment: 9,
        shows: Normal,
    };
    for fault in [flip, foreign, elsewhere] {
        assert!(board.inject(ms(0), fault).is_err());
    }
    assert!(board.take_log().is_empty());
}
