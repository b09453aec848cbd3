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

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::inbox::Inlet;
use crate::board::profile::PortRef;
use crate::node::{Event, Verdict};

pub use network::HttpTarget;

/// Longest output of a check in characters.
const OUTPUT_MAX: usize = 200;

/// One check, as this adapter needs it. Its severity, rise and fall are the node's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSpec {
    /// Name, for logs.
    pub name: String,
    /// From the start of one round to the start of the next.
    pub interval: Duration,
    /// Longest round.
    pub timeout: Duration,
    /// What is asked.
    pub kind: CheckKind,
}

/// What a check asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    /// Do all these ports have carrier?
    Carrier(Vec<PortRef>),
    /// Is this process alive?
    Process(ProcessRef),
    /// Is this systemd unit active?
    Unit(String),
    /// Does `host:port` accept a connection?
    Tcp(String),
    /// Does this page answer with this status?
    Http(HttpTarget),
    /// Is there room on the file system of this path?
    Disk {
        /// Any path on it.
        path: PathBuf,
        /// Least free space in percent.
        free_percent_min: u8,
    },
    /// Is there memory left?
    Memory {
        /// Least `MemAvailable` in MiB.
        available_mib_min: u64,
    },
    /// What does this Nagios plugin say? Program and arguments; no shell.
    Plugin(Vec<String>),
}

/// How a process is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessRef {
    /// By its exact name in `/proc/PID/comm` (the kernel keeps 15 bytes of it).
    Name(String),
    /// By the number in this file.
    PidFile(PathBuf),
}

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
pub fn start(specs: Vec<CheckSpec>, inlet: Inlet) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // One per check, and a few for name resolution.
        .max_blocking_threads(specs.len() + 4)
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

async fn repeat(check: usize, spec: CheckSpec, phase: Duration, inlet: Inlet) {
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
    spec: Arc<CheckSpec>,
    pending: Option<tokio::task::JoinHandle<Finding>>,
}

impl Round {
    async fn run(&mut self) -> Finding {
        let limit = self.spec.timeout;
        let spec = Arc::clone(&self.spec);
        let asynchronous = match &spec.kind {
            CheckKind::Plugin(command) => return program::plugin(command, limit).await,
            CheckKind::Unit(unit) => return program::unit(unit, limit).await,
            CheckKind::Tcp(address) => timeout(limit, network::tcp(address)).await,
            CheckKind::Http(target) => timeout(limit, network::http(target)).await,
            CheckKind::Carrier(_)
            | CheckKind::Process(_)
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
