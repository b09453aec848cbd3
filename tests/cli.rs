//! The program as people and scripts meet it: the built binary, its output and its exit codes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "support/board_server.rs"]
mod board_server;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use board_server::BoardServer;
use fencepost::board::{RelayState, catalogue};
use tempfile::TempDir;

/// For anything that must happen; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

fn fencepost(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fencepost"))
        .args(arguments)
        .env_remove("SUDO_USER")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn expect(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}\n{}",
        out(output),
        err(output)
    );
}

/// A site in a directory of its own, with a virtual board.
struct Place {
    directory: TempDir,
    board: BoardServer,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let text = format!(
            "board = \"reference\"\n\
             [[segment]]\nname = \"lan\"\nports = [\"fpt0\", \"fpt1\"]\ndwell_ms = 0\n\
             carrier_unwatched_because = \"a test without ports\"\n\
             [dead_man]\nperiod_ms = 30000\nkick_every_ms = 1000\n\
             [watchdog]\nmode = \"off\"\n\
             [state]\ndir = \"{0}/state\"\nruntime_dir = \"{0}/run\"\n\
             [adapter]\nbus = \"unix:{0}/board\"\n",
            at.display()
        );
        std::fs::write(at.join("site.toml"), text).unwrap();
        std::fs::create_dir(at.join("run")).unwrap();
        let profile = catalogue::load(&[], "reference").unwrap();
        let board = BoardServer::start(&profile, &at.join("board"));
        Self { directory, board }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let config = self.path("site.toml");
        let mut all = vec!["--config", config.to_str().unwrap()];
        all.extend(arguments);
        fencepost(&all)
    }

    fn agent(&self, arguments: &[&str]) -> Agent {
        let log = std::fs::File::create(self.path("agent.log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_fencepost"))
            .arg("agent")
            .arg("--config")
            .arg(self.path("site.toml"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let agent = Agent(child);
        wait("the agent to answer", || {
            self.run(&["status"]).status.success()
        });
        agent
    }

    fn until_contacts(&self, state: RelayState) {
        wait(&format!("contacts in {state}"), || {
            self.board.contacts(0) == state
        });
    }
}

/// Ended with the test, whatever happens.
struct Agent(Child);

impl Agent {
    fn ended(&mut self) -> i32 {
        wait("the agent to end", || self.0.try_wait().unwrap().is_some());
        self.0.wait().unwrap().code().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _already_ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[track_caller]
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_absent_agent_is_code_3_with_what_to_do() {
    for command in [
        &["status"][..],
        &["acknowledge"],
        &["bypass", "lan", "auto"],
        &["maintenance", "on"],
        &["disarm", "on", "--reason", "test"],
        &["stop", "--ordered"],
    ] {
        let output = fencepost(&[command, &["--socket", "/nowhere/control.sock"]].concat());
        expect(&output, 3);
        assert!(
            err(&output).contains("systemctl status fencepost"),
            "{}",
            err(&output)
        );
    }
}

#[test]
fn monitoring_hears_of_an_absent_agent_in_its_own_terms() {
    let output = fencepost(&["status", "--nagios", "--socket", "/nowhere/control.sock"]);
    expect(&output, 2);
    assert!(
        out(&output).starts_with("FENCEPOST CRITICAL - "),
        "{}",
        out(&output)
    );
    assert_eq!(out(&output).lines().count(), 1);

    let output = fencepost(&["status", "--metrics", "--socket", "/nowhere/control.sock"]);
    expect(&output, 3);
    assert!(
        out(&output).contains("\nfencepost_up 0\n"),
        "{}",
        out(&output)
    );
}

#[test]
fn wrong_usage_is_code_2() {
    for command in [
        &["no-such-command"][..],
        &["bypass", "lan", "open"],
        &["disarm", "on"],
        &["status", "--json", "--nagios"],
        &["events", "--since", "yesterday"],
    ] {
        expect(&fencepost(command), 2);
    }
    expect(&fencepost(&["--help"]), 0);
    expect(&fencepost(&["--version"]), 0);
}

#[test]
fn a_refused_configuration_is_code_5_with_line_and_column() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("site.toml");
    std::fs::write(&file, "board = \"reference\"\nsegmnt = 1\n").unwrap();
    let file = file.to_str().unwrap();
    for command in ["check", "agent", "failsafe"] {
        let output = fencepost(&[command, "--config", file]);
        expect(&output, 5);
        assert!(
            err(&output).contains(&format!("{file}:2:1")),
            "{}",
            err(&output)
        );
    }
    expect(&fencepost(&["check", "--config", "/nowhere/site.toml"]), 5);
}

#[test]
fn check_shows_the_four_settings_and_the_bounds() {
    let place = Place::new();
    let output = place.run(&["check"]);
    expect(&output, 0);
    let text = out(&output);
    for words in [
        "run-time",
        "power-up",
        "power-off",
        "expiry",
        "no commissioning record",
    ] {
        assert!(text.contains(words), "no `{words}` in\n{text}");
    }
    let output = place.run(&["check", "--json"]);
    expect(&output, 0);
    let plan: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(plan["board"], "reference");
    assert_eq!(plan["refusals"], serde_json::json!([]));
    assert!(plan["not_commissioned"].is_string());
}

#[test]
fn boards_are_listed_and_shown_with_their_sources() {
    let output = fencepost(&["board", "list", "--boards", "/nowhere"]);
    expect(&output, 0);
    for board in ["reference", "riverbed", "technexion-tek-imx8mp"] {
        assert!(out(&output).contains(board), "{}", out(&output));
    }
    let output = fencepost(&["board", "show", "reference"]);
    expect(&output, 0);
    for words in [
        "SOURCE",
        "this project: firmware/",
        "stays expired",
        "\"address\": 66",
    ] {
        assert!(
            out(&output).contains(words),
            "no `{words}` in {}",
            out(&output)
        );
    }
    let output = fencepost(&["board", "show", "referense"]);
    expect(&output, 5);
    assert!(
        err(&output).contains("did you mean `reference`?"),
        "{}",
        err(&output)
    );
}

#[test]
fn manual_pages_and_completions_are_made() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().to_str().unwrap();
    expect(&fencepost(&["man", "--out", dir]), 0);
    expect(&fencepost(&["completions", "--out", dir]), 0);
    let read = |name: &str| std::fs::read_to_string(Path::new(dir).join(name)).unwrap();
    assert!(read("fencepost.1").contains("Exit codes"));
    for page in [
        "fencepost-agent.1",
        "fencepost-status.1",
        "fencepost-board-commission.1",
    ] {
        assert!(read(page).contains(".SH"), "{page}");
    }
    assert!(
        !Path::new(dir).join("fencepost-man.1").exists(),
        "hidden commands have no page"
    );
    assert!(read("fencepost.bash").contains("commission"));
    assert!(read("_fencepost").contains("maintenance"));
    assert!(read("fencepost.fish").contains("failsafe"));
}

#[test]
fn commissioning_needs_a_name_and_a_yes() {
    let place = Place::new();
    let output = place.run(&["board", "commission", "--yes", "--operator", "root"]);
    expect(&output, 1);
    assert!(err(&output).contains("--operator NAME"), "{}", err(&output));
    let output = place.run(&["board", "commission", "--operator", "anna"]);
    expect(&output, 1);
    assert!(err(&output).contains("--yes"), "{}", err(&output));
    // The ports do not exist: nothing can be shown, and the relay is left in its fail state.
    let output = place.run(&["board", "commission", "--operator", "anna", "--yes"]);
    expect(&output, 1);
    assert!(
        err(&output).contains("not commissioned") && err(&output).contains("fpt0"),
        "{}",
        err(&output)
    );
    assert_eq!(place.board.contacts(0), RelayState::Bypass);
    assert!(!place.path("state/commissioning.json").exists());
}

#[test]
fn probe_asks_the_controller_and_moves_nothing() {
    let place = Place::new();
    let moves = place.board.moves(0);
    let output = place.run(&["board", "probe"]);
    expect(&output, 0);
    assert!(
        out(&output).contains("asked       the controller"),
        "{}",
        out(&output)
    );
    assert!(
        out(&output).contains("lan      Bypass  contacts"),
        "{}",
        out(&output)
    );
    assert_eq!(place.board.moves(0), moves);
}

#[test]
fn an_uncommissioned_board_stays_cut_and_says_so() {
    let place = Place::new();
    let mut agent = place.agent(&[]);
    wait("the reason", || {
        out(&place.run(&["status"])).contains("NOT COMMISSIONED: nothing goes to Normal")
    });
    assert_eq!(place.board.contacts(0), RelayState::Bypass);
    expect(&place.run(&["status", "--nagios"]), 2);
    expect(&place.run(&["stop", "--ordered"]), 0);
    assert_eq!(agent.ended(), 0);
}

#[test]
fn a_day_in_the_life_of_an_agent() {
    let place = Place::new();
    let recording = place.path("recording.jsonl");
    let mut agent = place.agent(&["--uncommissioned", "--record", recording.to_str().unwrap()]);
    place.until_contacts(RelayState::Normal);

    // A second one, and whoever else wants the hardware, is turned away.
    let output = place.run(&["agent", "--uncommissioned"]);
    expect(&output, 1);
    assert!(
        err(&output).contains("another agent is running"),
        "{}",
        err(&output)
    );
    let output = place.run(&["failsafe"]);
    expect(&output, 1);
    assert_eq!(place.board.contacts(0), RelayState::Normal);
    let output = place.run(&["board", "probe"]);
    expect(&output, 0);
    assert!(
        out(&output).contains("asked       the agent"),
        "{}",
        out(&output)
    );

    wait("the status to follow", || {
        let output = place.run(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
        status["segments"][0]["state"] == "normal"
    });
    assert!(out(&place.run(&["status", "--metrics"])).contains("fencepost_up 1"));

    expect(&place.run(&["bypass", "lan", "bypass"]), 0);
    place.until_contacts(RelayState::Bypass);
    assert!(out(&place.run(&["status"])).contains("forced by"));
    expect(&place.run(&["bypass", "lan", "auto"]), 0);
    place.until_contacts(RelayState::Normal);
    expect(&place.run(&["bypass", "no-such-segment", "bypass"]), 1);
    expect(&place.run(&["maintenance", "on", "--reason", "a test"]), 0);
    place.until_contacts(RelayState::Bypass);
    expect(&place.run(&["maintenance", "off"]), 0);
    place.until_contacts(RelayState::Normal);
    expect(&place.run(&["acknowledge"]), 0);

    let output = place.run(&["events"]);
    expect(&output, 0);
    assert!(
        out(&output).contains("segment lan to Bypass: maintenance"),
        "{}",
        out(&output)
    );
    let output = place.run(&["events", "--json", "--limit", "1"]);
    assert_eq!(out(&output).lines().count(), 1);

    // A handover moves nothing, and the next agent adopts.
    let moves = place.board.moves(0);
    expect(&place.run(&["stop", "--handover"]), 0);
    assert_eq!(agent.ended(), 0);
    assert_eq!(place.board.contacts(0), RelayState::Normal);
    let output = place.run(&["events"]);
    expect(&output, 0);
    assert!(
        err(&output).contains("the history it left"),
        "{}",
        err(&output)
    );
    let mut agent = place.agent(&["--uncommissioned"]);
    wait("adoption", || {
        out(&place.run(&["events"])).contains("found in Normal")
    });
    assert_eq!(place.board.moves(0), moves);

    // No systemd here to say that this is a restart: ordered.
    expect(&place.run(&["stop"]), 0);
    assert_eq!(agent.ended(), 0);
    assert_eq!(place.board.contacts(0), RelayState::Bypass);

    let output = fencepost(&["replay", recording.to_str().unwrap()]);
    expect(&output, 0);
    assert!(out(&output).contains("close"), "{}", out(&output));
}

#[test]
fn failsafe_cuts_what_a_dead_agent_left() {
    let place = Place::new();
    let mut agent = place.agent(&["--uncommissioned"]);
    place.until_contacts(RelayState::Normal);
    agent.0.kill().unwrap();
    agent.0.wait().unwrap();
    assert_eq!(place.board.contacts(0), RelayState::Normal);
    let output = place.run(&["failsafe"]);
    expect(&output, 0);
    assert!(
        out(&output).contains("segment lan: Bypass ordered, reads Bypass"),
        "{}",
        out(&output)
    );
    assert_eq!(place.board.contacts(0), RelayState::Bypass);
}
