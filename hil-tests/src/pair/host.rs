//! What a bed's appliance is, and how long things take there.

use std::path::PathBuf;
use std::time::Duration;

use fencepost::control::{Answer, Request};
use fencepost::node::pair::PairStatus;
use serde::Serialize;

use super::sync_service::SyncService;
use crate::error::{Result, RigError};

/// What a pair's hosts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Network namespaces of this kernel: native speed, an agent that is a process of the rig.
    Namespaces,
    /// Machines with kernels of their own: the agent as its package installs it, under systemd.
    Qemu,
}

/// An appliance's host and the agent on it. Its board and its wires are the bed's.
pub trait Host: Send {
    /// Starts the agent; a machine without power gets it first. Does not wait for either.
    fn start(&mut self) -> Result<()>;
    /// The agent ends at once, as in a crash, and nobody starts it again.
    fn kill(&mut self) -> Result<()>;
    /// The agent ends at once, and its supervisor starts it again.
    fn crash(&mut self) -> Result<()>;
    /// The agent's threads stand still.
    fn freeze(&mut self) -> Result<()>;
    /// They go on.
    fn thaw(&mut self) -> Result<()>;
    /// The agent is asked to end in order.
    fn terminate(&mut self) -> Result<()>;
    /// Whether it has ended within this time.
    fn wait_ended(&mut self, timeout: Duration) -> bool;
    /// The program is put in place anew, and the agent hands over to its successor.
    fn upgrade(&mut self) -> Result<()>;
    /// The whole host stands still, kernel and all.
    fn pause(&mut self) -> Result<()> {
        Err(needs_a_machine("to stand still"))
    }
    /// It goes on, and does not know that it stood still.
    fn resume(&mut self) -> Result<()> {
        Err(needs_a_machine("to go on"))
    }
    /// Its kernel panics; it boots again by itself.
    fn panic(&mut self) -> Result<()> {
        Err(needs_a_machine("to panic"))
    }
    /// Loses power, and its cables their light. Its board's power is the bed's.
    fn power_off(&mut self) -> Result<()>;
    /// Has power again.
    fn power_on(&mut self) -> Result<()>;
    /// Whether a means of its agent wants the other appliance's power gone.
    fn wants_power_off(&self) -> bool {
        false
    }
    /// That power is gone, as its means reads it; or there again.
    fn tell_power(&mut self, _off: bool) -> Result<()> {
        Err(RigError::Input(
            "no means of this host takes power".to_owned(),
        ))
    }
    /// The state sync service is started beside the agent.
    fn start_sync(&mut self) -> Result<()> {
        Err(RigError::Input("no sync service on this host".to_owned()))
    }
    /// It ends at once, as in a crash, and nobody starts it again.
    fn kill_sync(&mut self) {}
    /// That service, where this machine can reach its files.
    fn sync(&self) -> Option<&SyncService> {
        None
    }
    /// One question to the agent.
    ///
    /// # Errors
    /// None answers, or it refuses.
    fn ask(&self, request: Request) -> Result<Answer>;
    /// The last of what agent and host said, for a failure's report.
    fn said(&self) -> String;
    /// The agent's control socket, where this machine can reach it.
    fn control(&self) -> Option<PathBuf> {
        None
    }
    /// The agent's part in the pair, as it sees it; `None`: it does not answer.
    fn pair(&self) -> Option<PairStatus> {
        match self.ask(Request::Status) {
            Ok(Answer::Status(status)) => status.node.pair,
            _ => None,
        }
    }
}

fn needs_a_machine(what: &str) -> RigError {
    RigError::Input(format!("a namespace has no kernel of its own {what}"))
}

/// How long things take on a bed.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// For anything that is to happen. Far above what it should take: a busy machine must not fail a trial.
    pub long: Duration,
    /// Between looks.
    pub poll: Duration,
    /// From an order to start an agent until it runs, at most.
    pub start: Duration,
    /// Until a switched network is calm and every repeat of an announcement that matters is out.
    pub settle: Duration,
    /// Watched for so long where nothing may move.
    pub watch: Duration,
    /// For answers to the last questions of a span.
    pub last_answers: Duration,
    /// An owner of the vip answers within this time.
    pub answer: Duration,
    /// How long a sleeper sleeps on after it has been replaced.
    pub sleep: Duration,
}

impl Kind {
    /// In one word, as results and command lines have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Qemu => "qemu",
        }
    }

    /// Its times.
    pub const fn pace(self) -> Pace {
        match self {
            Self::Namespaces => Pace {
                long: Duration::from_secs(30),
                poll: Duration::from_millis(5),
                start: Duration::ZERO,
                settle: Duration::from_millis(400),
                watch: Duration::from_secs(2),
                last_answers: Duration::from_millis(100),
                answer: Duration::from_millis(200),
                sleep: Duration::from_secs(3),
            },
            Self::Qemu => Pace {
                long: Duration::from_secs(300),
                poll: Duration::from_millis(150),
                start: Duration::from_secs(15),
                settle: Duration::from_secs(2),
                watch: Duration::from_secs(8),
                last_answers: Duration::from_secs(1),
                answer: Duration::from_secs(2),
                sleep: Duration::from_secs(10),
            },
        }
    }
}
