//! A pair without relays, step by step: what moves the vips, what it takes to prove, and what must not.

use core::time::Duration;

use super::appliance::Host;
use super::mishaps::Mishap;
use super::mutant::Mutant;
use super::scenario::{Setup, Wires};
use super::world::{Due, World};
use crate::node::Event;
use crate::node::pair::drill::TestVerdict;
use crate::node::pair::{PairCommand, PairEvent, PairStatus};
use crate::sim::dice::Dice;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A pair, and who serves.
fn apart(peer_agent: bool) -> (World, usize) {
    let setup = Setup {
        peer_agent,
        ..Setup::plain().wired(Wires::Apart)
    };
    let mut world = World::new(setup, Mutant::Faithful, Dice::new(7));
    // At once: who is alone takes the other's power before it serves.
    world.host_up(0);
    world.host_up(1);
    world.run_for(ms(2_500));
    let active = world.recovered().unwrap();
    (world, active)
}

fn befall(world: &mut World, mishap: Mishap) {
    world.put(Duration::ZERO, Due::Mishap(mishap));
}

fn status(world: &World, node: usize) -> PairStatus {
    let appliance = &world.nodes[node];
    let agent = appliance.agent.as_ref().unwrap();
    let now = appliance.clock.at(world.now);
    agent.node.status(now).pair.unwrap()
}

#[test]
fn checks_speak_for_a_host_without_segments() {
    let (mut world, active) = apart(false);
    let node = active;
    befall(
        &mut world,
        Mishap::Unwell {
            node,
            healthy: false,
        },
    );
    world.run_for(ms(300));
    assert_eq!(world.recovered(), Ok(1 - active));
    assert_eq!(world.ledger.broken, None);
    assert_eq!(
        world.nodes[active].host,
        Host::Up,
        "its power was taken for it"
    );
}

#[test]
fn a_silent_active_serves_until_its_power_is_gone_and_the_other_waits_for_that() {
    let (mut world, active) = apart(false);
    let span = ms(4_000);
    befall(&mut world, Mishap::Pause { node: active, span });
    let until = world.now + ms(1_500);
    while world.now < until && !world.nodes[1 - active].on_wire() {
        // Its kernel answers on: that is what has to be ended.
        world.run_for(ms(1));
    }
    assert_eq!(world.ledger.broken, None);
    assert_eq!(world.nodes[active].host, Host::Down);
    // Its last read-back.
    world.run_for(ms(30));
    assert_eq!(
        status(&world, 1 - active).proof.as_deref(),
        Some("fenced by external")
    );
    world.run_for(ms(6_000));
    assert_eq!(
        world.recovered(),
        Ok(1 - active),
        "given power again it stands by"
    );
}

#[test]
fn an_agent_that_is_started_again_goes_on_serving() {
    let (mut world, active) = apart(false);
    let back = Some(ms(40));
    befall(&mut world, Mishap::AgentDies { node: active, back });
    let until = world.now + ms(1_500);
    while world.now < until {
        world.run_for(ms(1));
        assert!(world.nodes[active].on_wire(), "the vips went");
    }
    assert_eq!(world.recovered(), Ok(active));
}

#[test]
fn the_peers_agent_is_tried_out_without_anything_to_cut() {
    let (mut world, active) = apart(true);
    let command = PairCommand::FenceTest {
        means: None,
        reason: String::new(),
    };
    let requested = PairEvent::Requested {
        request: 5,
        actor: super::mishaps::operator(),
        command,
    };
    let (node, life) = (active, world.nodes[active].life);
    let event = Box::new(Event::Pair(Box::new(requested)));
    world.put(Duration::ZERO, Due::Deliver { node, life, event });
    world.run_for(ms(3_000));
    let test = status(&world, active).fence_test.unwrap();
    let verdicts: Vec<_> = test.means.iter().map(|means| means.verdict).collect();
    assert_eq!(
        verdicts,
        [TestVerdict::NotTried, TestVerdict::Passed],
        "{test:?}"
    );
    assert_eq!(world.recovered(), Ok(active));
}
