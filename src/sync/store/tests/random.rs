//! Random trees, random edits on both nodes, death at random moments: both end with the same, seen by a walk that knows
//! nothing of ours.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;

use super::pair::{Pair, walk};
use crate::scan::Trust;
use crate::seam::{Fault, inject};

/// Few names, so that edits meet.
const NAMES: [&str; 7] = ["a", "b", "a-b", "a.b", "\u{e9}\n", "\\", "zz"];

#[derive(Debug, Clone)]
enum Edit {
    Write(PathBuf, usize, u8),
    Append(PathBuf, u8),
    Hole(PathBuf, u64),
    Directory(PathBuf),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    HardLink(PathBuf, PathBuf),
    Mode(PathBuf, u32),
    Attribute(PathBuf, u8),
}

fn path() -> impl Strategy<Value = PathBuf> {
    let names = vec(prop::sample::select(&NAMES[..]), 1..5);
    names.prop_map(|names| names.iter().collect())
}

fn edit() -> impl Strategy<Value = Edit> {
    let length = prop_oneof![
        Just(0),
        1..100_usize,
        4095..4098_usize,
        65_530..70_000_usize
    ];
    prop_oneof![
        4 => (path(), length, any::<u8>()).prop_map(|(at, length, byte)| Edit::Write(at, length, byte)),
        2 => (path(), any::<u8>()).prop_map(|(at, byte)| Edit::Append(at, byte)),
        1 => (path(), 0..300_000_u64).prop_map(|(at, length)| Edit::Hole(at, length)),
        2 => path().prop_map(Edit::Directory),
        3 => path().prop_map(Edit::Remove),
        3 => (path(), path()).prop_map(|(from, to)| Edit::Rename(from, to)),
        2 => (path(), path()).prop_map(|(at, to)| Edit::Link(at, to)),
        1 => (path(), path()).prop_map(|(from, to)| Edit::HardLink(from, to)),
        2 => (path(), 0..0o10_000_u32).prop_map(|(at, mode)| Edit::Mode(at, mode)),
        1 => (path(), any::<u8>()).prop_map(|(at, byte)| Edit::Attribute(at, byte)),
    ]
}

/// Makes an edit as far as it can be made; what is in the way goes.
fn make(root: &Path, edit: &Edit) {
    let at = |path: &PathBuf| root.join(path);
    let plain =
        |path: &PathBuf| fs::symlink_metadata(at(path)).is_ok_and(|meta| !meta.is_symlink());
    match edit {
        Edit::Write(path, length, byte) => {
            if inside(root, path) && clear(&at(path)) {
                fs::write(at(path), vec![*byte; *length]).unwrap();
            }
        }
        Edit::Append(path, byte) => {
            if inside(root, path) && fs::symlink_metadata(at(path)).is_ok_and(|meta| meta.is_file())
            {
                let mut bytes = fs::read(at(path)).unwrap();
                bytes.push(*byte);
                fs::write(at(path), bytes).unwrap();
            }
        }
        Edit::Hole(path, length) => {
            if inside(root, path) && clear(&at(path)) {
                fs::File::create(at(path))
                    .unwrap()
                    .set_len(*length)
                    .unwrap();
            }
        }
        Edit::Directory(path) => drop(inside(root, &path.join("x"))),
        Edit::Remove(path) => drop(reachable(root, path) && clear(&at(path))),
        Edit::Rename(from, to) => {
            let apart = !to.starts_with(from) && !from.starts_with(to);
            let there = reachable(root, from) && plain(from);
            if apart && there && inside(root, to) && plain(from) && clear(&at(to)) {
                fs::rename(at(from), at(to)).unwrap();
            }
        }
        Edit::Link(path, target) => {
            if inside(root, path) && clear(&at(path)) {
                symlink(target, at(path)).unwrap();
            }
        }
        Edit::HardLink(from, to) => {
            let file = || fs::symlink_metadata(at(from)).is_ok_and(|meta| meta.is_file());
            let apart = !to.starts_with(from) && !from.starts_with(to);
            let there = reachable(root, from) && file();
            if apart && there && inside(root, to) && file() && clear(&at(to)) {
                fs::hard_link(at(from), at(to)).unwrap();
            }
        }
        Edit::Mode(path, mode) => {
            if reachable(root, path) && plain(path) {
                fs::set_permissions(at(path), Permissions::from_mode(*mode)).unwrap();
            }
        }
        Edit::Attribute(path, byte) => {
            if reachable(root, path) && plain(path) {
                let flags = rustix::fs::XattrFlags::empty();
                // Sticky directories of others, and the like, refuse.
                rustix::fs::setxattr(at(path), "user.x", &[*byte], flags).ok();
            }
        }
    }
}

