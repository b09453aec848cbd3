//! The driver against exact transactions: two segments that share the first chip's period.

use super::*;
use crate::board::script::{Script, ScriptClock};

const A: u8 = 0x26;
const B: u8 = 0x22;
const SETTINGS: u8 = 0x4f;

const INPUT1: u8 = 1;
const OUT0: u8 = 2;
const OUT1: u8 = 3;
const DIR0: u8 = 6;
const DIR1: u8 = 7;

/// Input 1 with the watchdog not expired and BPE at bypass.
const IN_NORMAL: u8 = 0b1001_0000;
const IN_BYPASS: u8 = 0b1101_0000;
const IN_OPEN: u8 = 0b1100_0000;
const IN_EXPIRED: u8 = 0b0101_0000;

struct Bench {
    driver: CaswellGen2,
    script: Script,
    clock: ScriptClock,
}

fn bench(used_b: vendor::Used) -> Bench {
    let (script, clock) = (Script::new(), ScriptClock::new());
    let states = [
        RelayState::Normal,
        RelayState::Bypass,
        RelayState::Disconnect,
    ];
    let segments = vec![
        Segment::bench("a", &states),
        Segment {
            used: used_b,
            ..Segment::bench("b", &states)
        },
    ];
    let chips = vec![
        CaswellChip {
            address: A,
            bpe_bit: 0,
            nextboot_bit: 2,
        },
        CaswellChip {
            address: B,
            bpe_bit: 1,
            nextboot_bit: 3,
        },
    ];
    let io = Retrying::new(script.bus(), clock.boxed());
    let driver = CaswellGen2::new(io, SETTINGS, chips, CaswellPeriod::Shared, segments);
    Bench {
        driver,
        script,
        clock,
    }
}

fn one() -> Bench {
    bench(vendor::Used::No)
}

impl Bench {
    fn prepared(&self, address: u8) -> &Self {
        self.script
            .read(address, DIR0, 0x00)
            .read(address, DIR1, 0xc0);
        self
    }

    fn pulse(&self, address: u8, register: u8, idle: u8, pin: u8) -> &Self {
        self.script.read(address, register, idle);
        self.script
            .write(address, register, idle & !pin)
            .write(address, register, idle);
        self
    }

    /// The levels are known and not read.
    fn pulse_from(&self, address: u8, register: u8, idle: u8, pin: u8) -> &Self {
        self.script
            .write(address, register, idle)
            .write(address, register, idle & !pin)
            .write(address, register, idle);
        self
    }

    fn arm(&mut self) {
        self.prepared(A)
            .script
            .read(A, INPUT1, IN_BYPASS)
            .read(A, OUT0, 0b0000_1011);
        self.pulse(A, OUT0, 0b0000_1011, LOAD);
        let armed = self.driver.arm(Duration::from_secs(2)).unwrap();
        assert_eq!(armed.proof, ArmProof::WriteOnly);
        self.script.assert_done();
    }

    fn ticket(&mut self) -> Ticket {
        self.script.read(A, INPUT1, IN_BYPASS);
        self.driver.take_ticket().unwrap()
    }
}

#[test]
fn a_close_is_a_pulse_and_a_look_after_the_settle_time() {
    let mut bench = one();
    bench.arm();
    let ticket = bench.ticket();
    bench
        .script
        .read(A, INPUT1, IN_BYPASS)
        .read(A, DIR1, 0xc0)
        .read(A, INPUT1, IN_BYPASS);
    bench
        .prepared(A)
        .pulse(A, OUT1, 0x3f, SET_NORMAL)
        .script
        .read(A, DIR1, 0xc0)
        .read(A, INPUT1, IN_NORMAL);
    let before = bench.driver.now();
    let moved = bench.driver.close(0, ticket).unwrap();
    assert_eq!(moved.after.state, RelayState::Normal);
    assert!(bench.driver.now().since(before) >= Duration::from_millis(20));
    bench.script.assert_done();
}

#[test]
fn disconnect_lowers_bpe_and_leaves_the_cells_alone() {
    let mut bench = one();
    bench.script.read(A, DIR1, 0xc0).read(A, INPUT1, IN_NORMAL);
    bench
        .prepared(A)
        .script
        .read(A, OUT1, 0x3f)
        .write(A, OUT1, 0x2f)
        .read(A, OUT1, 0x2f);
    bench
        .pulse(A, OUT1, 0x2f, SET_NON_NORMAL)
        .script
        .read(A, DIR1, 0xc0)
        .read(A, INPUT1, IN_OPEN);
    let moved = bench.driver.cut(0, CutState::Disconnect).unwrap();
    assert_eq!(moved.after.state, RelayState::Disconnect);
    bench.script.assert_done();
}

