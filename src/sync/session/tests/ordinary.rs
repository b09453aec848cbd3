//! What happens every day.

use super::world::World;
use crate::frame::{CHUNK_BYTES_MAX, Look, Message};
use crate::lineage::Epoch;
use crate::session::{Meant, Reason, SenderEvent, State};

fn stages(world: &World) -> usize {
    world.count(|message| matches!(message, Message::Stage(_)))
}

#[test]
fn equal_trees_are_seen_in_one_round_trip_and_a_kilobyte() {
    let mut world = World::settled();
    world.cut();
    world.connect();
    world.run(0);
    world.assert_in_sync();
    assert_eq!(world.said.len(), 2, "{:?}", world.said);
    assert!(world.bytes <= 1024, "{} bytes", world.bytes);
}

#[test]
fn a_saved_file_travels_alone() {
    let mut world = World::settled();
    world.said.clear();
    world.active.file("etc/d1/f1", b"changed");
    world.notice();
    world.run(0);
    world.assert_in_sync();
    assert_eq!(world.backup.lineage.newest().unwrap().seq, 2);
    let asked = |message: &Message| matches!(message, Message::AskDirectories { .. });
    assert_eq!(world.count(asked), 0, "its tree is known");
    assert_eq!(
        world.count(|message| matches!(message, Message::Content(_))),
        1
    );
}

#[test]
fn deletes_renames_and_other_kinds_travel() {
    let mut world = World::settled();
    world.active.remove("etc/d1");
    world.active.file("etc/d1", b"a file now");
    world.active.remove("etc/d2/f2");
    world.active.dir("etc/d2/f2");
    world.active.dir("etc/d2/f2/deep");
    world.active.file("etc/d2/f2/deep/new", b"new");
    world.active.remove("etc/d3/f3");
    world.active.file("etc/d3/renamed", b"file 3");
    world.notice();
    world.run(0);
    world.assert_in_sync();
}

#[test]
fn large_files_travel_in_chunks() {
    let mut world = World::settled();
    world.said.clear();
    let mut large = vec![7; 3 * CHUNK_BYTES_MAX + 1];
    large[CHUNK_BYTES_MAX] = 9;
    world.active.file("etc/large", &large);
    world.active.file("etc/empty", b"");
    world.notice();
    world.run(0);
    world.assert_in_sync();
    assert_eq!(
        world.count(|message| matches!(message, Message::Content(_))),
        5
    );
}

#[test]
fn after_a_reconnect_only_directories_that_differ_are_listed() {
    let mut world = World::settled();
    world.cut();
    world.active.file("etc/d4/f4", b"changed while apart");
    world.connect();
    world.run(0);
    world.assert_in_sync();
    let listed = |message: &Message| matches!(message, Message::Directory { .. });
    assert_eq!(world.count(listed), 3, "the top, etc, d4: {:?}", world.said);
}

#[test]
fn a_change_during_a_transfer_follows_it() {
    let mut world = World::settled();
    world.active.file("etc/a", b"1");
    world.notice();
    world.active.file("etc/a", b"2");
    world.notice();
    world.run(0);
    world.assert_in_sync();
}

#[test]
fn an_edit_on_the_backup_is_noticed_and_overwritten() {
    let mut world = World::settled();
    world.said.clear();
    world.backup.file("etc/d1/f1", b"edited on the backup");
    world.sender(SenderEvent::Verify(Look::Walk));
    world.run(3);
    world.assert_in_sync();
    assert_eq!(stages(&world), 1);
    assert_eq!(world.active.lineage.newest().unwrap().seq, 2);
}

#[test]
fn a_verification_is_answered() {
    let mut world = World::settled();
    world.sender(SenderEvent::Verify(Look::Rehash));
    assert!(!world.sender.as_ref().unwrap().is_verified());
    world.run(0);
    assert!(world.sender.as_ref().unwrap().is_verified());
    world.assert_in_sync();
}

#[test]
fn in_sync_is_believed_for_seconds_only() {
    let mut world = World::settled();
    world.now += std::time::Duration::from_secs(6);
    let state = world.status().state;
    assert!(
        matches!(state, State::Unknown { for_ms: 5000.. }),
        "{state:?}"
    );
}

#[test]
fn other_versions_and_other_policies_exchange_nothing() {
    for (reason, other_version) in [
        (Reason::VersionMismatch, true),
        (Reason::PolicyMismatch, false),
    ] {
        let mut world = World::settled();
        world.cut();
        if other_version {
            world.backup.version = "0.2.0";
        } else {
            world.backup.policy_hash = crate::digest::Digest::from_bytes([2; 32]);
        }
        world.active.file("etc/new", b"new");
        world.connect();
        world.run(5);
        let State::OutOfSync { reason: found, .. } = world.status().state else {
            panic!("{:?}", world.status());
        };
        assert_eq!(found, reason);
        assert_eq!(stages(&world), 0);
    }
}

