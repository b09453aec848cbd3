//! The driver against the controller library itself, by blocks and by the window.

use std::sync::{Arc, Mutex};

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use fencepost_firmware::wire::ADDRESS;
use fencepost_firmware::{Contact, Controller as Firmware, Entropy, I2cTarget, Inputs, Strapping};

use super::*;
use crate::board::DeadManReading;
use crate::board::bus::{Clock, SmBus};
use crate::board::controller::{Acknowledge, Hold};
use crate::board::plain_i2c::{Alone, PlainI2c};
use crate::board::script::ScriptClock;

const PERIOD: Duration = Duration::from_millis(500);

/// The controller on a bus, its relays following at once.
#[derive(Clone)]
struct Part(Arc<Mutex<State>>);

struct State {
    target: I2cTarget,
    clock: ScriptClock,
    /// Nothing moves any more.
    stuck: bool,
    /// What the peer's acknowledge line reads.
    acknowledge: firmware::Line,
    /// The answers to this many transactions from now are lost on the way.
    lost_after: Option<u32>,
    transactions: u32,
}

impl State {
    fn pass_time(&mut self) -> u64 {
        let tick = self.clock.now().as_millis();
        let controller = self.target.controller_mut();
        controller.tick(tick);
        if !self.stuck {
            let relays = controller.outputs().relays.map(|relay| match relay {
                firmware::RelayState::Normal => Contact::Normal,
                firmware::RelayState::Bypass => Contact::Bypass,
                firmware::RelayState::Disconnect => Contact::Disconnect,
            });
            let idle = Inputs::quiet(Contact::Unknown);
            controller.inputs(
                tick,
                Inputs {
                    contacts: relays,
                    peer_ack: self.acknowledge,
                    ..idle
                },
            );
        } else {
            controller.inputs(tick, Inputs::quiet(Contact::Bypass));
        }
        tick
    }
}

impl ErrorType for Part {
    type Error = ErrorKind;
}

