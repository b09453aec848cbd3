use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver as Heard, channel};

use super::*;
use crate::io::stand_in;

const LONG: Duration = Duration::from_secs(60);

/// A program of the convention, in a folder of its own; `$action` is what it was told to do.
struct Program {
    folder: tempfile::TempDir,
    orders: Outbox<ExternalOrder>,
    heard: Heard<ExternalReport>,
    thread: JoinHandle<()>,
}

impl Program {
    fn start(script: &str, limit: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("fence_fake");
        let text = format!(
            "#!/bin/sh\ncd {}\ncat > input\n. ./input\necho $action >> log\n{script}\n",
            folder.path().display()
        );
        stand_in::write(&program, &text);
        let options = [("ip".to_owned(), "198.51.100.12".to_owned())];
        let secrets = folder.path().join("secrets");
        std::fs::write(&secrets, "password=open-sesame\n").unwrap();
        std::fs::set_permissions(&secrets, std::fs::Permissions::from_mode(0o600)).unwrap();
        let spec = ExternalSpec {
            program,
            options: BTreeMap::from(options),
            secrets: Some(secrets),
            limit,
        };
        Self::with(folder, spec)
    }

    fn with(folder: tempfile::TempDir, spec: ExternalSpec) -> Self {
        let (sender, heard) = channel();
        let (orders, thread) = start(spec, move |report| {
            let _gone = sender.send(report);
        })
        .unwrap();
        Self {
            folder,
            orders,
            heard,
            thread,
        }
    }

    fn tell(&mut self, order: ExternalOrder) {
        self.orders.push(order).unwrap();
    }

    fn next(&self) -> ExternalReport {
        self.heard.recv_timeout(LONG).unwrap()
    }

    fn fence(&mut self) -> FenceReport {
        self.tell(ExternalOrder::Off { nonce: 7 });
        match self.next() {
            ExternalReport::Off { nonce: 7, outcome } => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn probe(&mut self) -> Result<Probed, String> {
        self.tell(ExternalOrder::Probe);
        match self.next() {
            ExternalReport::Probed(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the program has noted this action.
    fn wait_log(&self, action: &str) {
        let until = Instant::now() + LONG;
        while !self.log().lines().any(|line| line == action) {
            assert!(Instant::now() < until, "never told to `{action}`");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn end(self) -> tempfile::TempDir {
        drop(self.orders);
        self.thread.join().unwrap();
        self.folder
    }
}

/// Power that does what it is told.
const HONEST: &str =
    "case $action in off) touch gone;; status) [ -e gone ] && exit 2; exit 0;; *) exit 1;; esac";

fn unknown(report: FenceReport) -> String {
    match report {
        FenceReport::Unknown(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn off_is_confirmed_by_a_status_that_says_off() {
    let mut program = Program::start(HONEST, LONG);
    assert_eq!(program.probe(), Ok(Probed::Works));
    assert_eq!(program.fence(), FenceReport::Confirmed);
    assert_eq!(program.probe(), Ok(Probed::PeerOff));
    assert_eq!(program.log(), "status\noff\nstatus\nstatus\n");
    let folder = program.end();
    let told = std::fs::read_to_string(folder.path().join("input")).unwrap();
    assert_eq!(
        told,
        "ip=198.51.100.12\npassword=open-sesame\naction=status\n"
    );
}

#[test]
fn a_program_that_lies_confirms_nothing() {
    let mut program = Program::start("exit 0", LONG);
    let why = unknown(program.fence());
    assert!(why.contains("`status` says that the power is on"), "{why}");
    program.end();
}

#[test]
fn a_program_that_fails_says_why() {
    let mut program = Program::start("echo 'cannot reach the BMC' >&2; exit 1", LONG);
    let why = unknown(program.fence());
    assert_eq!(why, "`off` ended with exit status: 1: cannot reach the BMC");
    assert_eq!(program.log(), "off\n", "status was asked after a failure");
    let why = program.probe().unwrap_err();
    assert!(why.ends_with("cannot reach the BMC"), "{why}");
    program.end();
}

#[test]
fn a_program_that_hangs_is_killed_with_its_children() {
    let script = "sleep 600 & echo $! > child; wait";
    let mut program = Program::start(script, Duration::from_millis(700));
    let why = unknown(program.fence());
    assert_eq!(why, "`off` was not done within 700 ms and was killed");
    let folder = program.end();
    let child = std::fs::read_to_string(folder.path().join("child")).unwrap();
    let gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        stat.map_or(true, |stat| stat.contains(") Z "))
    };
    let until = Instant::now() + LONG;
    while !gone() {
        assert!(Instant::now() < until, "its child lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_program_that_complains_without_end_does_not_stop_at_a_full_pipe() {
    let script =
        "head -c 300000 /dev/zero | tr '\\0' x >&2; echo >&2; echo 'last words' >&2; exit 1";
    let mut program = Program::start(script, LONG);
    assert!(unknown(program.fence()).ends_with(": last words"));
    program.end();
}

#[test]
fn what_cannot_be_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let spec = |program: &Path, secrets| ExternalSpec {
        program: program.to_owned(),
        options: BTreeMap::new(),
        secrets,
        limit: LONG,
    };
    let absent = spec(Path::new("/nonexistent/fence"), None);
    let mut program = Program::with(folder, absent);
    let FenceReport::Refused(why) = program.fence() else {
        panic!("not refused");
    };
    assert!(why.contains("/nonexistent/fence cannot be run"), "{why}");
    let folder = program.end();
    let secrets = Some(folder.path().join("none"));
    let mut program = Program::with(folder, spec(Path::new("/bin/true"), secrets));
    assert!(matches!(program.fence(), FenceReport::Refused(why) if why.contains("secrets file")));
    program.end();
}

#[test]
fn a_fence_does_not_wait_for_a_proof() {
    let script = format!("[ $action = status ] && [ ! -e gone ] && sleep 600\n{HONEST}");
    let mut program = Program::start(&script, LONG);
    program.tell(ExternalOrder::Probe);
    program.wait_log("status");
    assert_eq!(program.fence(), FenceReport::Confirmed);
    // The proof that was interrupted is made up for.
    assert_eq!(program.next(), ExternalReport::Probed(Ok(Probed::PeerOff)));
    program.end();
}

#[test]
fn what_is_called_off_is_killed_and_what_has_not_begun_never_runs() {
    let mut program = Program::start("[ $action = off ] && sleep 600; exit 0", LONG);
    program.tell(ExternalOrder::Off { nonce: 1 });
    program.wait_log("off");
    program.tell(ExternalOrder::Off { nonce: 2 });
    program.tell(ExternalOrder::CallOff);
    let told = [program.next(), program.next(), program.next()];
    let running = FenceReport::Unknown("called off while it ran".to_owned());
    let waiting = FenceReport::Refused("called off before it ran".to_owned());
    let off = |nonce, outcome| ExternalReport::Off { nonce, outcome };
    assert_eq!(
        told,
        [off(1, running), off(2, waiting), ExternalReport::CalledOff]
    );
    assert_eq!(program.log(), "off\n");
    program.end();
}
