//! What can happen next.

use core::fmt;

use super::super::appliance::{BusState, Host};
use super::super::driver::is_momentous;
use super::super::mishaps::Mishap;
use super::super::pace::BEAT;
use super::super::world::{Due, World};
use crate::node::Instant;
use crate::wire::Message;

/// One thing that happens to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// What is due.
    Next,
    /// What is due is held back.
    Hold,
    /// What was held back happens.
    LetGo(usize),
    Strike(Fault),
    Repair(Fault),
}

/// A class of faults on one node, or between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The agent dies; repaired: started again.
    Agent(usize),
    /// The host dies, its controller lives.
    Host(usize),
    /// Host and controller lose power.
    Power(usize),
    /// The controller alone loses power.
    Controller(usize),
    /// The agent stands still for some beats.
    Pause(usize),
    /// What this node says is lost.
    Deaf(usize),
    /// Nothing is heard either way, and both see it at once.
    Link,
    /// The fence cable of this node is broken.
    Cable(usize),
    /// The relay stays where it is.
    Relay(usize),
    /// Orders do not reach the controller.
    Bus(usize),
    /// Nothing can be saved.
    Disk(usize),
    /// A check fails.
    Unwell(usize),
    /// No fault: a person wants the other to serve.
    Switchover(usize),
}

/// For so long an agent stands still.
const PAUSE_BEATS: u32 = 9;

impl Fault {
    /// All of them.
    pub(super) const ALL: &[Self] = &[
        Self::Link,
        Self::Agent(0),
        Self::Agent(1),
        Self::Power(0),
        Self::Power(1),
        Self::Host(0),
        Self::Host(1),
        Self::Controller(0),
        Self::Controller(1),
        Self::Pause(0),
        Self::Pause(1),
        Self::Deaf(0),
        Self::Deaf(1),
        Self::Cable(0),
        Self::Cable(1),
        Self::Switchover(0),
        Self::Switchover(1),
        Self::Relay(0),
        Self::Relay(1),
        Self::Bus(0),
        Self::Bus(1),
        Self::Disk(0),
        Self::Disk(1),
        Self::Unwell(0),
        Self::Unwell(1),
    ];

    /// Whether it has struck and lasts.
    pub(super) fn lasts(self, world: &World) -> bool {
        let up = |node: usize| world.nodes[node].host == Host::Up;
        let powered = |node: usize| world.nodes[node].board.controller.is_some();
        match self {
            Self::Agent(node) => up(node) && world.nodes[node].agent.is_none(),
            Self::Host(node) => !up(node) && powered(node),
            Self::Power(node) => !up(node) && !powered(node),
            Self::Controller(node) => up(node) && !powered(node),
            Self::Pause(node) => world.nodes[node].paused(world.now),
            Self::Deaf(node) => world.links.iter().all(|link| link.ways[node].blocked),
            Self::Link => world.links.iter().all(|link| link.cut),
            Self::Cable(node) => !world.cables[node].intact,
            Self::Relay(node) => world.nodes[node].board.any_stuck(),
            Self::Bus(node) => world.nodes[node].bus != BusState::Works,
            Self::Disk(node) => world.nodes[node].disk.full,
            Self::Unwell(node) => !world.nodes[node].healthy,
            Self::Switchover(_) => false,
        }
    }

    /// Whether it makes a difference if it strikes.
    pub(super) fn can_strike(self, world: &World) -> bool {
        let agent = |node: usize| world.nodes[node].agent.is_some();
        !self.lasts(world)
            && match self {
                Self::Agent(node)
                | Self::Pause(node)
                | Self::Bus(node)
                | Self::Disk(node)
                | Self::Switchover(node)
                | Self::Unwell(node) => agent(node),
                Self::Host(node) | Self::Power(node) | Self::Controller(node) => {
                    world.nodes[node].host == Host::Up
                }
                _ => true,
            }
    }

    /// What ends by itself, or is no fault, cannot be repaired.
    pub(super) fn can_repair(self, world: &World) -> bool {
        self.lasts(world) && !matches!(self, Self::Pause(_) | Self::Switchover(_))
    }

    fn strike(self, world: &mut World) {
        match self {
            Self::Agent(node) => world.befall(Mishap::AgentDies { node, back: None }),
            Self::Host(node) => world.host_down(node),
            Self::Power(node) => world.befall_power_loss(node),
            Self::Controller(node) => world.power_controller(node, false),
            Self::Pause(node) => {
                let span = BEAT * PAUSE_BEATS;
                world.befall(Mishap::Pause { node, span });
            }
            Self::Switchover(node) => world.order_switchover(node),
            _ => self.set(world, true),
        }
    }

