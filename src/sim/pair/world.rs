//! The world: two appliances, links, cables, and one queue of what is due.
//!
//! Everything that takes time is an entry in the queue; equal seeds give equal worlds. Boards turn once a
//! millisecond while anything on them moves, and sleep otherwise.

use core::time::Duration;
use std::collections::BTreeMap;

use fencepost_firmware::{Rank as Strap, Strapping};

use super::appliance::{Appliance, BusState, Disk, Host, HostClock};
use super::board::Board;
use super::driver::Prepared;
use super::invariants::Ledger;
use super::kernel::{Call, Kernel};
use super::mutant::Mutant;
use super::net::{Cable, Link};
use super::pace::Pace;
use super::scenario::Setup;
use crate::node::pair::policy::Reach;
use crate::node::pair::{PairEvent, PairMemory};
use crate::node::{Action, Event, Instant};
use crate::sim::dice::Dice;
use crate::wire::{Envelope, Message};

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
    /// The order a node's program works on.
    pub(super) programs: [Option<u64>; 2],
    pub(super) dice: Dice,
    pub(super) setup: Setup,
    pub(super) mutant: Mutant,
    pub(super) ledger: Ledger,
    pub(super) film: Option<Vec<String>>,
    /// What both nodes were told and wanted, if it is kept.
    pub(super) minutes: Option<Vec<(Instant, Minute)>>,
    boards_at: Instant,
    pub(super) turns: u64,
    /// Faults that struck.
    pub(super) mishaps: u64,
    /// Things that were decided, began or landed: where a fault is worth placing.
    pub(super) moments: u64,
    /// Taken out of the queue: it occurs when somebody says so.
    pub(super) held: Vec<Due>,
    /// Everything was repaired: faults that were still to come do not.
    pub(super) healed: bool,
}

/// One entry of the minutes.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "minutes are read by the golden tests")
)]
pub(super) enum Minute {
    Told(usize, Event),
    Wanted(usize, Action),
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
    TakePower {
        node: usize,
        life: u64,
        nonce: u64,
        means: usize,
        fate: super::power::Fate,
    },
    Resume {
        node: usize,
    },
    Mishap(super::mishaps::Mishap),
}

impl Due {
    /// Whose it is; of a message, who gets it.
    pub(super) fn node(&self) -> usize {
        match self {
            Self::Boards | Self::Mishap(_) => 0,
            Self::Turn { node, .. }
            | Self::Deliver { node, .. }
            | Self::Job { node, .. }
            | Self::Execute { node, .. }
            | Self::Settled { node, .. }
            | Self::Refused { node, .. }
            | Self::Kernel { node, .. }
            | Self::VipsEnd { node }
            | Self::Saved { node, .. }
            | Self::StartAgent { node, .. }
            | Self::TakePower { node, .. }
            | Self::Resume { node } => *node,
            Self::Net { to, .. } => *to,
        }
    }
}

impl World {
    pub(super) fn new(setup: Setup, mutant: Mutant, mut dice: Dice) -> Self {
        let nodes = [0, 1].map(|index| appliance(index, &setup, &mut dice));
        let cable = setup.pace.span(Duration::from_micros(400));
        let mut world = Self {
            now: Instant::from_millis(1),
            queue: BTreeMap::new(),
            entries: 0,
            nodes,
            links: setup.links(),
            cables: [Cable::new(cable), Cable::new(cable)],
            programs: [None; 2],
            dice,
            setup,
            mutant,
            ledger: Ledger::default(),
            film: None,
            minutes: None,
            boards_at: Instant::ZERO,
            turns: 0,
            mishaps: 0,
            moments: 0,
            held: Vec::new(),
            healed: false,
        };
        world.put(Duration::ZERO, Due::Boards);
        world
    }

