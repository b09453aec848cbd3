//! Rules of this repository that no compiler checks. Each rule is a function from text to complaints, and each is
//! shown to complain about a bad sample.
#![allow(clippy::expect_used, reason = "a rule that cannot look has failed")]

mod code;
mod manifests;
mod tree;

use code::{code_of, impure, misplaced_unsafe, mute_ignores, poor_module_name, too_long};
use manifests::{disagreeing_locks, second_truths};
use tree::{File, files, text};

/// Complaints of `rule` about every file that `chosen` chooses; at least one file must be chosen.
fn none(chosen: impl Fn(&File) -> bool, rule: impl Fn(&File) -> Vec<String>) {
    let chosen: Vec<File> = files().into_iter().filter(|file| chosen(file)).collect();
    assert!(!chosen.is_empty(), "the rule looks at no file");
    let complaints: Vec<String> = chosen
        .iter()
        .flat_map(|file| {
            let said = rule(file);
            said.into_iter()
                .map(|what| format!("{}: {what}", file.path))
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn is_rust(file: &File) -> bool {
    file.path.ends_with(".rs")
}

#[test]
fn the_node_and_the_peer_protocol_are_pure() {
    for folder in ["src/node/", "src/wire/"] {
        none(
            |file| is_rust(file) && file.path.starts_with(folder),
            |file| impure(&file.text),
        );
    }
    for bad in [
        "use crate::io::clock;",
        "use std::{collections::BTreeMap, fs};",
        "use std::time::{Duration, Instant};",
        "fn f() { std::thread::sleep(d) }",
        "use tokio::sync;",
        "use std::collections::HashMap;",
    ] {
        assert!(!impure(bad).is_empty(), "{bad}");
    }
    for good in ["/// Not `std::time::Instant`.", "use core::time::Duration;"] {
        assert!(impure(good).is_empty(), "{good}");
    }
}

#[test]
fn files_can_be_read_in_one_go() {
    none(is_rust, |file| too_long(&file.text));
    assert!(!too_long(&"line\n".repeat(501)).is_empty());
    assert!(too_long(&"line\n".repeat(500)).is_empty());
}

#[test]
fn modules_are_named_for_what_they_do() {
    none(is_rust, |file| poor_module_name(&file.path));
    assert!(!poor_module_name("src/utils.rs").is_empty());
    assert!(!poor_module_name("src/common/mod.rs").is_empty());
    assert!(poor_module_name("src/io/clock.rs").is_empty());
}

#[test]
fn ignored_tests_say_why() {
    none(is_rust, |file| mute_ignores(&file.text));
    assert!(!mute_ignores("#[test]\n#[ignore]\nfn f() {}").is_empty());
    assert!(mute_ignores("#[ignore = \"needs a bench\"]").is_empty());
}

#[test]
fn unsafe_code_lives_in_one_file() {
    none(is_rust, |file| misplaced_unsafe(&file.path, &file.text));
    let bad = "fn f() { unsafe { g() } }";
    assert!(!misplaced_unsafe("src/node/mod.rs", bad).is_empty());
    assert!(misplaced_unsafe("src/io/sys.rs", bad).is_empty());
    assert!(misplaced_unsafe("src/lib.rs", "// unsafe is\n#![forbid(unsafe_code)]").is_empty());
}

#[test]
fn every_board_is_in_the_list() {
    let list = text("boards/README.md");
    none(is_profile, |file| unlisted(&file.path, &list));
    assert!(!unlisted("boards/new.toml", "| `newer` |").is_empty());
    assert!(unlisted("boards/new.toml", "| `new/MODEL` |").is_empty());
}

fn is_profile(file: &File) -> bool {
    file.path.starts_with("boards/") && file.path.ends_with(".toml")
}

fn unlisted(path: &str, list: &str) -> Vec<String> {
    let stem = path.trim_start_matches("boards/").trim_end_matches(".toml");
    let named = ["`", "/"].map(|end| format!("`{stem}{end}"));
    let missing = !named.iter().any(|name| list.contains(name));
    missing
        .then(|| format!("`{stem}` is not in boards/README.md"))
        .into_iter()
        .collect()
}

#[test]
fn nothing_is_left_for_later() {
    none(|_| true, |file| leftovers(&file.text));
    assert!(!leftovers(concat!("// TO", "DO: later")).is_empty());
    assert!(!leftovers(concat!("# FIX", "ME")).is_empty());
}

fn leftovers(text: &str) -> Vec<String> {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    found(text, &words)
}

#[test]
fn no_path_of_one_machine() {
    none(|_| true, |file| machine_paths(&file.text));
    assert!(!machine_paths(concat!("see /wo", "rk/notes")).is_empty());
    assert!(!machine_paths(concat!("/ho", "me/someone/x")).is_empty());
}

fn machine_paths(text: &str) -> Vec<String> {
    found(text, &[concat!("/wo", "rk/"), concat!("/ho", "me/")])
}

fn found(text: &str, words: &[&str]) -> Vec<String> {
    let lines = text.lines().zip(1..);
    lines
        .filter_map(|(line, number)| {
            let word = words.iter().find(|word| line.contains(**word))?;
            Some(format!("line {number}: `{word}`"))
        })
        .collect()
}

#[test]
fn versions_are_stated_once() {
    let root = text("Cargo.toml");
    none(
        |file| file.path.ends_with("/Cargo.toml") && !file.path.starts_with("fuzz/"),
        |file| second_truths(&root, &file.text),
    );
    let root = "[workspace.dependencies]\nserde = \"1\"";
    assert!(!second_truths(root, "[dependencies]\nserde = \"1\"").is_empty());
    assert!(second_truths(root, "[dependencies]\nserde.workspace = true").is_empty());
}

/// Else the fuzzer would test other libraries than those that ship.
#[test]
fn the_fuzzer_links_what_ships() {
    let complaints = disagreeing_locks(&text("Cargo.lock"), &text("fuzz/Cargo.lock"));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    let lock = |version: &str| format!("[[package]]\nname = \"a\"\nversion = \"{version}\"\n");
    assert!(!disagreeing_locks(&lock("1.0.0"), &lock("1.0.1")).is_empty());
}

#[test]
fn comments_and_strings_are_not_code() {
    let code = code_of("let a = \"// b\"; // c\n/* d */ e('\"'); r#\"f\"# 'g");
    for gone in ["b", "c", "d", "f"] {
        assert!(!code.contains(gone), "{gone} in {code}");
    }
    assert!(code.contains("let a") && code.contains('e') && code.contains("'g"));
}
