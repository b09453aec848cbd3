//! The loop with a scripted decider: order of effects, lateness, answers to what cannot be handed over.

use std::sync::{Arc, Mutex};
use std::thread;

use super::*;
use crate::board::bus::BusError;
use crate::board::controller::Fault;
use crate::io::controller_thread;
use crate::io::desk::Note;
use crate::io::inbox::{Inlets, inbox};
use crate::io::ledger::Save;
use crate::io::left::LeftNote;
use crate::io::mailbox::{Outbox, Received, Receiver, mailbox};
use crate::io::realtime::{Grant, Priority};
use crate::node::policy::{Arming, Commissioning, DeadManPolicy};
use crate::node::status::{DeadManStatus, Summary};
use crate::node::{PersistentState, Policy, Saved, Service};

pub(super) fn policy() -> Policy {
    Policy {
        pair: None,
        segments: Vec::new(),
        checks: Vec::new(),
        dead_man: DeadManPolicy {
            arming: Arming::Absent,
            period: Duration::from_secs(1),
            kick_every: Duration::from_millis(300),
        },
        watchdog: None,
        read_every: Duration::from_secs(1),
        commissioning: Commissioning::Done,
    }
}

fn empty_status(at: Instant) -> Status {
    Status {
        pair: None,
        at,
        summary: Summary::Green,
        reasons: Vec::new(),
        identity: None,
        controller_fault: None,
        segments: Vec::new(),
        dead_man: DeadManStatus {
            arming: Arming::Absent,
            period: Duration::from_secs(1),
            reading: crate::board::DeadManReading::Absent,
            verified: false,
            kicked_at: None,
        },
        watchdog: None,
        checks: Vec::new(),
        maintenance: None,
        disarmed: None,
        commissioning: Commissioning::Done,
        ledger_fault: None,
        alarms: Vec::new(),
    }
}

type Script = Box<dyn FnMut(&Event) -> Vec<Action> + Send>;
type Seen = Arc<Mutex<Vec<Event>>>;

/// Answers each event by what the script says, notes it, and keeps one deadline.
struct Scripted {
    script: Script,
    seen: Seen,
    actions: VecDeque<Action>,
    deadline: Option<Instant>,
    /// A defective decider does not move its deadline when told of it.
    moves_deadline: bool,
    timeouts: u32,
    timeouts_until_exit: Option<u32>,
}

impl Decide for Scripted {
    fn handle(&mut self, _: Instant, event: Event) {
        self.actions.extend((self.script)(&event));
        self.seen.lock().unwrap().push(event);
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.timeouts += 1;
        if self.moves_deadline {
            self.deadline = Some(now + Duration::from_millis(5));
        }
        if Some(self.timeouts) == self.timeouts_until_exit {
            self.actions.push_back(Action::Exit);
        }
    }
    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
    fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
    fn status(&self, now: Instant) -> Status {
        empty_status(now)
    }
}

struct Bench {
    agent: Agent<Scripted>,
    seen: Seen,
    inlets: Inlets,
    notes: Receiver<Note>,
    saves: Receiver<Save>,
    words: Receiver<Service>,
    snapshot: Snapshot,
    _directory: tempfile::TempDir,
}

fn absent() -> Fault {
    let (what, advice) = ("board".to_owned(), "none".to_owned());
    Fault::Bus(BusError::Absent { what, advice })
}

fn bench(script: impl FnMut(&Event) -> Vec<Action> + Send + 'static) -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let (inlets, inbox) = inbox();
    let (controller, _) = controller_thread::start(
        "test",
        Box::new(|| Err(absent())),
        LeftNote::at(&directory.path().join("left.json")),
        inlets.urgent.clone(),
        Priority::NORMAL,
    )
    .unwrap();
    let (ledger, saves) = mailbox(8);
    let (desk, notes) = mailbox(8);
    let (manager, words) = mailbox(8);
    let seen = Seen::default();
    let snapshot = Snapshot::default();
    let agent = Agent {
        node: Scripted {
            script: Box::new(script),
            seen: Arc::clone(&seen),
            actions: VecDeque::new(),
            deadline: None,
            moves_deadline: true,
            timeouts: 0,
            timeouts_until_exit: None,
        },
        inbox,
        hands: Hands {
            controller,
            watchdog: None,
            ledger: Outbox::new(ledger),
            desk: Outbox::new(desk),
            manager: Outbox::new(manager),
            pair: None,
            dropped: 0,
        },
        snapshot: snapshot.clone(),
        stats: LoopStats::new(Grant::NotAsked, Grant::NotAsked),
        recorder: None,
    };
    Bench {
        agent,
        seen,
        inlets,
        notes,
        saves,
        words,
        snapshot,
        _directory: directory,
    }
}

fn started() -> Event {
    Event::Started {
        saved: Saved::Nothing,
        left: std::collections::BTreeMap::new(),
    }
}

fn reply(request: u64) -> Action {
    Action::Reply {
        request,
        answer: Ok(String::new()),
    }
}

#[test]
fn actions_are_carried_out_in_order_up_to_the_exit_and_not_beyond() {
    let bench = bench(|_| {
        vec![
            Action::Persist {
                sequence: 7,
                state: PersistentState::default(),
            },
            reply(1),
            Action::Tell(Service::Ready),
            reply(2),
            Action::Exit,
            reply(3),
        ]
    });
    assert_eq!(bench.agent.run(started()), ExitReason::Ended);
    assert!(matches!(
        bench.saves.take(None),
        Received::Item(Save { sequence: 7, .. })
    ));
    assert_eq!(bench.words.take(None), Received::Item(Service::Ready));
    for wanted in 1..=2 {
        let Received::Item(Note::Reply { request, .. }) = bench.notes.take(None) else {
            panic!()
        };
        assert_eq!(request, wanted);
    }
    assert_eq!(bench.notes.take(None), Received::Closed);
}

