//! Replay: a recording fed to a fresh node, printing what it asks for at each step.
//!
//! A field failure becomes something that can be looked at, and then a test. The node is the very code of
//! the agent; the clock is the recording's.

use std::io::{BufRead, Write};

use anyhow::{Context, bail};

use crate::agent::Decide;
use crate::io::recorder::Line;
use crate::node::{Action, Instant, Node, Policy};

/// Longest line of a recording in bytes.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// What was replayed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Events.
    pub events: u64,
    /// Deadlines.
    pub timeouts: u64,
    /// Actions they caused.
    pub actions: u64,
    /// Why the recording ends before the agent did, if it says so.
    pub cut_short: Option<String>,
}

/// Replay `recording` with the agent's own node, and print to `out`.
pub fn replay(recording: impl BufRead, out: impl Write) -> anyhow::Result<Replayed> {
    replay_into(Node::new, recording, out)
}

fn replay_into<D: Decide>(
    new: impl FnOnce(Policy, Instant) -> D,
    mut recording: impl BufRead,
    mut out: impl Write,
) -> anyhow::Result<Replayed> {
    let Some(Line::Begin {
        version,
        time,
        now: begin,
        policy,
    }) = next_line(&mut recording, 1)?
    else {
        bail!("line 1: not a recording: it must begin with the policy");
    };
    writeln!(
        out,
        "recorded by fencepost {version} at {time}; times are seconds since its start"
    )?;
    let mut node = new(*policy, begin);
    let mut replayed = Replayed::default();
    for number in 2.. {
        let Some(line) = next_line(&mut recording, number)? else {
            break;
        };
        match line {
            Line::Begin { .. } => {
                bail!("line {number}: a second beginning; one recording per file")
            }
            Line::End { reason } => {
                writeln!(out, "the recording ends here: {reason}")?;
                replayed.cut_short = Some(reason);
                break;
            }
            Line::Event { now, event } => {
                replayed.events += 1;
                writeln!(out, "{} {}", at(now, begin), serde_json::to_string(&event)?)?;
                node.handle(now, event);
            }
            Line::Timeout { now } => {
                replayed.timeouts += 1;
                writeln!(out, "{} deadline", at(now, begin))?;
                node.handle_timeout(now);
            }
        }
        while let Some(action) = node.poll_action() {
            replayed.actions += 1;
            print_action(&mut out, &action)?;
        }
    }
    Ok(replayed)
}

fn at(now: Instant, begin: Instant) -> String {
    let since = now.since(begin);
    format!("{:>6}.{:06}", since.as_secs(), since.subsec_micros())
}

fn print_action(out: &mut impl Write, action: &Action) -> anyhow::Result<()> {
    writeln!(out, "              -> {}", serde_json::to_string(action)?)?;
    Ok(())
}

/// A half line at the end is where the agent, or its machine, died.
fn next_line(recording: &mut impl BufRead, number: u64) -> anyhow::Result<Option<Line>> {
    let mut text = Vec::new();
    std::io::Read::take(&mut *recording, LINE_BYTES_MAX).read_until(b'\n', &mut text)?;
    if !text.ends_with(b"\n") {
        return Ok(None);
    }
    let line = serde_json::from_slice(&text)
        .with_context(|| format!("line {number}: not a line this version can replay"))?;
    Ok(Some(line))
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
