//! Seeded worlds on every board: a bounded number of them here, as many as wanted by `FENCEPOST_SIM_SEEDS`.

use fencepost::sim::{Mode, Subject, run};

fn seeds() -> u64 {
    std::env::var("FENCEPOST_SIM_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(2_000)
}

#[test]
fn every_world_holds() {
    let first: u64 = std::env::var("FIRST").ok().and_then(|t| t.parse().ok()).unwrap_or(0);
    let t = std::time::Instant::now();
    let mut tally = fencepost::sim::run::Tally::default();
    let mut bad = std::collections::BTreeMap::<String, Vec<String>>::new();
    for seed in first..first + seeds() {
        for mode in [Mode::Storm, Mode::Heal] {
            match run(seed, &Subject::load("ideal").unwrap(), mode) {
                Ok(s) => { tally.turns += s.tally.turns; tally.closes += s.tally.closes; tally.cuts += s.tally.cuts; tally.expiries += s.tally.expiries; tally.agents += s.tally.agents; tally.resets += s.tally.resets; tally.mishaps += s.tally.mishaps; }
                Err(f) => bad.entry(f.broken.invariant.to_owned()).or_default().push(f.to_string()),
            }
        }
    }
    println!("{:?} {tally:?}", t.elapsed());
    for (k, v) in &bad { println!("{k} {} of {}", v.len(), seeds()*2); }
    for (_, v) in &bad { println!("-----\n{}", v[0]); }
    assert!(bad.is_empty());
}