#[test]
fn an_order_comes_back_as_its_answer() {
    let bench = bench(|event| match event {
        Event::Started { .. } => vec![Action::Open],
        Event::ControllerOpened { .. } => vec![Action::Exit],
        _ => Vec::new(),
    });
    bench.agent.run(started());
    let seen = bench.seen.lock().unwrap();
    assert_eq!(
        seen[1],
        Event::ControllerOpened {
            outcome: Err(absent())
        }
    );
}

#[test]
fn what_cannot_be_handed_over_is_answered_at_once() {
    let mut answers = 0;
    let bench = bench(move |event| match event {
        Event::Started { .. } => vec![
            Action::OpenWatchdog,
            Action::Keepalive,
            Action::ReleaseWatchdog,
            Action::Persist {
                sequence: 9,
                state: PersistentState::default(),
            },
        ],
        _ => {
            answers += 1;
            if answers == 3 {
                vec![Action::Exit]
            } else {
                Vec::new()
            }
        }
    });
    drop(bench.saves);
    bench.agent.run(started());
    let seen = bench.seen.lock().unwrap();
    assert!(matches!(
        &seen[1],
        Event::WatchdogOpened { outcome: Err(_) }
    ));
    assert!(matches!(&seen[2], Event::KeepaliveSent { outcome: Err(_) }));
    assert!(matches!(
        &seen[3],
        Event::Persisted {
            sequence: 9,
            outcome: Err(_)
        }
    ));
}

#[test]
fn what_nobody_reads_is_dropped_and_counted() {
    let bench = bench(|_| {
        let mut actions: Vec<Action> = (0..1000).map(reply).collect();
        actions.push(Action::Exit);
        actions
    });
    bench.agent.run(started());
    // The queue holds 8 and the loop's own backlog as many.
    let dropped = bench.snapshot.latest().unwrap().stats.dropped;
    assert!((984..1000).contains(&dropped), "{dropped}");
}

#[test]
fn the_way_it_was_stopped_is_the_way_it_ended() {
    for stop in [Stop::Ordered, Stop::Handover] {
        let bench = bench(|event| match event {
            Event::StopRequested { .. } => vec![Action::Exit],
            _ => Vec::new(),
        });
        bench
            .inlets
            .ordinary
            .tell(Event::StopRequested { stop })
            .unwrap();
        assert_eq!(bench.agent.run(started()), ExitReason::Stopped(stop));
    }
}

#[test]
fn lateness_is_measured_from_the_deadline() {
    let mut bench = bench(|_| Vec::new());
    // Due a second before the loop begins: at least that late, however slow this machine is.
    bench.agent.node.deadline = Some(Clock.now() - Duration::from_secs(1));
    bench.agent.node.timeouts_until_exit = Some(20);
    bench.agent.run(started());
    let stats = bench.snapshot.latest().unwrap().stats.clone();
    assert_eq!(stats.deadlines, 20);
    assert!(stats.worst_late_us >= 1_000_000, "{stats:?}");
    assert_eq!(stats.late_counts.iter().sum::<u64>(), 20);
    assert!(stats.last_late_us < stats.worst_late_us, "{stats:?}");
}

#[test]
fn a_deadline_that_never_moves_does_not_make_the_loop_spin() {
    let mut bench = bench(|_| Vec::new());
    bench.agent.node.deadline = Some(Clock.now());
    bench.agent.node.moves_deadline = false;
    bench.agent.node.timeouts_until_exit = Some(200);
    let before = std::time::Instant::now();
    bench.agent.run(started());
    // A lower bound: 200 turns with a pause of 1 ms between them.
    assert!(
        before.elapsed() >= Duration::from_millis(150),
        "{:?}",
        before.elapsed()
    );
}

#[test]
fn deadlines_are_met_under_a_flood_of_events() {
    let mut bench = bench(|_| Vec::new());
    bench.agent.node.deadline = Some(Clock.now());
    bench.agent.node.timeouts_until_exit = Some(20);
    let inlet = bench.inlets.ordinary.clone();
    let flood = thread::spawn(move || {
        let event = Event::Persisted {
            sequence: 0,
            outcome: Ok(()),
        };
        let until = std::time::Instant::now() + Duration::from_secs(30);
        // Ends when the loop has ended and its end of the queue is gone, which reads as behind for ever.
        let mut refused = 0;
        while refused < 10_000_000 && std::time::Instant::now() < until {
            refused = if inlet.tell(event.clone()).is_ok() {
                0
            } else {
                refused + 1
            };
        }
    });
    bench.agent.run(started());
    assert!(bench.seen.lock().unwrap().len() > 1);
    drop(flood);
}

#[test]
fn a_recording_holds_every_event_and_deadline() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recording.jsonl");
    let (recorder, writer) =
        crate::io::recorder::start(&path, policy(), Instant::from_millis(5)).unwrap();
    let mut bench = bench(|_| Vec::new());
    bench.agent.recorder = Some(recorder);
    bench.agent.node.deadline = Some(Clock.now());
    bench.agent.node.timeouts_until_exit = Some(3);
    bench.agent.run(started());
    writer.join().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let timeouts = text
        .lines()
        .filter(|line| line.starts_with("{\"timeout\""))
        .count();
    let events = text
        .lines()
        .filter(|line| line.starts_with("{\"event\""))
        .count();
    assert_eq!((timeouts, events), (3, 1), "{text}");
    assert!(text.starts_with("{\"begin\""), "{text}");
}
