//! Composition: every adapter is started here, joined to the loop, and taken down in order.
//!
//! What must work is small: the lock, the controller's thread and the control thread. Whatever else
//! cannot be had (socket, disk, real-time scheduling, watchdog) is told loudly, and the relays are held
//! all the same: an appliance that forwards unwatched is worse than one that cannot be asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use super::hands::Hands;
use super::pair_hands::{PairHands, of_addresses, of_links, of_program};
use super::setup::{Memory, PairSpec, Setup};
use super::snapshot::Snapshot;
use super::stats::LoopStats;
use super::{Agent, ExitReason};
use crate::io::carriers;
use crate::io::checks;
use crate::io::claims;
use crate::io::clock::Clock;
use crate::io::control;
use crate::io::controller_thread;
use crate::io::desk::{self, Desk};
use crate::io::fence::external::{self, ExternalOrder, ExternalSpec};
use crate::io::inbox::{Inbox, Inlet, Inlets, inbox};
use crate::io::left::LeftNote;
use crate::io::mailbox::Outbox;
use crate::io::realtime::{self, Grant, Priority};
use crate::io::recorder::{self, Recorder};
use crate::io::services::{self, ServicesOrder};
use crate::io::tracking::Tracker;
use crate::io::watchdog;
use crate::io::{
    history, hooks, hostname, ledger, links, lock, random, signals, sync_watch, systemd, vips,
};
use crate::node::pair::PairEvent;
use crate::node::{Event, Node, Policy, Saved};
use crate::wire::{BootId, Identity};

/// Stack of the control thread in bytes; a part of it is touched in advance.
const CONTROL_STACK_BYTES: usize = 1024 * 1024;
/// How long the other threads may take to finish what they were given when the agent ends.
const FINISH_MAX: Duration = Duration::from_secs(3);

/// Be the agent until told to stop.
pub fn run(setup: Setup) -> anyhow::Result<ExitReason> {
    make_directory(&setup.run_directory);
    make_directory(&setup.state_directory);
    // Before anything touches the hardware.
    let _lock = lock::take(&setup.run_directory.join("agent.lock"))?;
    signals::block().context("signals cannot be blocked")?;
    let memory = match setup.memory {
        Memory::Locked => realtime::lock_memory(),
        Memory::Pageable => Grant::NotAsked,
    };
    let saved = ledger::load(&setup.state_directory);
    let (inlets, inbox) = inbox();
    signals::start(inlets.ordinary.clone()).context("the signal thread cannot be started")?;
    let (parts, crew) = start(setup, &inlets, inbox, memory, saved)?;
    let control = std::thread::Builder::new()
        .name("fp-control".to_owned())
        .stack_size(CONTROL_STACK_BYTES)
        .spawn(move || parts.run())
        .context("the control thread cannot be started")?;
    let reason = control.join().map_err(|_| {
        anyhow!("the control thread ended by an internal error; the dead-man takes over")
    })?;
    finish(crew);
    Ok(reason)
}

/// What the control thread takes with it.
struct Parts {
    policy: Policy,
    inbox: Inbox,
    hands: Hands,
    snapshot: Snapshot,
    recording: Option<Recorder>,
    started: Event,
    priority: Priority,
    memory: Grant,
    begin: crate::node::Instant,
}

impl Parts {
    fn run(self) -> ExitReason {
        let realtime = realtime::prepare_this_thread("control", self.priority);
        let agent = Agent {
            node: Node::new(self.policy, self.begin),
            inbox: self.inbox,
            hands: self.hands,
            snapshot: self.snapshot,
            stats: LoopStats::new(realtime, self.memory),
            recorder: self.recording,
        };
        agent.run(self.started)
    }
}