#[test]
fn a_cut_that_is_there_writes_nothing() {
    let mut bench = one();
    bench.script.read(A, DIR1, 0xc0).read(A, INPUT1, IN_BYPASS);
    assert!(!bench.driver.cut(0, CutState::Bypass).unwrap().commanded);
    bench.script.assert_done();
}

#[test]
fn a_chip_fresh_from_power_gets_idle_levels_before_directions() {
    let mut bench = one();
    let script = &bench.script;
    script
        .read(A, DIR1, 0xff)
        .read(A, INPUT1, IN_NORMAL)
        .read(A, DIR0, 0xff)
        .read(A, DIR1, 0xff)
        .receive(SETTINGS, 1);
    script
        .read(A, OUT0, 0xff)
        .read(A, OUT1, 0xff)
        .write(A, OUT1, 0x3f)
        .read(A, OUT1, 0x3f);
    script
        .read(A, DIR0, 0xff)
        .write(A, DIR0, 0x00)
        .read(A, DIR0, 0x00);
    script
        .read(A, DIR1, 0xff)
        .write(A, DIR1, 0xc0)
        .read(A, DIR1, 0xc0);
    script.read(A, OUT1, 0x3f);
    bench
        .pulse(A, OUT1, 0x3f, SET_NON_NORMAL)
        .script
        .read(A, DIR1, 0xc0)
        .read(A, INPUT1, IN_BYPASS);
    bench.driver.cut(0, CutState::Bypass).unwrap();
    bench.script.assert_done();
}

#[test]
fn without_arming_here_there_is_no_ticket() {
    let mut bench = one();
    bench.script.read(A, INPUT1, IN_NORMAL);
    let fault = bench.driver.take_ticket().unwrap_err();
    assert!(fault.to_string().contains("has not armed"), "{fault}");
    bench.script.assert_done();
}

#[test]
fn an_expiry_is_seen_voids_the_ticket_and_stops_kicks() {
    let mut bench = one();
    bench.arm();
    let ticket = bench.ticket();
    bench.script.read(A, INPUT1, IN_EXPIRED);
    let until = bench.driver.now() + Duration::from_secs(1);
    assert!(matches!(
        bench.driver.kick(until),
        Err(Fault::Refused { .. })
    ));
    bench.script.read(A, INPUT1, IN_EXPIRED);
    assert!(matches!(
        bench.driver.close(0, ticket),
        Err(Fault::Refused { .. })
    ));
    bench
        .script
        .read(A, INPUT1, IN_EXPIRED)
        .read(A, DIR1, 0xc0)
        .read(A, INPUT1, IN_EXPIRED);
    assert_eq!(
        bench.driver.read().unwrap().dead_man,
        DeadManReading::Expired
    );
    bench.script.assert_done();
}

#[test]
fn whether_it_runs_is_never_claimed() {
    let mut bench = one();
    bench.arm();
    bench
        .script
        .read(A, INPUT1, IN_NORMAL)
        .read(A, DIR1, 0xc0)
        .read(A, INPUT1, IN_NORMAL);
    assert_eq!(
        bench.driver.read().unwrap().dead_man,
        DeadManReading::Unknown
    );
    bench.script.assert_done();
}

#[test]
fn arming_after_an_expiry_orders_non_normal_before_clearing_it() {
    let mut bench = one();
    bench.prepared(A).script.read(A, INPUT1, IN_EXPIRED);
    bench
        .pulse(A, OUT1, 0x3f, SET_NON_NORMAL)
        .pulse(A, OUT1, 0x3f, CLEAR);
    bench.script.read(A, INPUT1, IN_BYPASS).read(A, OUT0, 0xff);
    bench
        .script
        .write(A, OUT0, 0b0000_1011)
        .read(A, OUT0, 0b0000_1011);
    bench.pulse(A, OUT0, 0b0000_1011, LOAD);
    bench.driver.arm(Duration::from_secs(2)).unwrap();
    bench.script.assert_done();
}

#[test]
fn a_shared_period_goes_into_the_first_chip_and_kicks_into_each() {
    let mut bench = bench(vendor::Used::Yes);
    for address in [A, B] {
        if address == B {
            bench.prepared(A);
        }
        bench
            .prepared(address)
            .script
            .read(address, INPUT1, IN_BYPASS)
            .read(A, OUT0, 0b0000_1011);
        bench.pulse(address, OUT0, 0b0000_1011, LOAD);
    }
    bench.driver.arm(Duration::from_secs(2)).unwrap();
    bench
        .script
        .read(A, INPUT1, IN_BYPASS)
        .read(B, INPUT1, IN_BYPASS);
    bench
        .pulse_from(A, OUT0, 0b0000_1011, LOAD)
        .pulse_from(B, OUT0, 0xff, LOAD);
    let until = bench.driver.now() + Duration::from_secs(1);
    bench.driver.kick(until).unwrap();
    bench.script.assert_done();
}

