//! The mutation table: each guard taken away in turn, and what notices.
//!
//! Some rules are kept twice; there the table takes both away, and shows that one alone is enough.

use super::mutant::Mutant;
use super::run::run_with;
use crate::node::pair::guard::{Guard, switch_off};
use crate::sim::run::Mode;

/// A row: rules switched off in the node, a part that misbehaves, and the first seed at which something notices.
type Row = (&'static [Guard], Mutant, Verdict);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// This invariant breaks at this seed.
    Breaks(u64, &'static str),
    /// Another rule covers it: the row below takes both away, or the test named beside it shows it alone.
    Covered,
}
use Verdict::{Breaks, Covered};

const TABLE: &[Row] = &include!("mutant_table.rs");

/// What a seed came to without these guards.
fn broken(guards: &'static [Guard], mutant: Mutant, seed: u64) -> Option<String> {
    switch_off(guards);
    let outcome = run_with(seed, Mode::Heal, false, mutant);
    switch_off(&[]);
    outcome.broken
}

#[test]
fn every_guard_is_missed() {
    for (guards, mutant, verdict) in TABLE {
        let Breaks(seed, what) = *verdict else {
            continue;
        };
        let found = broken(guards, *mutant, seed).unwrap_or_default();
        assert!(
            found.contains(what),
            "{guards:?} {mutant:?}: seed {seed} no longer breaks {what}: {found:?}; \
             search anew with `cargo test --lib mutant_tests::search -- --ignored --nocapture`"
        );
        assert_eq!(broken(&[], Mutant::Faithful, seed), None, "seed {seed}");
    }
}

#[test]
#[ignore = "a search for new seeds, minutes long; PAIR_PATIENCE seeds per row"]
fn search() {
    let text = std::env::var("PAIR_PATIENCE").ok();
    let patience = text.and_then(|text| text.parse().ok()).unwrap_or(500);
    for (guards, mutant, verdict) in TABLE {
        let wanted = match verdict {
            Breaks(_, what) => what,
            Covered => "",
        };
        let found = (0..patience).find_map(|seed| {
            let what = broken(guards, *mutant, seed)?;
            what.contains(wanted).then_some((seed, what))
        });
        println!("{guards:?} {mutant:?} {verdict:?}: {found:?}");
    }
}
