//! Many worlds of two nodes, on all cores: what held, what broke, and the line that runs it again.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::run::{Outcome, RECOVERY_MAX, run};
use super::scenario::Wires;
use crate::sim::run::Mode;

/// Broken worlds that are named, each with its line.
const BROKEN_MAX: usize = 40;

/// What many worlds came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many worlds were lived.
    pub worlds: u64,
    /// Of these, how many were repaired at the end and had to serve again.
    pub healed: u64,
    /// Simulated time.
    pub lived: Duration,
    /// Real time.
    pub took: Duration,
    /// Times a node became Active.
    pub takeovers: u64,
    /// Turns of all agents.
    pub turns: u64,
    /// Faults that struck.
    pub mishaps: u64,
    /// Longest way back, and whose.
    pub slowest: Option<(Duration, u64)>,
    /// How many worlds broke each invariant; by the word before the colon.
    pub broken: BTreeMap<String, u64>,
    /// Some of them: what broke, and the line that runs it again.
    pub again: Vec<String>,
}

impl Report {
    fn add(&mut self, outcome: &Outcome) {
        self.worlds += 1;
        self.lived += outcome.lived;
        self.takeovers += outcome.takeovers;
        self.turns += outcome.turns;
        self.mishaps += outcome.mishaps;
        if let Some(took) = outcome.recovered_in {
            self.healed += 1;
            self.slowest = self.slowest.max(Some((took, outcome.seed)));
        }
        if let Some(what) = &outcome.broken {
            *self.broken.entry(invariant(what).to_owned()).or_default() += 1;
            if self.again.len() < BROKEN_MAX {
                self.again.push(format!("{}: {what}", outcome.again()));
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.healed += other.healed;
        self.lived += other.lived;
        self.takeovers += other.takeovers;
        self.turns += other.turns;
        self.mishaps += other.mishaps;
        self.slowest = self.slowest.max(other.slowest);
        for (name, count) in other.broken {
            *self.broken.entry(name).or_default() += count;
        }
        self.again.extend(other.again);
        self.again.truncate(BROKEN_MAX);
    }
}

/// `I1` of `12.345s I1: both nodes are on the wire`.
fn invariant(what: &str) -> &str {
    let told = what.split_once(' ').map_or(what, |(_, told)| told);
    if told.starts_with('I') {
        told.split(':').next().unwrap_or(told)
    } else {
        "liveness"
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.broken {
            writeln!(f, "{name}: broken in {count} worlds")?;
        }
        for line in &self.again {
            writeln!(f, "{line}")?;
        }
        let seconds = self.took.as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "rates for people")]
        let (rate, takeovers) = (
            self.worlds as f64 / seconds,
            self.takeovers as f64 / seconds,
        );
        writeln!(
            f,
            "{} worlds of two nodes, {} h lived in {seconds:.1} s ({rate:.0} worlds/s, {takeovers:.0} takeovers/s)",
            self.worlds,
            self.lived.as_secs() / 3600
        )?;
        writeln!(
            f,
            "{} mishaps, {} takeovers, {} turns",
            self.mishaps, self.takeovers, self.turns
        )?;
        let (slowest, seed) = self.slowest.unwrap_or_default();
        write!(
            f,
            "{} were repaired and came back; the slowest (seed {seed}) in {} ms of {} ms allowed",
            self.healed,
            slowest.as_millis(),
            RECOVERY_MAX.as_millis()
        )
    }
}

/// Lives `count` seeds from `first` on, in turn in each of `modes`, on `threads` threads.
pub fn sweep(wires: Wires, first: u64, count: u64, modes: &[Mode], threads: usize) -> Report {
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let end = first.saturating_add(count);
    let total = Mutex::new(Report::default());
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mine = work(wires, &next, end, modes);
                let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                total.merge(mine);
            });
        }
    });
    let mut report = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.took = begun.elapsed();
    report
}

fn work(wires: Wires, next: &AtomicU64, end: u64, modes: &[Mode]) -> Report {
    let mut report = Report::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return report;
        }
        for mode in modes {
            report.add(&run(wires, seed, *mode, false));
        }
    }
}
