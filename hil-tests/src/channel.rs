//! The rig's end of the command channel into a guest.
//!
//! Contract: a call returns what the guest's agent did, or an error that says whether the outcome is unknown
//! ([`RigError::Restarted`]). A reset of the guest ends every call under way; [`Guest::wait_ready`] waits for the next incarnation.
//! Time-outs are the caller's: an emulated machine under load may take many seconds for little.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fencepost::control;

use crate::error::{AtPath, Result, RigError};
use crate::message::{Message, Operation, Outcome, Request, from_hex, to_hex};

pub use crate::message::{Execution, Hello};

/// What the guest may need beyond a command's own time-out to start it and to answer.
const GRACE: Duration = Duration::from_secs(60);
/// How often a silent guest is asked to say hello.
const KNOCK: Duration = Duration::from_secs(5);

#[derive(Default)]
struct State {
    hello: Option<(Hello, Instant)>,
    outcomes: BTreeMap<u64, (String, Outcome)>,
    next_id: u64,
    closed: bool,
}

type Shared = (Mutex<State>, Condvar);

/// A guest's command channel.
pub struct Guest {
    stream: Mutex<UnixStream>,
    shared: Arc<Shared>,
    console: PathBuf,
}

impl Guest {
    /// Connects to QEMU's end of the port. `console`: the log that errors point to.
    pub fn connect(path: &Path, console: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path).at("cannot connect to the guest's port at", path)?;
        let reader = stream.try_clone().at("cannot share", path)?;
        let shared = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || {
            for line in BufReader::new(reader).split(b'\n') {
                let Ok(line) = line else { break };
                // What a guest wrote half before it was reset does not parse.
                if let Ok(message) = serde_json::from_slice(&line) {
                    receive(&theirs, message);
                }
            }
            lock(&theirs).closed = true;
            theirs.1.notify_all();
        });
        Ok(Self {
            stream: Mutex::new(stream),
            shared,
            console: console.to_path_buf(),
        })
    }

    /// Who answers now, and since when; `None` before the first hello.
    pub fn hello(&self) -> Option<(Hello, Instant)> {
        lock(&self.shared).hello.clone()
    }

    /// Waits for an incarnation of the guest's agent other than `after` (`None`: any), as after a reset.
    pub fn wait_ready(&self, after: Option<&Hello>, timeout: Duration) -> Result<Hello> {
        let until = Instant::now() + timeout;
        loop {
            let state = lock(&self.shared);
            let left = until.saturating_duration_since(Instant::now());
            let is_new = |state: &State| {
                state.hello.as_ref().is_some_and(|(hello, _)| {
                    after.is_none_or(|after| after.incarnation != hello.incarnation)
                })
            };
            let waiting = |state: &mut State| !is_new(state) && !state.closed;
            let (state, _) = self
                .shared
                .1
                .wait_timeout_while(state, left.min(KNOCK), waiting)
                .unwrap_or_else(PoisonError::into_inner);
            match &state.hello {
                Some((hello, _)) if is_new(&state) => return Ok(hello.clone()),
                _ if state.closed => return Err(gone()),
                _ if left.is_zero() => {
                    return Err(self.timeout("the guest's command channel", timeout));
                }
                _ => drop(state),
            }
            // A hello said while nobody listened is lost; ask for another.
            self.send(&Request {
                id: 0,
                incarnation: String::new(),
                operation: Operation::Hello,
            })?;
        }
    }

    /// Runs a program and waits for it, at most `timeout` in the guest.
    pub fn exec(&self, argv: &[&str], timeout: Duration) -> Result<Execution> {
        let what = argv.join(" ");
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        match self.call(&what, Operation::Exec { argv, timeout_ms }, timeout + GRACE)? {
            Outcome::Exec(execution) => Ok(execution),
            other => Err(unexpected(&what, &other)),
        }
    }

    /// Runs a shell script; its standard output if it succeeds.
    pub fn shell(&self, script: &str, timeout: Duration) -> Result<String> {
        let done = self.exec(&["/bin/sh", "-c", script], timeout)?;
        match done.success() {
            true => Ok(done.stdout),
            false => Err(RigError::Guest {
                what: script.to_owned(),
                reason: format!("status {:?}\n{}{}", done.status, done.stdout, done.stderr),
            }),
        }
    }

    /// A file's content.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let what = format!("read {path}");
        match self.call(
            &what,
            Operation::Read {
                path: path.to_owned(),
            },
            GRACE,
        )? {
            Outcome::Content(content) => from_hex(&content).ok_or_else(|| RigError::Guest {
                what,
                reason: "content is not hexadecimal".to_owned(),
            }),
            other => Err(unexpected(&what, &other)),
        }
    }

    /// Makes or replaces a file. `mode`: permission bits.
    pub fn write(&self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        let what = format!("write {path}");
        match self.call(
            &what,
            Operation::Write {
                path: path.to_owned(),
                mode,
                content: to_hex(content),
            },
            GRACE,
        )? {
            Outcome::Written => Ok(()),
            other => Err(unexpected(&what, &other)),
        }
    }

    /// What fencepost's agent answers over its control socket; nothing, if none does.
    pub fn ask(&self, request: control::Request) -> Result<Vec<control::Answer>> {
        let what = format!("ask the agent for {request:?}");
        match self.call(&what, Operation::Ask { request }, GRACE)? {
            Outcome::Answers(answers) => Ok(answers),
            other => Err(unexpected(&what, &other)),
        }
    }

    fn call(&self, what: &str, operation: Operation, timeout: Duration) -> Result<Outcome> {
        let (id, incarnation) = {
            let mut state = lock(&self.shared);
            let Some((hello, _)) = state.hello.clone() else {
                return Err(RigError::Guest {
                    what: what.to_owned(),
                    reason: "the guest has not said hello yet: wait_ready first".to_owned(),
                });
            };
            state.next_id += 1;
            (state.next_id, hello.incarnation)
        };
        self.send(&Request {
            id,
            incarnation: incarnation.clone(),
            operation,
        })?;

        let same = |state: &State| {
            state
                .hello
                .as_ref()
                .is_some_and(|(hello, _)| hello.incarnation == incarnation)
        };
        let state = lock(&self.shared);
        let waiting =
            |state: &mut State| !state.outcomes.contains_key(&id) && same(state) && !state.closed;
        let (mut state, _) = self
            .shared
            .1
            .wait_timeout_while(state, timeout, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        match state.outcomes.remove(&id) {
            Some((from, Outcome::Failed(reason))) if from == incarnation => Err(RigError::Guest {
                what: what.to_owned(),
                reason,
            }),
            Some((from, outcome)) if from == incarnation => Ok(outcome),
            _ if state.closed => Err(gone()),
            _ if !same(&state) => Err(RigError::Restarted {
                what: what.to_owned(),
            }),
            _ => Err(self.timeout(&format!("an answer of the guest to `{what}`"), timeout)),
        }
    }

    fn send(&self, request: &Request) -> Result<()> {
        let line =
            serde_json::to_string(request).map_err(|error| RigError::Input(error.to_string()))?;
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        // The leading newline ends a line that an earlier guest took only half of.
        stream
            .write_all(format!("\n{line}\n").as_bytes())
            .map_err(|_| gone())
    }

    fn timeout(&self, what: &str, waited: Duration) -> RigError {
        RigError::Timeout {
            what: what.to_owned(),
            waited,
            log: self.console.clone(),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Ends the reader thread.
        let _ = self
            .stream
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .shutdown(std::net::Shutdown::Both);
    }
}

fn receive(shared: &Shared, message: Message) {
    let mut state = lock(shared);
    match message {
        Message::Hello(hello) => {
            let known = state
                .hello
                .as_ref()
                .is_some_and(|(known, _)| known.incarnation == hello.incarnation);
            if !known {
                // Answers of an earlier incarnation have nobody waiting for them any more.
                state.outcomes.clear();
                state.hello = Some((hello, Instant::now()));
            }
        }
        Message::Reply {
            id,
            incarnation,
            outcome,
        } => _ = state.outcomes.insert(id, (incarnation, outcome)),
    }
    drop(state);
    shared.1.notify_all();
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gone() -> RigError {
    RigError::Gone {
        what: "the guest's command channel".to_owned(),
        reason: "QEMU closed it".to_owned(),
    }
}

fn unexpected(what: &str, outcome: &Outcome) -> RigError {
    RigError::Guest {
        what: what.to_owned(),
        reason: format!("answered with {outcome:?}"),
    }
}
