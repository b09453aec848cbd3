//! QEMU's control socket: commands, and what QEMU reports by itself.
//!
//! One reader thread; every event is stamped when it is read and kept for the whole life of the machine, so that a scenario can
//! ask "was there a reset after this instant" without a race. If QEMU dies, commands fail and the event list ends.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::{AtPath, Result, RigError};

/// How long QEMU may take to answer. Generous: the machine shares its processors with the compiler.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Something QEMU reported.
#[derive(Debug, Clone)]
pub struct Event {
    /// When the rig read it.
    pub at: Instant,
    /// QMP name: `RESET`, `WATCHDOG`, `SHUTDOWN`, `STOP`, `RESUME`, `GUEST_PANICKED`…
    pub name: String,
    /// QMP data.
    pub data: Value,
}

#[derive(Default)]
struct State {
    events: Vec<Event>,
    answers: BTreeMap<u64, Value>,
    next_id: u64,
    closed: bool,
}

/// A control connection.
pub struct Qmp {
    stream: Mutex<UnixStream>,
    shared: Arc<(Mutex<State>, Condvar)>,
}

/// Called on the reader thread for each event.
pub type EventHook = Box<dyn FnMut(&Event) + Send>;

impl Qmp {
    /// Connects to a socket that QEMU already listens on.
    pub fn connect(path: &Path, mut hook: EventHook) -> Result<Self> {
        let stream = UnixStream::connect(path).at("cannot connect to QEMU at", path)?;
        let reader = stream.try_clone().at("cannot share", path)?;
        let shared = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines() {
                let Ok(line) = line else { break };
                if let Ok(message) = serde_json::from_str(&line) {
                    receive(&theirs, message, &mut hook);
                }
            }
            lock(&theirs).closed = true;
            theirs.1.notify_all();
        });
        let qmp = Self {
            stream: Mutex::new(stream),
            shared,
        };
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// One command and its answer.
    pub fn execute(&self, command: &str, arguments: Value) -> Result<Value> {
        let id = {
            let mut state = lock(&self.shared);
            state.next_id += 1;
            state.next_id
        };
        let line =
            json!({ "execute": command, "arguments": arguments, "id": id }).to_string() + "\n";
        let sent = self
            .stream
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(line.as_bytes());
        sent.map_err(|error| gone(&format!("{command}: {error}")))?;

        let state = lock(&self.shared);
        let waiting = |state: &mut State| !state.answers.contains_key(&id) && !state.closed;
        let (mut state, _) = self
            .shared
            .1
            .wait_timeout_while(state, ANSWER_TIMEOUT, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        match state.answers.remove(&id) {
            Some(answer) if answer.get("error").is_some() => Err(RigError::Qmp {
                command: command.to_owned(),
                reason: answer["error"]["desc"].to_string(),
            }),
            Some(mut answer) => Ok(answer["return"].take()),
            None if state.closed => Err(gone(&format!("connection closed during {command}"))),
            None => Err(gone(&format!(
                "no answer to {command} within {ANSWER_TIMEOUT:?}"
            ))),
        }
    }

    /// Everything reported so far, oldest first.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.shared).events.clone()
    }

    /// The first event `name` read after `since`; `None` if none comes within `timeout`.
    pub fn wait_event(&self, name: &str, since: Instant, timeout: Duration) -> Option<Event> {
        let find = |state: &State| {
            state
                .events
                .iter()
                .find(|event| event.name == name && event.at > since)
                .cloned()
        };
        let state = lock(&self.shared);
        let (state, _) = self
            .shared
            .1
            .wait_timeout_while(state, timeout, |state| {
                find(state).is_none() && !state.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        find(&state)
    }
}

fn receive(shared: &(Mutex<State>, Condvar), mut message: Value, hook: &mut EventHook) {
    if let Some(name) = message["event"].as_str() {
        let event = Event {
            at: Instant::now(),
            name: name.to_owned(),
            data: message["data"].take(),
        };
        tracing::debug!("QEMU: {} {}", event.name, event.data);
        hook(&event);
        lock(shared).events.push(event);
    } else if let Some(id) = message["id"].as_u64() {
        lock(shared).answers.insert(id, message);
    }
    shared.1.notify_all();
}

fn lock(shared: &(Mutex<State>, Condvar)) -> MutexGuard<'_, State> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gone(reason: &str) -> RigError {
    RigError::Gone {
        what: "QEMU".to_owned(),
        reason: reason.to_owned(),
    }
}
