use super::run::{run, sweep};

/// Seeds of every ordinary test run.
const SEEDS: u64 = 150;

#[test]
fn no_seed_breaks_what_must_hold() {
    if let Ok(seed) = std::env::var("PAIR_SEED") {
        let outcome = run(seed.parse().unwrap(), true);
        println!("{}", outcome.film.join("\n"));
        assert_eq!(outcome.broken, None);
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = number("PAIR_FIRST").unwrap_or(0);
    let count = number("PAIR_SEEDS").unwrap_or(SEEDS);
    match sweep(first, count) {
        Ok(totals) => println!("{totals:?}"),
        Err(outcome) => panic!(
            "seed {}: {}\nagain: PAIR_SEED={} cargo test --lib sim::pair -- --nocapture no_seed",
            outcome.seed,
            outcome.broken.clone().unwrap_or_default(),
            outcome.seed
        ),
    }
}
