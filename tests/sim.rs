//! Seeded worlds on every board: a bounded number of them here, as many as wanted by `FENCEPOST_SIM_SEEDS`.

use fencepost::sim::sweep::sweep;
use fencepost::sim::{Mode, Subject};

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
