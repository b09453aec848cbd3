//! Virtual addresses and heartbeat links in the real kernel: hosts in network namespaces, on one virtual switch.
//!
//! Needs root and `ip`. Where that cannot be had every test is skipped and says so; a skip is not a pass.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on should stop"
)]

use std::panic::catch_unwind;
use std::process::{Command, ExitCode};

mod addresses;
mod carriers;
mod links;
mod ping;
mod world;

const TESTS: &[(&str, fn())] = &[
    (
        "a_vip_appears_answers_and_goes",
        addresses::a_vip_appears_answers_and_goes,
    ),
    (
        "caches_of_third_hosts_follow_the_announcement",
        addresses::caches_of_third_hosts_follow,
    ),
    (
        "a_thousand_addresses_in_a_batch",
        addresses::a_thousand_addresses_in_a_batch,
    ),
    (
        "the_kernel_withdraws_what_nobody_renews",
        addresses::the_kernel_withdraws,
    ),
    (
        "purge_leaves_nothing_of_ours",
        addresses::purge_leaves_nothing_of_ours,
    ),
    (
        "what_the_kernel_refuses_is_named",
        addresses::what_the_kernel_refuses_is_named,
    ),
    (
        "a_drop_ends_an_announcement_first",
        addresses::a_drop_ends_an_announcement_first,
    ),
    (
        "a_pulled_cable_is_told_and_survived",
        links::a_pulled_cable_is_told_and_survived,
    ),
    (
        "a_port_that_goes_dark_is_told_once_per_loss",
        carriers::a_port_that_goes_dark_is_told_once_per_loss,
    ),
    (
        "an_interface_that_comes_late_is_used",
        links::an_interface_that_comes_late_is_used,
    ),
    (
        "a_foreign_claim_is_told_and_an_own_is_not",
        addresses::a_foreign_claim_is_told_and_an_own_is_not,
    ),
];

fn main() -> ExitCode {
    // `cargo test WORD` runs those with the word in their name, as everywhere else.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let wanted =
        |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let chosen: Vec<_> = TESTS.iter().filter(|(name, _)| wanted(name)).collect();
    if let Some(reason) = cannot() {
        for (name, _) in chosen {
            println!("skipped: {name} ({reason})");
        }
        println!("0 passed, 0 failed");
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, test) in &chosen {
        let verdict = catch_unwind(test);
        let word = if verdict.is_ok() { "ok" } else { "FAILED" };
        println!("test {name} ... {word}");
        failed += usize::from(verdict.is_err());
    }
    println!("{} passed, {failed} failed", chosen.len() - failed);
    ExitCode::from(u8::from(failed > 0))
}

/// Why nothing can be tried here.
fn cannot() -> Option<String> {
    if Command::new("ip").arg("-V").output().is_err() {
        return Some("no `ip` here: install iproute2".to_owned());
    }
    let namespace = world::Namespace::new();
    namespace
        .err()
        .map(|error| format!("no network namespace can be made, run as root: {error}"))
}
