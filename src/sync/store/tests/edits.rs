//! What somebody edited on the Backup gives way to a commit and is not lost, whatever dies when.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::pair::{Pair, walk};
use crate::scan::Trust;
use crate::seam::{Fault, Trace, changes, inject, trace};
use crate::store::{StoreError, Target};

/// Paths that were edited by hand on the Backup; the last two go with their directory.
const EDITED: [&str; 4] = ["a/b/c/edit", "a/added", "a/gone/edit", "a/gone/deep/added"];

/// A pair in sync, then edits on the Backup that the next commit overwrites or takes away.
fn edited() -> Pair {
    let mut pair = Pair::new();
    for name in ["a/b/c/edit", "a/b/c/other", "a/gone/edit"] {
        pair.active.write(name, "active");
    }
    pair.sync().unwrap();
    pair.active.write("a/b/c/edit", "active again");
    pair.active.write("a/b/c/other", "active again");
    fs::remove_dir_all(pair.active.at("a/gone")).unwrap();
    for path in EDITED {
        pair.backup.write(path, format!("by hand: {path}"));
    }
    pair
}

fn take(pair: &mut Pair, target: &Target) -> Result<(), StoreError> {
    pair.backup.store().scan(Trust::Nothing).unwrap();
    pair.fetch(&target.manifest)?;
    let staged = pair.backup.store().stage(target.clone())?;
    pair.backup.store().commit(staged, |_| Ok(())).map(|_| ())
}

fn target(pair: &mut Pair) -> Target {
    let force = true;
    Target {
        force,
        ..pair.target()
    }
}

/// Where an edit lies now, if not in its place.
fn aside(pair: &Pair, path: &str) -> Option<PathBuf> {
    let numbers = fs::read_dir(pair.backup.state().join("aside")).unwrap();
    let mut all = numbers.map(|entry| entry.unwrap().path().join("t").join(path));
    all.find(|path| path.exists())
}

fn assert_nothing_lost(pair: &mut Pair, when: &str) {
    for path in EDITED {
        let text = format!("by hand: {path}");
        if fs::read_to_string(pair.backup.at(path)).is_ok_and(|found| found == text) {
            continue;
        }
        let aside = aside(pair, path).unwrap_or_else(|| panic!("{path} is lost, {when}"));
        assert_eq!(fs::read_to_string(aside).unwrap(), text, "{when}");
        let lists = pair.backup.store().laid_aside().unwrap();
        let mut listed = lists.iter().flat_map(|(_, edits)| edits);
        let whole = format!("t/{path}");
        assert!(
            listed.any(|edit| edit.path.to_string() == whole),
            "{path} is laid aside and not listed, {when}: {lists:?}"
        );
    }
}

#[test]
fn death_at_every_change_loses_no_edit() {
    let mut pair = edited();
    let first = target(&mut pair);
    inject(None);
    take(&mut pair, &first).unwrap();
    let count = changes();
    assert!(count > 40, "{count} changes: too few to be all");
    let mut aside_after = 0;
    for at in 0..count {
        let when = format!("died at {at}");
        let mut pair = edited();
        let first = target(&mut pair);
        inject(Some(Fault::Die(at)));
        let done = take(&mut pair, &first).is_ok();
        pair.backup.kill();
        pair.backup.start().unwrap();
        assert_nothing_lost(&mut pair, &when);
        aside_after += usize::from(!done && aside(&pair, EDITED[0]).is_some());
        let again = target(&mut pair);
        take(&mut pair, &again).unwrap();
        assert_nothing_lost(&mut pair, &when);
        assert_eq!(walk(&pair.backup.root()), walk(&pair.active.root()));
        for path in EDITED {
            assert!(aside(&pair, path).is_some(), "{path}, {when}");
        }
    }
    assert!(aside_after > 3, "the sweep after a crash was never seen");
}

/// The kernel may write names before bytes, and forgets both without power.
#[test]
fn an_edit_is_durable_before_it_is_moved_and_its_copy_before_it_is_listed() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/edit", "active");
    pair.sync().unwrap();
    pair.active.write("a/b/c/edit", "active again");
    pair.backup.write("a/b/c/edit", "by hand");
    let edit = fs::metadata(pair.backup.at("a/b/c/edit")).unwrap().ino();
    let staged = pair.stage().unwrap();
    trace();
    pair.backup.store().commit(staged, |_| Ok(())).unwrap();
    let trace = trace();
    let place = |found: &dyn Fn(&Trace) -> bool| trace.iter().position(found).unwrap();
    let synced = place(&|one| *one == Trace::Synced(edit));
    let moved = place(&|one| *one == Trace::Moves(edit));
    assert!(synced < moved, "{trace:?}");
    // Out of its place, then out of the slot.
    let last = trace
        .iter()
        .rposition(|one| *one == Trace::Moves(edit))
        .unwrap();
    assert!(moved < last, "{trace:?}");
    let list = pair.backup.state().join("aside/2.edits");
    let list = fs::metadata(list).unwrap().ino();
    let listed = place(&|one| *one == Trace::Moves(list));
    let all = last
        + trace[last..]
            .iter()
            .position(|one| *one == Trace::SyncedAll)
            .unwrap();
    assert!(last < all && all < listed, "{trace:?}");
}

#[test]
fn what_goes_into_the_history_is_durable_before_its_slot_is_cleared() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/f", "one");
    pair.sync().unwrap();
    pair.active.write("a/b/c/f", "two");
    let old = fs::metadata(pair.backup.at("a/b/c/f")).unwrap().ino();
    let contents = pair.backup.state().join("history-contents");
    let contents = fs::metadata(contents).unwrap().ino();
    let staged = pair.stage().unwrap();
    trace();
    pair.backup.store().commit(staged, |_| Ok(())).unwrap();
    let trace = trace();
    let moved = trace
        .iter()
        .rposition(|one| *one == Trace::Moves(old))
        .unwrap();
    assert!(
        trace[moved..].contains(&Trace::Synced(contents)),
        "{trace:?}"
    );
}
