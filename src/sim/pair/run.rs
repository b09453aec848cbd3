//! One seed: a world is drawn and troubled; where it is then repaired, it must come back.
//!
//! Storm: faults upon faults, none of them followed by help; nothing but safety is asked. Heal: some faults, then
//! everything is repaired, and exactly one node must serve within [`RECOVERY_MAX`], the other ready beside it.

use core::time::Duration;

use super::mishaps::Mishap;
use super::mutant::Mutant;
use super::scenario::{Setup, Wires};
use super::world::{Due, World};
use crate::node::Instant;
use crate::sim::dice::Dice;
use crate::sim::run::Mode;

/// Once everything is repaired, exactly one node serves within this time, and the other stands ready.
pub(super) const RECOVERY_MAX: Duration = Duration::from_secs(8);
/// And stays so for this long.
const STABLE_FOR: Duration = Duration::from_millis(700);

/// What became of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What was asked of it.
    pub mode: Mode,
    /// How its nodes were wired.
    pub wires: Wires,
    /// What was broken first, if anything was.
    pub broken: Option<String>,
    /// What happened, if it was asked for.
    pub film: Vec<String>,
    /// Times a node became Active.
    pub takeovers: u64,
    /// Turns of both agents.
    pub turns: u64,
    /// Faults that struck.
    pub mishaps: u64,
    /// How long it lived.
    pub lived: Duration,
    /// From the repair until one node served and the other stood ready, for good.
    pub recovered_in: Option<Duration>,
}

impl Outcome {
    /// The line that runs it again.
    pub fn again(&self) -> String {
        let wires = match self.wires {
            Wires::Drawn => String::new(),
            wires => format!(" --wires {}", wires.word()),
        };
        format!(
            "hil sim --pair{wires} --seed {} --mode {}",
            self.seed, self.mode
        )
    }
}

/// Lives one world. `film`: keep what happens.
pub fn run(wires: Wires, seed: u64, mode: Mode, film: bool) -> Outcome {
    run_with(wires, seed, mode, film, Mutant::Faithful)
}

pub(super) fn run_with(wires: Wires, seed: u64, mode: Mode, film: bool, mutant: Mutant) -> Outcome {
    let mut dice = Dice::new(seed);
    let setup = Setup::drawn(&mut dice).wired(wires);
    let mut script = dice.fork();
    let mut world = World::new(setup, mutant, dice);
    if film {
        let setup = format!("{:?}", world.setup);
        world.film = Some(vec![setup]);
    }
    boot(&mut world, &mut script);
    let mut recovered_in = None;
    match mode {
        Mode::Storm => {
            for _ in 0..2 + script.index(4) {
                trouble(&mut world, &mut script);
            }
        }
        Mode::Heal => {
            trouble(&mut world, &mut script);
            world.heal();
            recovered_in = recover(&mut world);
        }
    }
    Outcome {
        seed,
        mode,
        wires,
        broken: world.ledger.broken.take(),
        film: world.film.take().unwrap_or_default(),
        takeovers: world.ledger.takeovers,
        turns: world.turns,
        mishaps: world.mishaps,
        lived: world.now.since(Instant::ZERO),
        recovered_in,
    }
}

/// Both boot, not at the same time; and mostly they are let settle.
fn boot(world: &mut World, script: &mut Dice) {
    let first = script.index(2);
    world.host_up(first);
    let apart = script.millis(0, 1_000);
    world.run_for(apart);
    world.host_up(1 - first);
    let settle = if script.chance(850) {
        Duration::from_millis(2_500)
    } else {
        script.millis(0, 2_500)
    };
    world.run_for(settle);
}

