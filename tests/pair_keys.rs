//! The keys of a pair as people make, compare, change and forget them: the built binary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn fencepost(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fencepost"))
        .args(arguments)
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
    let said = format!("{}\n{}", out(output), err(output));
    assert_eq!(output.status.code(), Some(code), "{said}");
}

#[test]
fn a_key_is_made_once_and_has_one_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("pair.key");
    let key = key.to_str().unwrap();
    let made = fencepost(&["pair", "init", "--key-file", key]);
    expect(&made, 0);
    let shown = fencepost(&["pair", "fingerprint", "--key-file", key]);
    expect(&shown, 0);
    assert!(out(&made).ends_with(&out(&shown)), "{}", out(&made));
    let before = std::fs::read(key).unwrap();
    let again = fencepost(&["pair", "init", "--key-file", key]);
    expect(&again, 1);
    assert!(
        err(&again).contains("it is there already"),
        "{}",
        err(&again)
    );
    assert_eq!(std::fs::read(key).unwrap(), before);
}

/// Runs `pair join` with a code on its standard input.
fn join_with(code: &str, address: &str, key: &str) -> Output {
    type_code(code, &["pair", "join", address, "--key-file", key])
}

fn type_code(code: &str, arguments: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fencepost"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, format!("{code}\n").as_bytes()).unwrap();
    drop(input);
    child.wait_with_output().unwrap()
}

#[test]
fn two_nodes_make_their_key_with_a_code_and_forget_it_when_told() {
    use std::io::BufRead as _;
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one.key", "other.key"].map(|name| folder.path().join(name));
    let [one, other] = [one.to_str().unwrap(), other.to_str().unwrap()];
    let mut inviter = Command::new(env!("CARGO_BIN_EXE_fencepost"))
        .args([
            "pair",
            "init",
            "--invite",
            "--listen",
            "127.0.0.1:0",
            "--key-file",
            one,
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(inviter.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        line
    };
    let code = line().split_whitespace().nth(1).unwrap().to_owned();
    let address = line().split_whitespace().last().unwrap().to_owned();
    let wrong = if code.starts_with('0') {
        "1111-1111"
    } else {
        "0000-0000"
    };
    let refused = join_with(wrong, &address, other);
    expect(&refused, 1);
    assert!(
        err(&refused).contains("the code is wrong"),
        "{}",
        err(&refused)
    );
    assert!(!Path::new(other).exists());
    let joined = join_with(&code.to_lowercase(), &address, other);
    expect(&joined, 0);
    assert!(line().contains("joined; the key is in"));
    let fingerprint = line();
    assert!(out(&joined).ends_with(&fingerprint), "{}", out(&joined));
    assert!(inviter.wait().unwrap().success());

    let again = fencepost(&[
        "pair",
        "init",
        "--invite",
        "--listen",
        "127.0.0.1:0",
        "--key-file",
        one,
    ]);
    expect(&again, 1);
    assert!(
        err(&again).contains("it is there already"),
        "{}",
        err(&again)
    );
    let unsure = fencepost(&["pair", "leave", "--key-file", one]);
    expect(&unsure, 1);
    assert!(Path::new(one).exists(), "nobody said yes");
    expect(
        &fencepost(&["pair", "leave", "--yes", "--key-file", one]),
        0,
    );
    assert!(!Path::new(one).exists());
}

/// A node that shows a code; its process, the code and where it waits.
fn inviter(arguments: &[&str]) -> (std::process::Child, String, String) {
    use std::io::BufRead as _;
    let mut child = Command::new(env!("CARGO_BIN_EXE_fencepost"))
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(child.stdout.as_mut().unwrap());
    let mut line = || {
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        line
    };
    let code = line().split_whitespace().nth(1).unwrap().to_owned();
    let address = line().split_whitespace().last().unwrap().to_owned();
    (child, code, address)
}

#[test]
fn a_node_that_left_finds_back_to_its_partner() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one.key", "other.key"].map(|name| folder.path().join(name));
    let [one, other] = [one.to_str().unwrap(), other.to_str().unwrap()];
    let rejoin = ["pair", "rejoin", "--key-file", other];
    let never_met = fencepost(&rejoin);
    expect(&never_met, 1);
    assert!(
        err(&never_met).contains("names no peer"),
        "{}",
        err(&never_met)
    );
    let begin = [
        "pair",
        "init",
        "--invite",
        "--listen",
        "127.0.0.1:0",
        "--key-file",
        one,
    ];
    let (mut waits, code, address) = inviter(&begin);
    expect(&join_with(&code, &address, other), 0);
    assert!(waits.wait().unwrap().success());
    let first = fencepost(&["pair", "fingerprint", "--key-file", one]);
    let still_in = fencepost(&rejoin);
    expect(&still_in, 1);
    assert!(
        err(&still_in).contains("it is there already"),
        "{}",
        err(&still_in)
    );
    expect(
        &fencepost(&["pair", "leave", "--yes", "--key-file", other]),
        0,
    );
    assert!(!Path::new(other).exists());

    let again = ["pair", "replace", "--listen", &address, "--key-file", one];
    let (mut waits, code, _) = inviter(&again);
    let back = type_code(&code, &rejoin);
    expect(&back, 0);
    assert!(waits.wait().unwrap().success());
    let second = fencepost(&["pair", "fingerprint", "--key-file", one]);
    assert!(out(&back).ends_with(&out(&second)), "{}", out(&back));
    assert_ne!(out(&first), out(&second), "the old key is void");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("pair.key");
    std::fs::write(&key, "00").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let shown = fencepost(&["pair", "fingerprint", "--key-file", key.to_str().unwrap()]);
    expect(&shown, 5);
    assert!(err(&shown).contains("chmod 600"), "{}", err(&shown));
}