#[test]
fn a_mass_deletion_waits_for_a_word() {
    let mut world = World::settled();
    for number in 0..28 {
        world
            .active
            .remove(&format!("etc/d{}/f{number}", number % 5));
    }
    world.said.clear();
    world.notice();
    world.run(300);
    let State::OutOfSync { reason, details } = world.status().state else {
        panic!("{:?}", world.status());
    };
    assert_eq!(reason, Reason::Deletions);
    assert!(details.contains("28 of 36 entries"), "{details}");
    assert_eq!(stages(&world), 1, "it is not tried again and again");
    let meant = Meant {
        deletions: true,
        overwrite: false,
    };
    world.sender(SenderEvent::Wanted {
        category: None,
        meant,
    });
    world.run(3);
    world.assert_in_sync();
}

#[test]
fn what_validation_rejects_waits_for_another_generation() {
    let mut world = World::settled();
    world.invalid = Some("line 7: unknown keyword");
    world.active.file("etc/d1/f1", b"broken");
    world.said.clear();
    world.notice();
    world.run(300);
    let State::OutOfSync { reason, details } = world.status().state else {
        panic!("{:?}", world.status());
    };
    assert_eq!(reason, Reason::RejectedByValidation);
    assert!(details.contains("line 7"), "{details}");
    assert_eq!(stages(&world), 1);
    world.invalid = None;
    world.active.file("etc/d1/f1", b"mended");
    world.notice();
    world.run(3);
    world.assert_in_sync();
}

#[test]
fn histories_that_do_not_fit_wait_for_a_choice() {
    let mut world = World::settled();
    // The link is down; each node becomes Active once and saves something.
    world.active.file("etc/mine", b"1");
    let (mine, theirs) = (world.active.clone(), world.backup.clone());
    world.active.lineage = grown(&world, &mine, 2);
    world.backup.file("etc/theirs", b"2");
    world.backup.lineage = grown(&world, &theirs, 3);
    world.epoch = Epoch(4);
    world.cut();
    world.connect();
    world.said.clear();
    world.run(300);
    let State::OutOfSync { reason, .. } = world.status().state else {
        panic!("{:?}", world.status());
    };
    assert_eq!(reason, Reason::Choice(crate::session::Choice::SplitBrain));
    assert_eq!(stages(&world), 0);
    let meant = Meant {
        deletions: false,
        overwrite: true,
    };
    world.sender(SenderEvent::Wanted {
        category: None,
        meant,
    });
    world.run(3);
    world.assert_in_sync();
}

/// One commit more, by that node alone.
fn grown(_: &World, node: &super::world::Node, epoch: u64) -> crate::lineage::Lineage {
    let mut lineage = node.lineage.clone();
    let record = lineage.next(Epoch(epoch), node.tree.roots().content, node.id);
    lineage.push(record).unwrap();
    lineage
}

#[test]
fn an_empty_active_does_not_wipe_its_backup() {
    let mut world = World::settled();
    world.cut();
    world.active = super::world::Node::new(1);
    world.epoch = Epoch(2);
    world.connect();
    world.run(60);
    let State::OutOfSync { reason, .. } = world.status().state else {
        panic!("{:?}", world.status());
    };
    assert_eq!(reason, Reason::Choice(crate::session::Choice::Foreign));
    assert!(world.backup.tree.len() > 30);
}

#[test]
fn roles_can_be_exchanged_again_and_again() {
    let mut world = World::settled();
    for round in 0..5 {
        world.switch_over();
        world
            .active
            .file("etc/owner", format!("round {round}").as_bytes());
        world.connect();
        world.run(3);
        world.assert_in_sync();
    }
    assert_eq!(world.active.lineage.newest().unwrap().seq, 6);
}

#[test]
fn what_differs_can_be_asked_without_sending_it() {
    let mut world = World::settled();
    world.cut();
    world.invalid = Some("no");
    world.active.file("etc/d1/f1", b"other");
    world.active.file("etc/d1/new", b"new");
    world.connect();
    world.run(5);
    world.said.clear();
    world.sender(SenderEvent::Diff(
        crate::category_id::CategoryId::new("config").unwrap(),
    ));
    world.run(1);
    let shown = world.differs.take().unwrap();
    let paths: Vec<String> = shown.iter().map(|change| change.path.to_string()).collect();
    assert_eq!(paths, ["etc/d1/f1", "etc/d1/new"]);
    assert_eq!(stages(&world), 0);
}
