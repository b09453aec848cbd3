//! `fencepost events`: what happened, why, and what proves it.
//!
//! Asked of the agent; where none runs, which is when people ask most, read from its history file.

use std::io::Write;
use std::ops::ControlFlow;

use clap::Args;
use fencepost::config::Config;
use fencepost::control::{Answer, Entry, Request};
use fencepost::control_client::ClientError;
use fencepost::io::{desk, history};
use fencepost::node::Level;

use super::exit::{Exit, Failure};
use super::{Global, agent_link, places, sentence};

/// Show what happened, oldest first
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One JSON object per line (docs/interfaces.md)
    #[arg(long)]
    json: bool,
    /// Go on with new events as they happen
    #[arg(long, short)]
    follow: bool,
    /// Alarms only
    #[arg(long)]
    alarms: bool,
    /// After the event of this number, or from this time on (UTC): `1200`, `2026-03-01`, `2026-03-01T14:05`
    #[arg(long, value_name = "NUMBER|TIME", value_parser = parse_since)]
    since: Option<Since>,
    /// At most this many of the stored events, the latest
    #[arg(long, short = 'n', value_name = "COUNT")]
    limit: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Since {
    Number(u64),
    /// Compared as text: the record's times all have one format.
    Time(String),
}

fn parse_since(text: &str) -> Result<Since, String> {
    if let Ok(number) = text.parse() {
        return Ok(Since::Number(number));
    }
    const SHAPE: &[u8] = b"0000-00-00T00:00:00.000Z";
    let shaped = text.len() >= 7 && text.len() <= SHAPE.len();
    let fits = text.bytes().zip(SHAPE).all(|(byte, &shape)| match shape {
        b'0' => byte.is_ascii_digit(),
        _ => byte == shape,
    });
    if shaped && fits {
        Ok(Since::Time(text.to_owned()))
    } else {
        Err("expected an event's number, or a UTC time such as 2026-03-01T14:05".to_owned())
    }
}

impl Options {
    fn wants(&self, entry: &Entry) -> bool {
        let loud = !self.alarms || entry.record.level == Level::Alarm;
        let late = match &self.since {
            Some(Since::Number(number)) => entry.number > *number,
            Some(Since::Time(time)) => entry.time.as_str() >= time.as_str(),
            None => true,
        };
        loud && late
    }

    /// The agent filters by number only; with another filter the limit must come after it, so it is ours.
    fn filters_here(&self) -> bool {
        self.alarms || matches!(self.since, Some(Since::Time(_)))
    }

    fn request(&self) -> Request {
        Request::Events {
            follow: self.follow,
            since: match self.since {
                Some(Since::Number(number)) => Some(number),
                _ => None,
            },
            limit: if self.filters_here() {
                None
            } else {
                self.limit
            },
        }
    }
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    if options.follow {
        return follow(global, options);
    }
    let entries = match stored(global, options) {
        Ok(entries) => entries,
        Err(ClientError::NoAgent { path }) => {
            let entries = from_file(global)?;
            eprintln!("fencepost: no agent answers at {path}; this is the history it left");
            entries
        }
        Err(error) => return Err(error.into()),
    };
    let wanted: Vec<&Entry> = entries
        .iter()
        .filter(|entry| options.wants(entry))
        .collect();
    let skipped = wanted
        .len()
        .saturating_sub(options.limit.unwrap_or(usize::MAX));
    for entry in &wanted[skipped..] {
        show(entry, options.json)?;
    }
    Ok(Exit::Done)
}

fn stored(global: &Global, options: &Options) -> Result<Vec<Entry>, ClientError> {
    let mut entries = Vec::new();
    agent_link::connect(global)?.events(options.request(), |answer| {
        if let Answer::Event(entry) = answer {
            entries.push(*entry);
        }
        ControlFlow::Continue(())
    })?;
    Ok(entries)
}

