//! One seed: a world is drawn, troubled, repaired, and must come back.

use core::time::Duration;

use super::mishaps::Mishap;
use super::mutant::Mutant;
use super::scenario::Setup;
use super::world::{Due, World};
use crate::node::Instant;
use crate::sim::dice::Dice;

/// Once everything is repaired, exactly one node serves within this time, and the other stands ready.
const RECOVERY_MAX: Duration = Duration::from_secs(8);
/// And stays so for this long.
const STABLE_FOR: Duration = Duration::from_millis(700);

/// What became of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What was broken first, if anything was.
    pub broken: Option<String>,
    /// What happened, if it was asked for.
    pub film: Vec<String>,
    /// Times a node became Active.
    pub takeovers: u64,
    /// Turns of both agents.
    pub turns: u64,
}

/// Runs one seed. `film`: keep what happens.
pub fn run(seed: u64, film: bool) -> Outcome {
    run_with(seed, film, Mutant::Faithful)
}

pub(super) fn run_with(seed: u64, film: bool, mutant: Mutant) -> Outcome {
    let mut dice = Dice::new(seed);
    let setup = Setup::drawn(&mut dice);
    let mut script = dice.fork();
    let mut world = World::new(setup, mutant, dice);
    if film {
        let setup = format!("{:?}", world.setup);
        world.film = Some(vec![setup]);
    }
    boot(&mut world, &mut script);
    trouble(&mut world, &mut script);
    world.heal();
    recover(&mut world);
    Outcome {
        seed,
        broken: world.ledger.broken.take(),
        film: world.film.take().unwrap_or_default(),
        takeovers: world.ledger.takeovers,
        turns: world.turns,
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
    // A lease counts on relays that open; where one may stick there must be none.
    if !world.setup.lease && script.chance(200) {
        let node = script.index(2);
        let begins = script.millis(0, 2_000);
        let lasts = script.millis(50, 2_500);
        let relay = |stuck| Mishap::Relay { node, stuck };
        world.put(begins, Due::Mishap(relay(true)));
        world.put(begins + lasts, Due::Mishap(relay(false)));
    }
    if script.chance(700) {
        isolation(world, script, span);
    }
    world.run_for(span);
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

fn recover(world: &mut World) {
    let until = world.now + RECOVERY_MAX;
    let mut good_since: Option<Instant> = None;
    let mut last = String::new();
    while world.ledger.broken.is_none() && world.now < until {
        world.run_for(Duration::from_millis(20));
        match world.recovered() {
            Ok(_) => {
                let since = *good_since.get_or_insert(world.now);
                if world.now.since(since) >= STABLE_FOR {
                    return;
                }
            }
            Err(why) => {
                good_since = None;
                last = why;
            }
        }
    }
    world.broke(format!("not recovered after {RECOVERY_MAX:?}: {last}"));
}

/// Runs seeds in order until one fails.
pub fn sweep(first: u64, count: u64) -> Result<Totals, Box<Outcome>> {
    let mut totals = Totals::default();
    for seed in first..first.saturating_add(count) {
        let outcome = run(seed, false);
        if outcome.broken.is_some() {
            return Err(Box::new(outcome));
        }
        totals.seeds += 1;
        totals.takeovers += outcome.takeovers;
        totals.turns += outcome.turns;
    }
    Ok(totals)
}

/// What many seeds came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Seeds that held.
    pub seeds: u64,
    /// Times a node became Active.
    pub takeovers: u64,
    /// Turns of all agents.
    pub turns: u64,
}
