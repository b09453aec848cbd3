//! `fencepost stop`: end the agent, so that a restart moves no relay and a stop moves them at once.
//!
//! The unit's `ExecStop=`. systemd does not tell a service whether it is stopped for good or restarted, but its
//! job list does. Restarted: the agent lets go and touches nothing, its successor adopts the relays within
//! the dead-man's period. In every other case, and whenever it cannot be told: the segments go to their fail
//! state at once. If the successor would refuse its configuration there will be none, so that is ordered too.
//!
//! What if this dies or the agent does not answer? systemd sends SIGTERM, which the agent takes as an ordered
//! stop, and the dead-man stands behind that.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use fencepost::control::{Answer, Request};
use fencepost::node::Stop;

use super::exit::{Exit, Failure};
use super::{Global, agent_link, places};

/// The unit whose jobs are looked at, unless told otherwise.
const UNIT: &str = "fencepost.service";
/// How long `systemctl` may take before the answer counts as unknown, and a restart becomes a stop that moves relays. Generous, for a
/// machine that is busy or just booting: the agent runs and kicks meanwhile, so that waiting risks nothing.
const ASK_SYSTEMD_FOR: Duration = Duration::from_secs(10);
/// How long the agent may take to end; with the above and a start of this program still less than the unit's `TimeoutStopSec=`.
const END_WITHIN: Duration = Duration::from_secs(15);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// End the agent
///
/// Used by the unit when it is stopped; people use `systemctl stop fencepost`. A restart by systemd moves no
/// relay; any other stop puts every segment into its fail state at once.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Whatever systemd is doing: touch nothing, a new agent takes over within the dead-man's period
    #[arg(long, conflicts_with = "ordered")]
    handover: bool,
    /// Whatever systemd is doing: segments to their fail state
    #[arg(long)]
    ordered: bool,
    /// The unit whose jobs tell a restart from a stop
    #[arg(long, default_value = UNIT, value_name = "UNIT")]
    unit: String,
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let kind = if options.handover {
        Stop::Handover
    } else if options.ordered {
        Stop::Ordered
    } else {
        decide(global, &options.unit)
    };
    let mut client = agent_link::connect(global)?;
    let pid = match client.ask(Request::Version)? {
        Answer::Version { pid, .. } => pid,
        other => return Err(agent_link::foreign(&agent_link::socket(global), &other).into()),
    };
    client.ask(Request::Stop { kind })?;
    // Until it has ended: systemd sends SIGTERM as soon as this command returns, and that means *ordered*.
    let until = Instant::now() + END_WITHIN;
    while runs(pid) {
        if Instant::now() >= until {
            let waited = END_WITHIN.as_secs();
            return Err(Failure::failed(format!(
                "the agent (pid {pid}) did not end within {waited} s"
            )));
        }
        sleep(LOOK_EVERY);
    }
    println!(
        "{}",
        match kind {
            Stop::Handover => "the agent ended and touched nothing",
            Stop::Ordered => "the agent ended; segments are in their fail state",
        }
    );
    Ok(Exit::Done)
}

fn decide(global: &Global, unit: &str) -> Stop {
    let asked = Job::ask();
    // The successor judges configuration and board together: what it would refuse, it cannot take over. Judged while systemd answers.
    let site = places::proven_site(global);
    if Job::answered(unit, asked) != Job::Restart {
        return Stop::Ordered;
    }
    match site {
        Ok(_) => Stop::Handover,
        Err(error) => {
            eprintln!(
                "fencepost: segments go to their fail state, a new agent would not start: {error}"
            );
            Stop::Ordered
        }
    }
}

/// What systemd is about to do with the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Restart,
    Other,
    /// No systemd, or no clear answer in time.
    Unknown,
}

impl Job {
    fn ask() -> Option<Question> {
        if !Path::new("/run/systemd/system").exists() {
            return None;
        }
        let mut command = Command::new("systemctl");
        command.args(["list-jobs", "--no-legend", "--no-pager", "--plain"]);
        Question::ask(command)
    }

    fn answered(unit: &str, asked: Option<Question>) -> Self {
        let listed = asked.and_then(|question| question.answer(ASK_SYSTEMD_FOR));
        listed.map_or(Self::Unknown, |listed| Self::read(unit, &listed))
    }

    /// Lines of `JOB UNIT TYPE STATE`.
    fn read(unit: &str, listed: &str) -> Self {
        let types = listed.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.nth(1) == Some(unit)).then(|| words.next()).flatten()
        });
        match types.collect::<Vec<_>>()[..] {
            ["restart"] => Self::Restart,
            [] => Self::Unknown,
            _ => Self::Other,
        }
    }
}

/// A program that was started, and whose output is the answer.
struct Question {
    child: Child,
    asked_at: Instant,
}

impl Question {
    fn ask(mut command: Command) -> Option<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let asked_at = Instant::now();
        Some(Self { child, asked_at })
    }

    /// What it printed, if it ends well within `limit` of being asked.
    fn answer(mut self, limit: Duration) -> Option<String> {
        let until = self.asked_at + limit;
        let ended = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < until => sleep(LOOK_EVERY),
                Ok(None) | Err(_) => break None,
            }
        };
        let Some(ended) = ended else {
            // It hangs; it is not ours to wait for.
            let _already_gone = self.child.kill();
            let _reaped = self.child.wait();
            return None;
        };
        let mut text = String::new();
        self.child.stdout.take()?.read_to_string(&mut text).ok()?;
        ended.success().then_some(text)
    }
}

/// A process that has ended and was not reaped yet does not run.
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        // The name in parentheses may hold anything, blanks and parentheses too.
        .and_then(|stat| {
            stat.rsplit_once(") ")
                .and_then(|(_, rest)| rest.chars().next())
        })
        .is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESTARTING: &str = "\
1203 fencepost.service        restart running
1207 other.service            stop    waiting
";
    const STOPPING: &str =
        "1203 fencepost.service stop running\n1300 shutdown.target start waiting\n";

    #[test]
    fn only_a_restart_job_of_this_unit_is_a_restart() {
        assert_eq!(Job::read(UNIT, RESTARTING), Job::Restart);
        assert_eq!(Job::read(UNIT, STOPPING), Job::Other);
        assert_eq!(Job::read("other.service", RESTARTING), Job::Other);
        for unclear in [
            "",
            "garbage",
            "1 my-fencepost.service restart running",
            "No jobs running.",
        ] {
            assert_eq!(Job::read(UNIT, unclear), Job::Unknown, "{unclear}");
        }
    }

    #[test]
    fn a_program_that_hangs_or_fails_says_nothing() {
        let says = |program: &str, words: &[&str], limit| {
            let mut command = Command::new(program);
            command.args(words);
            Question::ask(command).and_then(|question| question.answer(limit))
        };
        let long = Duration::from_secs(60);
        assert_eq!(says("false", &[], long), None);
        assert_eq!(says("/nowhere/systemctl", &[], long), None);
        assert_eq!(says("echo", &["yes"], long).as_deref(), Some("yes\n"));
        assert_eq!(says("sleep", &["600"], Duration::from_millis(50)), None);
    }

    #[test]
    fn an_ended_process_does_not_run_even_before_it_is_reaped() {
        assert!(runs(std::process::id()));
        let mut child = Command::new("true").spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while runs(child.id()) {
            assert!(Instant::now() < until);
            sleep(LOOK_EVERY);
        }
        child.wait().unwrap();
        assert!(!runs(child.id()));
    }
}
