//! What happened to a pair, for people to look at: both nodes' roles as they said them, both relays as the boards had them, and who
//! answered for the vip, question by question.

mod picture;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fencepost::board::RelayState;
use fencepost::control::{Answer, Request};
use fencepost::control_client::Client;
use fencepost::node::Instant;
use fencepost::wire::Role;
use serde::Serialize;

use super::trial::Trial;
use crate::board::Clock;
use crate::outcome::{Moment, Since};

pub use picture::draw;

/// Between two questions for the roles.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A role as an agent says it, or that it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Seen {
    /// No agent answers, or it is frozen.
    Silent,
    /// This.
    Role(Role),
}

/// Who answers for the vip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Owner {
    /// Nobody.
    Nobody,
    /// The primary.
    Primary,
    /// The secondary.
    Secondary,
    /// Both: what must never be.
    Both,
}

/// One node over time.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Lane {
    /// Roles.
    pub roles: Vec<Since<Seen>>,
    /// Contacts.
    pub relay: Vec<Since<RelayState>>,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Film {
    /// How long, milliseconds.
    pub duration_ms: f64,
    /// The nodes.
    pub lanes: [Lane; 2],
    /// Who answered.
    pub owners: Vec<Since<Owner>>,
    /// What was done.
    pub moments: Vec<Moment>,
}

/// Of each node, from when on.
type Roles = [Vec<(Instant, Seen)>; 2];

/// What an agent said of itself last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glimpse {
    /// Its role.
    pub role: Role,
    /// Its epoch.
    pub epoch: u64,
    /// What its right to serve rests on.
    pub proof: Option<String>,
    /// It would take over if its peer died now.
    pub ready: bool,
}

/// What a camera sees, for another thread to look at.
#[derive(Clone, Default)]
pub struct Finder(Arc<Mutex<[Option<Glimpse>; 2]>>);

impl Finder {
    /// Of both nodes; `None`: it says nothing.
    pub fn look(&self) -> [Option<Glimpse>; 2] {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn show(&self, index: usize, glimpse: Option<Glimpse>) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown[index] = glimpse;
    }
}

/// A camera on both agents of a bed whose sockets are here; on another bed both look silent. Ends with it.
pub struct Camera {
    roles: Arc<Mutex<Roles>>,
    finder: Finder,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    begun: Instant,
}

impl Camera {
    /// Begins to look.
    pub fn start(trial: &Trial) -> Self {
        let clock = trial.bed.clock;
        let sockets = [0, 1].map(|index| trial.hosts[index].control().unwrap_or_default());
        let roles: Arc<Mutex<Roles>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (theirs, stopped) = (Arc::clone(&roles), Arc::clone(&stop));
        let finder = Finder::default();
        let seen = finder.clone();
        let thread = std::thread::spawn(move || look(clock, &sockets, &theirs, &seen, &stopped));
        Self {
            roles,
            finder,
            stop,
            thread: Some(thread),
            begun: clock.now(),
        }
    }

    /// The roles as last said.
    pub fn now(&self) -> [Seen; 2] {
        let roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        [0, 1].map(|index| roles[index].last().map_or(Seen::Silent, |(_, seen)| *seen))
    }

    /// For another thread to look through.
    pub fn finder(&self) -> Finder {
        self.finder.clone()
    }

    /// Ends it; what it saw, with what board, wire and neighbour saw meanwhile.
    pub fn develop(mut self, trial: &Trial) -> Film {
        self.end();
        let to = trial.bed.now();
        let ms = |at: Instant| at.since(self.begun).as_secs_f64() * 1000.0;
        let roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = |index: usize| {
            let before = |at: &Instant| *at < self.begun;
            let moves = trial.side(index).segment().moves();
            let start = moves.iter().rev().find(|it| before(&it.at));
            let first = start.map_or(RelayState::Unknown, |it| it.to);
            let later = moves.iter().filter(|it| !before(&it.at));
            let mut relay = vec![Since {
                t_ms: 0.0,
                state: first,
            }];
            relay.extend(later.map(|it| Since {
                t_ms: ms(it.at),
                state: it.to,
            }));
            let roles = roles[index].iter().map(|(at, seen)| Since {
                t_ms: ms(*at),
                state: *seen,
            });
            Lane {
                roles: roles.collect(),
                relay,
            }
        };
        let answers = trial.bed.neighbour.answers(self.begun, to);
        let owners = answers.into_iter().map(|(at, owners)| Since {
            t_ms: ms(at),
            state: match owners.as_slice() {
                [true, true] => Owner::Both,
                [true, false] => Owner::Primary,
                [false, true] => Owner::Secondary,
                _ => Owner::Nobody,
            },
        });
        Film {
            duration_ms: ms(to),
            lanes: [lane(0), lane(1)],
            owners: changes(owners),
            moments: trial.moments_since(self.begun),
        }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.end();
    }
}

fn look(
    clock: Clock,
    sockets: &[PathBuf; 2],
    roles: &Mutex<Roles>,
    finder: &Finder,
    stop: &AtomicBool,
) {
    while !stop.load(Ordering::Relaxed) {
        for (index, socket) in sockets.iter().enumerate() {
            let glimpse = ask(socket);
            let seen = glimpse
                .as_ref()
                .map_or(Seen::Silent, |it| Seen::Role(it.role));
            finder.show(index, glimpse);
            let mut roles = roles.lock().unwrap_or_else(PoisonError::into_inner);
            if roles[index].last().is_none_or(|(_, last)| *last != seen) {
                roles[index].push((clock.now(), seen));
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn ask(socket: &std::path::Path) -> Option<Glimpse> {
    let mut client = Client::connect(socket).ok()?;
    // A frozen agent's kernel takes connections; nobody answers them.
    client.patience(LOOK_EVERY * 5).ok()?;
    match client.ask(Request::Status).ok()? {
        Answer::Status(status) => status.node.pair.map(|pair| Glimpse {
            role: pair.role,
            epoch: pair.epoch,
            proof: pair.proof,
            ready: pair.if_peer_died.is_empty(),
        }),
        _ => None,
    }
}

/// Only where something changes.
fn changes<T: PartialEq>(states: impl Iterator<Item = Since<T>>) -> Vec<Since<T>> {
    let mut kept: Vec<Since<T>> = Vec::new();
    for since in states {
        if kept.last().is_none_or(|last| last.state != since.state) {
            kept.push(since);
        }
    }
    kept
}
