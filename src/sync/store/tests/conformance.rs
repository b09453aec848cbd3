//! What a tree may hold and what may happen to it, each three directories deep.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::pair::{Pair, rel};
use crate::blocks::{BLOCK_BYTES, signature};
use crate::filter::FilterSpec;
use crate::scan::{Note, Trust};
use crate::store::StoreError;

pub(super) fn filter(include: &[&str], exclude: &[&str], node_local: &[&str]) -> FilterSpec {
    let list = |patterns: &[&str]| patterns.iter().map(|text| (*text).to_owned()).collect();
    FilterSpec {
        include: list(include),
        exclude: list(exclude),
        node_local: list(node_local),
    }
}

pub(super) fn chmod(path: impl AsRef<std::path::Path>, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn names_of_any_bytes_and_empty_directories() {
    let mut pair = Pair::new();
    for name in [
        &b"\xff\xfe"[..],
        b"new\nline",
        b"\x1b[31m",
        b"back\\",
        b" ",
        b"-rf",
        &[b'n'; 255],
    ] {
        let dir = pair.active.at("a/b/c").join(OsStr::from_bytes(name));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(OsStr::from_bytes(name)), name).unwrap();
    }
    fs::create_dir_all(pair.active.at("a/b/empty/deep/er")).unwrap();
    pair.sync().unwrap();
    pair.assert_same();
    assert_eq!(
        pair.active.store().live().roots(),
        pair.backup.store().live().roots()
    );
    assert_eq!(pair.backup.store().local_edits(), []);
    pair.backup.store().scan(Trust::Nothing).unwrap();
    assert_eq!(pair.backup.store().local_edits(), []);
}

#[test]
fn a_path_longer_than_the_kernel_takes() {
    let mut pair = Pair::new();
    let name = "d".repeat(200);
    let (mut path, mut below) = (rel("t"), Vec::new());
    let mut dir = crate::resolve::Dir::open(&pair.active.root()).unwrap();
    for _ in 0..40 {
        dir = dir.ensure_dir(name.as_bytes()).unwrap();
        path = path.join(name.as_bytes()).unwrap();
        below.push(name.clone());
    }
    let file = dir.create(b"f").unwrap();
    crate::resolve::write_at(file, b"deep", 0).unwrap();
    pair.sync().unwrap();
    let root = crate::resolve::Dir::open(&pair.backup.root()).unwrap();
    let file = root
        .dir(below.join("/").as_bytes())
        .unwrap()
        .file(b"f")
        .unwrap();
    assert_eq!(crate::resolve::read_all(file, 10).unwrap(), b"deep");
    crate::resolve::Dir::open(&pair.active.root())
        .unwrap()
        .clear()
        .unwrap();
    root.clear().unwrap();
}

#[test]
fn links_are_carried_and_never_followed() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/file", "x");
    fs::create_dir_all(pair.active.at("a/b/c/dir")).unwrap();
    for (name, target) in [
        ("rel", "file"),
        ("up", "../../b/c/file"),
        ("abs", "/etc/passwd"),
        ("dangling", "nowhere"),
        ("to-dir", "dir"),
        ("loop", "loop"),
    ] {
        symlink(target, pair.active.at("a/b/c").join(name)).unwrap();
    }
    pair.sync().unwrap();
    pair.assert_same();
    fs::remove_file(pair.active.at("a/b/c/rel")).unwrap();
    symlink("dir", pair.active.at("a/b/c/rel")).unwrap();
    pair.sync().unwrap();
    pair.assert_same();
}

#[test]
fn a_path_becomes_something_else() {
    let mut pair = Pair::new();
    pair.active.write("a/b/file-dir", "x");
    pair.active.write("a/b/dir-file/deep/er", "x");
    pair.active.write("a/b/dir-link/deep/er", "x");
    symlink("x", pair.active.at("a/b/link-dir")).unwrap();
    symlink("x", pair.active.at("a/b/link-file")).unwrap();
    pair.sync().unwrap();
    for name in ["file-dir", "link-dir", "link-file"] {
        fs::remove_file(pair.active.at("a/b").join(name)).unwrap();
    }
    for name in ["dir-file", "dir-link"] {
        fs::remove_dir_all(pair.active.at("a/b").join(name)).unwrap();
    }
    pair.active.write("a/b/file-dir/in/it", "y");
    pair.active.write("a/b/link-dir/in/it", "y");
    pair.active.write("a/b/dir-file", "y");
    pair.active.write("a/b/link-file", "y");
    symlink("y", pair.active.at("a/b/dir-link")).unwrap();
    pair.sync().unwrap();
    pair.assert_same();
}

