//! Many seeds over many boards, on all cores: what held, what broke, and how often.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::run::{Failure, Mode, Subject, Summary, Tally, run};

/// What many worlds came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many worlds were lived.
    pub worlds: u64,
    /// Simulated time.
    pub lived: Duration,
    /// Real time.
    pub took: Duration,
    /// What happened in those that held.
    pub tally: Tally,
    /// By invariant: how many worlds broke it, and the first of them.
    pub broken: BTreeMap<&'static str, (u64, Box<Failure>)>,
    /// Some more of them, one line each.
    pub more: Vec<String>,
}

/// Broken worlds that are named beside the first of each invariant.
const MORE_MAX: usize = 40;

impl Report {
    fn add(&mut self, outcome: Result<Summary, Box<Failure>>) {
        self.worlds += 1;
        match outcome {
            Ok(summary) => {
                self.lived += summary.lived;
                self.tally += summary.tally;
            }
            Err(failure) => {
                let name = failure.broken.invariant;
                if self.broken.contains_key(name) {
                    self.more.push(failure.line());
                    self.more.truncate(MORE_MAX);
                }
                let entry = self.broken.entry(name).or_insert((0, failure));
                entry.0 += 1;
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.lived += other.lived;
        self.tally += other.tally;
        for (name, (count, failure)) in other.broken {
            if self.broken.contains_key(name) {
                self.more.push(failure.line());
            }
            let entry = self.broken.entry(name).or_insert((0, failure));
            entry.0 += count;
        }
        self.more.extend(other.more);
        self.more.truncate(MORE_MAX);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, (count, failure)) in &self.broken {
            writeln!(f, "{name}: {count} worlds; the first of them:\n{failure}\n")?;
        }
        for line in &self.more {
            writeln!(f, "{line}")?;
        }
        let seconds = self.took.as_secs_f64().max(0.001);
        let (worlds, tally) = (self.worlds, self.tally);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = worlds as f64 / seconds;
        writeln!(
            f,
            "{worlds} worlds, {} h lived in {seconds:.1} s ({rate:.0} worlds/s)",
            self.lived.as_secs() / 3600
        )?;
        write!(
            f,
            "{} turns, {} jobs, {} mishaps, {} closes, {} cuts, {} expiries, {} agents, {} resets",
            tally.turns,
            tally.jobs,
            tally.mishaps,
            tally.closes,
            tally.cuts,
            tally.expiries,
            tally.agents,
            tally.resets
        )
    }
}

/// Lives `count` seeds from `first` on, spread evenly over `subjects` and `modes`, on `threads` threads.
pub fn sweep(
    first: u64,
    count: u64,
    subjects: &[Subject],
    modes: &[Mode],
    threads: usize,
) -> Report {
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let total = Mutex::new(Report::default());
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mine = work(&next, first + count, subjects, modes);
                let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                total.merge(mine);
            });
        }
    });
    let mut report = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.took = begun.elapsed();
    report
}

fn work(next: &AtomicU64, end: u64, subjects: &[Subject], modes: &[Mode]) -> Report {
    let mut report = Report::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return report;
        }
        let kinds = subjects.len().saturating_mul(modes.len()).max(1);
        let kind = usize::try_from(seed).unwrap_or(usize::MAX) % kinds;
        let subject = subjects.get(kind / modes.len().max(1));
        let mode = modes.get(kind % modes.len().max(1));
        if let (Some(subject), Some(mode)) = (subject, mode) {
            report.add(run(seed, subject, *mode));
        }
    }
}
