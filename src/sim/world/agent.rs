//! The agent's process: its inbox, its turns, and the way of each action to its adapter.

use std::collections::VecDeque;

use super::thread::Thread;
use super::{Due, Host, Seen, World, saved_or_nothing};
use crate::node::{Action, Event, Instant, Node, Saved, Service};
use crate::sim::ideal::lock;
use crate::sim::invariants::Turn;
use crate::sim::mutant::Mutant;

/// Events waiting for a turn; more than this and the adapters would have to be refused.
const INBOX_MAX: usize = 256;
/// After a turn without news the status is looked at this often all the same.
const LOOK_EVERY: u64 = 8;

/// One life of the agent.
pub(super) struct Agent {
    pub(super) node: Node,
    pub(super) thread: Thread,
    pub(super) inbox: VecDeque<Event>,
    pub(super) paused_until: Option<Instant>,
    /// Last sign of life to the service manager.
    pub(super) alive_at: Instant,
    /// Dies after this many more actions.
    pub(super) dies_after: Option<u32>,
    /// Which planned turn counts, and when it is.
    plan: u64,
    planned_at: Option<Instant>,
    turns: u64,
    ended: Option<Ended>,
}

/// How an agent ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// As it decided.
    Exit,
    /// In the middle of its actions.
    Death,
}

impl World {
    pub(super) fn start_agent(&mut self, life: u64) {
        let stopped = self.machine.stopped;
        if self.agent.is_some() || !self.machine.is_up() || life != self.life || stopped {
            return;
        }
        if self.board_busy_until > self.now {
            return self.start_next();
        }
        self.life += 1;
        self.tally.agents += 1;
        let host_now = self.host_now();
        let policy = self.mutant.policy(&self.scenario.policy);
        let saved = saved_or_nothing(&self.disk);
        self.film
            .line(self.now, "agent", || format!("started, ledger {saved:?}"));
        self.see(&Seen::Started(&saved));
        self.see(&Seen::Host(Host::Able));
        if matches!(saved, Saved::Unreadable(_)) {
            // It is set aside, and begins anew.
            self.disk.torn = false;
            self.disk.durable = None;
        }
        let left = self.left.clone();
        self.agent = Some(Agent {
            node: Node::new(policy, host_now),
            thread: Thread::default(),
            inbox: VecDeque::from([Event::Started { saved, left }]),
            paused_until: None,
            alive_at: self.now,
            dies_after: None,
            plan: 0,
            planned_at: None,
            turns: 0,
            ended: None,
        });
        let life = self.life;
        for check in 0..self.scenario.policy.checks.len() {
            let first = self.dice.micros(1_000, 200_000);
            self.put_after(first, Due::Check { life, check });
        }
        let look = self.scenario.habits.unit_watchdog;
        self.put_after(look, Due::UnitWatchdog);
        self.plan_turn();
    }

    /// The agent is gone, however it went. Its driver goes with it, and what its descriptors held.
    pub(super) fn end_agent(&mut self) {
        if self.agent.is_none() {
            return;
        }
        lock(&self.shop).plant.tick(self.now);
        self.agent = None;
        if self.machine.stopped {
            // A service that is stopped for good has no descriptor store either.
            lock(&self.shop).plant.host_reset(self.now);
        }
        self.life += 1;
        self.see(&Seen::Ended);
        // What its last job still did, it did while it was there.
        self.foresee(self.board_busy_until.max(self.now), Host::Unable);
        self.board_changed();
    }

    pub(super) fn deliver(&mut self, life: u64, event: Event) {
        if life != self.life {
            return;
        }
        if let Some(agent) = &mut self.agent
            && agent.inbox.len() < INBOX_MAX
        {
            agent.inbox.push_back(event);
            self.plan_turn();
        }
    }

    pub(super) fn deliver_after(&mut self, span: core::time::Duration, event: Event) {
        let life = self.life;
        let event = Box::new(event);
        self.put_after(span, Due::Deliver { life, event });
    }

    /// The next turn: at once for what waits in the inbox, else at the node's own deadline; never in time.
    fn plan_turn(&mut self) {
        let lateness = self.lateness();
        let (now, behind, mutant) = (self.now, self.machine.behind, self.mutant);
        let Some(agent) = &mut self.agent else { return };
        let wish = if agent.inbox.is_empty() {
            let wakes_at = mutant.wakes_at(&agent.node, now - behind);
            wakes_at.map(|due| due + behind)
        } else {
            Some(now)
        };
        let Some(wish) = wish else { return };
        let at = wish.max(now) + lateness;
        if agent.planned_at.is_some_and(|planned| planned <= at) {
            return;
        }
        agent.plan += 1;
        agent.planned_at = Some(at);
        let plan = agent.plan ^ (self.life << 32);
        self.put(at, Due::Turn { plan });
    }

