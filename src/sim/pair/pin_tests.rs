//! A pair that is pinned, step by step: what does not move any more, what is remembered, and how it ends.

use core::time::Duration;

use super::directed_tests::settled;
use super::mishaps::Mishap;
use super::scenario::Setup;
use super::world::{Due, Minute, World};
use crate::node::Action;
use crate::node::pair::{PairAction, PairStatus, Promise, Refusal};
use crate::wire::Role;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
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

fn promises(world: &World) -> [Promise; 2] {
    [0, 1].map(|node| world.nodes[node].disk.memory.unwrap().promise)
}

/// What `node` was answered within `span`, and whether it fenced anybody.
fn watched(world: &mut World, node: usize, span: Duration) -> (Vec<Result<String, String>>, bool) {
    world.minutes = Some(Vec::new());
    world.run_for(span);
    let mut answers = Vec::new();
    let mut fenced = false;
    for (_, minute) in world.minutes.take().unwrap() {
        match minute {
            Minute::Wanted(who, Action::Reply { answer, .. }) if who == node => {
                answers.push(answer);
            }
            Minute::Wanted(who, Action::Pair(action)) if who == node => {
                fenced |= matches!(*action, PairAction::Fence { .. });
            }
            _ => {}
        }
    }
    assert_eq!(world.ledger.broken, None);
    (answers, fenced)
}

fn pin(world: &mut World, on: bool) -> Vec<Result<String, String>> {
    befall(world, Mishap::Pin { node: 0, on });
    watched(world, 0, ms(500)).0
}

fn pinned() -> World {
    let mut world = settled(Setup::plain());
    let answers = pin(&mut world, true);
    assert_eq!(answers, [Ok("pinned: nothing moves by itself".to_owned())]);
    let round = 1;
    assert_eq!(
        promises(&world),
        [Promise::Had { round }, Promise::Given { round }]
    );
    assert!(status(&world, 0).pinned && status(&world, 1).pinned);
    assert!(!status(&world, 0).bound, "its right need not end");
    world
}

#[test]
fn nothing_moves_by_itself_not_even_from_a_dead_active() {
    let mut world = pinned();
    let back = ms(60_000);
    befall(&mut world, Mishap::PowerCut { node: 0, back });
    let (_, fenced) = watched(&mut world, 1, ms(5_000));
    assert_eq!((status(&world, 1).role, fenced), (Role::Backup, false));
    let told = status(&world, 1).refusals;
    assert!(told.contains(&Refusal::Pinned), "{told:?}");
    assert!(Refusal::Pinned.to_string().contains("pair pin off"));
}

#[test]
fn an_active_that_hears_nobody_serves_on_and_fences_nobody() {
    let mut world = pinned();
    for link in 0..2 {
        befall(&mut world, Mishap::Link { link, cut: true });
    }
    let (_, fenced) = watched(&mut world, 0, ms(5_000));
    assert!(world.nodes[0].on_wire() && !fenced);
    assert_eq!(status(&world, 1).role, Role::Backup);
}

#[test]
fn a_promise_survives_both_and_is_ended_by_the_active_bound_first() {
    let mut world = pinned();
    for node in [0, 1] {
        let back = Some(ms(40));
        befall(&mut world, Mishap::AgentDies { node, back });
    }
    world.run_for(ms(1_500));
    assert_eq!(world.recovered(), Ok(0));
    assert!(status(&world, 0).pinned && status(&world, 1).pinned);
    let answers = pin(&mut world, false);
    assert_eq!(answers, [Ok("not pinned any more".to_owned())]);
    assert_eq!(promises(&world), [Promise::None; 2]);
    assert!(status(&world, 0).bound);
    befall(
        &mut world,
        Mishap::PowerCut {
            node: 0,
            back: ms(60_000),
        },
    );
    world.run_for(ms(1_500));
    assert!(world.nodes[1].on_wire(), "nobody took over");
}

#[test]
fn a_promise_that_cannot_be_saved_is_not_given() {
    let mut world = settled(Setup::plain());
    let full = true;
    befall(&mut world, Mishap::Disk { node: 1, full });
    befall(&mut world, Mishap::Pin { node: 0, on: true });
    let (answers, _) = watched(&mut world, 0, ms(1_000));
    let told = "the peer did not promise in time; nothing is pinned";
    assert_eq!(answers, [Err(told.to_owned())]);
    assert!(!status(&world, 0).pinned && !status(&world, 1).pinned);
    world.heal();
    world.run_for(ms(1_500));
    assert_eq!(promises(&world), [Promise::None; 2]);
    assert_eq!(world.recovered(), Ok(0));
}

#[test]
fn only_the_active_is_asked() {
    let mut world = settled(Setup::plain());
    befall(&mut world, Mishap::Pin { node: 1, on: true });
    let (answers, _) = watched(&mut world, 1, ms(100));
    assert!(
        matches!(answers.as_slice(), [Err(why)] if why.contains("ask the Active")),
        "{answers:?}"
    );
    let answers = pin(&mut world, false);
    assert_eq!(answers, [Ok("not pinned".to_owned())]);
}
