//! Taking the peer's power by any fence-agents program (IPMI, PDU, hypervisor), and proving that it could be taken.
//!
//! The convention: `key=value` lines on standard input, one of them the action; exit code 0 is done, and for `status`
//! 0 is on and 2 is off. `off` is believed only when `status`, asked after it, says off: a program may lie, or be told
//! of another machine. One run at a time; a fence that is ordered while the power is only asked for does not wait for
//! the answer. Nothing here ever gives power: only a person does.
//!
//! What if the program hangs? It is killed with everything it started when its time is over, and nobody knows what it
//! did. What if this thread dies? Its orders are refused, and the means counts as failed.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::program::Running;
use super::secrets;
use crate::io::mailbox::{Outbox, Received, Receiver, mailbox};
use crate::node::pair::{FenceReport, Probed};

/// Most orders waiting at once; the node has at most one of each kind under way.
const ORDERS_MAX: usize = 8;
/// Between looks whether a program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What `status` exits with, by the convention of fence-agents.
const ON: i32 = 0;
const OFF: i32 = 2;

/// Which program, and what it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalSpec {
    /// By its whole path.
    pub program: PathBuf,
    /// Besides the action.
    pub options: BTreeMap<String, String>,
    /// A file with more of them.
    pub secrets: Option<PathBuf>,
    /// For one order, all of its runs together.
    pub limit: Duration,
}

/// What the thread can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalOrder {
    /// Take the peer's power, and see that it is gone.
    Off {
        /// Echoed.
        nonce: u64,
    },
    /// Whatever is not done yet is not to be done. Power that is gone stays gone.
    CallOff,
    /// Ask whether the peer has power.
    Probe,
}

/// What the thread answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExternalReport {
    /// To [`ExternalOrder::Off`].
    Off {
        /// Of the order.
        nonce: u64,
        /// Off and seen to be, or what went wrong.
        outcome: FenceReport,
    },
    /// To [`ExternalOrder::CallOff`]: nothing runs.
    CalledOff,
    /// To [`ExternalOrder::Probe`].
    Probed(Result<Probed, String>),
}

/// Starts the thread of one program; `report` hears every answer.
///
/// # Errors
/// No thread.
pub fn start(
    spec: ExternalSpec,
    report: impl FnMut(ExternalReport) + Send + 'static,
) -> io::Result<(Outbox<ExternalOrder>, JoinHandle<()>)> {
    let (sender, orders) = mailbox(ORDERS_MAX);
    let thread = std::thread::Builder::new()
        .name("fp-fence".to_owned())
        .spawn(move || {
            let worker = Worker {
                spec,
                orders,
                report,
                off: None,
                probe: false,
                called_off: false,
            };
            worker.work();
        })?;
    Ok((Outbox::new(sender), thread))
}

struct Worker<R> {
    spec: ExternalSpec,
    orders: Receiver<ExternalOrder>,
    report: R,
    /// Ordered and not begun.
    off: Option<u64>,
    probe: bool,
    /// To be answered once nothing runs.
    called_off: bool,
}

/// What a run is for; a fence does not wait for a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Fence,
    Proof,
}

/// Why there is no exit code.
enum Failed {
    /// It was not run.
    NotRun(String),
    /// It was, and was killed or lost.
    Lost(String),
    /// It was killed because of another order.
    CalledOff,
}

impl<R: FnMut(ExternalReport)> Worker<R> {
    fn work(mut self) {
        loop {
            if core::mem::take(&mut self.called_off) {
                self.call_off();
            }
            if let Some(nonce) = self.off.take() {
                let outcome = self.take_power();
                (self.report)(ExternalReport::Off { nonce, outcome });
                continue;
            }
            if self.probe {
                // Interrupted by a fence, it is asked again afterwards.
                if let Some(outcome) = self.ask() {
                    self.probe = false;
                    (self.report)(ExternalReport::Probed(outcome));
                }
                continue;
            }
            match self.orders.take(None) {
                Received::Item(order) => self.note(order),
                Received::Timeout => {}
                Received::Closed => return,
            }
        }
    }