#[test]
fn a_kick_writes_the_period_that_was_armed_whatever_stands_on_the_pins() {
    let mut bench = one();
    bench.arm();
    for _ in 0..2 {
        bench.script.read(A, INPUT1, IN_NORMAL);
        bench.pulse_from(A, OUT0, 0b0000_1011, LOAD);
        let until = bench.driver.now() + Duration::from_secs(1);
        bench.driver.kick(until).unwrap();
    }
    bench.script.assert_done();
}

#[test]
fn a_stale_kick_is_not_sent() {
    let mut bench = one();
    bench.script.read(A, INPUT1, IN_NORMAL);
    let until = bench.driver.now();
    bench.clock.advance(Duration::from_millis(7));
    assert!(matches!(
        bench.driver.kick(until),
        Err(Fault::Stale { late_ms: 7, .. })
    ));
    bench.script.assert_done();
}

#[test]
fn periods_beyond_six_bits_are_refused_before_anything_is_sent() {
    let mut bench = one();
    let fault = bench.driver.arm(Duration::from_secs(64)).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "a dead-man period of 64000 ms: this board cannot; it does whole seconds from 1 to 63"
    );
    bench.script.assert_done();
}

#[test]
fn cells_are_written_only_when_they_differ() {
    let mut bench = one();
    let bypass = Some(CutState::Bypass);
    let wanted = SegmentSettings {
        power_up: bypass,
        power_off: None,
        expiry: bypass,
    };
    bench
        .prepared(A)
        .script
        .receive(SETTINGS, 0b101)
        .read(A, DIR1, 0xc0)
        .read(A, INPUT1, IN_BYPASS);
    bench.script.receive(SETTINGS, 0b101);
    bench.driver.configure(&[wanted]).unwrap();
    bench.script.assert_done();

    bench
        .prepared(A)
        .script
        .receive(SETTINGS, 0b110)
        .send(SETTINGS, 0b111);
    bench
        .script
        .receive(SETTINGS, 0b111)
        .read(A, DIR1, 0xc0)
        .read(A, INPUT1, IN_BYPASS)
        .receive(SETTINGS, 0b111);
    bench.driver.configure(&[wanted]).unwrap();
    bench.script.assert_done();
}

#[test]
fn one_bit_cannot_serve_two_masters() {
    let mut bench = one();
    let wanted = SegmentSettings {
        power_up: Some(CutState::Bypass),
        power_off: None,
        expiry: Some(CutState::Disconnect),
    };
    let fault = bench.driver.configure(&[wanted]).unwrap_err();
    assert!(fault.to_string().contains("one bit (BPE)"), "{fault}");
    bench.script.assert_done();
}

#[test]
fn what_an_undriven_pin_means_is_not_guessed() {
    let mut bench = one();
    let script = &bench.script;
    script.read(A, INPUT1, IN_BYPASS);
    script.read(A, DIR1, 0xff).read(A, INPUT1, IN_BYPASS);
    assert_eq!(
        bench.driver.read().unwrap().segments[0].state,
        RelayState::Unknown
    );
    bench.script.read(A, INPUT1, IN_NORMAL);
    bench.script.read(A, DIR1, 0xff).read(A, INPUT1, IN_NORMAL);
    assert_eq!(
        bench.driver.read().unwrap().segments[0].state,
        RelayState::Normal
    );
    bench.script.assert_done();
}

#[test]
fn a_chip_that_restarted_is_neither_closed_nor_kicked_with_the_period_of_its_idle_levels() {
    let mut bench = one();
    bench.arm();
    bench
        .script
        .read(A, INPUT1, IN_BYPASS)
        .read(A, DIR1, 0xff)
        .read(A, INPUT1, IN_BYPASS);
    let reading = bench.driver.read().unwrap();
    assert_eq!(reading.dead_man, DeadManReading::Disarmed);

    bench.script.read(A, INPUT1, IN_BYPASS);
    let until = bench.driver.now() + Duration::from_secs(1);
    let kick = bench.driver.kick(until).unwrap_err();
    assert!(kick.to_string().contains("restarted"), "{kick}");
    bench.script.read(A, INPUT1, IN_BYPASS);
    let ticket = bench.driver.take_ticket().unwrap_err();
    assert!(ticket.to_string().contains("restarted"), "{ticket}");
    bench.script.assert_done();
}

#[test]
fn what_an_expiry_holds_cut_stays_cut_when_the_watchdog_is_disabled() {
    let mut bench = one();
    bench
        .prepared(A)
        .script
        .read(A, DIR1, 0xc0)
        .read(A, INPUT1, IN_EXPIRED);
    bench
        .pulse(A, OUT1, 0x3f, SET_NON_NORMAL)
        .pulse(A, OUT0, 0b0000_1011, DISABLE);
    bench.driver.disarm().unwrap();
    bench.script.assert_done();
}
