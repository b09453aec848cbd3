//! The driver on lines whose wiring the test plays.

use super::*;
use crate::board::script::{ScriptClock, ScriptLines};

const PERIOD: Duration = Duration::from_secs(1);

struct Bench {
    driver: GpioMonostable,
    coils: ScriptLines,
    contacts: ScriptLines,
    kick: ScriptLines,
    clock: ScriptClock,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fitted {
    Nothing,
    Contacts,
    Timer,
    Both,
}

fn bench(coil: bool, contact: bool, fitted: Fitted) -> Bench {
    let clock = ScriptClock::new();
    let (coils, contacts) = (ScriptLines::new(&[coil]), ScriptLines::new(&[contact]));
    let kick = ScriptLines::new(&[false]);
    let seen = match fitted {
        Fitted::Contacts | Fitted::Both => Contacts::new(Some(contacts.boxed()), vec![Some(0)]),
        Fitted::Nothing | Fitted::Timer => Contacts::new(None, vec![None]),
    };
    let timer = match fitted {
        Fitted::Timer | Fitted::Both => Some(Timer::new(kick.boxed(), PERIOD)),
        Fitted::Nothing | Fitted::Contacts => None,
    };
    let segment = Segment::bench("lan", &[RelayState::Normal, RelayState::Bypass]);
    let group = OutputGroup::new(coils.boxed(), vec![Some(0)]);
    let driver = GpioMonostable::new(group, seen, timer, clock.boxed(), vec![segment]);
    Bench {
        driver,
        coils,
        contacts,
        kick,
        clock,
    }
}

impl Bench {
    fn close(&mut self) -> Result<Moved, Fault> {
        let ticket = self.driver.take_ticket()?;
        self.driver.close(0, ticket)
    }

    fn kick(&mut self) -> Result<(), Fault> {
        let soon = self.clock.now() + Duration::from_millis(100);
        self.driver.kick(soon)
    }

