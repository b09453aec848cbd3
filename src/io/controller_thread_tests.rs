//! Order of carrying out, one answer per order, and what happens when a driver fails or dies.

use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::board::controller::{
    Armed, CloseProof, DeadManReading, Evidence, Identity, Latch, Moved, Reading, RelayState,
    SegmentReading,
};
use crate::io::inbox::inbox;

const PATIENCE: Duration = Duration::from_secs(20);

/// Tells what it is told; waits at `read` until let go.
struct Scripted {
    told: mpsc::Sender<String>,
    gate: mpsc::Receiver<()>,
    answers_identify: bool,
}

impl Scripted {
    fn note(&self, what: &str) {
        self.told.send(what.to_owned()).unwrap();
    }
}

fn moved(state: RelayState) -> Moved {
    let after = SegmentReading {
        state,
        evidence: Evidence::Contacts,
    };
    Moved {
        before: RelayState::Unknown,
        after,
        commanded: true,
    }
}

impl Controller for Scripted {
    fn identify(&mut self) -> Result<Identity, Fault> {
        self.note("identify");
        if self.answers_identify {
            Ok(Identity::default())
        } else {
            Err(not_open())
        }
    }
    fn read(&mut self) -> Result<Reading, Fault> {
        self.note("read");
        self.gate.recv().unwrap();
        Ok(Reading {
            segments: Vec::new(),
            dead_man: DeadManReading::Absent,
            latch: Latch::Absent,
            generation: 0,
        })
    }
    fn configure(&mut self, _: &[SegmentSettings]) -> Result<(), Fault> {
        self.note("configure");
        Ok(())
    }
    fn arm(&mut self, _: Duration) -> Result<Armed, Fault> {
        panic!("a driver bug");
    }
    fn kick(&mut self, _: Instant) -> Result<(), Fault> {
        self.note("kick");
        Ok(())
    }
    fn disarm(&mut self) -> Result<(), Fault> {
        self.note("disarm");
        Ok(())
    }
    fn take_ticket(&mut self) -> Result<Ticket, Fault> {
        self.note("ticket");
        Ok(Ticket(1))
    }
    fn close(&mut self, _: usize, _: Ticket) -> Result<Moved, Fault> {
        self.note("close");
        Ok(moved(RelayState::Normal))
    }
    fn cut(&mut self, _: usize, state: CutState) -> Result<Moved, Fault> {
        self.note("cut");
        Ok(moved(state.into()))
    }
}

struct Bench {
    orders: ControllerOrders,
    inbox: crate::io::inbox::Inbox,
    told: mpsc::Receiver<String>,
    gate: mpsc::Sender<()>,
    thread: JoinHandle<()>,
    left: LeftNote,
    _directory: tempfile::TempDir,
}

fn bench(answers_identify: bool) -> Bench {
    let (inlets, inbox) = inbox();
    inbox.attend();
    let (tell, told) = mpsc::channel();
    let (gate, gated) = mpsc::channel();
    let mut gated = Some(gated);
    let opener: Opener = Box::new(move || {
        tell.send("open".to_owned()).unwrap();
        let gate = gated.take().ok_or_else(not_open)?;
        Ok(Box::new(Scripted {
            told: tell.clone(),
            gate,
            answers_identify,
        }))
    });
    let directory = tempfile::tempdir().unwrap();
    let left = LeftNote::at(&directory.path().join("left.json"));
    let (orders, thread) = start(
        "test",
        opener,
        left.clone(),
        inlets.urgent,
        Priority::NORMAL,
    )
    .unwrap();
    Bench {
        orders,
        inbox,
        told,
        gate,
        thread,
        left,
        _directory: directory,
    }
}

impl Bench {
    fn event(&self) -> Event {
        let until = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < until {
            if let Some(event) = self.inbox.next(Some(Duration::from_millis(100))) {
                return event;
            }
        }
        panic!("no answer");
    }
    fn told(&self) -> String {
        self.told.recv_timeout(PATIENCE).unwrap()
    }
}