    fn take_power(&mut self) -> FenceReport {
        let until = Instant::now() + self.spec.limit;
        match self.run("off", until, Purpose::Fence) {
            Ok((status, _)) if status.success() => {}
            Ok((status, complaint)) => {
                return FenceReport::Unknown(format!("`off` ended with {status}{complaint}"));
            }
            Err(failed) => return failed.report(),
        }
        match self.run("status", until, Purpose::Fence) {
            Ok((status, _)) if status.code() == Some(OFF) => FenceReport::Confirmed,
            Ok((status, _)) if status.code() == Some(ON) => FenceReport::Unknown(
                "`off` said that it was done, and `status` says that the power is on".to_owned(),
            ),
            Ok((status, complaint)) => FenceReport::Unknown(format!(
                "`off` said that it was done, and `status` ended with {status}{complaint}"
            )),
            Err(failed) => failed.report(),
        }
    }

    fn ask(&mut self) -> Option<Result<Probed, String>> {
        let until = Instant::now() + self.spec.limit;
        Some(match self.run("status", until, Purpose::Proof) {
            Ok((status, _)) if status.code() == Some(ON) => Ok(Probed::Works),
            Ok((status, _)) if status.code() == Some(OFF) => Ok(Probed::PeerOff),
            Ok((status, complaint)) => Err(format!("`status` ended with {status}{complaint}")),
            Err(Failed::NotRun(why) | Failed::Lost(why)) => Err(why),
            Err(Failed::CalledOff) => return None,
        })
    }

    /// Run it to its end; the end, and what it complained with.
    fn run(
        &mut self,
        action: &str,
        until: Instant,
        purpose: Purpose,
    ) -> Result<(ExitStatus, String), Failed> {
        let input = self.input(action).map_err(Failed::NotRun)?;
        let mut running = Running::start(&self.spec.program, &input).map_err(Failed::NotRun)?;
        loop {
            match running.ended() {
                Ok(Some(status)) => return Ok((status, running.complaint())),
                Ok(None) => {}
                Err(error) => return Err(Failed::Lost(format!("`{action}` was lost: {error}"))),
            }
            if Instant::now() >= until {
                let death = running.kill();
                let limit = self.spec.limit.as_millis();
                let why = format!("`{action}` was not done within {limit} ms and {death}");
                return Err(Failed::Lost(why));
            }
            if self.interrupted(purpose) {
                running.kill();
                return Err(Failed::CalledOff);
            }
        }
    }

    /// Looks at the orders for a moment; whether one of them ends what runs.
    fn interrupted(&mut self, purpose: Purpose) -> bool {
        match self.orders.take(Some(LOOK_EVERY)) {
            Received::Item(order) => {
                self.note(order);
                match order {
                    ExternalOrder::Off { .. } => purpose == Purpose::Proof,
                    ExternalOrder::CallOff if purpose == Purpose::Proof => {
                        self.called_off = false;
                        self.call_off();
                        false
                    }
                    ExternalOrder::CallOff => true,
                    ExternalOrder::Probe => false,
                }
            }
            Received::Timeout => false,
            Received::Closed => {
                std::thread::sleep(LOOK_EVERY);
                // The agent ends. A fence is finished within its time, a proof is of no use to anybody.
                purpose == Purpose::Proof && {
                    self.probe = false;
                    true
                }
            }
        }
    }

    fn note(&mut self, order: ExternalOrder) {
        match order {
            ExternalOrder::Off { nonce } => self.off = Some(nonce),
            ExternalOrder::Probe => self.probe = true,
            ExternalOrder::CallOff => self.called_off = true,
        }
    }

    /// No fence runs: what has not begun never will.
    fn call_off(&mut self) {
        if let Some(nonce) = self.off.take() {
            let outcome = FenceReport::Refused("called off before it ran".to_owned());
            (self.report)(ExternalReport::Off { nonce, outcome });
        }
        (self.report)(ExternalReport::CalledOff);
    }

    fn input(&self, action: &str) -> Result<String, String> {
        let mut input = String::new();
        for (key, value) in &self.spec.options {
            input.push_str(&format!("{key}={value}\n"));
        }
        if let Some(file) = &self.spec.secrets {
            input.push_str(&secrets::read(file)?);
        }
        input.push_str(&format!("action={action}\n"));
        Ok(input)
    }
}

impl Failed {
    fn report(self) -> FenceReport {
        match self {
            Self::NotRun(why) => FenceReport::Refused(why),
            Self::Lost(why) => FenceReport::Unknown(why),
            Self::CalledOff => FenceReport::Unknown("called off while it ran".to_owned()),
        }
    }
}

#[cfg(test)]
#[path = "external_tests.rs"]
mod tests;
