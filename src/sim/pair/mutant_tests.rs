//! The mutation table: each guard taken away in turn, and what notices.
//!
//! `cargo test --lib mutant_tests -- --nocapture` prints it. Some rules are kept twice; there the table takes both
//! away, and shows that one alone is enough.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::mutant::Mutant;
use super::run::run_with;
use super::scenario::Wires;
use crate::node::pair::guard::{Guard, switch_off};
use crate::sim::run::Mode;
use Mode::{Heal, Storm};
use Verdict::{Breaks, Covered};

/// A row: rules switched off in the node, a part that misbehaves, and the first seed at which something notices.
type Row = (&'static [Guard], Mutant, Verdict);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// In this mode, at this seed, this is broken.
    Breaks(Mode, u64, &'static str),
    /// Nothing noticed in the worlds that were searched: another rule covers it. A row beside it takes both away, or
    /// a directed test shows it alone.
    Covered,
}

const TABLE: &[Row] = &include!("mutant_table.rs");

/// What a seed came to without these guards.
fn broken(guards: &'static [Guard], mutant: Mutant, mode: Mode, seed: u64) -> Option<String> {
    switch_off(guards);
    let outcome = run_with(Wires::Drawn, seed, mode, false, mutant);
    switch_off(&[]);
    outcome.broken
}

#[test]
fn every_guard_is_missed() {
    let mut stale = Vec::new();
    for (guards, mutant, verdict) in TABLE {
        let Breaks(mode, seed, what) = *verdict else {
            println!("{guards:?} {mutant:?}: not noticed in the worlds searched");
            continue;
        };
        let found = broken(guards, *mutant, mode, seed).unwrap_or_default();
        println!("{guards:?} {mutant:?}: {mode} {seed} breaks {found}");
        if what.is_empty() || !found.contains(what) {
            stale.push(format!("{guards:?} {mutant:?}: {mode} {seed}, not {what}"));
        }
        let faithful = broken(&[], Mutant::Faithful, mode, seed);
        assert_eq!(faithful, None, "{mode} {seed}");
    }
    assert!(
        stale.is_empty(),
        "{stale:#?}\nsearch anew with `cargo test --lib mutant_tests::search -- --ignored --nocapture`"
    );
}

#[test]
#[ignore = "a search for new seeds, minutes long; PAIR_PATIENCE seeds per row, from row PAIR_ROW on"]
fn search() {
    let text = std::env::var("PAIR_PATIENCE").ok();
    let patience: u64 = text.and_then(|text| text.parse().ok()).unwrap_or(500);
    let first = std::env::var("PAIR_ROW").ok();
    let first = first.and_then(|text| text.parse().ok()).unwrap_or(0);
    let next = AtomicUsize::new(first);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(row) = TABLE.get(next.fetch_add(1, Ordering::Relaxed)) {
                    search_row(row, patience);
                }
            });
        }
    });
}

fn search_row((guards, mutant, verdict): &Row, patience: u64) {
    let wanted = match verdict {
        Breaks(_, _, what) => what,
        Covered => "",
    };
    let found = (0..patience).find_map(|seed| {
        [Heal, Storm].into_iter().find_map(|mode| {
            let what = broken(guards, *mutant, mode, seed)?;
            what.contains(wanted).then_some((mode, seed, what))
        })
    });
    println!("{guards:?} {mutant:?} {wanted:?}: {found:?}");
}
