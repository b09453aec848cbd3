//! What the Backup says of itself while something is under way, or went wrong after it.

use std::time::Duration;

use super::world::{Fate, World};
use crate::category_id::CategoryId;
use crate::entry::Roots;
use crate::frame::{Capped, Look, Message};
use crate::session::{Reason, ReceiverEvent, State};

fn category() -> CategoryId {
    CategoryId::new("config").unwrap()
}

fn theirs(world: &World) -> State {
    let receiver = world.receiver.as_ref().unwrap();
    receiver.status(world.now).remove(0).state
}

#[test]
fn the_backup_knows_how_long_a_change_has_been_waiting() {
    let mut world = World::settled();
    world.active.file("etc/d1/f1", b"changed");
    world.notice();
    let mut lags = Vec::new();
    world.run_with(0, |world, _| {
        world.now += Duration::from_millis(100);
        lags.push(theirs(world));
        Fate::Goes
    });
    world.assert_in_sync();
    assert!(matches!(lags[0], State::InSync { .. }), "not told yet");
    assert!(matches!(lags.pop(), Some(State::InSync { .. })), "done");
    assert!(lags.len() > 5, "{lags:?}");
    for (at, state) in lags.iter().enumerate().skip(1) {
        // From the first word of it on.
        let lag_ms = u64::try_from(at).unwrap() * 100;
        let bytes_left = 0;
        assert_eq!(*state, State::Syncing { lag_ms, bytes_left });
    }
}

#[test]
fn a_change_that_waited_before_the_connection_is_as_old_as_it_is() {
    let mut world = World::settled();
    let told = |for_ms| Message::Behind {
        category: category(),
        for_ms,
    };
    world.receiver(ReceiverEvent::Received(told(Some(5000))));
    let (lag_ms, bytes_left) = (5000, 0);
    assert_eq!(theirs(&world), State::Syncing { lag_ms, bytes_left });
    world.now += Duration::from_millis(200);
    let lag_ms = 5200;
    assert_eq!(theirs(&world), State::Syncing { lag_ms, bytes_left });
    world.receiver(ReceiverEvent::Received(told(None)));
    assert!(matches!(theirs(&world), State::InSync { .. }));
}

#[test]
fn a_change_from_before_the_connection_counts_from_then() {
    let mut world = World::settled();
    world.cut();
    world.active.file("etc/d1/f1", b"changed while apart");
    world.active.behind_since = Some(world.now - Duration::from_secs(60));
    world.connect();
    let mut told = 0;
    world.run_with(0, |world, _| {
        let lags = [world.status().state, theirs(world)].map(|state| match state {
            State::Syncing { lag_ms, .. } => lag_ms,
            _ => 0,
        });
        told += usize::from(lags == [60_000, 60_000]);
        Fate::Goes
    });
    assert!(told > 3, "{told}");
    world.assert_in_sync();
}

#[test]
fn a_difference_that_nobody_dated_is_unknown() {
    let mut world = World::settled();
    world.now += Duration::from_millis(1500);
    let other = crate::digest::Digest::from_bytes([9; 32]);
    let (content, meta) = (other, other);
    let check = Message::Check {
        round: 99,
        look: Look::Known,
        roots: Capped::new([(0, Roots { content, meta })]),
    };
    world.receiver(ReceiverEvent::Received(check));
    let state = theirs(&world);
    assert!(
        matches!(state, State::Unknown { for_ms: 1500.. }),
        "{state:?}"
    );
}

/// Somebody changes a file on the Backup, whose check does not let it be overwritten, and changes it back.
#[test]
fn what_was_held_back_is_over_once_the_trees_are_equal() {
    let mut world = World::settled();
    world.invalid = Some("no");
    world.backup.file("etc/d1/f1", b"edited on the backup");
    let verify = || crate::session::SenderEvent::Verify(Look::Walk);
    world.sender(verify());
    world.run(2);
    assert!(matches!(theirs(&world), State::OutOfSync { .. }));
    world.backup.file("etc/d1/f1", b"file 1");
    world.sender(verify());
    world.run(2);
    world.assert_in_sync();
}

#[test]
fn programs_that_do_not_take_it_up_are_shown_on_both_nodes() {
    let mut world = World::settled();
    let taken_up = |failed: Option<&str>| ReceiverEvent::TakenUp {
        category: category(),
        failed: failed.map(str::to_owned),
    };
    let failed = |state: State| match state {
        State::OutOfSync { reason, details } => {
            assert_eq!(reason, Reason::ReloadFailed);
            Some(details)
        }
        _ => None,
    };
    world.receiver(taken_up(Some("reload failed: no")));
    world.run(0);
    let both = |world: &World| [failed(world.status().state), failed(theirs(world))];
    let why = || Some("reload failed: no".to_owned());
    assert_eq!(both(&world), [why(), why()]);
    // Told on every connection, and once.
    world.cut();
    world.connect();
    world.receiver(taken_up(Some("reload failed: no")));
    world.run(3);
    assert_eq!(both(&world), [why(), why()]);
    let told = |message: &Message| matches!(message, Message::TakenUp { .. });
    assert_eq!(world.count(told), 1);
    // It does not keep the next generation away.
    world.active.file("etc/d1/f1", b"changed");
    world.notice();
    world.run(0);
    assert_eq!(world.active.tree, world.backup.tree);
    world.receiver(taken_up(None));
    world.run(0);
    world.assert_in_sync();
}
