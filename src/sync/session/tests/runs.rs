//! Commands by name: one at a time, under the session's epoch, between equal versions.

use super::world::World;
use crate::frame::{Capped, Message, Ran, Text};
use crate::lineage::Epoch;
use crate::session::{ReceiverEvent, RunId, SenderEvent, Standing};

fn order(world: &mut World, run: RunId) {
    let name = "reload-all".to_owned();
    world.sender(SenderEvent::Run { run, name });
    world.run(1);
}

fn ends(world: &mut World, run: RunId, code: u8) {
    let output = Capped::new(*b"done");
    let outcome = Ok(Ran { code, output });
    world.receiver(ReceiverEvent::Ran { run, outcome });
    world.run(1);
}

fn refusal(world: &World, run: RunId) -> String {
    let found = world.ran.iter().find(|(which, _)| *which == run);
    let (_, outcome) = found.expect("an answer");
    outcome.as_ref().expect_err("a refusal").to_string()
}

#[test]
fn a_command_is_run_and_its_end_told() {
    let mut world = World::settled();
    order(&mut world, 1);
    assert_eq!(world.running, [(1, "reload-all".to_owned())]);
    assert!(world.ran.is_empty());
    ends(&mut world, 1, 3);
    let (run, outcome) = &world.ran[0];
    assert_eq!((*run, outcome.as_ref().unwrap().code), (1, 3));
    order(&mut world, 2);
    assert_eq!(world.running.len(), 2, "the next one may begin");
    assert!(world.closed.is_empty(), "{:?}", world.closed);
}

#[test]
fn one_at_a_time() {
    let mut world = World::settled();
    order(&mut world, 1);
    order(&mut world, 2);
    assert_eq!(world.running.len(), 1);
    assert!(refusal(&world, 2).contains("still running"));
    // A sender that does not count is refused by the other end as well.
    let name = Text::new("reload-all");
    let epoch = world.epoch;
    let again = Message::Run {
        run: 3,
        epoch,
        name,
    };
    world.receiver(ReceiverEvent::Received(again));
    assert_eq!(world.running.len(), 1);
}

#[test]
fn another_epoch_is_refused() {
    let mut world = World::settled();
    for epoch in [Epoch(0), Epoch(9)] {
        let name = Text::new("reload-all");
        let foreign = Message::Run {
            run: 1,
            epoch,
            name,
        };
        world.receiver(ReceiverEvent::Received(foreign));
        // It answers to what this sender did not order.
        let said = world.receiver.as_mut().unwrap().poll_actions();
        assert!(
            format!("{said:?}").contains("is not this session's"),
            "{said:?}"
        );
    }
    assert!(world.running.is_empty());
}

#[test]
fn a_change_of_role_ends_the_session_before_anything_begins() {
    let mut world = World::settled();
    let epoch = Epoch(2);
    world.receiver(ReceiverEvent::Standing(Standing::Active { epoch }));
    order(&mut world, 1);
    assert!(world.running.is_empty() && world.ran.is_empty());
    assert!(!world.closed.is_empty());
}

#[test]
fn other_versions_run_nothing() {
    let mut world = World::new();
    world.backup.version = "0.2.0";
    world.connect();
    world.run(2);
    order(&mut world, 1);
    assert!(world.running.is_empty());
    assert!(refusal(&world, 1).contains("different versions"));
}

#[test]
fn an_end_of_what_was_not_ordered_breaks_the_protocol() {
    let mut world = World::settled();
    ends(&mut world, 5, 0);
    assert!(
        world
            .closed
            .iter()
            .any(|why| why.contains("was not ordered")),
        "{:?}",
        world.closed
    );
}
