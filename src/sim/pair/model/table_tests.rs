//! Rule by rule: the shortest course in which something breaks once it is switched off.
//!
//! `cargo test --lib model::table -- --nocapture` searches and prints them; `--ignored` searches the wider rows, for
//! which nobody waits; MODEL_ROW=n one of them, MODEL_STATES bounds each search.

use super::choice::Fault::{self, *};
use super::search::{Bounds, Broken, Order, Search, settled};
use crate::node::pair::guard::{Guard, switch_off};
use crate::node::pair::policy::Topology;
use crate::sim::pair::mutant::Mutant;
use crate::sim::pair::pace::BEAT;
use crate::sim::pair::scenario::Setup;
use crate::sim::pair::world::World;

/// Rules switched off in the node, a part that misbehaves, the kind of pair, and the faults to try.
struct Row {
    guards: &'static [Guard],
    mutant: Mutant,
    pair: Pair,
    faults: &'static [Fault],
    /// Faults, and things that come late, in one course: tried in this order.
    bounds: &'static [(u8, u8)],
    heal_every: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    Hot,
    Cold,
    /// Without a fence cable.
    HotLeaseOnly,
    /// The same, with vips that the kernel withdraws when nobody renews them.
    HotLifetime,
}

const fn row(
    guards: &'static [Guard],
    pair: Pair,
    faults: &'static [Fault],
    bounds: &'static [(u8, u8)],
) -> Row {
    Row {
        guards,
        mutant: Mutant::Faithful,
        pair,
        faults,
        bounds,
        heal_every: 0,
    }
}

impl Row {
    const fn with(self, mutant: Mutant) -> Self {
        Self { mutant, ..self }
    }

    /// What it takes away is needed to come back, not to be safe.
    const fn heals(self) -> Self {
        Self {
            heal_every: 1,
            ..self
        }
    }
}

/// A few thousand states each.
const FOUND: &[Row] = &[
    row(
        &[Guard::AdoptsBound],
        Pair::HotLeaseOnly,
        &[Link, Agent(0)],
        &[(2, 0)],
    ),
    row(
        &[Guard::BoundUntilQuiet],
        Pair::HotLifetime,
        &[Link, Agent(0)],
        &[(1, 1)],
    ),
];

/// To be searched with patience.
const WIDE: &[Row] = &include!("wide_table.rs");

fn start(row: &Row) -> World {
    let topology = match row.pair {
        Pair::Cold => Topology::PARALLEL_COLD,
        _ => Topology::PARALLEL_HOT,
    };
    let setup = Setup::beats(topology);
    let setup = match row.pair {
        Pair::HotLeaseOnly => Setup {
            wire: false,
            ..setup
        },
        Pair::HotLifetime => Setup {
            wire: false,
            vip_lifetime: Some(BEAT * 5),
            ..setup
        },
        _ => setup,
    };
    settled(setup, row.mutant)
}

fn name(row: &Row) -> String {
    let off = row.guards.iter().map(|guard| format!("{guard:?}"));
    let mutant = (row.mutant != Mutant::Faithful).then(|| format!("{:?}", row.mutant));
    let off: Vec<String> = off.chain(mutant).collect();
    format!("{} ({:?})", off.join(" + "), row.pair)
}

fn search(row: &Row, states_max: u64) -> Option<Broken> {
    row.bounds.iter().find_map(|(faults, late)| {
        let bounds = Bounds {
            order: Order::Breadth,
            faults: *faults,
            late: *late,
            heal_every: row.heal_every,
            states_max,
            time_max: None,
        };
        switch_off(row.guards);
        let found = Search::new(start(row), row.faults, bounds).run(&mut |_| {});
        switch_off(&[]);
        println!(
            "without {}, {faults} faults, {late} late: {found}",
            name(row)
        );
        found.broken
    })
}

/// What the search found breaks again when it is run again, and breaks nothing with the rule in force.
#[test]
fn a_rule_switched_off_breaks_what_must_hold() {
    for row in FOUND {
        let broken = search(row, 20_000).unwrap_or_else(|| panic!("nothing misses {}", name(row)));
        switch_off(row.guards);
        let again = broken.course.run(start(row));
        switch_off(&[]);
        assert_eq!(again.as_ref(), Some(&broken.what), "{}", broken.course);
        assert!(broken.what.contains("I1"), "{}", broken.what);
        let faithful = Row {
            guards: &[],
            mutant: Mutant::Faithful,
            ..*row
        };
        assert_eq!(
            broken.course.run(start(&faithful)),
            None,
            "{}",
            broken.course
        );
    }
}

#[test]
#[ignore = "a search for the wider rows, minutes long for each; MODEL_ROW, MODEL_STATES"]
fn table() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let only: Option<u64> = number("MODEL_ROW");
    for (row, index) in WIDE.iter().zip(0..) {
        if only.is_none_or(|only| only == index) {
            search(row, number("MODEL_STATES").unwrap_or(200_000));
        }
    }
}
