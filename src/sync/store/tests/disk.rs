//! Real small disks: full, read-only, a mount inside of a tree, a tree that is a mount, a store on another disk.
//!
//! The tests are run again in a mount namespace of their own, which needs root; without it they say that they were
//! skipped.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::pair::{Pair, rel, walk};
use crate::scan::{ScanError, Trust};
use crate::store::StoreError;

/// Runs one of the tests below where it may mount.
fn in_a_namespace(name: &str) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: mounting needs root");
        return;
    }
    let test = format!("store::tests::disk::{name}");
    let mut again = Command::new("unshare");
    again.arg("--mount").arg(std::env::current_exe().unwrap());
    again.args(["--exact", "--ignored", "--nocapture", &test]);
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("1 passed"), "{said}");
}

fn mount(at: &Path, options: &str) {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at);
    assert!(mount.status().unwrap().success());
}

fn remount(at: &Path, options: &str) {
    let mut mount = Command::new("mount");
    mount.args(["-o", &format!("remount,{options}")]).arg(at);
    assert!(mount.status().unwrap().success());
}

#[test]
fn a_full_disk() {
    in_a_namespace("full");
}

#[test]
#[ignore = "run by the test above, in a mount namespace"]
fn full() {
    let mut pair = Pair::new();
    mount(&pair.backup.root(), "size=1m");
    pair.active.write("a/b/c/f", "old");
    pair.sync().unwrap();
    let before = walk(&pair.backup.root());
    pair.active.write("a/b/c/f", "new");
    for number in 0..40 {
        pair.active
            .write(&format!("a/b/c/{number}"), vec![number; 50_000]);
    }
    let refused = pair.sync().unwrap_err();
    let full =
        matches!(&refused, StoreError::Io { source, .. } if *source == rustix::io::Errno::NOSPC);
    assert!(full, "{refused}");
    // The slots stay, and are not of the tree.
    let tree = |lines: Vec<String>| {
        lines
            .into_iter()
            .filter(|line| !line.starts_with(".fencepost"))
    };
    assert!(tree(walk(&pair.backup.root())).eq(tree(before)));
    remount(&pair.backup.root(), "size=10m");
    pair.sync().unwrap();
    assert!(tree(walk(&pair.backup.root())).eq(walk(&pair.active.root())));
}

#[test]
fn a_read_only_disk() {
    in_a_namespace("read_only");
}

#[test]
#[ignore = "run by the test above, in a mount namespace"]
fn read_only() {
    let mut pair = Pair::new();
    mount(&pair.backup.root(), "size=1m");
    pair.active.write("a/b/c/f", "old");
    pair.sync().unwrap();
    pair.active.write("a/b/c/f", "new");
    let staged = pair.stage().unwrap();
    remount(&pair.backup.root(), "ro");
    let refused = pair.backup.store().commit(staged, |_| Ok(())).unwrap_err();
    assert_eq!(pair.backup.read("a/b/c/f"), "old");
    remount(&pair.backup.root(), "rw");
    // Nothing could be taken back either, nor had to be; a start finds out.
    assert!(
        matches!(refused, StoreError::Undone { .. } | StoreError::Torn { .. }),
        "{refused}"
    );
    pair.backup.start().unwrap();
    if pair.backup.read("a/b/c/f") == "old" {
        pair.sync().unwrap();
    }
    assert_eq!(pair.backup.read("a/b/c/f"), "new");
}

#[test]
fn a_mount_inside_of_a_tree() {
    in_a_namespace("mounted_inside");
}

#[test]
#[ignore = "run by the test above, in a mount namespace"]
fn mounted_inside() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/f", "x");
    mount(&pair.active.at("a/b/c"), "size=1m");
    let refused = pair.active.store().scan(Trust::Cache).unwrap_err();
    let told = matches!(&refused, ScanError::OtherFileSystem(path) if *path == rel("t/a/b/c"));
    assert!(told, "{refused}");
}

#[test]
fn a_tree_whose_disk_comes_and_goes() {
    in_a_namespace("comes_and_goes");
}

#[test]
#[ignore = "run by the test above, in a mount namespace"]
fn comes_and_goes() {
    let mut pair = Pair::new();
    mount(&pair.active.root(), "size=1m");
    pair.active.write("a/b/c/f", "x");
    pair.active.store().scan(Trust::Cache).unwrap();
    let unmounted = Command::new("umount")
        .arg(pair.active.root())
        .status()
        .unwrap();
    assert!(unmounted.success(), "a scan held the disk");
    let refused = pair.active.store().scan(Trust::Cache).unwrap_err();
    assert!(matches!(refused, ScanError::Remounted { .. }), "{refused}");
    assert_eq!(pair.active.store().live().len(), 5);
}

#[test]
fn a_store_on_another_disk_than_the_tree() {
    in_a_namespace("two_disks");
}

#[test]
#[ignore = "run by the test above, in a mount namespace"]
fn two_disks() {
    let mut pair = Pair::new();
    pair.backup.kill();
    mount(&pair.backup.state(), "size=8m");
    pair.backup.start().unwrap();
    pair.active.write("a/b/c/f", "one");
    pair.sync().unwrap();
    pair.active.write("a/b/c/f", "two");
    pair.sync().unwrap();
    pair.backup.write("a/b/c/f", "by hand");
    fs::create_dir(pair.backup.at("a/mine")).unwrap();
    std::os::unix::fs::symlink("by hand", pair.backup.at("a/mine/link")).unwrap();
    let committed = pair.sync().unwrap();
    assert_eq!(committed.edits.len(), 2);
    let aside = pair
        .backup
        .state()
        .join("aside")
        .join(committed.number.to_string());
    assert_eq!(
        fs::read_to_string(aside.join("t/a/b/c/f")).unwrap(),
        "by hand"
    );
    assert_eq!(
        fs::read_link(aside.join("t/a/mine/link")).unwrap(),
        Path::new("by hand")
    );
    let staged = pair
        .backup
        .store()
        .rollback(1, crate::lineage::Epoch(1), super::pair::NODE);
    pair.backup
        .store()
        .commit(staged.unwrap(), |_| Ok(()))
        .unwrap();
    assert_eq!(pair.backup.read("a/b/c/f"), "one");
}
