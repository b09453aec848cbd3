//! One node reached through the other's relay, step by step. The first node's relay lies in the wire: the gate.

use core::time::Duration;

use super::appliance::Host;
use super::directed_tests::settled;
use super::mishaps::Mishap;
use super::scenario::{Setup, Wires};
use super::world::{Due, World};
use crate::node::pair::PairStatus;
use crate::wire::Role;

const GATE: usize = 0;
const BEHIND: usize = 1;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The gate serves.
fn chained() -> World {
    settled(Setup::plain().wired(Wires::Chained))
}

/// The other one serves.
fn through_the_gate() -> World {
    let mut world = chained();
    world.order_switchover(BEHIND);
    world.run_for(ms(1_500));
    assert_eq!(world.recovered(), Ok(BEHIND));
    world
}

fn befall(world: &mut World, mishap: Mishap) {
    world.put(Duration::ZERO, Due::Mishap(mishap));
}

fn part_them(world: &mut World) {
    for node in [GATE, BEHIND] {
        let intact = false;
        befall(world, Mishap::Cable { node, intact });
    }
    for link in 0..2 {
        befall(world, Mishap::Link { link, cut: true });
    }
}

fn status(world: &World, node: usize) -> PairStatus {
    let appliance = &world.nodes[node];
    let agent = appliance.agent.as_ref().unwrap();
    let now = appliance.clock.at(world.now);
    agent.node.status(now).pair.unwrap()
}

#[test]
fn the_gates_own_relay_is_a_fence_where_no_cable_is_left() {
    let mut world = through_the_gate();
    part_them(&mut world);
    world.run_for(ms(2_500));
    assert_eq!(world.ledger.broken, None);
    let gate = status(&world, GATE);
    assert_eq!(gate.proof.as_deref(), Some("fenced by own-relay"));
    assert!(world.on_wire(GATE) && !world.on_wire(BEHIND));
    // It cannot know: it answers on a wire that ends at the other's relay.
    assert_eq!(status(&world, BEHIND).role, Role::Active);
    world.heal();
    world.run_for(ms(2_500));
    assert_eq!(world.recovered(), Ok(GATE), "told, it stands back");
    assert_eq!(world.ledger.broken, None);
}

#[test]
fn a_gate_without_power_is_a_wire_and_the_other_serves_through_it() {
    let mut world = chained();
    let back = ms(60_000);
    befall(&mut world, Mishap::PowerCut { node: GATE, back });
    world.run_for(ms(1_500));
    assert_eq!(world.ledger.broken, None);
    assert_eq!(world.nodes[GATE].host, Host::Down);
    assert!(world.on_wire(BEHIND));
    let proof = status(&world, BEHIND).proof;
    assert_eq!(proof.as_deref(), Some("fenced by fence-wire"));
}

#[test]
fn nobody_claims_by_silence_behind_a_relay_that_may_be_closed() {
    let mut world = chained();
    part_them(&mut world);
    world.run_for(ms(5_000));
    assert_eq!(world.ledger.broken, None);
    assert!(world.on_wire(GATE));
    assert_eq!(status(&world, BEHIND).role, Role::Backup);
    assert!(status(&world, BEHIND).quiet);
}

#[test]
fn a_relay_that_does_not_close_is_no_fence() {
    let mut world = through_the_gate();
    let stuck = true;
    befall(&mut world, Mishap::Relay { node: GATE, stuck });
    part_them(&mut world);
    world.run_for(ms(3_000));
    assert_eq!(world.ledger.broken, None);
    assert_eq!(status(&world, GATE).role, Role::Backup);
    assert!(world.on_wire(BEHIND), "the Active lost its service");
}

#[test]
fn ports_that_the_gates_relay_made_dark_are_no_reason_to_give_the_wire_back() {
    let mut world = chained();
    world.order_switchover(BEHIND);
    let until = world.now + ms(1_500);
    while status(&world, BEHIND).role != Role::Active {
        assert!(world.now < until, "it did not take over");
        world.run_for(ms(1));
    }
    let unwell = |healthy| Mishap::Unwell {
        node: BEHIND,
        healthy,
    };
    befall(&mut world, unwell(false));
    world.run_for(ms(250));
    befall(&mut world, unwell(true));
    world.run_for(ms(1_000));
    assert_eq!(world.recovered(), Ok(BEHIND));
    // A port that stays dark is one.
    befall(&mut world, unwell(false));
    world.run_for(ms(500));
    assert_eq!(world.recovered(), Ok(GATE));
    assert_eq!(world.ledger.broken, None);
}