#[test]
fn modes_owners_times_and_attributes() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/f", "x");
    pair.active.write("a/b/c/ro/f", "x");
    pair.sync().unwrap();
    // A new directory's time is set after what happened in it.
    let modified = |path: std::path::PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    assert_eq!(
        modified(pair.active.at("a/b/c")),
        modified(pair.backup.at("a/b/c"))
    );
    let times = fs::FileTimes::new()
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(5, 123_456_789));
    fs::File::open(pair.active.at("a/b/c/f"))
        .unwrap()
        .set_times(times)
        .unwrap();
    chmod(pair.active.at("a/b/c/f"), 0o6751);
    chmod(pair.active.at("a/b/c"), 0o3770);
    chmod(pair.active.at("a/b/c/ro"), 0o555);
    let value = [7; 1000];
    for path in ["a/b/c/f", "a/b"] {
        let set = rustix::fs::setxattr(
            pair.active.at(path),
            "user.x",
            &value,
            rustix::fs::XattrFlags::empty(),
        );
        set.unwrap();
    }
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(pair.active.at("a/b/c/f"), Some(12), Some(34)).unwrap();
        chmod(pair.active.at("a/b/c/f"), 0o6751);
        std::os::unix::fs::chown(pair.active.at("a/b"), Some(56), Some(78)).unwrap();
    } else {
        eprintln!("skipped: owners need root");
    }
    pair.sync().unwrap();
    pair.assert_same();
    pair.active
        .write("a/b/c/ro/g", "made in a directory that forbids it");
    rustix::fs::removexattr(pair.active.at("a/b"), "user.x").unwrap();
    pair.sync().unwrap();
    pair.assert_same();
}

#[test]
fn large_files_by_blocks_and_holes_stay_holes() {
    use std::os::unix::fs::MetadataExt;
    let mut pair = Pair::new();
    let mut bytes: Vec<u8> = (0..300_000_u32)
        .map(|at| u8::try_from(at % 253).unwrap())
        .collect();
    pair.active.write("a/b/c/big", &bytes);
    let sparse = fs::File::create(pair.active.at("a/b/c/sparse")).unwrap();
    sparse.set_len(4 << 20).unwrap();
    pair.active.write("a/b/c/zero", "");
    pair.sync().unwrap();
    pair.assert_same();
    let (base, digest, _) = signature(&bytes[..]).unwrap();
    for (at, length) in [
        (4095, 300_000),
        (4096, 300_001),
        (299_999, 299_999),
        (0, 8192 * 10),
    ] {
        bytes.resize(length, 1);
        bytes[at.min(length - 1)] ^= 0xff;
        pair.active.write("a/b/c/big", &bytes);
        pair.sync().unwrap();
        pair.assert_same();
    }
    assert_ne!(signature(&bytes[..]).unwrap().0.changed_from(&base), []);
    assert_ne!(signature(&bytes[..]).unwrap().1, digest);
    fs::copy(pair.active.at("a/b/c/sparse"), pair.active.at("a/b/c/copy")).unwrap();
    chmod(pair.active.at("a/b/c/sparse"), 0o600);
    pair.sync().unwrap();
    let blocks = fs::metadata(pair.backup.at("a/b/c/sparse"))
        .unwrap()
        .blocks();
    assert!(
        blocks * 512 < 1 << 20,
        "{blocks} blocks of a file that is all hole"
    );
}

#[test]
fn only_changed_blocks_of_a_known_base_travel_and_a_cut_resumes() {
    let mut pair = Pair::new();
    let old: Vec<u8> = (0..1_000_000_u32)
        .map(|at| u8::try_from(at / 3 % 251).unwrap())
        .collect();
    pair.active.write("a/b/c/big", &old);
    pair.sync().unwrap();
    let mut new = old.clone();
    new[500_000] ^= 1;
    new.extend_from_slice(b"grown");
    pair.active.write("a/b/c/big", &new);
    let target = pair.target();
    let wants = pair.backup.store().missing(&target.manifest).unwrap();
    let (base, held, _) = signature(&old[..]).unwrap();
    let (blocks, content, _) = signature(&new[..]).unwrap();
    assert_eq!(
        (wants.len(), wants[0].content, wants[0].base),
        (1, content, Some(held))
    );
    let changed = blocks.changed_from(&base);
    assert_eq!(changed.iter().map(|run| run.count).sum::<u32>(), 2);
    let store = pair.backup.store();
    let begun = store.begin(content, Some((&wants[0].path, content, &changed)));
    assert!(!begun.unwrap(), "another base than the file has");
    assert!(
        store
            .begin(content, Some((&wants[0].path, held, &changed)))
            .unwrap()
    );
    let block = |run: &crate::blocks::Run| {
        let start = run.first as usize * BLOCK_BYTES;
        new[start..new.len().min(start + BLOCK_BYTES)].to_vec()
    };
    store
        .put_blocks(&content, changed[0].first, &block(&changed[0]))
        .unwrap();
    // The process dies here; what arrived is still there.
    pair.backup.start().unwrap();
    pair.backup.store().scan(Trust::Cache).unwrap();
    pair.backup.store().missing(&target.manifest).unwrap();
    let store = pair.backup.store();
    assert!(store.begin(content, None).unwrap());
    assert_eq!(store.missing_blocks(&content), changed[1..]);
    store
        .put_blocks(&content, changed[1].first, &block(&changed[1]))
        .unwrap();
    store.finish(&content).unwrap();
    let staged = store.stage(target).unwrap();
    store.commit(staged, |_| Ok(())).unwrap();
    pair.assert_same();
}

