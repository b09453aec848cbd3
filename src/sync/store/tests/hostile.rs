//! A peer that lies, and a host on which somebody exchanges names while we work.

use std::fs;
use std::os::unix::fs::symlink;

use super::pair::{Pair, rel, walk};
use crate::blocks::BLOCK_BYTES;
use crate::digest::Digest;
use crate::entry::{Entry, Kind, Xattrs};
use crate::filter::FilterSpec;
use crate::lineage::Epoch;
use crate::manifest::Manifest;
use crate::path::RelPath;
use crate::scan::Trust;
use crate::store::{StoreError, Target};

fn dir() -> Entry {
    Entry {
        kind: Kind::Dir,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime_ns: 0,
        xattrs: Xattrs::new(),
    }
}

fn file(text: &str) -> Entry {
    let content = Digest::of_file(text.as_bytes());
    let size = text.len() as u64;
    let kind = Kind::File { size, content };
    Entry {
        kind,
        mode: 0o644,
        ..dir()
    }
}

/// What a peer says it has, with a record to match.
fn claim(pair: &mut Pair, entries: Vec<(RelPath, Entry)>) -> Target {
    let manifest: Manifest = entries.into_iter().collect();
    pair.backup.store().scan(Trust::Cache).unwrap();
    let lineage = &pair.backup.store().applied().lineage;
    let record = lineage.next(Epoch(1), manifest.roots().content, super::pair::NODE);
    Target {
        manifest,
        epoch: Epoch(1),
        records: vec![record],
        replace: false,
        force: true,
        view: false,
    }
}

fn refusal(pair: &mut Pair, entries: Vec<(RelPath, Entry)>) -> StoreError {
    let before = walk(&pair.backup.root());
    let target = claim(pair, entries);
    let refused = pair.backup.store().stage(target).unwrap_err();
    assert_eq!(walk(&pair.backup.root()), before);
    refused
}

#[test]
fn only_what_this_nodes_own_filter_chooses_can_be_written() {
    let mut pair = Pair::with(FilterSpec {
        exclude: vec!["/secret/".to_owned()],
        node_local: vec!["/own".to_owned()],
        ..FilterSpec::default()
    });
    for path in ["t/own", "t/.fencepost-x", "u"] {
        let refused = refusal(&mut pair, vec![(rel("t"), dir()), (rel(path), dir())]);
        assert!(
            matches!(refused, StoreError::NotChosen(_)),
            "{path}: {refused}"
        );
    }
    let inside = vec![
        (rel("t"), dir()),
        (rel("t/secret"), dir()),
        (rel("t/secret/x"), file("")),
    ];
    let refused = refusal(&mut pair, inside);
    assert!(matches!(refused, StoreError::NotChosen(_)), "{refused}");
}

#[test]
fn a_manifest_of_no_tree_or_against_the_policy_is_refused() {
    let mut pair = Pair::new();
    let orphan = vec![(rel("t"), dir()), (rel("t/a/b"), file(""))];
    assert!(matches!(
        refusal(&mut pair, orphan),
        StoreError::Manifest(_)
    ));
    let mut odd = file("");
    odd.xattrs
        .insert(b"trusted.overlay.opaque".to_vec(), b"y".to_vec());
    let refused = refusal(&mut pair, vec![(rel("t"), dir()), (rel("t/a"), odd)]);
    assert!(matches!(refused, StoreError::Policy(_)), "{refused}");
    let mut target = claim(&mut pair, vec![(rel("t"), dir())]);
    target.records[0].root = Digest::of_file(b"another");
    assert!(matches!(
        pair.backup.store().stage(target),
        Err(StoreError::Root)
    ));
    let mut target = claim(&mut pair, vec![(rel("t"), dir())]);
    target.records[0].epoch = Epoch(9);
    assert!(matches!(
        pair.backup.store().stage(target),
        Err(StoreError::Root)
    ));
    let mut target = claim(&mut pair, vec![(rel("t"), dir())]);
    target.records.clear();
    assert!(matches!(
        pair.backup.store().stage(target),
        Err(StoreError::Root)
    ));
}

