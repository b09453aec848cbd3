//! A setting is changed and changed back before the Backup hears of it: the trees are equal, the memories are not.

use super::world::World;
use crate::frame::Message;
use crate::session::{Choice, Reason, State};

/// The Backup holds what the Active holds, and lacks two commits.
fn there_and_back() -> World {
    let mut world = World::settled();
    world.cut();
    for text in [&b"other"[..], b"file 1"] {
        world.active.file("etc/d1/f1", text);
        world.active.save(world.epoch);
    }
    assert_eq!(world.active.tree, world.backup.tree);
    assert_eq!(world.active.lineage.newest().unwrap().seq, 3);
    world
}

fn contents(world: &World) -> usize {
    world.count(|message| matches!(message, Message::Content(_)))
}

#[test]
fn the_commits_travel_although_no_content_does() {
    let mut world = there_and_back();
    world.connect();
    world.run(0);
    world.assert_in_sync();
    assert_eq!(contents(&world), 0);
    let listed = |message: &Message| matches!(message, Message::AskDirectories { .. });
    assert_eq!(world.count(listed), 0, "the tree is known");
    world.switch_over();
    world.active.file("etc/owner", b"the other");
    world.connect();
    world.run(3);
    world.assert_in_sync();
    assert_eq!(world.active.lineage.newest().unwrap().seq, 4);
}

#[test]
fn on_a_connection_that_holds_they_travel_too() {
    for delivered in 0..12 {
        let mut world = World::settled();
        world.active.file("etc/d1/f1", b"other");
        world.notice();
        let mut frames = 0;
        world.run_with(0, |world, frame| {
            if frame == delivered {
                world.active.file("etc/d1/f1", b"file 1");
                world.notice();
            }
            frames = frame;
            super::world::Fate::Goes
        });
        world.active.file("etc/d1/f1", b"file 1");
        world.notice();
        world.run(3);
        world.assert_in_sync();
        assert!(frames > 0);
    }
}

/// A time set and set back, or only set: a commit whose root is its parent's.
#[test]
fn a_time_alone_travels_with_its_commit() {
    for times in [&[7][..], &[7, 0]] {
        let mut world = World::settled();
        world.cut();
        for time in times {
            world.active.touch("etc/d1/f1", *time);
            world.active.publish(world.epoch);
        }
        world.connect();
        world.run(3);
        world.assert_in_sync();
        assert_eq!(contents(&world), 0);
        world.switch_over();
        world.active.file("etc/owner", b"the other");
        world.connect();
        world.run(3);
        world.assert_in_sync();
    }
}

/// The roles are exchanged before the records came over: nobody has anything that the other lacks.
#[test]
fn after_a_switchover_it_is_no_split_brain() {
    for saved in [false, true] {
        let mut world = there_and_back();
        world.switch_over();
        if saved {
            world.active.file("etc/owner", b"the other");
        }
        world.connect();
        world.run(3);
        world.assert_in_sync();
        assert!(!saved || contents(&world) == 1);
        // Nothing is left to be said.
        world.said.clear();
        world.run(5);
        let stages = world.count(|message| matches!(message, Message::Stage(_)));
        assert_eq!(stages, 0);
    }
}

/// One who did not come back all the way still has something of his own.
#[test]
fn a_change_that_was_not_taken_back_waits_for_a_choice() {
    let mut world = there_and_back();
    world.active.file("etc/d1/f1", b"other again");
    world.active.save(world.epoch);
    world.switch_over();
    world.active.file("etc/owner", b"the other");
    world.connect();
    world.run(3);
    let State::OutOfSync { reason, .. } = world.status().state else {
        panic!("{:?}", world.status());
    };
    assert_eq!(reason, Reason::Choice(Choice::SplitBrain));
    // Somebody makes them equal by hand: then there is nothing to choose.
    world.backup.file("etc/d1/f1", b"file 1");
    world.backup.file("etc/owner", b"the other");
    world.sender(crate::session::SenderEvent::Verify(
        crate::frame::Look::Walk,
    ));
    world.run(5);
    world.assert_in_sync();
}

/// Two nodes that were filled by hand: equal, and of no common history.
#[test]
fn equal_trees_of_strangers_become_a_pair() {
    let mut world = World::settled();
    world.cut();
    world.backup.lineage = crate::lineage::Lineage::new();
    world.connect();
    world.run(3);
    world.assert_in_sync();
    assert_eq!(contents(&world), 0);
}
