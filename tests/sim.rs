//! Seeded worlds on every board: a bounded number of them here, as many as wanted by `FENCEPOST_SIM_SEEDS`.

use fencepost::sim::mutant::Mutant;
use fencepost::sim::run::run_mutant;
use fencepost::sim::sweep::sweep;
use fencepost::sim::{Mode, Subject, run};

const SEEDS: u64 = 2_000;

/// A number from the environment. What cannot be read as one fails the test instead of running a default.
fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}"))
    })
}

#[test]
fn every_world_holds() {
    let subjects = Subject::all();
    let modes = [Mode::Storm, Mode::Heal];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let seeds = number("FENCEPOST_SIM_SEEDS", SEEDS);
    let first = number("FENCEPOST_SIM_FIRST", 0);
    let report = sweep(first, seeds, &subjects, &modes, threads);
    println!("{report}");
    assert_eq!(report.worlds, seeds);
    assert!(
        report.broken.is_empty(),
        "{} invariants broke",
        report.broken.len()
    );
}

/// Worlds in which a mistake must be seen at the latest.
const MUTANT_SEEDS: u64 = 400;

#[test]
fn every_mistake_is_seen() {
    let ideal = Subject::load("ideal").unwrap();
    for (mutant, invariant) in Mutant::ALL {
        let seen = (0..MUTANT_SEEDS).find_map(|seed| {
            let failure = run_mutant(seed, &ideal, Mode::Storm, mutant).err()?;
            (failure.broken.invariant == invariant).then_some(seed)
        });
        assert!(
            seen.is_some(),
            "{mutant:?} was not seen by {invariant} in {MUTANT_SEEDS} worlds"
        );
        println!("{mutant:?}: {invariant} in world {seen:?}");
    }
}

#[test]
fn one_seed_is_one_world() {
    for subject in &Subject::all() {
        let first = run(7, subject, Mode::Storm).expect("holds");
        let second = run(7, subject, Mode::Storm).expect("holds");
        assert_eq!(first, second, "{}", subject.id());
        assert!(
            first.tally.turns > 100,
            "{} hardly lived: {:?}",
            subject.id(),
            first.tally
        );
    }
}

#[test]
fn a_failure_says_how_to_see_it_again() {
    let ideal = Subject::load("ideal").unwrap();
    let failure = (0..MUTANT_SEEDS)
        .find_map(|seed| run_mutant(seed, &ideal, Mode::Storm, Mutant::NoDwell).err())
        .expect("a world without a dwell breaks");
    let text = failure.to_string();
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        format!("hil sim --board ideal --seed {} --mode storm", failure.seed)
    );
    assert!(text.contains("BROKEN"), "{text}");
    assert!(text.lines().any(|line| line.contains("Close")), "{text}");
}
