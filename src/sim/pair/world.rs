//! The world: two appliances, links, cables, and one queue of what is due.
//!
//! Everything that takes time is an entry in the queue; equal seeds give equal worlds. Boards turn once a
//! millisecond while anything on them moves, and sleep otherwise.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use fencepost_firmware::{Rank as Strap, Strapping};

use super::appliance::{Agent, Appliance, BusState, Disk, Host, HostClock};
use super::board::Board;
use super::driver::Prepared;
use super::invariants::Ledger;
use super::kernel::{Call, Kernel};
use super::mutant::Mutant;
use super::net::{Cable, Link, LinkKind};
use super::scenario::{Setup, policy};
use crate::node::pair::{PairEvent, PairMemory, SavedPair};
use crate::node::{Action, Event, Instant, Node, Saved};
use crate::sim::dice::Dice;
use crate::wire::{BootId, Envelope, Message};

/// The controllers' main loop.
const BOARD_STEP: Duration = Duration::from_millis(1);

/// Everything.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) now: Instant,
    queue: BTreeMap<(Instant, u64), Due>,
    entries: u64,
    pub(super) nodes: [Appliance; 2],
    pub(super) links: Vec<Link>,
    /// `cables[n]`: node n's fence line to the other, and the acknowledge back.
    pub(super) cables: [Cable; 2],
    pub(super) dice: Dice,
    pub(super) setup: Setup,
    pub(super) mutant: Mutant,
    pub(super) ledger: Ledger,
    pub(super) film: Option<Vec<String>>,
    boards_at: Instant,
    pub(super) turns: u64,
}

/// Something that is due.
#[derive(Debug, Clone)]
pub(super) enum Due {
    Boards,
    Turn {
        node: usize,
        stamp: u64,
    },
    Deliver {
        node: usize,
        life: u64,
        event: Box<Event>,
    },
    Job {
        node: usize,
        life: u64,
    },
    Execute {
        node: usize,
        life: u64,
        prepared: Box<Prepared>,
    },
    Settled {
        node: usize,
        life: u64,
        order: Box<Action>,
        wanted: crate::board::RelayState,
    },
    Net {
        to: usize,
        link: usize,
        envelope: Envelope,
        message: Box<Message>,
    },
    Refused {
        node: usize,
        link: usize,
    },
    Kernel {
        node: usize,
        life: u64,
        call: Call,
    },
    VipsEnd {
        node: usize,
    },
    Saved {
        node: usize,
        life: u64,
        sequence: u64,
        memory: PairMemory,
    },
    StartAgent {
        node: usize,
        life: u64,
    },
    Resume {
        node: usize,
    },
    Mishap(super::mishaps::Mishap),
}

impl World {
    pub(super) fn new(setup: Setup, mutant: Mutant, mut dice: Dice) -> Self {
        let nodes = [0, 1].map(|index| appliance(index, &setup, &mut dice));
        let cable = Duration::from_micros(400);
        let mut world = Self {
            now: Instant::from_millis(1),
            queue: BTreeMap::new(),
            entries: 0,
            nodes,
            links: vec![Link::new(LinkKind::Direct), Link::new(LinkKind::Data)],
            cables: [Cable::new(cable), Cable::new(cable)],
            dice,
            setup,
            mutant,
            ledger: Ledger::default(),
            film: None,
            boards_at: Instant::ZERO,
            turns: 0,
        };
        world.put(Duration::ZERO, Due::Boards);
        world
    }

    pub(super) fn put(&mut self, after: Duration, due: Due) {
        self.put_at(self.now + after, due);
    }

    pub(super) fn put_at(&mut self, at: Instant, due: Due) {
        self.entries += 1;
        self.queue.insert((at.max(self.now), self.entries), due);
    }

    /// Does the next thing that is due by `until`; false when there is none.
    pub(super) fn step(&mut self, until: Instant) -> bool {
        let Some(entry) = self.queue.first_entry() else {
            return false;
        };
        if entry.key().0 > until {
            self.now = until;
            return false;
        }
        let ((at, _), due) = entry.remove_entry();
        self.now = at;
        self.occur(due);
        self.check();
        true
    }

    pub(super) fn run_until(&mut self, until: Instant) {
        while self.ledger.broken.is_none() && self.step(until) {}
    }

    pub(super) fn run_for(&mut self, span: Duration) {
        self.run_until(self.now + span);
    }

