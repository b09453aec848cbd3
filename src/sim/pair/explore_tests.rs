use core::time::Duration;

use super::explore::{Explored, explore};
use super::mishaps::Mishap;
use super::mutant::Mutant;
use super::scenario::Setup;
use super::world::World;
use crate::node::pair::policy::Topology;
use crate::sim::dice::Dice;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A is Active, B stands ready, and both switch over or lose each other.
fn start(topology: Topology, mutant: Mutant) -> World {
    let setup = Setup {
        topology,
        ..Setup::plain()
    };
    let mut world = World::new(setup, mutant, Dice::new(7));
    world.host_up(0);
    world.run_for(ms(1_500));
    world.host_up(1);
    world.run_for(ms(2_000));
    assert_eq!(world.recovered(), Ok(0));
    world
}

const CUT_OFF: &[Mishap] = &[
    Mishap::Link { link: 0, cut: true },
    Mishap::Link { link: 1, cut: true },
];

/// The faults that matter most to a takeover, for each node.
fn faults() -> Vec<Vec<Mishap>> {
    const fn pause(node: usize) -> Mishap {
        Mishap::Pause {
            node,
            span: ms(350),
        }
    }
    const fn dies(node: usize) -> Mishap {
        let back = Some(ms(40));
        Mishap::AgentDies { node, back }
    }
    const fn dark(node: usize) -> Mishap {
        Mishap::ControllerDark { node, back: ms(15) }
    }
    const fn slow(node: usize) -> Mishap {
        Mishap::SlowKernel { node, by: ms(600) }
    }
    const fn cable(node: usize) -> Mishap {
        let intact = false;
        Mishap::Cable { node, intact }
    }
    vec![
        CUT_OFF.to_vec(),
        vec![pause(0)],
        vec![pause(1)],
        vec![dies(0)],
        vec![dies(1)],
        vec![dark(0)],
        vec![dark(1)],
        vec![slow(0)],
        vec![slow(1)],
        vec![cable(0)],
        vec![cable(1)],
        vec![Mishap::Switchover { node: 0 }],
    ]
}

fn tell(name: &str, explored: &Explored) {
    println!(
        "{name}: {} states, {} placements",
        explored.states, explored.runs
    );
    if let Some((what, faults)) = &explored.broken {
        println!("  {what}\n  {}", faults.join("\n  "));
    }
}

fn budget(otherwise: u32) -> u32 {
    let text = std::env::var("PAIR_BUDGET").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn every_placement_of_a_few_faults_holds() {
    for (name, topology) in [
        ("hot", Topology::PARALLEL_HOT),
        ("cold", Topology::PARALLEL_COLD),
    ] {
        let mut world = start(topology, Mutant::Faithful);
        CUT_OFF.iter().for_each(|mishap| world.befall(*mishap));
        let explored = explore(&world, ms(700), budget(1), &faults());
        tell(name, &explored);
        assert_eq!(explored.broken, None);
        assert!(explored.runs > 80, "{}", explored.runs);
    }
}

#[test]
fn without_the_barrier_it_finds_two_owners() {
    let mut world = start(Topology::PARALLEL_HOT, Mutant::GivesUpServeActions);
    world.order_switchover(1);
    let faults = faults();
    let explored = explore(&world, ms(1_500), 2, &faults[6..9]);
    tell("no barrier", &explored);
    assert!(explored.broken.is_some_and(|(what, _)| what.contains("I1")));
}
