//! Fencing, lineage, edits made here, history, guards, validation.

use std::fs;

use super::pair::{NODE, Pair, rel, walk};
use crate::diff::Difference;
use crate::lineage::{Epoch, Lineage, NodeId, Relation};
use crate::scan::Trust;
use crate::store::{StoreError, Target};

#[test]
fn what_a_demoted_sender_staged_is_refused_at_the_commit() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/f", "x");
    let staged = pair.stage().unwrap();
    // A promotion while the transfer was under way.
    pair.backup.store().raise_epoch(Epoch(2)).unwrap();
    let refused = pair
        .backup
        .store()
        .commit(staged, |_| panic!("not asked any more"))
        .unwrap_err();
    assert!(matches!(refused, StoreError::Fenced { .. }), "{refused}");
    assert!(!pair.backup.at("a").exists());
    pair.backup.start().unwrap();
    pair.backup.store().scan(Trust::Cache).unwrap();
    let target = pair.target();
    let refused = pair.backup.store().stage(target).unwrap_err();
    assert!(
        matches!(refused, StoreError::Fenced { .. }),
        "after a restart: {refused}"
    );
    // What it committed while it was Active is good: the new Active may send it on under its own epoch.
    let staged = pair.stage_with(|target| target.epoch = Epoch(2)).unwrap();
    pair.backup.store().commit(staged, |_| Ok(())).unwrap();
    pair.assert_same();
}

#[test]
fn the_agent_has_the_last_word() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/f", "x");
    let staged = pair.stage().unwrap();
    let mut asked = None;
    let refused = pair.backup.store().commit(staged, |epoch| {
        asked = Some(epoch);
        Err("this node is Active".to_owned())
    });
    assert_eq!(asked, Some(Epoch(1)));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "refused at the commit: this node is Active"
    );
    assert!(!pair.backup.at("a").exists());
    pair.sync().unwrap();
}

#[test]
fn only_one_of_two_staged_generations_is_committed() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/f", "x");
    let first = pair.stage().unwrap();
    let second = pair.stage().unwrap();
    drop(first);
    pair.backup.store().commit(second, |_| Ok(())).unwrap();
    pair.active.write("a/b/c/f", "y");
    let third = pair.stage().unwrap();
    pair.active.write("a/b/c/f", "z");
    pair.sync().unwrap();
    let refused = pair.backup.store().commit(third, |_| Ok(())).unwrap_err();
    assert!(matches!(refused, StoreError::Overtaken), "{refused}");
    assert_eq!(pair.backup.read("a/b/c/f"), "z");
}

#[test]
fn edits_made_on_the_backup_are_seen_laid_aside_and_overwritten() {
    let mut pair = Pair::new();
    for name in ["a/b/c/edited", "a/b/c/mode", "a/b/c/gone", "a/b/untouched"] {
        pair.active.write(name, "active");
    }
    pair.sync().unwrap();
    pair.backup.write("a/b/c/edited", "by hand");
    pair.backup.write("a/b/added/deep/er", "by hand");
    fs::remove_file(pair.backup.at("a/b/c/gone")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(pair.backup.at("a/b/c/mode"), mode).unwrap();
    pair.backup.store().scan(Trust::Cache).unwrap();
    let edits = pair.backup.store().local_edits();
    let seen: Vec<_> = edits
        .iter()
        .map(|edit| (edit.path.to_string(), edit.difference()))
        .collect();
    use Difference::{Added, Content, Metadata, Removed};
    let expected = [
        ("t/a/b/added", Added),
        ("t/a/b/added/deep", Added),
        ("t/a/b/added/deep/er", Added),
        ("t/a/b/c/edited", Content),
        ("t/a/b/c/gone", Removed),
        ("t/a/b/c/mode", Metadata),
    ];
    assert_eq!(seen, expected.map(|(path, what)| (path.to_owned(), what)));
    // Nothing new on the Active: the trees are made again what they were.
    let staged = pair.stage().unwrap();
    assert!(staged.changes().is_empty());
    let committed = pair.backup.store().commit(staged, |_| Ok(())).unwrap();
    pair.assert_same();
    let paths: Vec<_> = committed
        .edits
        .iter()
        .map(|edit| edit.path.to_string())
        .collect();
    assert_eq!(paths, ["t/a/b/c/edited", "t/a/b/added/deep/er"]);
    let aside = pair
        .backup
        .state()
        .join("aside")
        .join(committed.number.to_string())
        .join("t/a/b");
    assert_eq!(
        fs::read_to_string(aside.join("c/edited")).unwrap(),
        "by hand"
    );
    assert_eq!(
        fs::read_to_string(aside.join("added/deep/er")).unwrap(),
        "by hand"
    );
    let listed = pair.backup.store().laid_aside().unwrap();
    assert_eq!(listed, [(committed.number, committed.edits)]);
}

#[test]
fn an_edit_nobody_noticed_is_laid_aside_too() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/f", "one");
    pair.sync().unwrap();
    pair.active.write("a/b/c/f", "two");
    let staged = pair.stage().unwrap();
    pair.backup
        .write("a/b/c/f", "by hand, between stage and commit");
    let committed = pair.backup.store().commit(staged, |_| Ok(())).unwrap();
    assert_eq!(committed.edits.len(), 1);
    assert_eq!(pair.backup.read("a/b/c/f"), "two");
}

