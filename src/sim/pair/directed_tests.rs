//! Counter-examples that hardly any seed meets, laid out step by step; and what the default pair costs.

use core::time::Duration;

use super::mishaps::Mishap;
use super::mutant::Mutant;
use super::scenario::Setup;
use super::world::{Due, World};
use crate::node::pair::guard::{Guard, switch_off};
use crate::node::pair::policy::ServicesFailed;
use crate::sim::dice::Dice;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A is Active, B stands ready, both talk.
pub(super) fn settled(setup: Setup) -> World {
    let mut world = World::new(setup, Mutant::Faithful, Dice::new(7));
    world.host_up(0);
    world.run_for(ms(1_500));
    world.host_up(1);
    world.run_for(ms(2_000));
    assert_eq!(world.recovered(), Ok(0));
    assert_eq!(world.ledger.broken, None);
    world
}

fn befall(world: &mut World, mishap: Mishap) {
    world.put(Duration::ZERO, Due::Mishap(mishap));
}

/// A heartbeat sent before the fence says "bound, your generation is g" and arrives after it, when the cable has
/// broken and the latch is gone: A serves unbound by then.
fn late_word_of_a_lease(guards: &'static [Guard]) -> Option<String> {
    switch_off(guards);
    let mut world = settled(Setup::plain());
    befall(
        &mut world,
        Mishap::Cable {
            node: 1,
            intact: false,
        },
    );
    for link in 0..2 {
        world.links[link].ways[0].delay_us = (330_000, 330_000);
    }
    // The last words that are on their way are from before the fence.
    world.run_for(ms(40));
    for link in 0..2 {
        world.links[link].ways[0].loss = 1_000;
    }
    world.run_for(ms(160));
    assert!(
        world.nodes[1].board.controller.as_ref().unwrap().latched(),
        "A did not fence B"
    );
    befall(
        &mut world,
        Mishap::Cable {
            node: 0,
            intact: false,
        },
    );
    world.run_for(ms(2_000));
    switch_off(&[]);
    world.ledger.broken.take()
}

#[test]
fn a_lease_named_before_a_fence_is_worth_nothing_after_it() {
    assert_eq!(late_word_of_a_lease(&[]), None);
    let broken = late_word_of_a_lease(&[Guard::LeaseGeneration]);
    assert!(broken.is_some_and(|what| what.contains("I1")));
}

/// How long nobody served, from now on, in whole milliseconds; and how long two did.
fn outage(world: &mut World, span: Duration) -> u64 {
    let until = world.now + span;
    let mut without = Duration::ZERO;
    while world.now < until && world.ledger.broken.is_none() {
        let before = world.now;
        let serving = world.nodes.iter().any(super::appliance::Appliance::on_wire);
        if !world.step(until) {
            break;
        }
        if !serving {
            without += world.now.since(before);
        }
    }
    assert_eq!(world.ledger.broken, None);
    u64::try_from(without.as_millis()).unwrap()
}

/// An adopted Active has heard no acknowledgement in this life; that alone must not make it give up serving.
#[test]
fn a_restarted_agent_goes_on_where_the_last_one_was() {
    for back in [5, 40, 90] {
        let mut world = settled(Setup::plain());
        let back = Some(ms(back));
        befall(&mut world, Mishap::AgentDies { node: 0, back });
        assert_eq!(outage(&mut world, ms(1_500)), 0);
        assert_eq!(world.recovered(), Ok(0));
    }
}

/// The cable is broken and only the agent died: the grace for its restart outlasts the lease, then the fence fails. What is
/// read after that, and not nothing, must be held against the lease.
#[test]
fn a_lease_that_ended_before_the_fence_failed_is_still_a_proof() {
    let mut world = settled(Setup::plain());
    for node in 0..2 {
        let intact = false;
        befall(&mut world, Mishap::Cable { node, intact });
    }
    let back = None;
    befall(&mut world, Mishap::AgentDies { node: 0, back });
    world.run_for(ms(5_000));
    assert_eq!(world.ledger.broken, None);
    assert!(world.nodes[1].on_wire(), "nobody took over");
}