#[test]
fn deletions_spare_what_is_excluded() {
    let mut pair = Pair::with(filter(&[], &["*.local"], &["/a/own/"]));
    pair.active.write("a/b/c/f", "x");
    pair.active.write("a/b/gone/f", "x");
    pair.active.write("a/own/id", "active");
    pair.active.write("keep", "x");
    pair.sync().unwrap();
    pair.backup.write("a/b/c/d/e/mine.local", "mine");
    pair.backup.write("a/own/id", "backup");
    fs::remove_dir_all(pair.active.at("a/b")).unwrap();
    pair.sync().unwrap();
    assert_eq!(pair.backup.read("a/b/c/d/e/mine.local"), "mine");
    assert_eq!(pair.backup.read("a/own/id"), "backup");
    assert!(!pair.backup.at("a/b/c/f").exists() && !pair.backup.at("a/b/gone").exists());
    pair.backup.store().scan(Trust::Nothing).unwrap();
    assert_eq!(
        pair.backup.store().local_edits(),
        [],
        "a directory that stays is no edit"
    );
    assert_eq!(
        pair.backup.store().live().roots(),
        pair.active.store().live().roots()
    );
    // And it becomes replicated again without harm, after a restart too.
    pair.backup.start().unwrap();
    pair.active.write("a/b/c/new", "x");
    pair.sync().unwrap();
    assert_eq!(pair.backup.read("a/b/c/new"), "x");
    assert_eq!(pair.backup.read("a/b/c/d/e/mine.local"), "mine");
}

#[test]
fn what_is_not_replicated_is_not_moved_out_of_the_way() {
    let mut pair = Pair::with(filter(&[], &["*.local"], &[]));
    pair.active.write("a/b/c/f", "x");
    pair.sync().unwrap();
    pair.backup.write("a/b/c/d/mine.local", "mine");
    fs::remove_dir_all(pair.active.at("a/b/c")).unwrap();
    pair.active.write("a/b/c", "a file now");
    let refused = pair.sync().unwrap_err();
    assert!(matches!(refused, StoreError::InTheWay(_)), "{refused}");
    assert_eq!(pair.backup.read("a/b/c/f"), "x");
}

#[test]
fn included_files_bring_their_parents_and_nothing_else() {
    let mut pair = Pair::with(filter(&["/a/b/*.conf"], &[], &[]));
    pair.active.write("a/b/x.conf", "x");
    pair.active.write("a/b/other", "x");
    pair.active.write("z/other", "x");
    pair.backup.write("a/b/other", "mine");
    pair.sync().unwrap();
    assert_eq!(pair.backup.read("a/b/x.conf"), "x");
    assert_eq!(pair.backup.read("a/b/other"), "mine");
    assert!(!pair.backup.at("z").exists());
    fs::remove_file(pair.active.at("a/b/x.conf")).unwrap();
    pair.active.write("a/b/y.conf", "y");
    pair.sync().unwrap();
    assert_eq!(pair.backup.read("a/b/y.conf"), "y");
    assert!(!pair.backup.at("a/b/x.conf").exists());
}

#[test]
fn special_files_are_told_and_left_alone() {
    let mut pair = Pair::new();
    pair.active.write("a/b/c/f", "x");
    fs::hard_link(pair.active.at("a/b/c/f"), pair.active.at("a/b/g")).unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        pair.active.at("a/b/c/pipe"),
        rustix::fs::Mode::RUSR,
    )
    .unwrap();
    let scan = pair.active.store().scan(Trust::Cache).unwrap();
    assert_eq!(
        scan.notes,
        [
            Note::HardLinked(rel("t/a/b/c/f")),
            Note::Special(rel("t/a/b/c/pipe")),
            Note::HardLinked(rel("t/a/b/g")),
        ]
    );
    pair.sync().unwrap();
    assert_eq!(pair.backup.read("a/b/g"), "x");
    assert!(!pair.backup.at("a/b/c/pipe").exists());
}
