//! Cuts, sleeps and promotions, at every frame.

use super::world::{Fate, World};
use crate::frame::{CHUNK_BYTES_MAX, Message};
use crate::lineage::Epoch;
use crate::session::{ReceiverEvent, SenderEvent, Standing};

/// A pair with a change of every kind ahead of it, apart.
fn changed() -> World {
    let mut world = World::settled();
    world.cut();
    world
        .active
        .file("etc/large", &vec![5; CHUNK_BYTES_MAX * 2]);
    world.active.file("etc/d1/f1", b"changed");
    world.active.remove("etc/d2/f2");
    world.active.dir("etc/new");
    world.active.file("etc/new/file", b"new");
    world
}

/// How many frames the change takes on a wire that holds.
fn frames() -> usize {
    let mut world = changed();
    world.connect();
    world.run(0);
    world.assert_in_sync();
    world.said.len()
}

#[test]
fn cut_at_every_frame_nothing_is_mixed_and_nothing_lost() {
    let frames = frames();
    assert!(frames > 12, "{frames}");
    for at in 0..=frames {
        let mut world = changed();
        let before = world.backup.tree.clone();
        world.connect();
        let cut = move |_: &mut World, frame: usize| match frame {
            frame if frame == at => Fate::Cut,
            _ => Fate::Goes,
        };
        world.run_with(0, cut);
        let whole = world.backup.tree == before || world.backup.tree == world.active.tree;
        assert!(whole, "mixed after a cut at {at}");
        world.connect();
        world.run(3);
        world.assert_in_sync();
        assert_eq!(world.active.lineage.newest().unwrap().seq, 2, "cut at {at}");
    }
}

#[test]
fn what_was_staged_does_not_travel_twice() {
    let mut world = changed();
    world.connect();
    // Cut right before the commit.
    let cut = |world: &mut World, _: usize| {
        let prepared = world
            .said
            .iter()
            .any(|one| matches!(one, Message::Prepared { .. }));
        if prepared { Fate::Cut } else { Fate::Goes }
    };
    world.run_with(0, cut);
    assert_ne!(world.active.tree, world.backup.tree);
    world.connect();
    world.run(0);
    world.assert_in_sync();
    assert_eq!(world.count(|one| matches!(one, Message::Content(_))), 0);
}

#[test]
fn a_promotion_voids_the_transfer_at_every_frame() {
    for at in 0..frames() {
        let mut world = changed();
        let before = world.backup.tree.clone();
        world.connect();
        let promoted = move |world: &mut World, frame: usize| {
            if frame == at && world.backup.tree != world.active.tree {
                world.agent = Standing::Active { epoch: Epoch(2) };
                let standing = world.agent;
                world.receiver(ReceiverEvent::Standing(standing));
            }
            Fate::Goes
        };
        world.run_with(0, promoted);
        if world.agent == (Standing::Active { epoch: Epoch(2) }) {
            assert_eq!(world.backup.tree, before, "promoted at {at}");
            assert!(world.receiver.as_ref().unwrap().is_closed());
        }
    }
}

/// The machine has not heard of it: only who asks under the lock does.
#[test]
fn a_promotion_known_to_the_agent_alone_stops_the_commit() {
    for agent in [
        Standing::Active { epoch: Epoch(2) },
        Standing::Backup { epoch: Epoch(2) },
        Standing::Unknown,
    ] {
        let mut world = changed();
        let before = world.backup.tree.clone();
        world.connect();
        world.agent = agent;
        world.run(0);
        assert_eq!(world.backup.tree, before, "{agent:?}");
        assert!(world.count(|one| matches!(one, Message::Commit { .. })) > 0);
    }
}

/// It sleeps with frames in its buffers; meanwhile the other node was Active, and is Backup again under a newer epoch.
#[test]
fn a_sender_that_slept_cannot_finish() {
    for at in 0..frames() {
        let mut world = changed();
        let before = world.backup.tree.clone();
        world.connect();
        let slept = move |world: &mut World, frame: usize| {
            if frame == at && world.backup.tree != world.active.tree {
                world.agent = Standing::Backup { epoch: Epoch(3) };
                let standing = world.agent;
                world.receiver(ReceiverEvent::Standing(standing));
            }
            Fate::Goes
        };
        world.run_with(0, slept);
        if world.agent == (Standing::Backup { epoch: Epoch(3) }) {
            assert_eq!(world.backup.tree, before, "slept at {at}");
            // Nor on a new connection, under its old epoch.
            world.connect();
            world.run(3);
            assert_eq!(world.backup.tree, before, "came back after {at}");
            assert!(
                world
                    .closed
                    .iter()
                    .any(|why| why.contains("epoch 1 is over"))
            );
        }
    }
}

#[test]
fn a_demoted_sender_stops_at_once() {
    let mut world = changed();
    let before = world.backup.tree.clone();
    world.connect();
    let demoted = |world: &mut World, _: usize| {
        let prepared = world
            .said
            .iter()
            .any(|one| matches!(one, Message::Need { .. }));
        if prepared {
            world.sender(SenderEvent::Demoted);
        }
        Fate::Goes
    };
    world.run_with(0, demoted);
    assert_eq!(world.backup.tree, before);
    assert!(world.sender.as_ref().unwrap().is_closed());
    assert_eq!(world.count(|one| matches!(one, Message::Commit { .. })), 0);
}

#[test]
fn a_peer_that_goes_silent_is_given_up() {
    let mut world = World::settled();
    let sender = world.sender.as_mut().unwrap();
    let end = world.now + std::time::Duration::from_secs(11);
    sender.handle_timeout(end);
    assert!(sender.is_closed());
    world.receiver.as_mut().unwrap().handle_timeout(end);
    assert!(world.receiver.as_ref().unwrap().is_closed());
}