/// Stored ones, then new ones, as they come; a limit concerns the stored ones and is the agent's to apply.
fn follow(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let mut outcome = Ok(());
    agent_link::connect(global)?.events(options.request(), |answer| {
        if let Answer::Event(entry) = answer
            && options.wants(&entry)
        {
            outcome = show(&entry, options.json);
        }
        if outcome.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    outcome.map(|()| Exit::Done)
}

fn from_file(global: &Global) -> Result<Vec<Entry>, Failure> {
    let config = Config::load(&places::config_path(global))?;
    let file = config.state.dir.join(history::EVENTS_FILE);
    // `load` passes over what it cannot read; no permission must not look like an uneventful life.
    if let Err(error) = std::fs::File::open(&file) {
        let exit = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Exit::NoPermission,
            _ => Exit::NoAgent,
        };
        let sentence = format!(
            "no agent is running, and its history {} cannot be read: {error}; see why with: systemctl \
             status fencepost",
            file.display()
        );
        return Err(Failure::new(exit, sentence));
    }
    Ok(history::load(&config.state.dir, desk::RECENT_MAX).into())
}

fn show(entry: &Entry, json: bool) -> Result<(), Failure> {
    let mut line = if json {
        serde_json::to_string(entry)?
    } else {
        told(entry)
    };
    line.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()?;
    Ok(())
}

fn told(entry: &Entry) -> String {
    let level = sentence::level(entry.record.level);
    let fact = sentence::fact(&entry.record.fact);
    let fact: String = fact
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it })
        .collect();
    format!("{}  {:>6}  {level:<5}  {fact}", entry.time, entry.number)
}

#[cfg(test)]
mod tests {
    use fencepost::board::controller::{CutState, Evidence, RelayState};
    use fencepost::node::{Cause, Fact, Instant, Record};

    use super::*;

    fn entry(number: u64, time: &str, level: Level, fact: Fact) -> Entry {
        let record = Record {
            sequence: number,
            at: Instant::ZERO,
            level,
            fact,
        };
        Entry {
            number,
            time: time.to_owned(),
            pid: 1,
            record,
        }
    }

    fn options(since: Option<&str>, alarms: bool) -> Options {
        let since = since.map(|text| parse_since(text).unwrap());
        Options {
            json: false,
            follow: false,
            alarms,
            since,
            limit: None,
        }
    }

    #[test]
    fn since_is_a_number_or_a_time() {
        assert_eq!(parse_since("12"), Ok(Since::Number(12)));
        for time in [
            "2026-03",
            "2026-03-01",
            "2026-03-01T14:05",
            "2026-03-01T14:05:00.000Z",
        ] {
            assert_eq!(parse_since(time), Ok(Since::Time(time.to_owned())));
        }
        for wrong in ["yesterday", "2026-3-1", "-1", "2026-03-01 14:05", ""] {
            assert!(parse_since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn filters() {
        let old = entry(
            1,
            "2026-03-01T10:00:00.000Z",
            Level::Alarm,
            Fact::DeadManExpired,
        );
        let new = entry(
            2,
            "2026-03-01T14:05:00.001Z",
            Level::Info,
            Fact::ControllerBack,
        );
        let table = [
            (options(None, false), [true, true]),
            (options(None, true), [true, false]),
            (options(Some("1"), false), [false, true]),
            (options(Some("2026-03-01T14:05"), false), [false, true]),
            (options(Some("2026-03-01"), false), [true, true]),
        ];
        for (options, wanted) in table {
            assert_eq!(
                [options.wants(&old), options.wants(&new)],
                wanted,
                "{options:?}"
            );
        }
    }

    #[test]
    fn one_line_with_reason_and_proof() {
        let fact = Fact::Cut {
            segment: "lan".to_owned(),
            state: CutState::Bypass,
            cause: Cause::CheckFailed("web\n".to_owned()),
            read: RelayState::Bypass,
            evidence: Evidence::Contacts,
        };
        assert_eq!(
            told(&entry(7, "2026-03-01T10:00:00.000Z", Level::Warning, fact)),
            "2026-03-01T10:00:00.000Z       7  warn   segment lan to Bypass: check web  fails; reads Bypass \
             (contacts)"
        );
    }
}
