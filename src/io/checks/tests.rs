//! Checks against real listeners, programs and files. Waits are generous; nothing asserts a short time.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Instant as StdInstant;

use super::*;
use crate::io::inbox::inbox;
use crate::node::policy::CheckSeverity;

const PATIENCE: Duration = Duration::from_secs(30);

fn check(name: &str, interval: Duration, timeout: Duration, kind: CheckKind) -> Check {
    Check {
        name: name.to_owned(),
        severity: CheckSeverity::Failover,
        segments: Vec::new(),
        interval,
        timeout,
        rise: 1,
        fall: 1,
        kind,
    }
}

fn once(kind: CheckKind, timeout: Duration) -> Finding {
    let spec = check("test", PATIENCE, timeout, kind);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut round = Round {
        spec: Arc::new(spec),
        pending: None,
    };
    runtime.block_on(round.run())
}

fn shell(script: &str) -> CheckKind {
    CheckKind::Plugin {
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
    }
}

#[test]
fn plugins_speak_by_exit_code_and_first_line() {
    let table = [
        (
            "echo 'OK - fine|time=3ms'; exit 0",
            Verdict::Ok,
            "OK - fine",
        ),
        ("echo WARN; echo more; exit 1", Verdict::Warning, "WARN"),
        ("echo CRIT; exit 2", Verdict::Critical, "CRIT"),
        ("exit 3", Verdict::Unknown, ""),
        (
            "echo odd; exit 77",
            Verdict::Unknown,
            "exit code 77 is outside the convention (0 to 3): odd",
        ),
        ("kill -9 $$", Verdict::Unknown, "ended by signal 9: "),
    ];
    for (script, verdict, output) in table {
        assert_eq!(
            once(shell(script), PATIENCE),
            Finding::new(verdict, output),
            "{script}"
        );
    }
}

#[test]
fn a_plugin_that_is_not_there_is_unknown() {
    let finding = once(
        CheckKind::Plugin {
            argv: vec!["/nowhere/check_x".to_owned()],
        },
        PATIENCE,
    );
    assert_eq!(finding.verdict, Verdict::Unknown);
    assert!(
        finding.output.contains("/nowhere/check_x cannot be run"),
        "{}",
        finding.output
    );
}

#[test]
fn a_plugin_gets_none_of_the_managers_environment() {
    let finding = once(shell("env | sort | tr '\\n' ' '"), PATIENCE);
    for name in finding
        .output
        .split(' ')
        .filter_map(|item| item.split_once('='))
        .map(|item| item.0)
    {
        assert!(
            ["LC_ALL", "PATH", "PWD", "_", "SHLVL"].contains(&name),
            "{}",
            finding.output
        );
    }
}

#[test]
fn output_without_end_does_not_fill_memory_or_stop_the_plugin() {
    let finding = once(shell("yes x | head -c 5000000; exit 1"), PATIENCE);
    assert_eq!(finding, Finding::new(Verdict::Warning, "x"));
}

#[test]
fn a_child_that_keeps_the_pipe_does_not_keep_the_check() {
    let before = StdInstant::now();
    let finding = once(shell("echo OK; sleep 100 & exit 0"), PATIENCE);
    assert_eq!(finding, Finding::good("OK"));
    assert!(before.elapsed() < PATIENCE);
}

#[test]
fn a_hanging_plugin_is_killed_with_everything_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pids");
    let script = format!("sleep 1000 & echo $! $$ > {}; wait", file.display());
    let finding = once(shell(&script), Duration::from_secs(3));
    assert_eq!(finding.verdict, Verdict::Unknown);
    assert!(
        finding.output.contains("and was killed"),
        "{}",
        finding.output
    );
    let pids = fs::read_to_string(&file).unwrap();
    assert_eq!(pids.split_whitespace().count(), 2, "{pids}");
    for pid in pids.split_whitespace() {
        let until = StdInstant::now() + PATIENCE;
        while runs(pid) {
            assert!(StdInstant::now() < until, "process {pid} survived");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The orphan may stay a zombie where nobody collects it.
fn runs(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('Z')
    })
}

