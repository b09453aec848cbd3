//! The whole agent in one process: the real node, all threads, a board that is a few lines of memory, asked
//! and ordered over its real socket.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::agent::setup::{Memory, Setup};
use crate::board::controller::{
    ArmProof, Armed, Controller, CutState, DeadManReading, Evidence, Fault, Identity, Latch, Moved,
    Reading, RelayState, SegmentReading, SegmentSettings, Ticket,
};
use crate::config::{Check, CheckKind};
use crate::control::{AgentStatus, Answer, Request};
use crate::control_client::Client;
use crate::io::realtime::Priority;
use crate::node::policy::{
    Arming, CheckPolicy, CheckSeverity, Commissioning, DeadManPolicy, ReadBackPolicy, SegmentPolicy,
};
use crate::node::{Command, Instant as NodeInstant, Policy, Saved, Stop};

const PATIENCE: Duration = Duration::from_secs(60);
const PERIOD: Duration = Duration::from_secs(20);

/// The relay and its timer.
struct Hardware {
    relay: RelayState,
    dead_man: DeadManReading,
    moves: u32,
    kicks: u32,
}

#[derive(Clone)]
struct Memorised(Arc<Mutex<Hardware>>);

impl Memorised {
    fn new() -> Self {
        let dead_man = DeadManReading::Disarmed;
        let relay = RelayState::Bypass;
        Self(Arc::new(Mutex::new(Hardware {
            relay,
            dead_man,
            moves: 0,
            kicks: 0,
        })))
    }

    fn look<T>(&self, look: impl FnOnce(&mut Hardware) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    fn reading(&self) -> SegmentReading {
        SegmentReading {
            state: self.look(|board| board.relay),
            evidence: Evidence::Contacts,
        }
    }

    fn go(&self, to: RelayState) -> Moved {
        let before = self.reading().state;
        self.look(|board| {
            board.relay = to;
            board.moves += u32::from(before != to);
        });
        Moved {
            before,
            after: self.reading(),
            commanded: before != to,
        }
    }
}

impl Controller for Memorised {
    fn identify(&mut self) -> Result<Identity, Fault> {
        Ok(Identity {
            model: "memory".to_owned(),
            ..Identity::default()
        })
    }
    fn read(&mut self) -> Result<Reading, Fault> {
        Ok(Reading {
            segments: vec![self.reading()],
            dead_man: self.look(|board| board.dead_man),
            latch: Latch::Absent,
            generation: 0,
        })
    }
    fn configure(&mut self, _: &[SegmentSettings]) -> Result<(), Fault> {
        Ok(())
    }
    fn arm(&mut self, period: Duration) -> Result<Armed, Fault> {
        self.look(|board| {
            board.dead_man = DeadManReading::Running {
                period,
                remaining: None,
            }
        });
        Ok(Armed {
            effective: period,
            proof: ArmProof::ReadBack,
        })
    }
    fn kick(&mut self, _: NodeInstant) -> Result<(), Fault> {
        self.look(|board| board.kicks += 1);
        Ok(())
    }
    fn disarm(&mut self) -> Result<(), Fault> {
        self.look(|board| board.dead_man = DeadManReading::Disarmed);
        Ok(())
    }
    fn take_ticket(&mut self) -> Result<Ticket, Fault> {
        Ok(Ticket(1))
    }
    fn close(&mut self, _: usize, _: Ticket) -> Result<Moved, Fault> {
        Ok(self.go(RelayState::Normal))
    }
    fn cut(&mut self, _: usize, state: CutState) -> Result<Moved, Fault> {
        Ok(self.go(state.into()))
    }
}

fn policy() -> Policy {
    Policy {
        pair: None,
        segments: vec![SegmentPolicy {
            name: "lan".to_owned(),
            fail: CutState::Bypass,
            settings: SegmentSettings::default(),
            dwell: Duration::from_millis(50),
            relink: Duration::ZERO,
            closes_per_hour_max: 20,
            read_back: ReadBackPolicy::Required,
        }],
        checks: vec![CheckPolicy {
            name: "process".to_owned(),
            severity: CheckSeverity::Failover,
            segments: vec![0],
            rise: 1,
            fall: 1,
            carrier: crate::node::policy::CarrierRole::None,
            stale_after: PATIENCE,
        }],
        dead_man: DeadManPolicy {
            arming: Arming::Required,
            period: PERIOD,
            kick_every: Duration::from_millis(50),
        },
        watchdog: None,
        read_every: Duration::from_millis(100),
        commissioning: Commissioning::Done,
    }
}

/// The group of whoever runs these tests gets the right to change: they need no root.
fn own_group() -> String {
    let group = nix::unistd::Group::from_gid(nix::unistd::getegid()).unwrap();
    group.expect("the tests' own group has a name").name
}

struct Place {
    directory: tempfile::TempDir,
    board: Memorised,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            board: Memorised::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn setup(&self, record: Option<&str>) -> Setup {
        let board = self.board.clone();
        let alive = self.path("alive.pid");
        std::fs::write(&alive, std::process::id().to_string()).unwrap();
        Setup {
            board: "memory".to_owned(),
            policy: policy(),
            opener: Box::new(move || Ok(Box::new(board.clone()))),
            checks: vec![Check {
                name: "process".to_owned(),
                severity: CheckSeverity::Failover,
                segments: Vec::new(),
                interval: Duration::from_millis(200),
                timeout: PATIENCE,
                rise: 1,
                fall: 1,
                kind: CheckKind::Pidfile { path: alive },
            }],
            watchdog: None,
            socket: control::Spec {
                path: self.path("control.sock"),
                readers: "no-such-group".to_owned(),
                operators: own_group(),
                board: "memory".to_owned(),
                vips: None,
            },
            state_directory: self.path("state"),
            run_directory: self.path("run"),
            control_priority: Priority::NORMAL,
            bus_priority: Priority::NORMAL,
            memory: Memory::Pageable,
            record: record.map(|name| self.path(name)),
            pair: None,
        }
    }