    /// Something that takes from `low` to `high` microseconds, where things take their time.
    pub(super) fn lapse(&mut self, low: u64, high: u64) -> Duration {
        match self.setup.pace {
            Pace::Drawn => self.dice.micros(low, high),
            Pace::Beats => Duration::ZERO,
        }
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

    /// Everything that decides what comes next, without what merely counts.
    #[cfg(test)]
    pub(super) fn print(&self) -> String {
        let due: Vec<_> = self.queue.iter().map(|((at, _), due)| (at, due)).collect();
        format!(
            "{} {:?} {:?} {:?} {due:?}",
            self.now, self.nodes, self.links, self.cables
        )
    }

    /// What is due next, and when.
    pub(super) fn due_next(&self) -> Option<(Instant, &Due)> {
        let ((at, _), due) = self.queue.first_key_value()?;
        Some((*at, due))
    }

    /// What is due next waits until it is let go.
    pub(super) fn hold_next(&mut self) {
        let Some((_, due)) = self.queue.pop_first() else {
            return;
        };
        if let Due::Kernel { node, call, .. } = &due
            && self.mutant.gives_up_serve_actions()
        {
            self.give_up(*node, *call);
        }
        self.held.push(due);
    }

    /// What was held occurs now.
    pub(super) fn let_go(&mut self, index: usize) {
        if index < self.held.len() {
            let due = self.held.remove(index);
            self.occur(due);
            self.check();
        }
    }

    /// All that is due and still means something, in order.
    pub(super) fn pending(&self) -> impl Iterator<Item = (Instant, usize, &Due)> {
        let all = self.queue.iter().map(|((at, _), due)| (*at, due));
        all.filter(|(at, due)| match due {
            Due::Boards => *at == self.boards_at,
            _ => self.counts(due),
        })
        .map(|(at, due)| (at, due.node(), due))
    }

    /// What is held, and still means something.
    pub(super) fn held(&self) -> impl Iterator<Item = (usize, &Due)> {
        let held = self.held.iter().filter(|due| self.counts(due));
        held.map(|due| (due.node(), due))
    }

    /// Whether it will do anything when it occurs.
    pub(super) fn counts(&self, due: &Due) -> bool {
        let lives = |node: usize, life: u64| self.nodes[node].life == life;
        match due {
            Due::Turn { node, stamp } => {
                let agent = self.nodes[*node].agent.as_ref();
                agent.is_some_and(|agent| agent.turn_stamp == *stamp)
            }
            Due::Deliver { node, life, .. }
            | Due::Job { node, life }
            | Due::Execute { node, life, .. }
            | Due::Settled { node, life, .. }
            | Due::Kernel { node, life, .. }
            | Due::Saved { node, life, .. }
            | Due::TakePower { node, life, .. }
            | Due::StartAgent { node, life } => lives(*node, *life),
            _ => true,
        }
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
            Due::TakePower {
                node,
                life,
                nonce,
                means,
                fate,
            } => self.take_power(node, life, (means, nonce), fate),
            Due::Resume { node } => self.resume(node),
            Due::Mishap(mishap) => self.befall(mishap),
        }
    }

    // ---- boards

    /// Something was ordered, or power came or went: the boards turn from here on.
    pub(super) fn wake_boards(&mut self) {
        let at = self.now + self.setup.pace.span(BOARD_STEP);
        if self.boards_at > at {
            self.boards_at = at;
            self.put_at(at, Due::Boards);
        }
    }

    fn step_boards(&mut self) {
        if self.now < self.boards_at {
            return;
        }
        let mutant = self.mutant;
        let outputs = [0, 1].map(|node| self.nodes[node].board.outputs_of(mutant));
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
        let after = [0, 1].map(|node| self.nodes[node].board.outputs_of(mutant));
        let changed = after != outputs;
        self.follow_data_carrier();
        let next = match self.setup.pace {
            Pace::Drawn if moving || changed => Some(self.now + BOARD_STEP),
            Pace::Beats if changed => Some(self.now),
            _ => {
                let boards = self.nodes.iter().map(|node| &node.board);
                let wakes = boards.clone().filter_map(|board| board.wakes_at(self.now));
                wakes.chain(boards.filter_map(Board::arrives_at)).min()
            }
        };
        match next {
            Some(at) => {
                self.boards_at = at;
                self.put_at(at, Due::Boards);
            }
            None => self.boards_at = Instant::from_nanos(u64::MAX),
        }
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
    let strapping = if setup.topology.reach != Reach::Own {
        Strapping::chained(setup.segments)
    } else if setup.topology.fenced == crate::board::CutState::Disconnect {
        Strapping::parallel(setup.segments)
    } else {
        Strapping::series(setup.segments)
    };
    let strapping = strapping
        .and_then(|strapping| strapping.with_ticket_max_age_ms(setup.ticket_max_age_ms()))
        .unwrap_or_else(|error| panic!("a strapping of the simulator: {error}"));
    let ppm = |dice: &mut Dice, most: u64| {
        let drawn = i64::try_from(dice.between(0, most * 2)).unwrap_or(0);
        drawn - i64::try_from(most).unwrap_or(0)
    };
    let seed = u32::try_from(dice.draw() & 0xffff_ffff).unwrap_or(1);
    let travel = setup.pace.travel(dice.millis(2, 6));
    let drift = if setup.pace == Pace::Drawn { 1 } else { 0 };
    let board_ppm = ppm(dice, 4_000) * drift;
    let mut board = Board::new(strapping.with_rank(strap), seed, board_ppm, travel);
    board.fitted = setup.relays;
    Appliance {
        board,
        host: Host::Down,
        kernel: Kernel::default(),
        agent: None,
        life: 0,
        disk: Disk::default(),
        clock: HostClock {
            offset: setup.pace.span(dice.millis(0, 1_000_000)),
            ppm: ppm(dice, 400) * drift,
        },
        paused_until: None,
        bus: BusState::Works,
        healthy: true,
        told_dark: false,
    }
}
