//! The process dies at every single change of the disk, and each change fails once in every way: what comes out is the
//! old generation or the new one, never a mixture, and what was acknowledged stays.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::io::Errno;

use super::pair::{NODE, Pair, walk};
use crate::lineage::Epoch;
use crate::seam::{Fault, changes, inject};
use crate::store::{Recovered, StoreError};

/// A pair in sync, with changes of every kind on the Active.
fn changed_pair() -> Pair {
    let mut pair = Pair::new();
    for name in [
        "a/b/c/edit",
        "a/b/c/gone",
        "a/b/dir/f",
        "a/b/to-dir",
        "x/to-file/f",
        "x/move/f",
    ] {
        pair.active.write(name, name);
    }
    symlink("edit", pair.active.at("a/b/c/link")).unwrap();
    pair.sync().unwrap();
    pair.active.write("a/b/c/edit", "edited");
    pair.active.write("new/deep/er/f", "new");
    fs::remove_file(pair.active.at("a/b/c/gone")).unwrap();
    fs::remove_dir_all(pair.active.at("a/b/dir")).unwrap();
    fs::remove_file(pair.active.at("a/b/to-dir")).unwrap();
    pair.active.write("a/b/to-dir/in/f", "now a directory");
    fs::remove_dir_all(pair.active.at("x/to-file")).unwrap();
    pair.active.write("x/to-file", "now a file");
    fs::rename(pair.active.at("x/move"), pair.active.at("x/moved")).unwrap();
    fs::remove_file(pair.active.at("a/b/c/link")).unwrap();
    symlink("gone", pair.active.at("a/b/c/link")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(pair.active.at("x"), mode).unwrap();
    pair
}

/// How many changes of the disk a sync makes.
fn changes_of_a_sync() -> usize {
    let mut pair = changed_pair();
    let target = pair.target();
    inject(None);
    take(&mut pair, &target).unwrap();
    let count = changes();
    assert!(count > 60, "{count} changes: too few to be all");
    count
}

fn take(pair: &mut Pair, target: &crate::store::Target) -> Result<(), StoreError> {
    pair.fetch(&target.manifest)?;
    let staged = pair.backup.store().stage(target.clone())?;
    pair.backup.store().commit(staged, |_| Ok(())).map(|_| ())
}

#[test]
fn death_at_every_change_leaves_old_or_new() {
    let (mut olds, mut news) = (0, 0);
    for at in 0..changes_of_a_sync() {
        let mut pair = changed_pair();
        let target = pair.target();
        let (old, new) = (walk(&pair.backup.root()), walk(&pair.active.root()));
        inject(Some(Fault::Die(at)));
        let acknowledged = take(&mut pair, &target).is_ok();
        pair.backup.kill();
        pair.backup.start().unwrap();
        let found = walk(&pair.backup.root());
        let applied = &pair.backup.store().applied().clone();
        if applied.lineage.newest() == target.records.last().copied() {
            assert_eq!(found, new, "died at {at}");
            assert_eq!(applied.manifest.roots(), target.manifest.roots());
            news += 1;
        } else {
            assert!(
                !acknowledged,
                "died at {at}: an acknowledged commit is lost"
            );
            assert_eq!(found, old, "died at {at}");
            olds += 1;
        }
        pair.backup
            .store()
            .scan(crate::scan::Trust::Nothing)
            .unwrap();
        assert_eq!(pair.backup.store().local_edits(), [], "died at {at}");
        pair.sync().unwrap();
        assert_eq!(walk(&pair.backup.root()), new, "died at {at}");
        assert_eq!(
            pair.backup.store().laid_aside().unwrap(),
            [],
            "died at {at}"
        );
        let numbers = pair.backup.store().history().unwrap();
        let numbers: Vec<u64> = numbers.iter().map(|generation| generation.number).collect();
        assert!(numbers.starts_with(&[1, 2]), "died at {at}: {numbers:?}");
    }
    assert!(olds > 30 && news > 10, "{olds} old, {news} new");
}

#[test]
fn death_while_recovering_is_recovered_from() {
    for at in (0..changes_of_a_sync()).step_by(5) {
        let mut pair = changed_pair();
        let target = pair.target();
        let (old, new) = (walk(&pair.backup.root()), walk(&pair.active.root()));
        inject(Some(Fault::Die(at)));
        take(&mut pair, &target).ok();
        for again in [0, 1, 3, 7, 15] {
            pair.backup.kill();
            inject(Some(Fault::Die(again)));
            pair.backup.start().ok();
        }
        pair.backup.kill();
        pair.backup.start().unwrap();
        let found = walk(&pair.backup.root());
        assert!(found == old || found == new, "died at {at}");
        pair.sync().unwrap();
        assert_eq!(walk(&pair.backup.root()), new);
    }
}

#[test]
fn each_failure_of_the_disk_is_an_error_and_no_mixture() {
    let errors = [Errno::NOSPC, Errno::ROFS, Errno::IO, Errno::ACCESS];
    for at in 0..changes_of_a_sync() {
        let error = errors[at % errors.len()];
        let mut pair = changed_pair();
        let target = pair.target();
        let (old, new) = (walk(&pair.backup.root()), walk(&pair.active.root()));
        inject(Some(Fault::Fail(at, error)));
        let taken = take(&mut pair, &target);
        inject(None);
        let found = walk(&pair.backup.root());
        match &taken {
            Ok(()) => assert_eq!(found, new, "{error} at {at}"),
            Err(StoreError::Io { place, .. }) if place == "the journal" => {
                assert!(found == old || found == new, "{error} at {at}");
                let refused = take(&mut pair, &target).unwrap_err();
                assert!(matches!(refused, StoreError::Broken), "{refused}");
                pair.backup.start().unwrap();
            }
            Err(_) => assert_eq!(found, old, "{error} at {at}: {taken:?}"),
        }
        pair.sync().unwrap();
        assert_eq!(walk(&pair.backup.root()), new, "{error} at {at}");
    }
}

/// After the crash somebody takes the place of what was still to come.
#[test]
fn a_commit_that_cannot_be_finished_after_a_crash_is_taken_back() {
    let mut taken_back = 0;
    for at in 0..20 {
        let mut pair = Pair::new();
        pair.active.write("a/b/c/f", "old");
        pair.sync().unwrap();
        pair.active.write("a/b/c/f", "new");
        pair.active.write("a/b/c/z", "new");
        let staged = pair.stage().unwrap();
        inject(Some(Fault::Die(at)));
        let done = pair.backup.store().commit(staged, |_| Ok(()));
        pair.backup.kill();
        if done.is_ok() {
            break;
        }
        pair.backup.write("a/b/c/z", "mine");
        let f = match pair.backup.start().unwrap() {
            Recovered::Back(_) => {
                taken_back += 1;
                "old"
            }
            Recovered::Clean => "old",
            Recovered::Forward(_) => "new",
        };
        if pair.backup.store().applied().number == 1 {
            assert_eq!(pair.backup.read("a/b/c/f"), f, "died at {at}");
        }
        assert_eq!(pair.backup.read("a/b/c/z"), "mine", "died at {at}");
        pair.sync().unwrap();
        pair.assert_same();
    }
    assert!(taken_back > 0);
}

#[test]
fn a_store_is_held_by_one_process() {
    let mut pair = Pair::new();
    let held = pair.backup.store.take();
    let refused = pair.backup.start().unwrap_err();
    assert!(matches!(refused, StoreError::Locked(_)), "{refused}");
    drop(held);
    pair.backup.start().unwrap();
    pair.backup.store().raise_epoch(Epoch(7)).unwrap();
    pair.backup.start().unwrap();
    assert_eq!(pair.backup.store().epoch(), Epoch(7));
    pair.backup.store().scan(crate::scan::Trust::Cache).unwrap();
    let refused = pair.backup.store().publish(Epoch(6), NODE).unwrap_err();
    assert!(matches!(refused, StoreError::Fenced { .. }), "{refused}");
}