    fn occur(&mut self, due: Due) {
        match due {
            Due::Boards => self.step_boards(),
            Due::Turn { node, stamp } => self.turn(node, stamp),
            Due::Deliver { node, life, event } => {
                if life == self.nodes[node].life {
                    self.deliver(node, *event);
                }
            }
            Due::Job { node, life } => self.job(node, life),
            Due::Execute {
                node,
                life,
                prepared,
            } => self.execute(node, life, prepared),
            Due::Settled {
                node,
                life,
                order,
                wanted,
            } => self.job_settled(node, life, &order, wanted),
            Due::Net {
                to,
                link,
                envelope,
                message,
            } => self.arrive(to, link, envelope, *message),
            Due::Refused { node, link } => {
                self.tell(node, PairEvent::LinkRefused { link });
            }
            Due::Kernel { node, life, call } => self.kernel_call(node, life, call),
            Due::VipsEnd { node } => self.vips_end(node),
            Due::Saved {
                node,
                life,
                sequence,
                memory,
            } => self.saved(node, life, sequence, memory),
            Due::StartAgent { node, life } => {
                if life == self.nodes[node].life {
                    self.start_agent(node);
                }
            }
            Due::Resume { node } => self.resume(node),
            Due::Mishap(mishap) => self.befall(mishap),
        }
    }

    // ---- boards

    /// Something was ordered, or power came or went: the boards turn from here on.
    pub(super) fn wake_boards(&mut self) {
        if self.boards_at > self.now + BOARD_STEP {
            self.boards_at = self.now + BOARD_STEP;
            self.put(BOARD_STEP, Due::Boards);
        }
    }

    fn step_boards(&mut self) {
        if self.now < self.boards_at {
            return;
        }
        let outputs = [0, 1].map(|node| self.nodes[node].board.outputs());
        for node in [0, 1] {
            let other = 1 - node;
            let levels = self.cables[node].carry(self.now, outputs[node].fence, outputs[other].ack);
            self.nodes[other].board.lines.0 = levels.0;
            self.nodes[node].board.lines.1 = levels.1;
        }
        let mut moving = self.cables.iter().any(Cable::moving);
        for node in [0, 1] {
            moving |= self.nodes[node].board.step(self.now);
        }
        let after = [0, 1].map(|node| self.nodes[node].board.outputs());
        moving |= after != outputs;
        self.follow_data_carrier();
        let next = if moving {
            Some(self.now + BOARD_STEP)
        } else {
            let wakes = [0, 1].map(|node| self.nodes[node].board.wakes_at(self.now));
            wakes.into_iter().flatten().min()
        };
        match next {
            Some(at) => {
                self.boards_at = at;
                self.put_at(at, Due::Boards);
            }
            None => self.boards_at = Instant::from_nanos(u64::MAX),
        }
    }

    // ---- agents

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
            Some(memory) => SavedPair::Memory(self.mutant.memory(memory)),
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
        self.tell(node, PairEvent::Started { boot, saved });
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

    fn turn(&mut self, node: usize, stamp: u64) {
        let current = self.nodes[node]
            .agent
            .as_ref()
            .is_some_and(|agent| agent.turn_stamp == stamp);
        if current && !self.nodes[node].paused(self.now) {
            self.turn_with(node, None);
        }
    }

    /// Deadlines first, then the event, as the agent's loop does.
    fn turn_with(&mut self, node: usize, event: Option<Event>) {
        let local = self.nodes[node].clock.at(self.now);
        let mutant = self.mutant;
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
        let mut actions = Vec::new();
        while let Some(action) = agent.node.poll_action() {
            actions.push(action);
        }
        if let Some(event) = event.and_then(|event| mutant.event(event)) {
            agent.node.handle(local, event);
        }
        while let Some(action) = agent.node.poll_action() {
            actions.push(action);
        }
        for action in actions {
            self.act(node, action);
        }
        self.plan_turn(node);
    }