impl I2c for Part {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        let nack = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown);
        let mut state = self.0.lock().unwrap();
        assert_eq!(address, ADDRESS);
        state.transactions += 1;
        let tick = state.pass_time();
        for operation in operations {
            match operation {
                Operation::Write(bytes) => state.target.write(tick, bytes).map_err(|_| nack)?,
                Operation::Read(bytes) => state.target.read(tick, bytes),
            }
        }
        state.pass_time();
        match &mut state.lost_after {
            Some(0) => {
                state.lost_after = None;
                Err(nack)
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

struct Bench {
    driver: Reference,
    part: Part,
    clock: ScriptClock,
}

#[derive(Clone, Copy)]
enum Adapter {
    Plain,
    BytesAndWords,
}

fn bench(adapter: Adapter) -> Bench {
    let clock = ScriptClock::new();
    let strapping = Strapping::inline(2).unwrap();
    let entropy = Entropy {
        generation: 7,
        ticket: 70,
        session: 700,
    };
    let stored = Some(strapping.factory_settings());
    let inputs = Inputs::quiet(Contact::Bypass);
    let now = clock.now().as_millis();
    let controller = Firmware::power_up(strapping, stored, entropy, inputs, now);
    let part = Part(Arc::new(Mutex::new(State {
        target: I2cTarget::new(controller, ADDRESS),
        clock: clock.clone(),
        stuck: false,
        acknowledge: firmware::Line::Idle,
        lost_after: None,
        transactions: 0,
    })));
    let driver = open(&part, &clock, adapter);
    Bench {
        driver,
        part,
        clock,
    }
}

fn open(part: &Part, clock: &ScriptClock, adapter: Adapter) -> Reference {
    let plain = PlainI2c::new(part.clone(), Alone, "test bus");
    let bus: Box<dyn SmBus> = match adapter {
        Adapter::Plain => Box::new(plain),
        Adapter::BytesAndWords => Box::new(plain.without_blocks()),
    };
    let states = [RelayState::Normal, RelayState::Bypass];
    let segments = vec![
        Segment::bench("lan", &states),
        Segment::bench("dmz", &states),
    ];
    Reference::new(Retrying::new(bus, clock.boxed()), ADDRESS, segments)
}

impl Bench {
    fn close(&mut self, segment: usize) -> Result<Moved, Fault> {
        let ticket = self.driver.take_ticket()?;
        self.driver.close(segment, ticket)
    }

    fn kick(&mut self, ahead: Duration) -> Result<(), Fault> {
        let until = self.clock.now() + ahead;
        self.driver.kick(until)
    }

    fn lose_answer_after(&self, transactions: u32) {
        self.part.0.lock().unwrap().lost_after = Some(transactions);
    }

    fn transactions(&self) -> u32 {
        self.part.0.lock().unwrap().transactions
    }

    fn executed(&self) -> u32 {
        self.part
            .0
            .lock()
            .unwrap()
            .target
            .controller()
            .tally()
            .executed
    }

    /// Time passes on the board too.
    fn pass(&self, span: Duration) {
        self.clock.advance(span);
        self.part.0.lock().unwrap().pass_time();
    }
}

#[test]
fn the_whole_life_by_blocks_and_by_the_window() {
    for adapter in [Adapter::Plain, Adapter::BytesAndWords] {
        let mut bench = bench(adapter);
        let identity = bench.driver.identify().unwrap();
        assert_eq!(identity.unique_id.map(|id| id.len()), Some(24));
        let reading = bench.driver.read().unwrap();
        assert_eq!((reading.latch, reading.generation), (Latch::Clear, 7));
        assert_eq!(reading.dead_man, DeadManReading::Disarmed);
        assert_eq!(reading.segments[0].state, RelayState::Bypass);

        let fault = bench.close(0).unwrap_err();
        assert!(fault.to_string().contains("not armed"), "{fault}");

        let armed = bench.driver.arm(PERIOD).unwrap();
        assert_eq!((armed.effective, armed.proof), (PERIOD, ArmProof::ReadBack));
        assert_eq!(bench.close(0).unwrap().after.state, RelayState::Normal);
        assert!(!bench.close(0).unwrap().commanded);

        bench.pass(Duration::from_millis(300));
        bench.kick(PERIOD).unwrap();
        bench.pass(Duration::from_millis(300));
        assert_eq!(
            bench.driver.read().unwrap().segments[0].state,
            RelayState::Normal
        );

        let moved = bench.driver.cut(0, CutState::Bypass).unwrap();
        assert_eq!((moved.before, moved.commanded), (RelayState::Normal, true));
        bench.driver.disarm().unwrap();
        assert_eq!(
            bench.driver.read().unwrap().dead_man,
            DeadManReading::Disarmed
        );
    }
}

#[test]
fn expiry_is_sticky_and_arming_moves_nothing() {
    let mut bench = bench(Adapter::Plain);
    bench.driver.arm(PERIOD).unwrap();
    bench.close(1).unwrap();
    bench.pass(PERIOD);
    assert!(matches!(bench.kick(PERIOD), Err(Fault::Refused { .. })));
    let reading = bench.driver.read().unwrap();
    assert_eq!(reading.dead_man, DeadManReading::Expired);
    assert_eq!(reading.segments[1].state, RelayState::Bypass);
    bench.driver.arm(PERIOD).unwrap();
    assert_eq!(
        bench.driver.read().unwrap().segments[1].state,
        RelayState::Bypass
    );
}

#[test]
fn a_kick_never_reaches_beyond_its_deadline() {
    let mut bench = bench(Adapter::Plain);
    bench.driver.arm(Duration::from_secs(10)).unwrap();
    bench.pass(Duration::from_millis(9_900));
    bench.kick(Duration::from_secs(2)).unwrap();
    let DeadManReading::Running {
        remaining: Some(left),
        ..
    } = bench.driver.read().unwrap().dead_man
    else {
        panic!("not running");
    };
    // Known since the arm, 9.9 s ago: 1 % of 11.9 s, rounded up, is taken off.
    assert_eq!(left, Duration::from_millis(2_000 - 119));
}

#[test]
fn a_stale_kick_is_refused_here_or_there() {
    let mut bench = bench(Adapter::Plain);
    bench.driver.arm(PERIOD).unwrap();
    let past = bench.clock.now();
    let before = bench.transactions();
    assert!(matches!(bench.driver.kick(past), Err(Fault::Stale { .. })));
    assert_eq!(bench.transactions(), before, "not sent");
}

#[test]
fn a_restarted_agent_goes_on_kicking_and_moves_nothing() {
    let mut bench = bench(Adapter::Plain);
    bench.driver.arm(PERIOD).unwrap();
    bench.close(0).unwrap();
    bench.driver = open(&bench.part, &bench.clock, Adapter::Plain);
    let orders = bench.executed();
    bench.driver.identify().unwrap();
    assert_eq!(
        bench.driver.read().unwrap().segments[0].state,
        RelayState::Normal
    );
    assert_eq!(bench.executed(), orders);
    bench.kick(PERIOD).unwrap();
    bench.pass(Duration::from_millis(400));
    bench.kick(PERIOD).unwrap();
    assert_eq!(
        bench.driver.read().unwrap().segments[0].state,
        RelayState::Normal
    );
}

#[test]
fn an_order_whose_answer_was_lost_is_not_given_twice() {
    for lost in [0, 1] {
        let mut bench = bench(Adapter::Plain);
        bench.driver.arm(PERIOD).unwrap();
        let ticket = bench.driver.take_ticket().unwrap();
        let orders = bench.executed();
        // The first read is the look before; then the order, then its answer.
        bench.lose_answer_after(1 + lost);
        let moved = bench.driver.close(0, ticket).unwrap();
        assert_eq!(moved.after.state, RelayState::Normal);
        assert_eq!(bench.executed(), orders + 1);
    }
}

#[test]
fn tickets_are_the_controllers_own() {
    let mut bench = bench(Adapter::Plain);
    bench.driver.arm(PERIOD).unwrap();
    let ticket = bench.driver.take_ticket().unwrap();
    assert_eq!(ticket, Ticket(70));
    assert!(
        !bench.driver.cut(1, CutState::Bypass).unwrap().commanded,
        "it is cut already"
    );
    assert!(
        bench.driver.close(0, ticket).is_err(),
        "but no earlier decision counts"
    );
    bench.close(1).unwrap();
    let ticket = bench.driver.take_ticket().unwrap();
    bench.driver.cut(1, CutState::Bypass).unwrap();
    let fault = bench.driver.close(0, ticket).unwrap_err();
    assert!(
        fault.to_string().contains("the host cut a segment"),
        "{fault}"
    );
}

#[test]
fn a_stuck_relay_is_never_reported_as_moved() {
    let mut bench = bench(Adapter::Plain);
    bench.driver.arm(PERIOD).unwrap();
    bench.part.0.lock().unwrap().stuck = true;
    let fault = bench.close(0).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "segment 0 should be Normal and reads Bypass"
    );

    // It comes loose after a cut: it must not end in `Normal`.
    bench.driver.cut(0, CutState::Bypass).unwrap();
    bench.part.0.lock().unwrap().stuck = false;
    assert_eq!(
        bench.driver.read().unwrap().segments[0].state,
        RelayState::Bypass
    );
}

#[test]
fn settings_are_ordered_only_where_they_differ() {
    let mut bench = bench(Adapter::Plain);
    let bypass = Some(CutState::Bypass);
    let wanted = SegmentSettings {
        power_up: bypass,
        power_off: None,
        expiry: bypass,
    };
    let orders = bench.executed();
    bench.driver.configure(&[wanted, wanted]).unwrap();
    assert_eq!(bench.executed(), orders);
}

#[test]
fn a_strap_that_does_not_fit_the_cabling_is_refused() {
    let mut bench = bench(Adapter::Plain);
    for segment in &mut bench.driver.segments {
        segment.power_off = vec![RelayState::Bypass, RelayState::Disconnect];
    }
    let strapped = |power_off| SegmentSettings {
        power_up: None,
        power_off: Some(power_off),
        expiry: None,
    };
    let [right, wrong] = [CutState::Bypass, CutState::Disconnect].map(strapped);
    bench.driver.configure(&[right, right]).unwrap();
    let fault = bench.driver.configure(&[wrong, wrong]).unwrap_err();
    assert!(fault.to_string().contains("strapped for Bypass"), "{fault}");
}

#[test]
fn a_fence_is_held_until_it_is_let_go_and_counts_once_it_is_acknowledged() {
    for adapter in [Adapter::Plain, Adapter::BytesAndWords] {
        let mut bench = bench(adapter);
        bench.driver.arm(PERIOD).unwrap();
        assert_eq!(bench.driver.read_fence().unwrap().hold, Hold::Released);
        bench.driver.fence(bench.clock.now()).unwrap();
        assert_eq!(bench.driver.read_fence().unwrap().hold, Hold::Asserted);
        bench.part.0.lock().unwrap().acknowledge = firmware::Line::Asserted;
        let read = bench.driver.read_fence().unwrap();
        assert_eq!(read.hold, Hold::Acknowledged);
        assert_eq!(read.acknowledge, Acknowledge::Asserted);
        bench.driver.unfence().unwrap();
        let read = bench.driver.read_fence().unwrap();
        assert_eq!(read.hold, Hold::Released);
        assert_eq!(read.acknowledge, Acknowledge::Asserted);
    }
}

#[test]
fn a_fence_decided_long_ago_is_refused() {
    let mut bench = bench(Adapter::Plain);
    bench.driver.arm(Duration::from_secs(30)).unwrap();
    let decided = bench.clock.now();
    bench.clock.advance(Duration::from_secs(5));
    // Whether its time was read before or after the decision, the order looks its age.
    bench.driver.read().unwrap();
    let refused = bench.driver.fence(decided);
    assert!(matches!(refused, Err(Fault::Refused { .. })), "{refused:?}");
    assert_eq!(bench.driver.read_fence().unwrap().hold, Hold::Released);
}

#[test]
fn a_close_on_a_fence_needs_the_acknowledge() {
    let mut bench = bench(Adapter::Plain);
    bench.driver.arm(PERIOD).unwrap();
    let ticket = bench.driver.take_ticket().unwrap();
    let refused = bench.driver.close_on(0, ticket, CloseProof::Fenced);
    assert!(matches!(refused, Err(Fault::Refused { .. })), "{refused:?}");
}
