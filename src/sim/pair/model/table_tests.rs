//! Rule by rule: what comes of it when it is switched off, as found by the search and run again here.
//!
//! `FENCEPOST_BLESS=1 cargo test --lib model::table -- --ignored --nocapture` searches anew and writes the table;
//! MODEL_ROW=n searches that row alone, MODEL_STATES bounds each search.

use core::fmt::Write as _;
use std::path::PathBuf;

use super::choice::Fault::{self, *};
use super::course::Course;
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

const TABLE: &[Row] = &include!("table.rs");

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pair/counter-examples.txt")
}

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

fn search(row: &Row, states_max: u64) -> (Option<Broken>, String) {
    let mut told = String::new();
    for (faults, late) in row.bounds {
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
        let closed = if found.closed { "all" } else { "the first" };
        told = format!(
            "not found in {closed} {} states with {faults} faults and {late} late",
            found.states
        );
        println!("{}: {faults} faults, {late} late: {found}", name(row));
        if found.broken.is_some() {
            return (found.broken, told);
        }
    }
    (None, told)
}

/// The file, row by row: name, verdict, course, and the course in words.
fn entries(text: &str) -> Vec<(String, String)> {
    let blocks = text.split("\n\n").filter(|block| block.contains("off: "));
    let line = |block: &str, key: &str| {
        let line = block
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(key));
        line.unwrap_or_default().to_owned()
    };
    blocks
        .map(|block| (line(block, "off: "), line(block, "course: ")))
        .collect()
}

#[test]
fn a_rule_switched_off_breaks_what_must_hold() {
    let text = std::fs::read_to_string(path()).unwrap();
    let entries = entries(&text);
    assert_eq!(entries.len(), TABLE.len(), "rows and {}", path().display());
    for (row, (off, course)) in TABLE.iter().zip(entries) {
        assert_eq!(off, name(row));
        if course.is_empty() {
            continue;
        }
        let course: Course = course.parse().unwrap();
        switch_off(row.guards);
        let broken = course.run(start(row));
        switch_off(&[]);
        let broken = broken
            .unwrap_or_else(|| panic!("{off}: the course breaks nothing any more; search anew"));
        let told = format!("off: {off}\nbreaks: {broken}");
        assert!(text.contains(&told), "{told}");
        let faithful = Row {
            guards: &[],
            mutant: Mutant::Faithful,
            ..*row
        };
        assert_eq!(
            course.run(start(&faithful)),
            None,
            "{off}: breaks with the rule in force too"
        );
    }
}

#[test]
#[ignore = "a search for all rows, minutes long; FENCEPOST_BLESS=1 writes what it finds"]
fn table() {
    let number = |name: &str, otherwise| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let only = std::env::var("MODEL_ROW")
        .ok()
        .map(|text| text.parse::<usize>().unwrap());
    let mut text = String::from(HEAD);
    for (index, row) in TABLE.iter().enumerate() {
        if only.is_some_and(|only| only != index) {
            continue;
        }
        let (broken, otherwise) = search(row, number("MODEL_STATES", 30_000));
        let off = name(row);
        match broken {
            None => write!(text, "\noff: {off}\nbreaks: nothing; {otherwise}\n").unwrap(),
            Some(broken) => {
                let (what, steps, course) = (broken.what, broken.steps, broken.course);
                write!(
                    text,
                    "\noff: {off}\nbreaks: {what}\nsteps: {steps}\ncourse: {course}\n"
                )
                .unwrap();
                for line in broken.told {
                    writeln!(text, "  {line}").unwrap();
                }
            }
        }
    }
    if std::env::var_os("FENCEPOST_BLESS").is_some() {
        std::fs::write(path(), &text).unwrap();
    }
    println!("{text}");
}

const HEAD: &str = "\
Rules of the pair, each switched off, and the shortest course the search found in which something breaks: with the
fewest faults first. A is Active, B stands ready; times are true time, steps are counted from beat 25.
A course is written as how often the next thing happens, `+` a fault, `-` its repair, `hold` what is due comes late,
`late:n` it comes now.
";
