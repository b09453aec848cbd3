//! The socket from both ends: who is answered what, and which limits hold.

use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::{Duration, Instant};

use super::*;
use crate::control::{Answer, REQUEST_BYTES_MAX, Request};
use crate::control_client::{Client, ClientError};
use crate::io::desk::Note;
use crate::io::inbox::{Inbox, inbox};
use crate::io::mailbox::Outbox;
use crate::io::{desk, history};
use crate::node::{Command, Event, Fact, Level, Record, Stop};

const PATIENCE: Duration = Duration::from_secs(30);

/// The group of whoever runs these tests gets the right to change: they need no root.
fn own_group() -> String {
    let group = nix::unistd::Group::from_gid(nix::unistd::getegid()).unwrap();
    group.expect("the tests' own group has a name").name
}

struct Bench {
    path: PathBuf,
    inbox: Inbox,
    notes: Outbox<Note>,
    _directory: tempfile::TempDir,
}

fn bench() -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let (inlets, inbox) = inbox();
    inbox.attend();
    let front = Desk::open(directory.path());
    let (entries, health, _) =
        history::start(directory.path().to_owned(), inlets.ordinary.clone()).unwrap();
    let (notes, _) = desk::start(front.clone(), entries).unwrap();
    let spec = Spec {
        path: path.clone(),
        readers: "no-such-group".to_owned(),
        operators: own_group(),
        board: "test".to_owned(),
        vips: None,
    };
    start(spec, Snapshot::default(), front, health, inlets.ordinary).unwrap();
    Bench {
        path,
        inbox,
        notes,
        _directory: directory,
    }
}

impl Bench {
    fn event(&self) -> Event {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(event) = self.inbox.next(Some(Duration::from_millis(50))) {
                return event;
            }
        }
        panic!("no event");
    }

    fn record(&mut self, sequence: u64) {
        let record = Record {
            sequence,
            at: crate::node::Instant::ZERO,
            level: Level::Info,
            fact: Fact::ControllerBack,
        };
        self.notes.push(Note::Record(record)).unwrap();
    }
}

#[test]
fn anybody_may_connect_and_who_they_are_decides() {
    let bench = bench();
    let mode = fs::metadata(&bench.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666, "{mode:o}");
}

#[test]
fn versions_are_told_and_status_before_the_first_turn_is_refused() {
    let bench = bench();
    let mut client = Client::connect(&bench.path).unwrap();
    let Answer::Version { pid, .. } = client.ask(Request::Version).unwrap() else {
        panic!()
    };
    assert_eq!(pid, std::process::id());
    let error = client.ask(Request::Status).unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused(text) if text.contains("just starting")),
        "{error}"
    );
}

#[test]
fn an_order_reaches_the_node_with_its_actor_and_the_answer_comes_back() {
    let mut bench = bench();
    let path = bench.path.clone();
    let asker = std::thread::spawn(move || {
        let mut client = Client::connect(&path).unwrap();
        let command = Command::Acknowledge;
        let first = client.ask(Request::Command {
            command: command.clone(),
        });
        let second = client.ask(Request::Command { command });
        (first, second)
    });
    for answer in [
        Ok("2 alarms acknowledged".to_owned()),
        Err("not now".to_owned()),
    ] {
        let Event::OperatorRequested {
            request,
            actor,
            command,
        } = bench.event()
        else {
            panic!()
        };
        let own = nix::unistd::geteuid().as_raw();
        assert_eq!((actor.uid, command), (own, Command::Acknowledge));
        assert_eq!(actor.pid, i32::try_from(std::process::id()).unwrap());
        bench.notes.push(Note::Reply { request, answer }).unwrap();
    }
    let (first, second) = asker.join().unwrap();
    assert_eq!(
        first.unwrap(),
        Answer::Done("2 alarms acknowledged".to_owned())
    );
    assert!(matches!(second, Err(ClientError::Refused(text)) if text == "not now"));
}