/// Threads that are given time to finish.
type Crew = Vec<(&'static str, JoinHandle<()>)>;

fn start(
    setup: Setup,
    inlets: &Inlets,
    inbox: Inbox,
    memory: Grant,
    saved: Saved,
) -> anyhow::Result<(Parts, Crew)> {
    let snapshot = Snapshot::default();
    let state = &setup.state_directory;
    let left = LeftNote::at(&setup.run_directory.join("left.json"));
    let begin = Clock.now();
    let mut crew = Crew::new();

    let recording = match &setup.record {
        None => None,
        Some(path) => {
            let (recorder, thread) = recorder::start(path, setup.policy.clone(), begin)?;
            crew.push(("recorder", thread));
            Some(recorder)
        }
    };
    let (ledger, thread) = ledger::start(state.clone(), inlets.ordinary.clone())?;
    crew.push(("ledger", thread));
    let front = Desk::open(state);
    let (entries, health, history) = history::start(state.clone(), inlets.ordinary.clone())?;
    let (desk, thread) = desk::start(front.clone(), entries)?;
    crew.push(("desk", thread));
    crew.push(("history", history));
    let (manager, thread) = systemd::start(snapshot.clone())?;
    crew.push(("manager", thread));
    let watchdog = match setup.watchdog {
        None => None,
        Some(spec) => {
            let (orders, thread) =
                watchdog::start(spec, inlets.urgent.clone(), setup.bus_priority)?;
            crew.push(("watchdog", thread));
            Some(orders)
        }
    };
    let started = Event::Started {
        saved,
        left: left.read(),
    };
    let (controller, thread) = controller_thread::start(
        &setup.board,
        setup.opener,
        left,
        inlets.urgent.clone(),
        setup.bus_priority,
    )?;
    crew.push(("controller", thread));
    // These three end with the process.
    let ports = carriers::start(&setup.checks, inlets.ordinary.clone(), setup.bus_priority);
    if let Err(error) = ports {
        tracing::warn!("changes of carrier are not heard, checks find them by looking: {error}");
    }
    let _checks = checks::start(setup.checks, inlets.ordinary.clone())?;
    let path = setup.socket.path.clone();
    let inlet = inlets.ordinary.clone();
    if let Err(error) = control::start(setup.socket, snapshot.clone(), front, health, inlet) {
        tracing::error!(
            "nobody can ask this agent: {} cannot be listened at: {error}",
            path.display()
        );
    }

    let pair = match setup.pair {
        None => None,
        Some(spec) => Some(start_pair(
            spec,
            state,
            inlets,
            setup.bus_priority,
            &mut crew,
        )?),
    };
    let hands = Hands {
        controller,
        watchdog,
        ledger,
        desk,
        manager,
        pair,
        dropped: 0,
    };
    let parts = Parts {
        policy: setup.policy,
        inbox,
        hands,
        snapshot,
        recording,
        started,
        priority: setup.control_priority,
        memory,
        begin,
    };
    Ok((parts, crew))
}

/// The pair's threads, and the first word to the node: who it is in this life, and what an earlier one saved.
fn start_pair(
    spec: PairSpec,
    state: &Path,
    inlets: &Inlets,
    priority: Priority,
    crew: &mut Crew,
) -> anyhow::Result<PairHands> {
    const NO_RANDOM: &str = "the kernel gives no random numbers";
    let seed = random::bytes().context(NO_RANDOM)?;
    let boot = BootId(u64::from_ne_bytes(random::bytes().context(NO_RANDOM)?));
    let saved = ledger::load_pair(state);
    let (ledger, thread) = ledger::start_pair(state.to_path_buf(), inlets.ordinary.clone())?;
    crew.push(("pair ledger", thread));
    let host = hostname::read();
    let first = PairEvent::Started { boot, saved, host };
    // The lane is empty: nobody has been started yet that could have filled it.
    inlets.ordinary.tell(Event::Pair(Box::new(first)))?;
    let contested = inlets.ordinary.clone();
    let heard = claims::start(&spec.vips, move |claim| {
        tracing::warn!(
            "{} on {} is claimed by {:02x?}",
            claim.address,
            claim.interface,
            claim.by
        );
        let _behind = contested.tell(Event::Pair(Box::new(PairEvent::VipContested)));
    });
    if let Err(error) = heard {
        tracing::warn!("foreign claims to vips are not heard: {error}");
    }
    let answers = inlets.urgent.clone();
    let tracker = spec.tracker.clone();
    let committed = inlets.ordinary.clone();
    let (vips, thread) = vips::start(
        spec.vips,
        spec.vip_lifetime,
        move || {
            if let Some(Err(error)) = tracker.as_ref().and_then(Tracker::commit) {
                tell_tracking(&committed, error);
            }
        },
        move |answer| {
            if let Some(event) = of_addresses(answer) {
                let _ended = answers.tell(Event::Pair(Box::new(event)));
            }
        },
        priority,
    )?;
    crew.push(("vips", thread));
    let identity = Identity {
        side: spec.side,
        boot,
        seed,
    };
    let heard = inlets.ordinary.clone();
    let (links, _view, thread) = links::start(
        spec.links,
        identity,
        spec.keys,
        move |report| {
            // Behind by a whole queue: the heartbeats in it are newer than this one will be when it is read.
            let _behind = heard.tell(of_links(report));
        },
        priority,
    )?;
    crew.push(("links", thread));
    let hooks = match spec.hook {
        None => None,
        Some(hook) => {
            let ended = inlets.ordinary.clone();
            let (hooks, thread) = hooks::start(hook, move |transition, outcome| {
                let role = transition.role;
                let event = PairEvent::HookEnded { role, outcome };
                let _ended = ended.tell(Event::Pair(Box::new(event)));
            })?;
            crew.push(("hooks", thread));
            Some(hooks)
        }
    };
    let externals = start_externals(spec.externals, inlets, crew)?;
    let services = match spec.services {
        None => None,
        Some(units) => {
            let ended = inlets.ordinary.clone();
            let (services, thread) = services::start(units, move |order, outcome| {
                let ServicesOrder { number, wanted } = order;
                let event = PairEvent::ServicesSet {
                    number,
                    wanted,
                    outcome,
                };
                let _ended = ended.tell(Event::Pair(Box::new(event)));
            })?;
            crew.push(("services", thread));
            Some(services)
        }
    };
    if let Some(socket) = spec.sync_socket {
        let asked = inlets.ordinary.clone();
        let watched = sync_watch::start(socket, move |outcome| {
            let event = PairEvent::SyncTold { outcome };
            // Behind: the next answer is half a second away.
            let _behind = asked.tell(Event::Pair(Box::new(event)));
        });
        if let Err(error) = watched {
            tracing::warn!("nobody asks the sync service how it is: {error}");
        }
    }
    let tracking = match spec.tracker {
        None => None,
        Some(tracker) => {
            let failed = inlets.ordinary.clone();
            let (tracking, thread) = tracker.start(move |error| tell_tracking(&failed, error))?;
            crew.push(("tracking", thread));
            Some(tracking)
        }
    };
    Ok(PairHands {
        externals,
        hooks,
        tracking,
        services,
        links,
        vips,
        ledger,
        unsent: 0,
    })
}

/// One thread for each program that takes the peer's power.
fn start_externals(
    specs: Vec<(usize, ExternalSpec)>,
    inlets: &Inlets,
    crew: &mut Crew,
) -> anyhow::Result<BTreeMap<usize, Outbox<ExternalOrder>>> {
    let mut externals = BTreeMap::new();
    for (means, spec) in specs {
        let answers = inlets.urgent.clone();
        let (orders, thread) = external::start(spec, move |report| {
            let _ended = answers.tell(Event::Pair(Box::new(of_program(means, report))));
        })?;
        crew.push(("fence", thread));
        externals.insert(means, orders);
    }
    Ok(externals)
}

fn tell_tracking(inlet: &Inlet, error: String) {
    let event = PairEvent::TrackingFailed { error };
    let _ended = inlet.tell(Event::Pair(Box::new(event)));
}

fn make_directory(path: &Path) {
    if let Err(error) = std::fs::create_dir_all(path) {
        tracing::error!("{} cannot be made: {error}", path.display());
    }
}

/// Their queues are closed; let them empty what is in them. A thread that hangs on its disk or bus is left
/// behind: the process must end, so that a successor can start.
fn finish(crew: Crew) {
    let until = Instant::now() + FINISH_MAX;
    for (name, thread) in crew {
        while !thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        if !thread.is_finished() {
            tracing::error!("the {name} thread did not finish in time and is left behind");
        } else if thread.join().is_err() {
            tracing::error!("the {name} thread had ended by an internal error");
        }
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
