//! `fencepost status`: how this appliance is, for people, monitoring and programs.

mod metrics;
pub(in crate::cli) mod nagios;
mod pair;
#[cfg(test)]
pub(super) mod sample;
mod screen;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fencepost::control::{AgentStatus, Answer, Request};
use fencepost::control_client::{Client, ClientError};
use fencepost::io::clock::Clock;

use super::Global;
use super::agent_link;
use super::exit::{Exit, Failure};
use super::ink::Ink;

/// How often `--watch` looks.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Cursor home, and clear from there: repainting without flicker.
const REPAINT: &str = "\x1b[H\x1b[J";

/// A snapshot older than this means that the control loop hangs: it turns at least once a second, for the
/// service manager's sign of life.
const STALE_AFTER: Duration = Duration::from_secs(5);

/// Show how this appliance is
///
/// Exit code 0 means that the agent answered, whatever the light; monitoring uses --nagios.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One JSON object (docs/interfaces.md); with --watch one per second and line
    #[arg(long, conflicts_with_all = ["nagios", "metrics"])]
    json: bool,
    /// Show it anew every second
    #[arg(long, short, conflicts_with_all = ["nagios", "metrics"])]
    watch: bool,
    /// One line and the exit code of a Nagios plugin: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN
    #[arg(long, conflicts_with = "metrics")]
    nagios: bool,
    /// Prometheus text format, for the node exporter's textfile collector
    #[arg(long)]
    metrics: bool,
    /// Write --metrics to this file, replacing it as a whole
    #[arg(long, value_name = "FILE", requires = "metrics")]
    output: Option<PathBuf>,
}

/// Whether the snapshot is of this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freshness {
    /// It is.
    Fresh,
    /// It is this old: the socket answers, the control loop does not turn.
    Stale(Duration),
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    if options.nagios {
        return nagios::run(global);
    }
    if options.metrics {
        return metrics::run(global, options.output.as_deref());
    }
    loop {
        let status = fetch(global)?;
        let text = if options.json {
            let mut line = serde_json::to_string(&status)?;
            line.push('\n');
            line
        } else {
            screen::render(&status, Clock.now(), freshness(&status), Ink::for_stdout())
        };
        let mut out = std::io::stdout().lock();
        if options.watch && !options.json && Ink::for_stdout() == Ink::Colour {
            out.write_all(REPAINT.as_bytes())?;
        }
        out.write_all(text.as_bytes())?;
        out.flush()?;
        if !options.watch {
            return Ok(Exit::Done);
        }
        std::thread::sleep(WATCH_EVERY);
    }
}

pub(super) fn fetch(global: &Global) -> Result<AgentStatus, ClientError> {
    let path = agent_link::socket(global);
    match Client::connect(&path)?.ask(Request::Status)? {
        Answer::Status(status) => Ok(*status),
        other => Err(agent_link::foreign(&path, &other)),
    }
}

/// How the agent is, if one runs.
pub(super) fn running(global: &Global) -> Result<Option<AgentStatus>, Failure> {
    match fetch(global) {
        Ok(status) => Ok(Some(status)),
        Err(ClientError::NoAgent { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The agent's clock is the machine's, so its snapshot has an age here.
fn freshness(status: &AgentStatus) -> Freshness {
    let age = Clock.now().since(status.node.at);
    if age > STALE_AFTER {
        Freshness::Stale(age)
    } else {
        Freshness::Fresh
    }
}
