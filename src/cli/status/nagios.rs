//! The status as a Nagios or Icinga plugin gives it: one line, performance data, an exit code.
//!
//! An agent that does not answer is CRITICAL: nobody holds the relays. Not being allowed to ask is UNKNOWN:
//! that is the monitoring's own trouble.

use fencepost::control::AgentStatus;
use fencepost::node::status::Summary;

use super::Freshness;
use crate::cli::Global;
use crate::cli::exit::{Exit, Failure};
use crate::cli::sentence::span;

/// Exit codes of the plugin convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Code {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl Code {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }

    pub(in crate::cli) const fn exit(self) -> Exit {
        Exit::Plugin(match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        })
    }
}

pub(super) fn run(global: &Global) -> Result<Exit, Failure> {
    let (code, line) = match super::fetch(global) {
        Ok(status) => judge(&status, super::freshness(&status)),
        Err(error) => unanswered(&error.into()),
    };
    println!("{line}");
    Ok(code.exit())
}

fn judge(status: &AgentStatus, freshness: Freshness) -> (Code, String) {
    let node = &status.node;
    let code = match (freshness, node.summary) {
        (Freshness::Stale(_), _) | (_, Summary::Red) => Code::Critical,
        (_, Summary::Yellow) => Code::Warning,
        (_, Summary::Green) => Code::Ok,
    };
    let segments: Vec<String> = node
        .segments
        .iter()
        .map(|it| format!("{} {}", it.name, it.state))
        .collect();
    let mut told = vec![segments.join(", ")];
    if let Freshness::Stale(age) = freshness {
        told.push(format!("the control loop does not turn for {}", span(age)));
    }
    told.extend(node.reasons.iter().cloned());
    (code, line(code, &told.join("; "), &performance(status)))
}

pub(in crate::cli) fn unanswered(failure: &Failure) -> (Code, String) {
    let code = match failure.exit() {
        Exit::NoAgent => Code::Critical,
        _ => Code::Unknown,
    };
    (code, line(code, &failure.to_string(), ""))
}

fn performance(status: &AgentStatus) -> String {
    let node = &status.node;
    let moves: u64 = node.segments.iter().map(|segment| segment.moves).sum();
    format!(
        "worst_late={}us alarms={} moves={moves}c",
        status.control_loop.worst_late_us,
        node.alarms.len()
    )
}

/// `|` ends the text and a line end the line; neither may come from within.
pub(in crate::cli) fn line(code: Code, told: &str, performance: &str) -> String {
    let told: String = told
        .chars()
        .map(|it| {
            if it == '|' || it.is_control() {
                ' '
            } else {
                it
            }
        })
        .collect();
    let performance = if performance.is_empty() {
        String::new()
    } else {
        format!(" | {performance}")
    };
    format!("FENCEPOST {} - {told}{performance}", code.word())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::status::sample;

    #[test]
    fn lights_become_codes() {
        let mut status = sample::healthy();
        for (light, wanted) in [
            (Summary::Green, Code::Ok),
            (Summary::Yellow, Code::Warning),
            (Summary::Red, Code::Critical),
        ] {
            status.node.summary = light;
            assert_eq!(judge(&status, Freshness::Fresh).0, wanted);
        }
        status.node.summary = Summary::Green;
        let stale = Freshness::Stale(Duration::from_secs(70));
        assert_eq!(judge(&status, stale).0, Code::Critical);
    }

    #[test]
    fn one_line_with_performance_data() {
        let (_, line) = judge(&sample::healthy(), Freshness::Fresh);
        assert_eq!(
            line,
            "FENCEPOST OK - lan Normal, wan Normal | worst_late=1300us alarms=0 moves=3c"
        );
        let (_, line) = judge(&sample::in_trouble(), Freshness::Fresh);
        assert_eq!(line.matches('|').count(), 1, "{line}");
        assert!(!line.contains('\n'), "{line}");
    }

    #[test]
    fn silence_is_critical_and_a_closed_door_unknown() {
        let silent = Failure::new(Exit::NoAgent, "nobody answers");
        assert_eq!(unanswered(&silent).0, Code::Critical);
        let closed = Failure::new(Exit::NoPermission, "not for you");
        assert_eq!(unanswered(&closed).0, Code::Unknown);
    }
}