    fn start(&self, record: Option<&str>) -> JoinHandle<anyhow::Result<ExitReason>> {
        let setup = self.setup(record);
        std::thread::spawn(move || run(setup))
    }

    fn ask(&self, request: Request) -> Answer {
        let until = Instant::now() + PATIENCE;
        loop {
            // The socket is there a moment after the agent.
            match Client::connect(&self.path("control.sock"))
                .and_then(|mut c| c.ask(request.clone()))
            {
                Ok(answer) => return answer,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn status(&self, wanted: impl Fn(&AgentStatus) -> bool) -> AgentStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            let Answer::Status(status) = self.ask(Request::Status) else {
                panic!()
            };
            if wanted(&status) {
                return *status;
            }
            assert!(Instant::now() < until, "{status:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn relay_reads(&self, wanted: RelayState) -> AgentStatus {
        self.status(|status| status.node.segments[0].state == wanted)
    }
}

#[test]
fn boots_to_normal_obeys_and_stops_cut() {
    let place = Place::new();
    let agent = place.start(Some("recording.jsonl"));
    let status = place.relay_reads(RelayState::Normal);
    assert_eq!(status.board, "memory");
    assert_eq!(status.control_loop.realtime, Grant::NotAsked);
    assert!(place.board.look(|board| board.kicks) > 0);

    // A second agent leaves before it touches anything.
    let error = run(place.setup(None)).unwrap_err().to_string();
    assert!(error.contains("another agent is running"), "{error}");

    let force = |state| Request::Command {
        command: Command::Bypass {
            segment: "lan".to_owned(),
            state,
        },
    };
    assert!(matches!(
        place.ask(force(Some(RelayState::Bypass))),
        Answer::Done(_)
    ));
    place.relay_reads(RelayState::Bypass);
    let saved = ledger::load(&place.path("state"));
    assert!(
        matches!(&saved, Saved::State(state) if state.forced.contains_key("lan")),
        "{saved:?}"
    );
    place.ask(force(None));
    place.relay_reads(RelayState::Normal);

    place.ask(Request::Stop {
        kind: Stop::Ordered,
    });
    assert_eq!(
        agent.join().unwrap().unwrap(),
        ExitReason::Stopped(Stop::Ordered)
    );
    assert_eq!(place.board.look(|board| board.relay), RelayState::Bypass);
    assert_eq!(
        place.board.look(|board| board.dead_man),
        DeadManReading::Disarmed
    );

    let history = std::fs::read_to_string(place.path("state/events.jsonl")).unwrap();
    for fact in ["\"started\"", "\"closed\"", "\"cut\"", "\"stopping\""] {
        assert!(history.contains(fact), "{fact}: {history}");
    }
    let recording = std::fs::File::open(place.path("recording.jsonl")).unwrap();
    let mut printed = Vec::new();
    let recording = std::io::BufReader::new(recording);
    let replayed = crate::replay::replay(recording, &mut printed).unwrap();
    assert_eq!(replayed.cut_short, None);
    let printed = String::from_utf8(printed).unwrap();
    assert_eq!(printed.matches("-> {\"close\"").count(), 2, "{printed}");
    assert!(printed.trim_end().ends_with("-> \"exit\""), "{printed}");
}

#[test]
fn a_handover_moves_no_relay_and_the_successor_adopts_it() {
    let place = Place::new();
    let first = place.start(None);
    place.relay_reads(RelayState::Normal);
    let moves = place.board.look(|board| board.moves);
    place.ask(Request::Stop {
        kind: Stop::Handover,
    });
    assert_eq!(
        first.join().unwrap().unwrap(),
        ExitReason::Stopped(Stop::Handover)
    );
    assert!(matches!(
        place.board.look(|board| board.dead_man),
        DeadManReading::Running { .. }
    ));

    let kicks = place.board.look(|board| board.kicks);
    let second = place.start(None);
    place.status(|status| {
        status.node.segments[0].state == RelayState::Normal && status.node.dead_man.verified
    });
    let until = Instant::now() + PATIENCE;
    while place.board.look(|board| board.kicks) == kicks {
        assert!(Instant::now() < until, "the successor does not kick");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(place.board.look(|board| board.moves), moves);
    place.ask(Request::Stop {
        kind: Stop::Ordered,
    });
    second.join().unwrap().unwrap();
}

#[test]
fn an_agent_without_a_disk_holds_its_relays_and_says_so() {
    let place = Place::new();
    // A file where the directory should be: nothing can be written there, by root either.
    std::fs::write(place.path("state"), "in the way").unwrap();
    let agent = place.start(None);
    place.relay_reads(RelayState::Normal);
    place.status(|status| {
        matches!(
            status.history,
            crate::control::HistoryHealth::Failing { .. }
        ) && status.node.ledger_fault.is_some()
    });
    place.ask(Request::Stop {
        kind: Stop::Ordered,
    });
    agent.join().unwrap().unwrap();
    assert_eq!(place.board.look(|board| board.relay), RelayState::Bypass);
}