#[test]
fn a_file_put_where_a_new_one_is_to_go_is_not_lost() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/f", "one");
    pair.sync().unwrap();
    pair.active.write("a/b/c/new", "active");
    let staged = pair.stage().unwrap();
    pair.backup.write("a/b/c/new", "by hand");
    let refused = pair.backup.store().commit(staged, |_| Ok(())).unwrap_err();
    assert!(
        matches!(&refused, StoreError::Undone { path, .. } if *path == rel("t/a/b/c/new")),
        "{refused}"
    );
    assert_eq!(pair.backup.read("a/b/c/new"), "by hand");
    let committed = pair.sync().unwrap();
    assert_eq!(
        (pair.backup.read("a/b/c/new"), committed.edits.len()),
        ("active".to_owned(), 1)
    );
}

#[test]
fn the_last_generations_can_be_had_back() {
    let mut pair = Pair::new();
    let mut states = Vec::new();
    for round in 1..=6 {
        pair.active.write("a/b/c/f", format!("round {round}"));
        pair.active.write(&format!("a/b/c/only-{round}/f"), "x");
        if round > 1 {
            fs::remove_dir_all(pair.active.at(&format!("a/b/c/only-{}", round - 1))).unwrap();
        }
        pair.sync().unwrap();
        states.push(walk(&pair.backup.root()));
    }
    let numbers = pair.backup.store().history().unwrap();
    let numbers: Vec<u64> = numbers.iter().map(|generation| generation.number).collect();
    assert_eq!(numbers, [4, 5, 6]);
    assert!(matches!(
        pair.backup.store().generation(2),
        Err(StoreError::NoGeneration(2))
    ));
    assert!(matches!(
        pair.backup.store().generation(7),
        Err(StoreError::NoGeneration(7))
    ));
    for number in [3, 5] {
        let staged = pair
            .backup
            .store()
            .rollback(number, Epoch(2), NodeId(2))
            .unwrap();
        let committed = pair.backup.store().commit(staged, |_| Ok(())).unwrap();
        let index = usize::try_from(number).unwrap() - 1;
        // Directories that stayed are newer, and their times are not compared.
        assert_eq!(walk(&pair.backup.root()), states[index], "back to {number}");
        assert_eq!(committed.record.author, NodeId(2));
        pair.backup.start().unwrap();
        pair.backup.store().scan(Trust::Nothing).unwrap();
        assert_eq!(pair.backup.store().local_edits(), []);
    }
    // The Active learns that the Backup went its own way.
    let (mine, theirs) = (
        pair.active.store().applied().lineage.clone(),
        &pair.backup.store().applied().lineage,
    );
    assert_eq!(mine.relation(theirs), Relation::IAmStale);
}

#[test]
fn damaged_history_is_not_brought_back() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/f", "one");
    pair.sync().unwrap();
    pair.active.write("a/b/c/f", "two");
    pair.sync().unwrap();
    let contents = pair.backup.state().join("history-contents");
    for content in fs::read_dir(contents).unwrap() {
        fs::write(content.unwrap().path(), "eno").unwrap();
    }
    let refused = pair.backup.store().rollback(1, Epoch(1), NODE).unwrap_err();
    assert!(matches!(refused, StoreError::Missing(..)), "{refused}");
    assert_eq!(pair.backup.read("a/b/c/f"), "two");
}