#[test]
fn contents_that_nobody_asked_for_or_that_lie_are_refused() {
    let mut pair = Pair::new();
    let big = vec![7; 200_000];
    let content = Digest::of_file(&big);
    let kind = Kind::File {
        size: 200_000,
        content,
    };
    let entries = vec![
        (rel("t"), dir()),
        (rel("t/big"), Entry { kind, ..file("") }),
    ];
    let target = claim(&mut pair, entries);
    let store = pair.backup.store();
    let stranger = Digest::of_file(b"stranger");
    assert!(matches!(
        store.put_whole(stranger, b"stranger"),
        Err(StoreError::Unasked(_))
    ));
    assert!(matches!(
        store.begin(content, None),
        Err(StoreError::Unasked(_))
    ));
    assert_eq!(store.missing(&target.manifest).unwrap().len(), 1);
    assert!(matches!(
        store.put_whole(content, b"lie"),
        Err(StoreError::Mismatch(_))
    ));
    assert!(
        matches!(
            store.put_blocks(&content, 0, &big),
            Err(StoreError::Block(0))
        ),
        "not begun"
    );
    store.begin(content, None).unwrap();
    for (first, length) in [
        (0, 0),
        (0, BLOCK_BYTES - 1),
        (195, BLOCK_BYTES),
        (u32::MAX, BLOCK_BYTES),
        (0, 200_001),
    ] {
        let refused = store.put_blocks(&content, first, &vec![7; length]);
        assert!(
            matches!(refused, Err(StoreError::Block(_))),
            "{first} {length}"
        );
    }
    store.put_blocks(&content, 0, &vec![8; 200_000]).unwrap();
    assert_eq!(store.missing_blocks(&content), []);
    assert!(matches!(
        store.finish(&content),
        Err(StoreError::Mismatch(_))
    ));
    assert!(matches!(
        store.stage(target.clone()),
        Err(StoreError::Missing(..))
    ));
    store.begin(content, None).unwrap();
    assert_ne!(store.missing_blocks(&content), [], "a lie was kept");
    store.put_blocks(&content, 0, &big).unwrap();
    store.finish(&content).unwrap();
    let staged = store.stage(target).unwrap();
    store.commit(staged, |_| Ok(())).unwrap();
    assert_eq!(fs::read(pair.backup.at("big")).unwrap(), big);
}

#[test]
fn runs_of_blocks_outside_of_the_file_are_refused() {
    let mut pair = Pair::new();
    pair.active.write("a/big", vec![1; 100_000]);
    pair.sync().unwrap();
    pair.active.write("a/big", vec![2; 100_000]);
    pair.backup.store().scan(Trust::Cache).unwrap();
    let target = pair.target();
    let want = pair
        .backup
        .store()
        .missing(&target.manifest)
        .unwrap()
        .remove(0);
    let run = |first, count| crate::blocks::Run { first, count };
    for bad in [
        run(98, 1),
        run(0, 99),
        run(u32::MAX, u32::MAX),
        run(1, u32::MAX),
    ] {
        let base = Some((&want.path, want.base.unwrap(), &[bad][..]));
        assert!(
            pair.backup.store().begin(want.content, base).is_err(),
            "{bad:?}"
        );
    }
}

/// A directory on the way is exchanged for a link to elsewhere between stage and commit.
#[test]
fn a_link_put_in_the_way_leads_nowhere() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/f", "old");
    pair.sync().unwrap();
    let outside = pair.backup.state().with_extension("outside");
    fs::create_dir_all(outside.join("c")).unwrap();
    fs::write(outside.join("c/f"), "victim").unwrap();
    pair.active.write("a/b/c/f", "new");
    pair.active.write("a/b/c/g", "new");
    let staged = pair.stage().unwrap();
    fs::rename(pair.backup.at("a/b"), pair.backup.at("a/real")).unwrap();
    symlink(&outside, pair.backup.at("a/b")).unwrap();
    let refused = pair.backup.store().commit(staged, |_| Ok(())).unwrap_err();
    assert!(matches!(refused, StoreError::Undone { .. }), "{refused}");
    assert_eq!(fs::read_to_string(outside.join("c/f")).unwrap(), "victim");
    assert_eq!(fs::read_dir(outside.join("c")).unwrap().count(), 1);
    // Looked at again, the link is an edit like any other; what it points to is never touched.
    pair.sync().unwrap();
    pair.assert_same();
    assert_eq!(fs::read_to_string(outside.join("c/f")).unwrap(), "victim");
}

#[test]
fn a_link_as_the_trees_directory_is_refused() {
    let mut pair = Pair::new();
    let elsewhere = pair.backup.state().with_extension("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::remove_dir(pair.backup.root()).unwrap();
    symlink(&elsewhere, pair.backup.root()).unwrap();
    assert!(pair.backup.store().scan(Trust::Cache).is_err());
    pair.active.write("a", "x");
    let target = pair.target();
    assert!(matches!(
        pair.backup.store().stage(target),
        Err(StoreError::Unscanned)
    ));
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}
