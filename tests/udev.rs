//! The udev rules: every device a profile names has one, and none lets the world in.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::process::Command;

use fencepost::board::Board;
use fencepost::board::catalogue;
use fencepost::board::profile::{AdapterRef, ControllerSpec};

fn rules_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("udev/60-fencepost.rules")
}

/// One rule: its `KEY operator "value"` terms.
type Rule = Vec<(String, String, String)>;

/// Reads rules strictly: a line that is not understood fails the test rather than being skipped.
fn rules() -> Vec<Rule> {
    let text = std::fs::read_to_string(rules_file()).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            line.split(", ")
                .map(|term| parse_term(term, line))
                .collect()
        })
        .collect()
}

fn parse_term(term: &str, line: &str) -> (String, String, String) {
    for operator in ["==", "!=", "+=", "="] {
        if let Some((key, value)) = term.split_once(operator) {
            let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            let value = value.unwrap_or_else(|| panic!("unquoted value in: {line}"));
            return (key.to_owned(), operator.to_owned(), value.to_owned());
        }
    }
    panic!("no operator in `{term}`: {line}");
}

fn has(rule: &Rule, key: &str, operator: &str, value: &str) -> bool {
    rule.iter()
        .any(|(k, o, v)| k == key && o == operator && v == value)
}

fn boards() -> Vec<Board> {
    let entries = catalogue::list(&[]);
    entries
        .into_iter()
        .flat_map(|entry| entry.profile.unwrap().boards)
        .collect()
}

fn adapter(board: &Board) -> Option<&AdapterRef> {
    match &board.controller {
        ControllerSpec::Reference { adapter, .. }
        | ControllerSpec::LannerGen3 { adapter, .. }
        | ControllerSpec::CaswellGen2 { adapter, .. }
        | ControllerSpec::Riverbed { adapter, .. } => Some(adapter),
        ControllerSpec::Absent
        | ControllerSpec::PulseTrain { .. }
        | ControllerSpec::GpioMonostable { .. }
        | ControllerSpec::GpioLatching { .. } => None,
    }
}

#[test]
fn every_adapter_a_profile_names_has_a_rule() {
    let rules = rules();
    let mut seen = 0;
    for board in boards() {
        let Some(adapter) = adapter(&board) else {
            continue;
        };
        seen += 1;
        let found = match adapter {
            AdapterRef::Link(link) => {
                let link = link.strip_prefix("/dev/").unwrap();
                rules.iter().any(|rule| {
                    has(rule, "SUBSYSTEM", "==", "i2c-dev") && has(rule, "SYMLINK", "+=", link)
                })
            }
            AdapterRef::Name(name) => rules.iter().any(|rule| {
                has(rule, "ATTR{name}", "==", name) && has(rule, "GROUP", "=", "fencepost")
            }),
        };
        assert!(found, "{}: no rule for {adapter:?}", board.id);
    }
    assert!(seen > 20, "only {seen} boards with an adapter");
}

#[test]
fn every_linked_adapter_is_open_to_the_group() {
    let rules = rules();
    let named = |rule: &&Rule| rule.iter().any(|(key, _, _)| key == "ATTR{name}");
    for rule in rules.iter().filter(named) {
        let (_, _, name) = rule.iter().find(|(key, _, _)| key == "ATTR{name}").unwrap();
        let opened = rules.iter().any(|other| {
            has(other, "ATTR{name}", "==", name)
                && has(other, "GROUP", "=", "fencepost")
                && has(other, "MODE", "=", "0660")
        });
        assert!(opened, "`{name}` has a link and no access");
    }
}

#[test]
fn lines_and_watchdogs_are_open_to_the_group() {
    let rules = rules();
    let opened = |subsystem: &str, kernel: &str| {
        rules.iter().any(|rule| {
            has(rule, "SUBSYSTEM", "==", subsystem)
                && has(rule, "KERNEL", "==", kernel)
                && has(rule, "GROUP", "=", "fencepost")
                && has(rule, "MODE", "=", "0660")
        })
    };
    assert!(opened("gpio", "gpiochip*"));
    assert!(opened("watchdog", "watchdog[0-9]*"));
}

#[test]
fn no_rule_lets_the_world_in_or_runs_a_program() {
    for rule in rules() {
        for (key, _, value) in &rule {
            match key.as_str() {
                "MODE" => assert!(value.len() == 4 && value.ends_with('0'), "{rule:?}"),
                "GROUP" => assert_eq!(value, "fencepost", "{rule:?}"),
                "SYMLINK" => assert!(value.starts_with("fencepost/"), "{rule:?}"),
                _ => assert!(
                    !key.starts_with("RUN")
                        && !key.starts_with("PROGRAM")
                        && !key.starts_with("IMPORT")
                ),
            }
            assert_ne!(value, "uaccess", "for seats, not for services: {rule:?}");
        }
    }
}

#[test]
fn udevadm_accepts_the_rules() {
    // `verify` came with udev 254; older ones say "Unknown command verb".
    let Ok(help) = Command::new("udevadm").arg("--help").output() else {
        println!("skipped: udevadm is not installed");
        return;
    };
    if !String::from_utf8_lossy(&help.stdout).contains("verify") {
        println!("skipped: this udevadm has no `verify` (needs udev 254)");
        return;
    }
    let verified = Command::new("udevadm")
        .args(["verify", "--resolve-names=never"])
        .arg(rules_file())
        .output()
        .unwrap();
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
}
