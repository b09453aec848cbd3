//! Agents: started, killed, stopped and woken; one turn at a time, deadlines first, as the agent's loop does it.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use super::appliance::{Agent, Host};
use super::scenario::policy;
use super::world::{Due, Minute, World};
use crate::node::pair::{PairEvent, SavedPair};
use crate::node::{Event, Node, Saved};
use crate::wire::{BootId, Text};

impl World {
    pub(super) fn start_agent(&mut self, node: usize) {
        let appliance = &mut self.nodes[node];
        if appliance.host == Host::Down || appliance.agent.is_some() {
            return;
        }
        let boot = BootId(self.dice.draw());
        let local = appliance.clock.at(self.now);
        let policy = policy(node, &self.setup, appliance.board.segments());
        appliance.agent = Some(Agent {
            node: Node::new(policy, local),
            boot,
            backlog: VecDeque::new(),
            orders: VecDeque::new(),
            busy: false,
            seen: None,
            turn_stamp: 0,
            ended: false,
        });
        let saved = match appliance.disk.memory {
            Some(memory) => SavedPair::Memory(memory),
            None => SavedPair::Nothing,
        };
        self.note(|| format!("agent {node} starts as {:x}: {saved:?}", boot.0));
        self.deliver(
            node,
            Event::Started {
                saved: Saved::Nothing,
                left: BTreeMap::new(),
            },
        );
        let named = (node < self.setup.named).then(|| format!("gate-{node}"));
        let host = named.and_then(|name| Text::of(&name));
        self.tell(node, PairEvent::Started { boot, saved, host });
        self.tell_carriers(node);
        self.check_reports(node);
    }

    /// The agent is gone between two instructions. What it had ordered dies with it.
    pub(super) fn kill_agent(&mut self, node: usize) {
        let appliance = &mut self.nodes[node];
        if appliance.agent.take().is_some() {
            appliance.life += 1;
            appliance.kernel.under_way = 0;
        }
        appliance.paused_until = None;
    }

    pub(super) fn tell(&mut self, node: usize, event: PairEvent) {
        self.deliver(node, Event::Pair(Box::new(event)));
    }

    /// An event reaches an agent, or waits for it in its queue.
    pub(super) fn deliver(&mut self, node: usize, event: Event) {
        let paused = self.nodes[node].paused(self.now);
        let Some(agent) = &mut self.nodes[node].agent else {
            return;
        };
        if paused || !agent.backlog.is_empty() {
            if agent.backlog.len() < 256 {
                agent.backlog.push_back(event);
            }
            return;
        }
        self.turn_with(node, Some(event));
    }

    pub(super) fn turn(&mut self, node: usize, stamp: u64) {
        let current = self.nodes[node]
            .agent
            .as_ref()
            .is_some_and(|agent| agent.turn_stamp == stamp);
        if current && !self.nodes[node].paused(self.now) {
            self.turn_with(node, None);
        }
    }

    /// Deadlines first, then the event, as the agent's loop does.
    pub(super) fn turn_with(&mut self, node: usize, event: Option<Event>) {
        let local = self.nodes[node].clock.at(self.now);
        let Some(agent) = &mut self.nodes[node].agent else {
            return;
        };
        if agent.ended {
            return;
        }
        self.turns += 1;
        if agent
            .node
            .poll_timeout()
            .is_some_and(|(due, _)| due <= local)
        {
            agent.node.handle_timeout(local);
        }
        let (now, minutes) = (self.now, &mut self.minutes);
        let mut jot = |minute: &dyn Fn() -> Minute| {
            if let Some(minutes) = minutes {
                minutes.push((now, minute()));
            }
        };
        let mut wanted = Vec::new();
        let mut event = event;
        loop {
            while let Some(action) = agent.node.poll_action() {
                jot(&|| Minute::Wanted(node, action.clone()));
                wanted.push(action);
            }
            let Some(event) = event.take() else {
                break;
            };
            jot(&|| Minute::Told(node, event.clone()));
            agent.node.handle(local, event);
        }
        for action in wanted {
            self.act(node, action);
        }
        self.plan_turn(node);
    }

    pub(super) fn plan_turn(&mut self, node: usize) {
        let late = self.lapse(5, self.setup.late_us);
        let clock = self.nodes[node].clock;
        let Some(agent) = &mut self.nodes[node].agent else {
            return;
        };
        agent.turn_stamp += 1;
        let stamp = agent.turn_stamp;
        if let Some((due, _)) = agent.node.poll_timeout() {
            let at = self.setup.pace.wakes_at(clock.when(due)).max(self.now) + late;
            self.put_at(at, Due::Turn { node, stamp });
        }
    }

    pub(super) fn pause(&mut self, node: usize, span: Duration) {
        let until = self.now + span;
        let appliance = &mut self.nodes[node];
        if appliance.agent.is_some() && appliance.paused_until.is_none_or(|at| at < until) {
            appliance.paused_until = Some(until);
            self.put_at(until, Due::Resume { node });
        }
    }

    pub(super) fn resume(&mut self, node: usize) {
        if self.nodes[node].paused(self.now) {
            return;
        }
        self.nodes[node].paused_until = None;
        loop {
            let Some(agent) = &mut self.nodes[node].agent else {
                return;
            };
            let Some(event) = agent.backlog.pop_front() else {
                break;
            };
            self.turn_with(node, Some(event));
        }
        self.turn_with(node, None);
        self.plan_job(node);
    }

    pub(super) fn agent_ended(&mut self, node: usize) {
        self.kill_agent(node);
    }
}
