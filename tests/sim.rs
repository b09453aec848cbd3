//! Seeded worlds on every board: one of each kind here, as many as wanted by `hil sim`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use fencepost::sim::mutant::Mutant;
use fencepost::sim::run::run_mutant;
use fencepost::sim::sweep::sweep;
use fencepost::sim::{Mode, Subject, run};

const MODES: [Mode; 2] = [Mode::Storm, Mode::Heal];

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn every_world_holds() {
    let subjects = Subject::all();
    let each_once = u64::try_from(subjects.len() * MODES.len()).unwrap();
    let report = sweep(0, each_once, &subjects, &MODES, cores());
    println!("{report}");
    assert_eq!(report.worlds, each_once);
    assert!(
        report.broken.is_empty(),
        "{} invariants broke",
        report.broken.len()
    );
}

/// Worlds in which a mistake must be seen at the latest.
const MUTANT_SEEDS: u64 = 1_000;

#[test]
fn every_mistake_is_seen() {
    let ideal = Subject::load("ideal").unwrap();
    let next = AtomicUsize::new(0);
    let look = || {
        while let Some((mutant, invariant)) = Mutant::ALL.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let sees = |seed: &u64| {
                let failure = run_mutant(*seed, &ideal, Mode::Storm, *mutant).err();
                failure.is_some_and(|failure| failure.broken.invariant == *invariant)
            };
            let seen = (0..MUTANT_SEEDS).find(sees);
            println!("{mutant:?}: {invariant} in world {seen:?}");
            assert!(
                seen.is_some(),
                "{mutant:?} was not seen by {invariant} in {MUTANT_SEEDS} worlds"
            );
        }
    };
    thread::scope(|scope| (0..cores()).for_each(|_| drop(scope.spawn(look))));
}

#[test]
fn one_seed_is_one_world() {
    // Boards of one family differ in numbers only.
    for subject in Subject::all().iter().step_by(6) {
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