/// The Active stands still with its relay stuck and its kernel answering: the fence is ordered and never acknowledged,
/// and the lease proves nothing before the kernel has withdrawn the vips. When the Backup took over, if it did.
fn lease_beside_a_stuck_relay(doubt: Duration) -> (World, Option<Duration>) {
    let vip_lifetime = Some(doubt);
    let mut world = settled(Setup {
        vip_lifetime,
        ..Setup::plain()
    });
    let begun = world.now;
    befall(
        &mut world,
        Mishap::Relay {
            node: 0,
            stuck: true,
        },
    );
    let span = ms(60_000);
    befall(&mut world, Mishap::Pause { node: 0, span });
    while world.now.since(begun) < ms(8_000) && world.ledger.broken.is_none() {
        world.run_for(ms(5));
        if world.nodes[1].on_wire() {
            let took = world.now.since(begun);
            return (world, Some(took));
        }
    }
    (world, None)
}

#[test]
fn a_lease_doubts_a_relay_that_nobody_saw_open() {
    let (world, took) = lease_beside_a_stuck_relay(ms(900));
    assert_eq!(world.ledger.broken, None);
    let took = took.expect("nobody took over");
    assert!(took > ms(900), "{took:?}: the kernel still answered");
}

/// The wait for a doubted lease is far longer than a claim lasts. It is the proof that must be fresh, not the claim.
#[test]
fn a_claim_does_not_run_out_the_moment_its_lease_proves_it() {
    let (world, took) = lease_beside_a_stuck_relay(ms(1_500));
    assert_eq!(world.ledger.broken, None);
    let took = took.expect("nobody took over: the one lease was spent on a claim that had run out");
    assert!(took < ms(3_000), "{took:?}");
}

#[test]
fn what_a_takeover_costs() {
    let mut world = settled(Setup::plain());
    world.order_switchover(1);
    let planned = outage(&mut world, ms(1_000));
    assert_eq!(world.recovered(), Ok(1));

    let mut world = settled(Setup::plain());
    befall(
        &mut world,
        Mishap::PowerCut {
            node: 0,
            back: ms(10_000),
        },
    );
    let power_cut = outage(&mut world, ms(1_000));

    let mut world = settled(Setup::plain());
    befall(
        &mut world,
        Mishap::Pause {
            node: 0,
            span: ms(5_000),
        },
    );
    let frozen = outage(&mut world, ms(2_000));

    let mut world = settled(Setup::plain());
    befall(
        &mut world,
        Mishap::AgentDies {
            node: 0,
            back: Some(ms(60)),
        },
    );
    let supervised = outage(&mut world, ms(2_000));
    assert_eq!(
        world.recovered(),
        Ok(0),
        "a supervised agent's death moved the vips"
    );

    let mut world = settled(Setup::plain());
    for link in 0..2 {
        befall(&mut world, Mishap::Link { link, cut: true });
    }
    let partition = outage(&mut world, ms(2_000));
    assert!(world.nodes[0].on_wire(), "the Active lost the partition");

    let mut world = settled(Setup::plain());
    befall(
        &mut world,
        Mishap::Unwell {
            node: 0,
            healthy: false,
        },
    );
    let unwell = outage(&mut world, ms(1_000));
    assert!(world.nodes[1].on_wire());

    println!(
        "outage in ms: planned {planned}, power cut {power_cut}, frozen {frozen}, agent restarted {supervised}, \
         partition {partition}, unwell {unwell}"
    );
    assert_eq!((supervised, partition), (0, 0));
    assert!(
        planned <= 10 && unwell <= 10,
        "planned {planned}, unwell {unwell}"
    );
    assert!(
        power_cut <= 150 && frozen <= 200,
        "power cut {power_cut}, frozen {frozen}"
    );
}

#[test]
fn an_active_whose_units_do_not_start_hands_over_only_if_told_to() {
    for (failed, serves) in [(ServicesFailed::Tell, 0), (ServicesFailed::HandOver, 1)] {
        let setup = Setup {
            services: Some(failed),
            ..Setup::plain()
        };
        let mut world = World::new(setup, Mutant::Faithful, Dice::new(7));
        world.host_up(0);
        world.run_for(ms(1_500));
        assert!(world.nodes[0].on_wire(), "alone, it serves all the same");
        world.host_up(1);
        world.run_for(ms(3_000));
        assert_eq!(world.recovered(), Ok(serves), "{failed:?}");
        assert_eq!(world.ledger.broken, None);
    }
}