fn trouble(world: &mut World, script: &mut Dice) {
    let count = 1 + script.index(3) + script.index(6);
    let span = script.millis(500, 5_000);
    for _ in 0..count {
        let (mishap, end) = Mishap::draw(script, world.links.len());
        let begins =
            Duration::from_micros(script.between(0, u64::try_from(span.as_micros()).unwrap_or(0)));
        world.put(begins, Due::Mishap(mishap));
        if let Some((lasts, end)) = end {
            world.put(begins + lasts, Due::Mishap(end));
        }
    }
    if world.setup.lease {
        // Draws of their own: worlds without a stuck relay stay what they were.
        let mut aside = script.clone().fork();
        // A lease alone counts on relays that open. Beside a fence cable that doubts it, it counts on the kernel.
        let doubts = world.setup.wire && world.setup.vip_lifetime.is_some();
        if doubts && aside.chance(350) {
            stick(world, &mut aside);
        }
    } else if script.chance(200) {
        stick(world, script);
    }
    if world.setup.pins {
        pins(world, &mut script.clone().fork(), span);
    }
    if script.chance(700) {
        isolation(world, script, span);
    }
    world.run_for(span);
}

/// People pin it, of all times now, and change their minds.
fn pins(world: &mut World, script: &mut Dice, span: Duration) {
    let most = u64::try_from(span.as_millis()).unwrap_or(0);
    for _ in 0..script.index(4) {
        let node = script.index(2);
        let on = script.chance(650);
        let at = script.millis(0, most);
        world.put(at, Due::Mishap(Mishap::Pin { node, on }));
    }
}

fn stick(world: &mut World, script: &mut Dice) {
    let node = script.index(2);
    let begins = script.millis(0, 2_000);
    let lasts = script.millis(50, 2_500);
    let relay = |stuck| Mishap::Relay { node, stuck };
    world.put(begins, Due::Mishap(relay(true)));
    world.put(begins + lasts, Due::Mishap(relay(false)));
}

/// Faults that meet: all links at once, often with the fence cables, and something happening to the agents just
/// then. Drawn one by one they would hardly ever coincide.
fn isolation(world: &mut World, script: &mut Dice, span: Duration) {
    let at = script.micros(0, u64::try_from(span.as_micros()).unwrap_or(0) / 2);
    let lasts = script.millis(30, 1_500);
    let from = script.index(3);
    for link in 0..world.links.len() {
        for node in [0, 1] {
            if from == 2 || from == node {
                let way = |blocked| Mishap::Way {
                    link,
                    from: node,
                    blocked,
                };
                world.put(at, Due::Mishap(way(true)));
                world.put(at + lasts, Due::Mishap(way(false)));
            }
        }
    }
    for node in [0, 1] {
        if script.chance(350) {
            let cable = |intact| Mishap::Cable { node, intact };
            let lasts = script.millis(10, 2_500);
            world.put(at, Due::Mishap(cable(false)));
            world.put(at + lasts, Due::Mishap(cable(true)));
        }
    }
    for _ in 0..script.index(4) {
        let node = script.index(2);
        let near = at + script.millis(0, 700);
        let mishap = match script.index(6) {
            0 => Mishap::Pause {
                node,
                span: script.millis(1, 900),
            },
            1 => Mishap::AgentDies {
                node,
                back: Some(script.millis(1, 300)),
            },
            2 => Mishap::ControllerDark {
                node,
                back: script.millis(1, 100),
            },
            3 => Mishap::SlowKernel {
                node,
                by: script.millis(20, 1_500),
            },
            4 => Mishap::Switchover { node },
            _ => Mishap::PowerCut {
                node,
                back: script.millis(10, 900),
            },
        };
        world.put(near, Due::Mishap(mishap));
    }
}

/// How long it took until it was good for good.
fn recover(world: &mut World) -> Option<Duration> {
    let healed_at = world.now;
    let until = healed_at + RECOVERY_MAX;
    let mut good_since: Option<Instant> = None;
    let mut last = String::new();
    while world.ledger.broken.is_none() && world.now < until {
        world.run_for(Duration::from_millis(20));
        match world.recovered() {
            Ok(_) => {
                let since = *good_since.get_or_insert(world.now);
                if world.now.since(since) >= STABLE_FOR {
                    return Some(since.since(healed_at));
                }
            }
            Err(why) => {
                good_since = None;
                last = why;
            }
        }
    }
    world.broke(format!("not recovered after {RECOVERY_MAX:?}: {last}"));
    None
}