    fn repair(self, world: &mut World) {
        match self {
            Self::Agent(node) => world.start_agent(node),
            Self::Host(node) | Self::Power(node) => world.host_up(node),
            Self::Controller(node) => world.power_controller(node, true),
            Self::Pause(_) | Self::Switchover(_) => {}
            _ => self.set(world, false),
        }
    }

    fn set(self, world: &mut World, broken: bool) {
        let mishap = match self {
            Self::Deaf(from) => {
                for link in &mut world.links {
                    link.ways[from].blocked = broken;
                }
                return;
            }
            Self::Link => {
                let all = 0..world.links.len();
                return all.for_each(|link| world.befall(Mishap::Link { link, cut: broken }));
            }
            Self::Cable(node) => {
                let intact = !broken;
                Mishap::Cable { node, intact }
            }
            Self::Relay(node) => Mishap::Relay {
                node,
                stuck: broken,
            },
            Self::Bus(node) => {
                let state = u8::from(broken);
                Mishap::Bus { node, state }
            }
            Self::Disk(node) => Mishap::Disk { node, full: broken },
            Self::Unwell(node) => {
                let healthy = !broken;
                Mishap::Unwell { node, healthy }
            }
            _ => return,
        };
        world.befall(mishap);
    }
}

impl Choice {
    /// It happens, and then what follows by itself, up to where there is a choice again.
    pub(super) fn apply(self, world: &mut World) {
        match self {
            Self::Next => {
                step(world);
                to_choice(world);
            }
            Self::Hold => {
                world.hold_next();
                to_choice(world);
            }
            Self::LetGo(index) => {
                world.let_go(index);
                to_choice(world);
            }
            Self::Strike(fault) => {
                fault.strike(world);
                world.check();
            }
            Self::Repair(fault) => {
                fault.repair(world);
                world.check();
            }
        }
    }
}

/// Whether it can come late.
pub(super) fn can_be_held(world: &World) -> bool {
    let Some((at, due)) = world.due_next() else {
        return false;
    };
    at == world.now
        && world.counts(due)
        && match due {
            Due::Execute { prepared, .. } => is_momentous(&prepared.order),
            Due::Kernel { .. } | Due::Saved { .. } | Due::Net { .. } => true,
            _ => false,
        }
}

/// Runs until a choice is worth its while: before what decides something or can come late, and on every beat.
pub(super) fn to_choice(world: &mut World) {
    while world.ledger.broken.is_none() {
        let Some((at, due)) = world.due_next() else {
            return;
        };
        if at > world.now {
            if is_heard(due) || matches!(due, Due::Turn { .. }) && world.counts(due) {
                // Nothing is left to do now; the next beat begins.
                world.now = at;
                return;
            }
        } else if can_be_held(world) {
            return;
        }
        step(world);
    }
}

fn is_heard(due: &Due) -> bool {
    matches!(due, Due::Net { message, .. } if matches!(**message, Message::Heartbeat(_)))
}

fn step(world: &mut World) {
    world.step(Instant::from_nanos(u64::MAX));
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |node: &usize| ["A", "B"].get(*node).copied().unwrap_or("?");
        match self {
            Self::Agent(node) => write!(f, "{}'s agent dies", name(node)),
            Self::Host(node) => write!(f, "{}'s host dies", name(node)),
            Self::Power(node) => write!(f, "{} loses power", name(node)),
            Self::Controller(node) => write!(f, "{}'s controller loses power", name(node)),
            Self::Pause(node) => write!(f, "{}'s agent stands still", name(node)),
            Self::Deaf(node) => write!(f, "what {} says is lost", name(node)),
            Self::Link => f.write_str("nothing is heard either way"),
            Self::Cable(node) => write!(f, "{}'s fence cable breaks", name(node)),
            Self::Relay(node) => write!(f, "{}'s relay sticks", name(node)),
            Self::Bus(node) => write!(f, "{}'s controller is not reached", name(node)),
            Self::Disk(node) => write!(f, "{}'s disk is full", name(node)),
            Self::Unwell(node) => write!(f, "{}'s check fails", name(node)),
            Self::Switchover(node) => write!(f, "a switchover is ordered on {}", name(node)),
        }
    }
}