    fn state(&mut self) -> (RelayState, Evidence) {
        let seen = self.driver.read().unwrap().segments[0];
        (seen.state, seen.evidence)
    }
}

#[test]
fn adopting_a_closed_relay_writes_nothing() {
    let mut bench = bench(true, true, Fitted::Contacts);
    assert_eq!(bench.state(), (RelayState::Normal, Evidence::Contacts));
    assert!(!bench.close().unwrap().commanded);
    assert!(bench.coils.written().is_empty());
}

#[test]
fn a_contact_that_does_not_follow_is_not_moved() {
    let mut bench = bench(false, false, Fitted::Contacts);
    let fault = bench.close().unwrap_err();
    assert_eq!(
        fault.to_string(),
        "segment 0 should be Normal and reads Bypass"
    );
    assert_eq!(bench.coils.written(), [[true]]);
}

#[test]
fn a_welded_contact_is_reported_and_the_coil_is_off() {
    let mut bench = bench(true, true, Fitted::Contacts);
    let fault = bench.driver.cut(0, CutState::Bypass).unwrap_err();
    assert!(matches!(
        fault,
        Fault::NotMoved {
            read: RelayState::Normal,
            ..
        }
    ));
    assert_eq!(bench.coils.levels(), [false]);
}

#[test]
fn without_a_contact_the_coil_line_is_the_evidence() {
    let mut bench = bench(false, false, Fitted::Nothing);
    assert_eq!(bench.close().unwrap().after.evidence, Evidence::Drive);
    assert_eq!(bench.state(), (RelayState::Normal, Evidence::Drive));
    bench.driver.cut(0, CutState::Bypass).unwrap();
    assert_eq!(bench.state(), (RelayState::Bypass, Evidence::Drive));
}

#[test]
fn a_timer_must_be_armed_before_a_close() {
    let mut bench = bench(false, false, Fitted::Timer);
    assert!(matches!(bench.close(), Err(Fault::Refused { .. })));
    assert!(matches!(bench.kick(), Err(Fault::Refused { .. })));
    assert!(bench.kick.written().is_empty());
    bench.driver.arm(PERIOD).unwrap();
    assert_eq!(bench.kick.written(), [[true], [false]]);
    bench.close().unwrap();
    assert_eq!(bench.state(), (RelayState::Normal, Evidence::Drive));
}

#[test]
fn a_late_kick_releases_the_coils_instead_of_closing_them_again() {
    let mut bench = bench(false, false, Fitted::Timer);
    bench.driver.arm(PERIOD).unwrap();
    bench.close().unwrap();
    bench.clock.advance(PERIOD);
    assert_eq!(bench.state(), (RelayState::Bypass, Evidence::Drive));
    let kicks = bench.kick.written().len();
    assert!(matches!(bench.kick(), Err(Fault::Refused { .. })));
    assert_eq!(bench.coils.levels(), [false]);
    assert_eq!(bench.kick.written().len(), kicks);
    assert!(
        matches!(bench.close(), Err(Fault::Refused { .. })),
        "sticky"
    );
    bench.driver.arm(PERIOD).unwrap();
    bench.close().unwrap();
}

#[test]
fn cutting_after_the_timer_ran_out_lets_go_of_the_line() {
    let mut bench = bench(false, false, Fitted::Timer);
    bench.driver.arm(PERIOD).unwrap();
    bench.close().unwrap();
    bench.clock.advance(PERIOD);
    assert!(!bench.driver.cut(0, CutState::Bypass).unwrap().commanded);
    assert_eq!(bench.coils.levels(), [false]);
}

#[test]
fn an_adopted_coil_of_unknown_gate_is_not_kicked_into_normal() {
    let mut adopted = bench(true, false, Fitted::Timer);
    assert_eq!(adopted.state(), (RelayState::Unknown, Evidence::Drive));
    assert!(matches!(
        adopted.driver.arm(PERIOD),
        Err(Fault::Refused { .. })
    ));
    adopted.driver.cut(0, CutState::Bypass).unwrap();
    adopted.driver.arm(PERIOD).unwrap();

    let mut seen_closed = bench(true, true, Fitted::Both);
    seen_closed.driver.arm(PERIOD).unwrap();
    assert!(
        seen_closed.coils.written().is_empty(),
        "a restart moves no relay"
    );

    let mut seen_open = bench(true, false, Fitted::Both);
    seen_open.driver.arm(PERIOD).unwrap();
    assert_eq!(seen_open.coils.levels(), [false]);
    assert_eq!(seen_open.kick.written().len(), 2);
}

#[test]
fn a_stale_kick_is_no_pulse() {
    let mut bench = bench(false, false, Fitted::Timer);
    bench.driver.arm(PERIOD).unwrap();
    let past = bench.clock.now();
    assert!(matches!(bench.driver.kick(past), Err(Fault::Stale { .. })));
    assert_eq!(bench.kick.written().len(), 2);
}

#[test]
fn a_kick_pulse_cut_short_is_ended_first() {
    let mut bench = bench(false, false, Fitted::Timer);
    bench.kick.turn(0, true);
    bench.driver.arm(PERIOD).unwrap();
    assert_eq!(bench.kick.written(), [[false], [true], [false]]);
}

#[test]
fn a_relay_that_drops_by_itself_is_seen() {
    let mut bench = bench(true, true, Fitted::Contacts);
    bench.contacts.turn(0, false);
    assert_eq!(bench.state(), (RelayState::Bypass, Evidence::Contacts));
}

#[test]
fn neither_a_kick_nor_arming_closes_a_relay_that_fell_by_itself() {
    for arm in [false, true] {
        let mut bench = bench(true, true, Fitted::Both);
        bench.driver.arm(PERIOD).unwrap();
        // A dip in the coil supply: the line is still asserted, the contact has opened.
        bench.contacts.turn(0, false);
        if arm {
            bench.driver.arm(PERIOD).unwrap();
        } else {
            bench.kick().unwrap();
        }
        assert_eq!(bench.coils.written(), [[false]], "arm: {arm}");
        assert_eq!(bench.state().0, RelayState::Bypass);
    }
}