#[test]
fn a_stop_names_its_kind() {
    let bench = bench();
    let mut client = Client::connect(&bench.path).unwrap();
    client
        .ask(Request::Stop {
            kind: Stop::Handover,
        })
        .unwrap();
    assert_eq!(
        bench.event(),
        Event::StopRequested {
            stop: Stop::Handover
        }
    );
}

#[test]
fn followers_get_what_was_and_what_comes() {
    let mut bench = bench();
    for sequence in 1..=3 {
        bench.record(sequence);
    }
    let path = bench.path.clone();
    let (saw, seen) = std::sync::mpsc::channel();
    let follower = std::thread::spawn(move || {
        let mut client = Client::connect(&path).unwrap();
        let request = Request::Events {
            follow: true,
            since: Some(1),
            limit: None,
        };
        client
            .events(request, |answer| {
                let Answer::Event(entry) = answer else {
                    panic!()
                };
                saw.send(entry.number).unwrap();
                if entry.number == 4 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
            .unwrap();
    });
    assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), 2);
    assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), 3);
    bench.record(4);
    assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), 4);
    follower.join().unwrap();

    let mut client = Client::connect(&bench.path).unwrap();
    let mut numbers = Vec::new();
    let request = Request::Events {
        follow: false,
        since: None,
        limit: Some(2),
    };
    client
        .events(request, |answer| {
            if let Answer::Event(entry) = answer {
                numbers.push(entry.number);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(numbers, [3, 4]);
}

#[test]
fn nonsense_is_refused_with_a_sentence_and_the_next_request_is_served() {
    let bench = bench();
    let mut stream = BufReader::new(StdUnixStream::connect(&bench.path).unwrap());
    let mut say = |line: &str| {
        stream.get_mut().write_all(line.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_line(&mut reply).unwrap();
        reply
    };
    for line in [
        "hello\n",
        "\n",
        "\u{0}\n",
        "{\"request\":\"reboot\"}\n",
        "{\"request\":\"version\",\"extra\":1}\n",
        "{\"request\":{\"command\":{\"command\":{\"command\":\"bypass\"}}}}\n",
    ] {
        let reply = say(line);
        assert!(
            reply.starts_with("{\"error\":\"not a request"),
            "{line:?}: {reply}"
        );
    }
    assert!(say("{\"request\":\"version\"}\n").starts_with("{\"ok\":{\"version\""));
    let reply = say(&"x".repeat(REQUEST_BYTES_MAX + 10));
    assert!(reply.contains("at most"), "{reply}");
    assert_eq!(bench.inbox.next(Some(Duration::ZERO)), None);
}

#[test]
fn places_are_limited_and_given_back() {
    let bench = bench();
    let mut open: Vec<StdUnixStream> = Vec::new();
    let until = Instant::now() + PATIENCE;
    let turned_away = loop {
        assert!(Instant::now() < until && open.len() < 200);
        let stream = StdUnixStream::connect(&bench.path).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let mut reply = String::new();
        if BufReader::new(&stream).read_line(&mut reply).is_ok() {
            break reply;
        }
        open.push(stream);
    };
    assert!(
        turned_away.contains("too many connections"),
        "{turned_away}"
    );
    assert!(open.len() <= CONNECTIONS_MAX);
    drop(open);
    loop {
        assert!(Instant::now() < until);
        let mut stream = BufReader::new(StdUnixStream::connect(&bench.path).unwrap());
        let _turned_away = stream.get_mut().write_all(b"{\"request\":\"version\"}\n");
        let mut reply = String::new();
        if stream.read_line(&mut reply).is_ok() && !reply.contains("too many") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn without_an_agent_the_client_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    assert!(matches!(
        Client::connect(&path),
        Err(ClientError::NoAgent { .. })
    ));
    // A socket whose agent died.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(
        Client::connect(&path),
        Err(ClientError::NoAgent { .. })
    ));
    // And a new agent takes its place.
    listen(&path).unwrap();
}