#[test]
fn a_split_brain_is_recognised_and_ended_by_a_choice() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/f", "common");
    pair.sync().unwrap();
    pair.active.write("a/b/c/f", "active's");
    pair.backup.write("a/b/c/f", "backup's");
    for node in [&mut pair.active, &mut pair.backup] {
        node.store().scan(Trust::Cache).unwrap();
    }
    pair.active.store().publish(Epoch(2), NodeId(1)).unwrap();
    pair.backup.store().publish(Epoch(3), NodeId(2)).unwrap();
    let lineage = |node: &mut super::pair::Node| node.store().applied().lineage.clone();
    let (mine, theirs) = (lineage(&mut pair.active), lineage(&mut pair.backup));
    assert!(matches!(mine.relation(&theirs), Relation::SplitBrain(_)));
    let whole = |mine: &Lineage, manifest: crate::manifest::Manifest| Target {
        manifest,
        epoch: Epoch(3),
        records: mine.iter().copied().collect(),
        replace: true,
        force: false,
        view: false,
    };
    let manifest = pair.active.store().applied().manifest.clone();
    pair.fetch(&manifest).unwrap();
    let without_choice = Target {
        replace: false,
        ..whole(&mine, manifest.clone())
    };
    let refused = pair.backup.store().stage(without_choice).unwrap_err();
    assert!(matches!(refused, StoreError::Lineage(_)), "{refused}");
    let staged = pair.backup.store().stage(whole(&mine, manifest)).unwrap();
    pair.backup.store().commit(staged, |_| Ok(())).unwrap();
    assert_eq!(pair.backup.read("a/b/c/f"), "active's");
    pair.backup.start().unwrap();
    assert_eq!(lineage(&mut pair.backup).relation(&mine), Relation::Same);
    // What lost can still be had back.
    pair.backup.store().scan(Trust::Cache).unwrap();
    let before = pair.backup.store().history().unwrap().len() as u64 - 1;
    let staged = pair
        .backup
        .store()
        .rollback(before, Epoch(3), NODE)
        .unwrap();
    pair.backup.store().commit(staged, |_| Ok(())).unwrap();
    assert_eq!(pair.backup.read("a/b/c/f"), "backup's");
}

#[test]
fn mass_deletion_is_refused_unless_forced() {
    let mut pair = Pair::new();
    pair.backup.policy.deletions.percent_max = 10;
    pair.backup.start().unwrap();
    for number in 0..100 {
        pair.active.write(&format!("a/b/c/{number}"), "x");
    }
    pair.sync().unwrap();
    for number in 0..50 {
        fs::remove_file(pair.active.at(&format!("a/b/c/{number}"))).unwrap();
    }
    let refused = pair.sync().unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("50 of 104 entries would be deleted"),
        "{refused}"
    );
    let staged = pair.stage_with(|target| target.force = true).unwrap();
    pair.backup.store().commit(staged, |_| Ok(())).unwrap();
    pair.assert_same();
}

#[test]
fn validation_sees_the_complete_trees_and_the_live_ones_do_not_change() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/same", "same");
    pair.active.write("a/b/c/f", "old");
    pair.sync().unwrap();
    let before = walk(&pair.backup.root());
    pair.active.write("a/b/c/f", "new");
    let staged = pair.stage_with(|target| target.view = true).unwrap();
    let view = staged.view().unwrap().to_owned();
    let read = |name: &str| fs::read_to_string(view.join("t/a/b/c").join(name)).unwrap();
    assert_eq!(
        (read("same"), read("f")),
        ("same".to_owned(), "new".to_owned())
    );
    fs::write(view.join("t/a/b/c/same"), "a hook that writes").unwrap();
    assert_eq!(walk(&pair.backup.root()), before);
    pair.backup.store().commit(staged, |_| Ok(())).unwrap();
    pair.assert_same();
}

#[test]
fn a_long_journal_becomes_a_snapshot() {
    let mut pair = Pair::new();
    let target = "n".repeat(4000);
    for round in 0..3 {
        for link in 0..400 {
            let path = pair.active.at(&format!("{round}-{link}"));
            std::os::unix::fs::symlink(&target, path).unwrap();
        }
        pair.sync().unwrap();
    }
    let journal = fs::metadata(pair.backup.state().join("journal"))
        .unwrap()
        .len();
    assert!(journal < 4 << 20, "{journal} bytes");
    let applied = pair.backup.store().applied().clone();
    assert_eq!(applied.manifest.len(), 1_201);
    pair.backup.start().unwrap();
    assert_eq!(*pair.backup.store().applied(), applied);
    assert!(pair.backup.state().join("applied").exists());
}
