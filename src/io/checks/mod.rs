//! Health checks: small questions asked again and again, each ending in one verdict.
//!
//! All of them run on one thread of normal priority, each in a task of its own; what can block in the kernel
//! (a dead file server, a driver's lock) goes to a helper thread, at most one per check. Every round has a
//! time limit, and a round that is cut off says so as `Unknown` or `Critical`, never as good.
//!
//! What if this thread dies or hangs? The verdicts stop, the node's own deadline for each check passes, and the
//! check counts as failing. No verdict is evidence.

mod machine;
mod network;
mod program;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::inbox::Inlet;
use crate::config::{Check, CheckKind};
use crate::node::{Event, Verdict};

/// Longest output of a check in characters.
const OUTPUT_MAX: usize = 200;

/// What one round found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    verdict: Verdict,
    output: String,
}

impl Finding {
    fn new(verdict: Verdict, output: impl Into<String>) -> Self {
        Self {
            verdict,
            output: output.into(),
        }
    }
    fn good(output: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, output)
    }
    fn bad(output: impl Into<String>) -> Self {
        Self::new(Verdict::Critical, output)
    }
    fn unknown(output: impl Into<String>) -> Self {
        Self::new(Verdict::Unknown, output)
    }
}

/// Start all checks. Verdicts name a check by its index in `specs`.
pub fn start(specs: Vec<Check>, inlet: Inlet) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // At most one per check.
        .max_blocking_threads(specs.len().max(1))
        .thread_stack_size(256 * 1024)
        .build()?;
    std::thread::Builder::new()
        .name("fp-checks".to_owned())
        .stack_size(512 * 1024)
        .spawn(move || {
            let count = specs.len();
            let rounds: Vec<_> = specs
                .into_iter()
                .enumerate()
                .map(|(index, spec)| {
                    // The second round comes early by a different share for each check, so that they do not
                    // all run at the same moment for ever after.
                    let share = u32::try_from(index + 1).unwrap_or(u32::MAX);
                    let of = u32::try_from(count + 1).unwrap_or(u32::MAX);
                    let phase = spec.interval / of * share;
                    runtime.spawn(repeat(index, spec, phase, inlet.clone()))
                })
                .collect();
            runtime.block_on(async {
                for round in rounds {
                    if let Err(error) = round.await {
                        tracing::error!("a check ended by itself: {error}");
                    }
                }
            });
        })
}

async fn repeat(check: usize, spec: Check, phase: Duration, inlet: Inlet) {
    let mut round = Round {
        spec: Arc::new(spec),
        pending: None,
    };
    let mut next = Instant::now();
    let mut step = phase;
    loop {
        sleep_until(next).await;
        let finding = round.run().await;
        let output = printable(&finding.output);
        let event = Event::CheckReported {
            check,
            verdict: finding.verdict,
            output,
        };
        if inlet.tell(event).is_err() {
            tracing::warn!(
                "verdict of check {} was not taken: the agent is behind",
                round.spec.name
            );
        }
        next = (next + step).max(Instant::now());
        step = round.spec.interval;
    }
}

/// One check and its helper thread, if one is under way.
struct Round {
    spec: Arc<Check>,
    pending: Option<tokio::task::JoinHandle<Finding>>,
}

impl Round {
    async fn run(&mut self) -> Finding {
        let limit = self.spec.timeout;
        let spec = Arc::clone(&self.spec);
        let asynchronous = match &spec.kind {
            CheckKind::Plugin { argv } => return program::plugin(argv, limit).await,
            CheckKind::Unit { unit } => return program::unit(unit, limit).await,
            CheckKind::Tcp { address } => timeout(limit, network::tcp(*address)).await,
            CheckKind::Http {
                address,
                path,
                status,
            } => timeout(limit, network::http(*address, path, *status)).await,
            CheckKind::Carrier { .. }
            | CheckKind::Pidfile { .. }
            | CheckKind::ProcessName { .. }
            | CheckKind::Disk { .. }
            | CheckKind::Memory { .. } => return self.run_blocking().await,
        };
        asynchronous
            .unwrap_or_else(|_| Finding::bad(format!("no answer within {} ms", limit.as_millis())))
    }

    /// On a helper thread, which cannot be stopped: while one hangs no other is started.
    async fn run_blocking(&mut self) -> Finding {
        let spec = Arc::clone(&self.spec);
        let handle = self
            .pending
            .get_or_insert_with(|| tokio::task::spawn_blocking(move || machine::look(&spec.kind)));
        let limit = self.spec.timeout;
        match timeout(limit, handle).await {
            Ok(Ok(finding)) => {
                self.pending = None;
                finding
            }
            Ok(Err(error)) => {
                self.pending = None;
                Finding::unknown(format!("internal error: {error}"))
            }
            Err(_) => Finding::unknown(format!(
                "the kernel did not answer within {} ms",
                limit.as_millis()
            )),
        }
    }
}

/// First line, printable, of bounded length.
fn printable(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    line.chars()
        .filter(|c| !c.is_control())
        .take(OUTPUT_MAX)
        .collect()
}

#[cfg(test)]
mod tests;
