//! The agent in the guest, as an operator sees and handles it: its unit, `fencepost status`, `fencepost events`.

use std::time::{Duration, Instant};

use fencepost::control::{AgentStatus, Answer, Entry, Request};

use super::{Appliance, COMMAND};
use crate::error::{Result, RigError};
use crate::outcome::Moment;

/// Between two looks at the agent's own status: each costs the guest a process.
const ASK_EVERY: Duration = Duration::from_millis(150);
/// The agent's unit.
pub const UNIT: &str = "fencepost.service";

/// What is done to the agent's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It ends at once.
    Kill,
    /// It does nothing any more, and lives.
    Stop,
    /// It goes on.
    Continue,
}

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

impl Appliance {
    /// What `fencepost status` shows; `None`: no agent answers.
    pub fn status(&self) -> Result<Option<AgentStatus>> {
        let answers = self.ask(Request::Status)?;
        Ok(answers.into_iter().find_map(|answer| match answer {
            Answer::Status(status) => Some(*status),
            _ => None,
        }))
    }

    /// Asks for the status until `good` finds what it looks for; the last answer if it does not within `timeout`.
    pub fn wait_status(
        &self,
        timeout: Duration,
        mut good: impl FnMut(&AgentStatus) -> bool,
    ) -> Result<std::result::Result<AgentStatus, Option<AgentStatus>>> {
        let until = Instant::now() + timeout;
        loop {
            let status = self.status()?;
            match status {
                Some(status) if good(&status) => return Ok(Ok(status)),
                status if Instant::now() >= until => return Ok(Err(status)),
                _ => std::thread::sleep(ASK_EVERY),
            }
        }
    }

    /// Every stored event after number `since`.
    pub fn events(&self, since: u64) -> Result<Vec<Entry>> {
        let entries = self.entries(Some(since), None)?;
        match entries {
            Some(entries) => Ok(entries),
            None => self.stored_events(since),
        }
    }

    /// Number of the last stored event.
    pub fn last_event(&self) -> Result<u64> {
        let last = self.entries(None, Some(1))?;
        Ok(last
            .and_then(|last| last.last().map(|entry| entry.number))
            .unwrap_or(0))
    }

    /// From the agent itself; `None`: no agent answers.
    fn entries(&self, since: Option<u64>, limit: Option<usize>) -> Result<Option<Vec<Entry>>> {
        let request = Request::Events {
            follow: false,
            since,
            limit,
        };
        let answers = self.ask(request)?;
        let answered = !answers.is_empty();
        let entries = answers.into_iter().filter_map(|answer| match answer {
            Answer::Event(entry) => Some(*entry),
            _ => None,
        });
        Ok(answered.then(|| entries.collect()))
    }

    /// Without an agent, as an operator would look: the command reads the history's files.
    fn stored_events(&self, since: u64) -> Result<Vec<Entry>> {
        let since = since.to_string();
        let argv = ["fencepost", "events", "--json", "--since", &since];
        let done = self.exec(&argv, COMMAND)?;
        let parse = |line: &str| {
            serde_json::from_str(line).map_err(|error| {
                RigError::Input(format!(
                    "an event of the agent does not parse: {error}: {line}"
                ))
            })
        };
        done.stdout
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(parse)
            .collect()
    }

    /// Sends a signal to the agent's main process.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.shell(&signal_script(signal)).map(drop)
    }

    /// Adds to the agent's unit until the appliance is brought to rest.
    pub fn drop_in(&self, unit: &str, content: &str) -> Result<()> {
        let folder = format!("/run/systemd/system/{unit}.d");
        self.shell(&format!("mkdir -p {folder}"))?;
        self.write(
            &format!("{folder}/50-scenario.conf"),
            0o644,
            content.as_bytes(),
        )?;
        self.shell("systemctl daemon-reload").map(drop)
    }

    /// A moment of the guest's present boot on the rig's clock, milliseconds.
    pub fn guest_to_rig_ms(&self, guest_ms: f64) -> Option<f64> {
        self.guest_clock
            .to_rig_ms(self.guest_clock.boots(), guest_ms)
    }

    /// The agent's events as moments on the rig's clock, milliseconds.
    pub fn agent_moments(&self, entries: &[Entry]) -> Vec<Moment> {
        let boots = self.guest_clock.boots();
        let mut boot = boots;
        let mut later_ms = f64::INFINITY;
        let mut moments = Vec::new();
        // From the last one back: the agent's clock only ever jumps back when the machine booted in between.
        for entry in entries.iter().rev() {
            let guest_ms = super::guest_clock::ms(entry.record.at);
            if guest_ms > later_ms {
                boot = boot.saturating_sub(1);
            }
            later_ms = guest_ms;
            if let Some(t_ms) = self.guest_clock.to_rig_ms(boot, guest_ms) {
                moments.push(Moment {
                    t_ms,
                    text: told(entry),
                });
            }
        }
        moments.reverse();
        moments
    }
}

/// Sends a signal to the agent's main process; in one line, so that it can follow a look at the clock.
pub fn signal_script(signal: Signal) -> String {
    format!("systemctl kill --kill-who=main -s {} {UNIT}", signal.name())
}

/// An event in a few words: its fact, and whatever belongs to it.
fn told(entry: &Entry) -> String {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(&entry.record.fact) else {
        return String::new();
    };
    let mut words = fields
        .get("fact")
        .and_then(|fact| fact.as_str())
        .unwrap_or("?")
        .replace('_', " ");
    for (name, value) in fields.iter().filter(|(name, _)| *name != "fact") {
        words += &format!(", {} {}", name.replace('_', " "), in_words(value));
    }
    words
}

/// A value for people: durations in seconds, variants by their name and what belongs to it.
fn in_words(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "none".to_owned(),
        serde_json::Value::String(text) => text.replace('_', " "),
        serde_json::Value::Object(fields) => match (fields.get("secs"), fields.get("nanos")) {
            (Some(secs), Some(nanos)) => {
                let seconds = secs.as_f64().unwrap_or(0.0) + nanos.as_f64().unwrap_or(0.0) / 1e9;
                format!("{seconds} s")
            }
            _ => fields.values().map(in_words).collect::<Vec<_>>().join(" "),
        },
        other => other.to_string(),
    }
}