    pub(super) fn turn(&mut self, plan: u64) {
        let life = self.life;
        let host_now = self.host_now();
        let Some(agent) = &mut self.agent else { return };
        if plan != agent.plan ^ (life << 32) {
            return;
        }
        agent.planned_at = None;
        agent.turns += 1;
        self.tally.turns += 1;
        let event = agent.inbox.pop_front();
        let by_deadline = event.is_none();
        let mut news = agent.turns.is_multiple_of(LOOK_EVERY) || self.oracle.wants_status();
        if let Some(event) = &event {
            news |= !is_routine(event);
            self.film.event(self.now, event);
            self.see(&Seen::Told(event));
        }
        if let Some(agent) = &mut self.agent {
            match event {
                Some(event) => agent.node.handle(host_now, event),
                None => agent.node.handle_timeout(host_now),
            }
        }
        let (actions, told) = self.drain();
        self.after_turn(actions, news || told, by_deadline);
    }

    fn after_turn(&mut self, actions: usize, news: bool, by_deadline: bool) {
        let host_now = self.host_now();
        let Some(agent) = &self.agent else { return };
        let ended = agent.ended;
        if ended != Some(Ended::Death) {
            let status = news.then(|| self.mutant.status(agent.node.status(host_now)));
            if let Some(status) = &status {
                self.film.status(self.now, status);
            }
            let turn = Turn {
                status: status.as_ref(),
                wakes_at: self.mutant.wakes_at(&agent.node, host_now),
                actions,
                by_deadline,
            };
            self.see(&Seen::Turned(turn));
        }
        match ended {
            None => self.plan_turn(),
            Some(ended) => self.agent_ended(ended),
        }
    }

    fn agent_ended(&mut self, ended: Ended) {
        self.film
            .line(self.now, "agent", || format!("ended: {ended:?}"));
        self.end_agent();
        self.start_next();
    }

    /// The service manager starts a successor once the process is gone: not while a thread of it is in the kernel
    /// with a transaction and holds its lines.
    pub(super) fn start_next(&mut self) {
        let life = self.life;
        let gone = self.board_busy_until.max(self.now);
        self.put(gone + self.scenario.habits.restart, Due::Start { life });
    }

    /// Takes the node's actions in order, as the loop does. Says how many, and whether one is news.
    fn drain(&mut self) -> (usize, bool) {
        let (mut count, mut news) = (0, false);
        let mut last = None;
        while let Some(agent) = &mut self.agent {
            if agent.ended.is_some() || self.failed.is_some() {
                break;
            }
            let Some(action) = self.mutant.next_action(&mut agent.node, last.as_ref()) else {
                break;
            };
            count += 1;
            news |= !matches!(
                action,
                Action::Kick { .. } | Action::Read | Action::Keepalive | Action::Tell(_)
            );
            self.film.action(self.now, &action);
            self.see(&Seen::Decided(&action));
            last = (self.mutant != Mutant::Faithful).then(|| action.clone());
            self.dispatch(action);
            let Some(agent) = &mut self.agent else { break };
            if let Some(left) = agent.dies_after {
                agent.dies_after = left.checked_sub(1);
                if left == 0 {
                    agent.ended = Some(Ended::Death);
                }
            }
        }
        (count, news)
    }

    fn dispatch(&mut self, action: Action) {
        let life = self.life;
        match action {
            Action::OpenWatchdog => {
                let late = self.lateness();
                self.put_after(late, Due::Watchdog { life, open: true });
            }
            Action::Keepalive => {
                let late = self.lateness();
                self.put_after(late, Due::Watchdog { life, open: false });
            }
            Action::ReleaseWatchdog => self.release_watchdog(),
            Action::Persist { sequence, state } => self.persist(sequence, state),
            Action::Tell(Service::Alive) => {
                if let Some(agent) = &mut self.agent {
                    agent.alive_at = self.now;
                }
            }
            Action::Record(_) | Action::Reply { .. } | Action::Tell(_) => {}
            Action::Exit => self.exit(),
            order => self.order(order),
        }
    }

    /// The process ends after the controller thread has done what was ordered before.
    fn exit(&mut self) {
        while self.has_orders() && self.failed.is_none() {
            self.job_now();
        }
        if let Some(agent) = &mut self.agent {
            agent.ended = Some(Ended::Exit);
        }
    }
}

/// Whether an event can hardly change what is shown.
fn is_routine(event: &Event) -> bool {
    match event {
        Event::Kicked { outcome } => outcome.is_ok(),
        Event::KeepaliveSent { outcome } => outcome.is_ok(),
        _ => false,
    }
}
