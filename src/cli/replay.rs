//! `fencepost replay`: feed a recording to a fresh node and show what it decides.
//!
//! Needs no hardware, no configuration and no rights: a recording from the field is replayed on any machine.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use clap::Args;
use fencepost::io::recorder::Line;
use fencepost::node::{Instant, Node};
use serde::Serialize;

use super::exit::{Exit, Failure};

/// Longest line of a recording, in bytes; the policy is the longest by far.
const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Feed a recording to a fresh node and show what it decides
///
/// Recordings are made with `fencepost agent --record FILE`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The recording
    file: PathBuf,
    /// One JSON object per line: inputs and actions
    #[arg(long)]
    json: bool,
}

/// What is shown.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Step<'a> {
    Input { now: Instant, line: &'a Line },
    Action { now: Instant, action: serde_json::Value },
}

pub(crate) fn run(options: &Options) -> Result<Exit, Failure> {
    let name = options.file.display();
    let file = File::open(&options.file)
        .map_err(|error| Failure::failed(format!("{name}: {error}")))?;
    let mut out = std::io::stdout().lock();
    replay(BufReader::new(file), options.json, &mut out).map_err(|stopped| match stopped {
        Stopped::Output(failure) => failure,
        Stopped::Recording { line, what } => Failure::failed(format!("{name}:{line}: {what}")),
    })?;
    Ok(Exit::Done)
}

enum Stopped {
    Output(Failure),
    Recording { line: usize, what: String },
}

impl<E: Into<Failure>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Output(error.into())
    }
}

fn replay(mut recording: impl BufRead, json: bool, out: &mut impl Write) -> Result<(), Stopped> {
    let mut node: Option<Node> = None;
    let mut number = 0;
    loop {
        number += 1;
        let mut text = String::new();
        let read = (&mut recording).take(LINE_BYTES_MAX).read_line(&mut text);
        let wrong = |what: String| Stopped::Recording { line: number, what };
        match read {
            Ok(0) if node.is_none() => return Err(wrong("the recording is empty".to_owned())),
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(wrong(error.to_string())),
        }
        if !text.ends_with('\n') {
            let what = "the last line is cut off: the machine stopped while it was written";
            writeln!(out, "# {what}")?;
            return Ok(());
        }
        let line: Line = serde_json::from_str(&text)
            .map_err(|error| wrong(format!("not a line of a recording: {error}")))?;
        let now = match (&line, &mut node) {
            (Line::Begin { now, policy, .. }, None) => {
                node = Some(Node::new(policy.clone(), *now));
                *now
            }
            (Line::Event { now, event }, Some(node)) => {
                node.handle(*now, event.clone());
                *now
            }
            (Line::Timeout { now }, Some(node)) => {
                node.handle_timeout(*now);
                *now
            }
            (Line::End { reason }, Some(_)) => {
                writeln!(out, "# the recording ends here: {reason}")?;
                return Ok(());
            }
            (_, None) => return Err(wrong("a recording starts with `begin`".to_owned())),
            (Line::Begin { .. }, Some(_)) => {
                return Err(wrong("a second `begin`: two recordings in one file".to_owned()));
            }
        };
        show(now, &line, json, out)?;
        while let Some(action) = node.as_mut().and_then(Node::poll_action) {
            let action = serde_json::to_value(&action)?;
            if json {
                writeln!(out, "{}", serde_json::to_string(&Step::Action { now, action })?)?;
            } else {
                writeln!(out, "{:>12}  > {action}", "")?;
            }
        }
    }
}

fn show(now: Instant, line: &Line, json: bool, out: &mut impl Write) -> Result<(), Failure> {
    if json {
        writeln!(out, "{}", serde_json::to_string(&Step::Input { now, line })?)?;
        return Ok(());
    }
    let text = match line {
        Line::Begin { version, time, .. } => format!("recorded by {version} at {time}"),
        Line::Event { event, .. } => serde_json::to_string(event)?,
        Line::Timeout { .. } => "deadline".to_owned(),
        Line::End { reason } => reason.clone(),
    };
    writeln!(out, "{:>12}  < {text}", now.to_string())?;
    Ok(())
}