#[test]
fn tcp_tells_a_listener_from_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(
        once(CheckKind::Tcp { address }, PATIENCE).verdict,
        Verdict::Ok
    );
    drop(listener);
    let finding = once(CheckKind::Tcp { address }, PATIENCE);
    assert_eq!(finding.verdict, Verdict::Critical);
    assert!(
        finding.output.starts_with(&address.to_string()),
        "{}",
        finding.output
    );
}

fn answering(answer: &'static [u8]) -> CheckKind {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let read = stream.read(&mut request).unwrap();
        assert!(request[..read].starts_with(b"GET /health HTTP/1.1\r\nHost: "));
        stream.write_all(answer).unwrap();
    });
    CheckKind::Http {
        address,
        path: "/health".to_owned(),
        status: 200,
    }
}

#[test]
fn http_goes_by_status() {
    let table: [(&[u8], Verdict, &str); 4] = [
        (b"HTTP/1.1 200 OK\r\n\r\nhello", Verdict::Ok, "status 200"),
        (
            b"HTTP/1.0 302 Found\r\n\r\n",
            Verdict::Critical,
            "status 302",
        ),
        (
            b"HTTP/1.1 503 Busy\r\n\r\n",
            Verdict::Critical,
            "status 503 of /health",
        ),
        (
            b"220 mail ready\r\n",
            Verdict::Critical,
            "does not speak HTTP",
        ),
    ];
    for (answer, verdict, output) in table {
        let finding = once(answering(answer), PATIENCE);
        assert_eq!(finding.verdict, verdict, "{}", finding.output);
        assert!(finding.output.contains(output), "{}", finding.output);
    }
}

#[test]
fn a_server_that_never_answers_is_bad_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let target = CheckKind::Http {
        address,
        path: "/".to_owned(),
        status: 200,
    };
    let finding = once(target, Duration::from_millis(200));
    assert_eq!(finding, Finding::bad("no answer within 200 ms"));
}

#[test]
fn a_hanging_kernel_call_is_unknown_and_not_started_twice() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let kind = CheckKind::Memory {
        min_available_percent: 0,
    };
    let timeout = Duration::from_millis(100);
    let spec = check("test", timeout, timeout, kind);
    let (release, gate) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        let stuck = tokio::task::spawn_blocking(move || {
            gate.recv().unwrap();
            Finding::good("late")
        });
        let mut round = Round {
            spec: Arc::new(spec),
            pending: Some(stuck),
        };
        for _ in 0..2 {
            assert_eq!(
                round.run().await,
                Finding::unknown("the kernel did not answer within 100 ms")
            );
        }
        release.send(()).unwrap();
        let until = StdInstant::now() + PATIENCE;
        while round.run().await.output != "late" {
            assert!(StdInstant::now() < until);
        }
        assert_eq!(round.run().await.verdict, Verdict::Ok);
    });
}

#[test]
fn all_checks_report_at_once_and_again() {
    let (inlets, inbox) = inbox();
    inbox.attend();
    let specs = ["echo a", "echo b", "echo c"]
        .map(|script| check(script, Duration::from_millis(200), PATIENCE, shell(script)));
    start(specs.to_vec(), inlets.ordinary).unwrap();
    let mut counts = [0; 3];
    let until = StdInstant::now() + PATIENCE;
    while counts.iter().any(|count| *count < 3) {
        assert!(StdInstant::now() < until, "{counts:?}");
        if let Some(Event::CheckReported {
            check,
            verdict,
            output,
        }) = inbox.next(Some(Duration::from_millis(100)))
        {
            assert_eq!(
                (verdict, output.as_str()),
                (Verdict::Ok, ["a", "b", "c"][check])
            );
            counts[check] += 1;
        }
    }
}

#[test]
fn output_is_one_printable_line() {
    assert_eq!(printable("a\u{1b}[31mb\u{7}\nsecond"), "a[31mb");
    assert_eq!(printable(&"x".repeat(1000)).len(), OUTPUT_MAX);
}
