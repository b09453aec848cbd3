//! A source that is closed, gone, emptied, or changes while it is looked at: never a deletion, never half a file.

use std::fs;

use super::conformance::{chmod, filter};
use super::pair::{NODE, Pair, rel};
use crate::lineage::Epoch;
use crate::scan::{ScanError, Trust};
use crate::store::StoreError;

#[test]
fn an_unreadable_directory_deletes_nothing() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/f", "x");
    pair.sync().unwrap();
    chmod(pair.active.at("a/b/c"), 0o000);
    give_up_reading_everything();
    for error in [
        pair.active.store().rescan(&[rel("t/a/b/c")]).unwrap_err(),
        pair.active.store().scan(Trust::Cache).unwrap_err(),
    ] {
        let closed =
            matches!(&error, ScanError::Unreadable { path, .. } if *path == rel("t/a/b/c"));
        assert!(closed, "{error}");
    }
    assert_eq!(pair.active.store().live().len(), 5);
    assert_eq!(pair.active.store().publish(Epoch(1), NODE).unwrap(), None);
    chmod(pair.active.at("a/b/c"), 0o755);
}

/// This thread can from now on read only what it may; it is a test's own.
fn give_up_reading_everything() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let mut sets = capabilities(None).unwrap();
    let all = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    sets.effective.remove(all);
    sets.permitted.remove(all);
    set_capabilities(None, sets).unwrap();
}

#[test]
fn a_vanished_or_emptied_tree_deletes_nothing() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/f", "x");
    pair.sync().unwrap();
    let aside = pair.active.root().with_extension("aside");
    fs::rename(pair.active.root(), &aside).unwrap();
    let refused = pair.active.store().scan(Trust::Cache).unwrap_err();
    assert!(matches!(refused, ScanError::Root { .. }), "{refused}");
    fs::create_dir(pair.active.root()).unwrap();
    let refused = pair.active.store().scan(Trust::Cache).unwrap_err();
    assert!(matches!(refused, ScanError::Emptied { .. }), "{refused}");
    let refused = pair.active.store().rescan(&[rel("t/a")]).unwrap_err();
    assert!(matches!(refused, ScanError::Emptied { .. }), "{refused}");
    pair.active.start().unwrap();
    let refused = pair.active.store().scan(Trust::Cache).unwrap_err();
    assert!(
        matches!(refused, ScanError::Emptied { .. }),
        "after a restart: {refused}"
    );
    // Somebody says that it is meant; the Backup still asks for the same.
    pair.active.store().accept_empty();
    pair.active.store().scan(Trust::Cache).unwrap();
    let refused = pair.sync().unwrap_err();
    assert!(matches!(refused, StoreError::Deletion(_)), "{refused}");
    assert_eq!(pair.backup.read("a/b/c/f"), "x");
    let staged = pair.stage_with(|target| target.force = true).unwrap();
    pair.backup.store().commit(staged, |_| Ok(())).unwrap();
    assert!(!pair.backup.at("a").exists());
}

#[test]
fn a_scan_of_what_is_dirty_finds_what_a_whole_scan_finds() {
    let mut pair = Pair::with(filter(&["/a/", "/inc/**/x"], &["*.no"], &[]));
    pair.active.write("a/b/c/f", "x");
    pair.active.write("inc/1/2/x", "x");
    pair.active.store().scan(Trust::Cache).unwrap();
    type Change = (&'static str, fn(&super::pair::Node));
    let changes: [Change; 6] = [
        ("t/a/b/c/f", |node| node.write("a/b/c/f", "y")),
        ("t/a/new/deep/er", |node| node.write("a/new/deep/er", "y")),
        ("t/inc/1/3/x", |node| node.write("inc/1/3/x", "y")),
        ("t/a/b/c/f", |node| {
            fs::remove_dir_all(node.at("a/b")).unwrap()
        }),
        ("t/inc/1/2/x", |node| {
            fs::remove_file(node.at("inc/1/2/x")).unwrap()
        }),
        ("t/a/x.no", |node| node.write("a/x.no", "y")),
    ];
    for (dirty, change) in changes {
        change(&pair.active);
        pair.active.store().rescan(&[rel(dirty)]).unwrap();
        let found = pair.active.store().live().clone();
        pair.active.store().scan(Trust::Nothing).unwrap();
        assert_eq!(found.roots(), pair.active.store().live().roots(), "{dirty}");
    }
}

#[test]
fn an_edit_of_equal_size_in_one_instant_is_noticed() {
    let mut pair = Pair::new();
    for round in 0..50 {
        pair.active.write("a/b/c/f", format!("{round:04}"));
        pair.active.store().scan(Trust::Cache).unwrap();
        pair.active.write("a/b/c/f", format!("{:04}", round + 5000));
        pair.sync().unwrap();
        pair.assert_same();
    }
}

/// A file that only grows is, whenever it counts as read, the beginning of what it becomes.
#[test]
fn growing_and_vanishing_files() {
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, Ordering};
    let mut pair = Pair::new();
    pair.active.write("a/b/c/grows", vec![1; 300_000]);
    let (grows, comes) = (pair.active.at("a/b/c/grows"), pair.active.at("a/b/c/comes"));
    let stop = AtomicBool::new(false);
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::File::options().append(true).open(&grows).unwrap();
            for byte in (0..=255_u8).cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                file.write_all(&[byte; 100]).unwrap();
                fs::create_dir_all(comes.join("and/goes")).unwrap();
                fs::write(comes.join("and/goes/f"), "x").unwrap();
                fs::remove_dir_all(&comes).unwrap();
            }
        });
        for _ in 0..30 {
            let scan = pair.active.store().scan(Trust::Cache);
            let entry = pair
                .active
                .store()
                .live()
                .get(&rel("t/a/b/c/grows"))
                .cloned();
            match scan {
                Ok(_) => seen.extend(entry.and_then(|entry| entry.content())),
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    panic!("{error}");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let whole = fs::read(&grows).unwrap();
    for (size, content) in seen {
        let start = &whole[..usize::try_from(size).unwrap()];
        assert_eq!(
            crate::digest::Digest::of_file(start),
            content,
            "{size} bytes"
        );
    }
    let scan = pair.active.store().scan(Trust::Cache).unwrap();
    assert_eq!(scan.unstable, []);
    pair.sync().unwrap();
    pair.assert_same();
}
