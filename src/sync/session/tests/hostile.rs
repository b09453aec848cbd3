//! A peer that has the key and means harm, or is broken.

use super::world::World;
use crate::category_id::CategoryId;
use crate::digest::Digest;
use crate::entry::{Entry, Kind};
use crate::frame::{Capped, Changed, Child, Content, Message, Refusal, Stage};
use crate::lineage::{CommitRecord, Epoch, NodeId};
use crate::path::RelPath;
use crate::session::{ReceiverEvent, SenderEvent};

fn stage(world: &World, category: &str, changes: u32) -> Stage {
    let roots = world.backup.tree.roots();
    Stage {
        transfer: 99,
        category: CategoryId::new(category).unwrap(),
        epoch: Epoch(1),
        record: CommitRecord {
            root: Digest::from_bytes([9; 32]),
            ..world
                .backup
                .lineage
                .next(Epoch(1), roots.content, NodeId(1))
        },
        history: Capped::default(),
        base: roots.content,
        changes,
        deletions_meant: false,
        replaces_history: false,
    }
}

/// What the backup answers.
fn say(world: &mut World, messages: Vec<Message>) -> Vec<Message> {
    world.said.clear();
    for message in messages {
        world.receiver(ReceiverEvent::Received(message));
    }
    // The true Active would be confused; it is not asked.
    world.sender = None;
    world.run(0);
    world.said.clone()
}

fn broke_protocol(world: &World) -> bool {
    world
        .closed
        .iter()
        .any(|why| why.contains("broke the protocol"))
}

fn file(path: &str) -> Changed {
    let kind = Kind::File {
        size: 1,
        content: Digest::of_file(b"x"),
    };
    let entry = Entry {
        kind,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime_ns: 0,
        xattrs: Default::default(),
    };
    Changed {
        path: RelPath::new(path).unwrap(),
        entry: Some(entry),
    }
}

#[test]
fn an_unknown_category_is_refused() {
    let mut world = World::settled();
    let stage = stage(&world, "passwords", 0);
    let said = say(&mut world, vec![Message::Stage(stage)]);
    let refusal = Refusal::UnknownCategory;
    let transfer = 99;
    assert_eq!(said, [Message::Refused { transfer, refusal }]);
}

#[test]
fn a_generation_that_is_not_what_was_announced_is_refused() {
    let cases = [
        (file("etc/d1/f1"), "its root is not the announced one"),
        (file("etc/d1/f1/below"), "no directory"),
        (
            file("etc/nowhere/f"),
            "its directory is not in the manifest",
        ),
        (file("shadow"), "a tree of a category is a directory"),
    ];
    for (change, why) in cases {
        let mut world = World::settled();
        let before = world.backup.tree.clone();
        let stage = Message::Stage(stage(&world, "config", 1));
        let changes = Message::Changes {
            transfer: 99,
            changes: Capped::new([change]),
        };
        let said = say(&mut world, vec![stage, changes]);
        let Some(Message::Refused { refusal, .. }) = said.first() else {
            panic!("{said:?}");
        };
        assert!(refusal.to_string().contains(why), "{refusal}");
        assert_eq!(world.backup.tree, before);
    }
}

#[test]
fn more_than_was_announced_ends_the_connection() {
    let mut world = World::settled();
    let stage = Message::Stage(stage(&world, "config", 1));
    let changes = Message::Changes {
        transfer: 99,
        changes: Capped::new([file("etc/a"), file("etc/b")]),
    };
    say(&mut world, vec![stage, changes]);
    assert!(broke_protocol(&world), "{:?}", world.closed);
}

#[test]
fn a_commit_of_nothing_prepared_ends_the_connection() {
    let mut world = World::settled();
    let stage = Message::Stage(stage(&world, "config", 1));
    let commit = Message::Commit {
        transfer: 99,
        epoch: Epoch(1),
    };
    say(&mut world, vec![stage, commit]);
    assert!(broke_protocol(&world), "{:?}", world.closed);
}

#[test]
fn contents_that_nobody_asked_for_end_the_connection() {
    let mut world = World::settled();
    let stage = Message::Stage(stage(&world, "config", 1));
    let content = Message::Content(Content {
        transfer: 99,
        content: Digest::of_file(b"x"),
        offset: 0,
        last: true,
        packed: false,
        bytes: Capped::new(*b"x"),
    });
    say(&mut world, vec![stage, content]);
    assert!(broke_protocol(&world), "{:?}", world.closed);
}

#[test]
fn another_epoch_than_the_sessions_is_refused() {
    for epoch in [Epoch(0), Epoch(7)] {
        let mut world = World::settled();
        let mut stage = stage(&world, "config", 0);
        stage.epoch = epoch;
        let said = say(&mut world, vec![Message::Stage(stage)]);
        let refusal = Refusal::StaleEpoch(Epoch(1));
        let transfer = 99;
        assert_eq!(said, [Message::Refused { transfer, refusal }]);
    }
}

#[test]
fn words_of_the_wrong_side_end_the_connection() {
    let mut world = World::settled();
    say(&mut world, vec![Message::Prepared { transfer: 1 }]);
    assert!(broke_protocol(&world));
    let mut world = World::settled();
    let transfer = 1;
    let epoch = Epoch(1);
    world.sender(SenderEvent::Received(Message::Commit { transfer, epoch }));
    world.run(0);
    assert!(broke_protocol(&world));
}

#[test]
fn a_backup_that_lists_nonsense_is_left() {
    let child = |path: &str| Child {
        path: RelPath::new(path).unwrap(),
        entry: file(path).entry.unwrap(),
        below: None,
    };
    for children in [vec![child("etc/d1/f1")], vec![child("one"), child("one")]] {
        let mut world = World::settled();
        world.cut();
        world.active.file("etc/new", b"new");
        world.connect();
        world.receiver = None;
        let hello = crate::session::setup::hello("0.1.0", NodeId(2), Epoch(1), &{
            let mut own = world.backup.clone();
            own.file("etc/other", b"other");
            own.own()
        });
        world.sender(SenderEvent::Received(Message::Hello(hello)));
        world.sender(SenderEvent::Received(Message::Directory {
            category: CategoryId::new("config").unwrap(),
            dir: None,
            children: Capped::new(children),
            last: true,
        }));
        world.run(0);
        assert!(broke_protocol(&world), "{:?}", world.closed);
    }
}