/// Whether every directory on the way is one, and no link.
fn reachable(root: &Path, path: &Path) -> bool {
    let mut above = path
        .ancestors()
        .skip(1)
        .filter(|above| !above.as_os_str().is_empty());
    above.all(|above| fs::symlink_metadata(root.join(above)).is_ok_and(|meta| meta.is_dir()))
}

/// Makes every directory on the way, in place of whatever is there.
fn inside(root: &Path, path: &Path) -> bool {
    let mut at = root.to_owned();
    for name in path.parent().unwrap().iter() {
        at.push(name);
        if !fs::symlink_metadata(&at).is_ok_and(|meta| meta.is_dir()) {
            clear(&at);
            fs::create_dir(&at).unwrap();
        }
    }
    true
}

fn clear(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).is_ok(),
        Ok(_) => fs::remove_file(path).is_ok(),
        Err(_) => true,
    }
}

#[derive(Debug, Clone)]
struct Round {
    active: Vec<Edit>,
    backup: Vec<Edit>,
    /// At which change of the disk the Backup dies, if it does.
    death: Option<usize>,
}

fn round() -> impl Strategy<Value = Round> {
    let death = prop::option::of(0..150_usize);
    (vec(edit(), 1..25), vec(edit(), 0..3), death).prop_map(|(active, backup, death)| Round {
        active,
        backup,
        death,
    })
}

fn run(rounds: &[Round]) {
    let mut pair = Pair::new();
    // Never empty, which would be asked about.
    pair.active.write("always", "x");
    for round in rounds {
        round
            .active
            .iter()
            .for_each(|edit| make(&pair.active.root(), edit));
        pair.active.store().accept_empty();
        pair.sync_forced(round.death);
        if round.death.is_some() {
            pair.backup.kill();
            pair.backup.start().unwrap();
            pair.sync_forced(None);
        }
        assert_eq!(walk(&pair.backup.root()), walk(&pair.active.root()));
        round
            .backup
            .iter()
            .for_each(|edit| make(&pair.backup.root(), edit));
        pair.backup.store().accept_empty();
    }
    pair.sync_forced(None);
    assert_eq!(walk(&pair.backup.root()), walk(&pair.active.root()));
    for node in [&mut pair.active, &mut pair.backup] {
        node.store().scan(Trust::Nothing).unwrap();
        let roots = node.store().live().roots();
        assert_eq!(roots, node.store().applied().manifest.roots());
    }
    assert_eq!(
        pair.active.store().live().roots(),
        pair.backup.store().live().roots()
    );
}

impl Pair {
    /// One sync that may take away what it likes; it succeeds unless the Backup dies on the way.
    fn sync_forced(&mut self, death: Option<usize>) {
        self.backup.store().scan(Trust::Cache).unwrap();
        let mut target = self.target();
        target.force = true;
        inject(death.map(Fault::Die));
        let fetched = self.fetch(&target.manifest);
        let staged = fetched.and_then(|()| self.backup.store().stage(target));
        let done = staged.and_then(|staged| self.backup.store().commit(staged, |_| Ok(())));
        if death.is_none() {
            done.unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn both_end_with_the_same(rounds in vec(round(), 1..5)) {
        run(&rounds);
    }
}