    fn plan_turn(&mut self, node: usize) {
        let late = self.dice.micros(5, self.setup.late_us);
        let clock = self.nodes[node].clock;
        let Some(agent) = &mut self.nodes[node].agent else {
            return;
        };
        agent.turn_stamp += 1;
        let stamp = agent.turn_stamp;
        if let Some((due, _)) = agent.node.poll_timeout() {
            let at = clock.when(due).max(self.now) + late;
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

    fn resume(&mut self, node: usize) {
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

    // ---- the controller thread

    pub(super) fn order(&mut self, node: usize, order: Action) {
        if let Some(agent) = &mut self.nodes[node].agent {
            agent.orders.push_back(order);
        }
        self.plan_job(node);
    }

    fn plan_job(&mut self, node: usize) {
        let after = self.dice.micros(20, self.setup.late_us);
        let life = self.nodes[node].life;
        let Some(agent) = &mut self.nodes[node].agent else {
            return;
        };
        if !agent.busy && !agent.orders.is_empty() {
            agent.busy = true;
            self.put(after, Due::Job { node, life });
        }
    }

    fn job(&mut self, node: usize, life: u64) {
        if let Some(until) = self.stopped(node, life) {
            return self.put_at(until, Due::Job { node, life });
        }
        let appliance = &mut self.nodes[node];
        let Some(agent) = appliance.agent.as_mut().filter(|_| life == appliance.life) else {
            return;
        };
        let waiting = agent.orders.iter().enumerate();
        let next = waiting.min_by_key(|(at, order)| (super::driver::rank(order), *at));
        let Some(order) = next
            .map(|(at, _)| at)
            .and_then(|at| agent.orders.remove(at))
        else {
            return;
        };
        let prepared = Box::new(appliance.prepare(self.now, order));
        let bus = self.dice.micros(150, self.setup.bus_us);
        self.put(
            bus,
            Due::Execute {
                node,
                life,
                prepared,
            },
        );
    }

    /// Until when the process of this life stands still.
    fn stopped(&self, node: usize, life: u64) -> Option<Instant> {
        let appliance = &self.nodes[node];
        let until = appliance.paused_until.filter(|until| self.now < *until)?;
        (life == appliance.life).then_some(until + Duration::from_micros(1))
    }

    fn execute(&mut self, node: usize, life: u64, prepared: Box<Prepared>) {
        if let Some(until) = self.stopped(node, life) {
            let due = Due::Execute {
                node,
                life,
                prepared,
            };
            return self.put_at(until, due);
        }
        if life != self.nodes[node].life || self.nodes[node].agent.is_none() {
            return;
        }
        let carried = self.nodes[node].carry_out(self.now, &prepared, self.mutant);
        self.wake_boards();
        match carried {
            Some(super::driver::Carried::Settle(span, wanted)) => {
                let order = Box::new(prepared.order);
                self.put(
                    span,
                    Due::Settled {
                        node,
                        life,
                        order,
                        wanted,
                    },
                );
            }
            Some(super::driver::Carried::Answer(event)) => self.job_done(node, life, Some(event)),
            None => self.job_done(node, life, None),
        }
    }

    fn job_settled(
        &mut self,
        node: usize,
        life: u64,
        order: &Action,
        wanted: crate::board::RelayState,
    ) {
        let event = self.nodes[node].settled(order, wanted);
        self.job_done(node, life, event);
    }

    fn job_done(&mut self, node: usize, life: u64, event: Option<Event>) {
        if life != self.nodes[node].life {
            return;
        }
        if let Some(agent) = &mut self.nodes[node].agent {
            agent.busy = false;
        }
        if let Some(event) = event {
            let after = self.dice.micros(10, self.setup.late_us);
            let event = Box::new(event);
            self.put(after, Due::Deliver { node, life, event });
        }
        self.plan_job(node);
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(film) = &mut self.film {
            film.push(format!("{} {}", self.now, line()));
        }
    }
}

fn appliance(index: usize, setup: &Setup, dice: &mut Dice) -> Appliance {
    let strap = if index == 0 {
        Strap::Preferred
    } else {
        Strap::Ordinary
    };
    let strapping = if setup.topology.fenced == crate::board::CutState::Disconnect {
        Strapping::parallel(setup.segments)
    } else {
        Strapping::series(setup.segments)
    };
    let strapping = strapping
        .and_then(|strapping| strapping.with_ticket_max_age_ms(500))
        .unwrap_or_else(|error| panic!("a strapping of the simulator: {error}"));
    let ppm = |dice: &mut Dice, most: u64| {
        let drawn = i64::try_from(dice.between(0, most * 2)).unwrap_or(0);
        drawn - i64::try_from(most).unwrap_or(0)
    };
    let seed = u32::try_from(dice.draw() & 0xffff_ffff).unwrap_or(1);
    let travel = dice.millis(2, 6);
    let board = Board::new(strapping.with_rank(strap), seed, ppm(dice, 4_000), travel);
    Appliance {
        board,
        host: Host::Down,
        kernel: Kernel::default(),
        agent: None,
        life: 0,
        disk: Disk::default(),
        clock: HostClock {
            offset: dice.millis(0, 1_000_000),
            ppm: ppm(dice, 400),
        },
        paused_until: None,
        bus: BusState::Works,
        healthy: true,
    }
}
