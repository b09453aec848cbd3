//! The client against a board that the test plays on a real socket.

use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use super::*;
use crate::board::script::ScriptClock;

/// Answers each request from `answers`, in order, and returns what was asked.
fn board(answers: Vec<Reply>) -> (tempfile::TempDir, JoinHandle<Vec<Request>>) {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("board")).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        for answer in answers {
            let Some(request) = read_frame(&mut stream).unwrap() else {
                break;
            };
            asked.push(request);
            write_frame(&mut stream, &answer).unwrap();
        }
        asked
    });
    (dir, server)
}

fn connect(dir: &tempfile::TempDir, adapter: Adapter) -> RemoteBoard {
    let clock = ScriptClock::new();
    RemoteBoard::connect(&dir.path().join("board"), adapter, move || clock.boxed()).unwrap()
}

fn names() -> Reply {
    Reply::Names(vec!["KICK".to_owned(), "COIL".to_owned()])
}

fn line(name: &str, active: Active) -> LineRef {
    LineRef {
        name: name.to_owned(),
        active,
    }
}

#[test]
fn outputs_are_taken_at_the_level_they_have() {
    let (dir, server) = board(vec![
        names(),
        Reply::Done,
        Reply::Levels(vec![true]),
        Reply::Done,
        Reply::Done,
        Reply::Levels(vec![false]),
        Reply::Done,
    ]);
    let mut wiring = connect(&dir, Adapter::Plain);
    let mut coil = wiring.outputs(&[line("COIL", Active::Low)]).unwrap();
    coil.set(&[true]).unwrap();
    assert_eq!(coil.get(), Ok(vec![true]));
    drop(coil);
    drop(wiring);
    let take = |mode| Request::RequestLines {
        lines: vec![LineRequest { line: 1, mode }],
    };
    assert_eq!(
        server.join().unwrap(),
        [
            Request::LineNames,
            take(LineMode::Input),
            Request::GetLines { lines: vec![1] },
            take(LineMode::Output { level: true }),
            Request::SetLines {
                values: vec![(1, false)]
            },
            Request::GetLines { lines: vec![1] },
            Request::ReleaseLines { lines: vec![1] },
        ]
    );
}

#[test]
fn a_held_line_is_named() {
    let busy = Reply::Failed(Fault::Busy { line: 1 });
    let (dir, server) = board(vec![names(), busy, Reply::Done]);
    let mut wiring = connect(&dir, Adapter::Plain);
    let error = wiring
        .inputs(&[line("COIL", Active::High)])
        .map(drop)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "GPIO line COIL is held by another process: is a second agent running?"
    );
    server.join().unwrap();
}

#[test]
fn a_line_the_board_does_not_have_is_refused_with_those_it_has() {
    let (dir, server) = board(vec![names()]);
    let mut wiring = connect(&dir, Adapter::Plain);
    let error = wiring
        .inputs(&[line("X", Active::High)])
        .map(drop)
        .unwrap_err();
    assert!(
        error.to_string().ends_with("the board has: KICK, COIL"),
        "{error}"
    );
    server.join().unwrap();
}

#[test]
fn transactions_and_their_faults_cross_the_socket() {
    let (dir, server) = board(vec![
        names(),
        Reply::I2c {
            read: vec![vec![0x92, 0x01]],
        },
        Reply::Failed(Fault::Nack),
        Reply::Failed(Fault::Stuck),
        Reply::I2c {
            read: vec![vec![1]],
        },
    ]);
    let mut wiring = connect(&dir, Adapter::Plain);
    let mut bus = wiring.smbus(&AdapterRef::Name("any".to_owned())).unwrap();
    assert_eq!(bus.read_word_data(0x37, 0x12), Ok(0x0192));
    assert!(matches!(
        bus.send_byte(0x73, 1),
        Err(BusError::Nack { address: 0x73, .. })
    ));
    assert!(matches!(
        bus.send_byte(0x73, 1),
        Err(BusError::Timeout { .. })
    ));
    let short = bus.read_word_data(0x37, 0x12).unwrap_err();
    assert!(short.to_string().contains("another question"), "{short}");
    let asked = server.join().unwrap();
    let operations = vec![I2cOperation::Write(vec![0x12]), I2cOperation::Read(2)];
    assert_eq!(
        asked[1],
        Request::I2c {
            bus: 0,
            address: 0x37,
            operations
        }
    );
}

#[test]
fn a_board_without_blocks_says_so_before_asking() {
    let (dir, server) = board(vec![names()]);
    let mut wiring = connect(&dir, Adapter::WithoutBlocks);
    let mut bus = wiring.smbus(&AdapterRef::Name("any".to_owned())).unwrap();
    let error = bus
        .block_read(0x42, 0, crate::board::bus::Pec::Checked)
        .unwrap_err();
    assert!(matches!(error, BusError::Unsupported { .. }), "{error}");
    assert_eq!(server.join().unwrap().len(), 1);
}

#[test]
fn a_board_that_dies_fails_every_call() {
    let (dir, server) = board(vec![names()]);
    let mut wiring = connect(&dir, Adapter::Plain);
    server.join().unwrap();
    let mut bus = wiring.smbus(&AdapterRef::Name("any".to_owned())).unwrap();
    for _ in 0..2 {
        assert!(matches!(bus.send_byte(0x73, 1), Err(BusError::Io { .. })));
    }
}