#[test]
fn kick_goes_first_then_cut_then_the_rest_in_order() {
    let bench = bench(true);
    assert_eq!(bench.orders.give(Order::Open), None);
    assert_eq!(bench.orders.give(Order::Read), None);
    for wanted in ["open", "identify", "read"] {
        assert_eq!(bench.told(), wanted);
    }
    // The read is under way on a slow bus; everything else queues up behind it.
    for order in [
        Order::Close(0, Ticket(1), CloseProof::Solo),
        Order::TakeTicket(0),
        Order::Cut(0, CutState::Bypass),
        Order::Kick(Instant::ZERO),
    ] {
        assert_eq!(bench.orders.give(order), None);
    }
    bench.gate.send(()).unwrap();
    for wanted in ["kick", "cut", "close", "ticket"] {
        assert_eq!(bench.told(), wanted);
    }
    let answers: Vec<Event> = (0..6).map(|_| bench.event()).collect();
    assert!(matches!(
        answers[0],
        Event::ControllerOpened { outcome: Ok(_) }
    ));
    assert!(matches!(
        answers[1],
        Event::ControllerRead { outcome: Ok(_) }
    ));
    assert!(matches!(answers[2], Event::Kicked { outcome: Ok(()) }));
    assert!(matches!(
        answers[3],
        Event::SegmentCut {
            segment: 0,
            state: CutState::Bypass,
            ..
        }
    ));
    assert!(matches!(
        answers[4],
        Event::SegmentClosed { segment: 0, .. }
    ));
    assert!(matches!(answers[5], Event::TicketTaken { segment: 0, .. }));
}

#[test]
fn where_segments_are_left_is_noted_before_the_close_behind_it() {
    let bench = bench(true);
    let left = Left::from([("lan".to_owned(), RelayState::Normal)]);
    assert_eq!(bench.orders.give(Order::Open), None);
    assert_eq!(bench.orders.give(Order::RememberLeft(left.clone())), None);
    assert_eq!(
        bench
            .orders
            .give(Order::Close(0, Ticket(1), CloseProof::Solo)),
        None
    );
    while bench.told() != "close" {}
    assert_eq!(bench.left.read(), left);
}

#[test]
fn orders_before_opening_are_answered_with_a_fault() {
    let bench = bench(true);
    assert_eq!(bench.orders.give(Order::Kick(Instant::ZERO)), None);
    assert!(matches!(bench.event(), Event::Kicked { outcome: Err(_) }));
}

#[test]
fn opening_again_keeps_a_controller_that_answers() {
    let bench = bench(true);
    for _ in 0..2 {
        assert_eq!(bench.orders.give(Order::Open), None);
        assert!(matches!(
            bench.event(),
            Event::ControllerOpened { outcome: Ok(_) }
        ));
    }
    drop(bench.orders);
    bench.thread.join().unwrap();
    let told: Vec<String> = bench.told.iter().collect();
    assert_eq!(told, ["open", "identify", "identify"]);
}

#[test]
fn opening_again_replaces_a_controller_that_does_not_answer() {
    let bench = bench(false);
    for _ in 0..2 {
        assert_eq!(bench.orders.give(Order::Open), None);
        assert!(matches!(
            bench.event(),
            Event::ControllerOpened { outcome: Err(_) }
        ));
    }
    drop(bench.orders);
    bench.thread.join().unwrap();
    let told: Vec<String> = bench.told.iter().collect();
    assert_eq!(told, ["open", "identify", "identify", "open"]);
}

#[test]
fn a_full_queue_answers_at_once() {
    let bench = bench(true);
    assert_eq!(bench.orders.give(Order::Open), None);
    assert_eq!(bench.orders.give(Order::Read), None);
    while bench.told() != "read" {}
    let refused: Vec<Event> = (0..=ORDERS_MAX)
        .filter_map(|_| bench.orders.give(Order::Kick(Instant::ZERO)))
        .collect();
    assert_eq!(refused.len(), 1);
    assert!(matches!(refused[0], Event::Kicked { outcome: Err(_) }));
    bench.gate.send(()).unwrap();
}

#[test]
fn a_driver_that_panics_ends_in_faults_not_in_silence() {
    let bench = bench(true);
    assert_eq!(bench.orders.give(Order::Open), None);
    assert_eq!(bench.orders.give(Order::Arm(Duration::from_secs(1))), None);
    assert!(bench.thread.join().is_err());
    let answer = bench.orders.give(Order::Kick(Instant::ZERO));
    assert!(matches!(
        answer,
        Some(Event::Kicked {
            outcome: Err(Fault::Bus(_))
        })
    ));
}
