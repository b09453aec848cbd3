#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::filter::{Filter, FilterSpec};

/// For what must come; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

fn watcher(at: &Path) -> Watcher {
    let filter = Filter::new(&FilterSpec::default()).unwrap();
    Watcher::new(vec![Tree::new("etc", at, filter).unwrap()]).unwrap()
}

/// Hints until `path` is among them.
async fn until(watcher: &mut Watcher, path: &str) {
    let path = RelPath::new(path).unwrap();
    let seen = async {
        loop {
            match watcher.next().await.unwrap().hint {
                Hint::Paths(paths) if paths.iter().any(|one| path.is_within(one)) => return,
                Hint::Paths(_) => {}
                Hint::Everything => panic!("everything, before {path}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap();
}

#[tokio::test]
async fn every_kind_of_save_is_noticed() {
    let at = tempfile::tempdir().unwrap();
    fs::create_dir_all(at.path().join("a/b")).unwrap();
    let mut watcher = watcher(at.path());
    assert_eq!(watcher.watched(), 3);
    let place = |name: &str| at.path().join(name);

    fs::write(place("a/b/plain"), "1").unwrap();
    until(&mut watcher, "etc/a/b/plain").await;
    fs::write(place("a/.tmp"), "2").unwrap();
    fs::rename(place("a/.tmp"), place("a/renamed")).unwrap();
    until(&mut watcher, "etc/a/renamed").await;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(place("a/renamed"), mode).unwrap();
    until(&mut watcher, "etc/a/renamed").await;
    std::os::unix::fs::symlink("plain", place("a/b/link")).unwrap();
    until(&mut watcher, "etc/a/b/link").await;
    fs::remove_file(place("a/b/plain")).unwrap();
    until(&mut watcher, "etc/a/b/plain").await;
}

/// Everything that is noticed, put together, until a file of this name is complete.
async fn noticed_until(watcher: &mut Watcher, name: &str) -> (Noticed, BTreeSet<RelPath>) {
    let path = RelPath::new(name).unwrap();
    let mut all = Noticed::nothing();
    let mut begun = BTreeSet::new();
    let seen = async {
        while !all.complete.contains(&path) {
            let more = watcher.next().await.unwrap();
            all.loose |= more.loose;
            begun.extend(more.open.iter().cloned());
            more.open.into_iter().for_each(|path| all.begins(path));
            more.complete.into_iter().for_each(|path| all.ends(path));
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap();
    (all, begun)
}

#[tokio::test]
async fn a_file_is_open_until_it_is_closed() {
    let at = tempfile::tempdir().unwrap();
    let place = |name: &str| at.path().join(name);
    let mut watcher = watcher(at.path());
    let file = fs::File::create(place("slow")).unwrap();
    fs::write(place("quick"), "1").unwrap();
    let (seen, begun) = noticed_until(&mut watcher, "etc/quick").await;
    let slow = RelPath::new("etc/slow").unwrap();
    assert!(seen.open.contains(&slow) && begun.contains(&slow));
    assert!(!seen.loose);
    drop(file);
    let (seen, _) = noticed_until(&mut watcher, "etc/slow").await;
    assert!(seen.open.is_empty() && !seen.loose);
}

#[tokio::test]
async fn a_rename_into_place_completes_and_a_removal_waits() {
    let at = tempfile::tempdir().unwrap();
    let place = |name: &str| at.path().join(name);
    let mut watcher = watcher(at.path());
    fs::write(place("new~"), "1").unwrap();
    fs::rename(place("new~"), place("new")).unwrap();
    let (seen, _) = noticed_until(&mut watcher, "etc/new").await;
    assert!(!seen.loose && seen.open.is_empty(), "{seen:?}");
    std::os::unix::fs::symlink("new", place("link")).unwrap();
    let (seen, begun) = noticed_until(&mut watcher, "etc/link").await;
    assert!(!seen.loose && begun.is_empty(), "a link is there at once");
    // The first half of a save: what follows makes the file anew.
    let away = tempfile::tempdir_in(at.path().parent().unwrap()).unwrap();
    fs::rename(place("new"), away.path().join("old")).unwrap();
    fs::write(place("last"), "1").unwrap();
    let (seen, _) = noticed_until(&mut watcher, "etc/last").await;
    assert!(seen.loose, "{seen:?}");
}

#[tokio::test]
async fn directories_made_and_moved_are_watched_where_they_are() {
    let at = tempfile::tempdir().unwrap();
    let place = |name: &str| at.path().join(name);
    let mut watcher = watcher(at.path());
    fs::create_dir_all(place("x/y/z")).unwrap();
    until(&mut watcher, "etc/x").await;
    fs::write(place("x/y/z/file"), "1").unwrap();
    until(&mut watcher, "etc/x/y/z/file").await;
    fs::rename(place("x/y"), place("moved")).unwrap();
    until(&mut watcher, "etc/moved").await;
    fs::write(place("moved/z/again"), "2").unwrap();
    until(&mut watcher, "etc/moved/z/again").await;
    assert_eq!(watcher.watched(), 4);
    fs::remove_dir_all(place("moved")).unwrap();
    until(&mut watcher, "etc/moved").await;
}

#[tokio::test]
async fn what_is_left_out_is_not_watched() {
    let at = tempfile::tempdir().unwrap();
    fs::create_dir_all(at.path().join("cache/deep")).unwrap();
    let exclude = vec!["/cache".to_owned()];
    let spec = FilterSpec {
        exclude,
        ..FilterSpec::default()
    };
    let tree = Tree::new("etc", at.path(), Filter::new(&spec).unwrap()).unwrap();
    assert_eq!(Watcher::new(vec![tree]).unwrap().watched(), 1);
}

#[tokio::test]
async fn a_lost_event_means_a_look_at_everything() {
    let at = tempfile::tempdir().unwrap();
    let mut watcher = watcher(at.path());
    // What the kernel says when its queue was full: a watch descriptor of nobody.
    let wd = watcher.watched.keys().next().unwrap().clone();
    let seen = |mask| Seen {
        wd: wd.clone(),
        mask,
        cookie: 0,
        name: None,
    };
    let everything = Noticed::loose(Hint::Everything);
    let noticed = watcher.understand(vec![seen(EventMask::Q_OVERFLOW)]);
    assert_eq!(noticed, everything);
    let noticed = watcher.understand(vec![seen(EventMask::IGNORED)]);
    assert_eq!(noticed, everything);
    assert_eq!(watcher.watched(), 1, "and it is watched again");
}

#[tokio::test]
async fn a_tree_that_is_not_there_degrades_and_heals() {
    let at = tempfile::tempdir().unwrap();
    let root = at.path().join("later");
    let mut watcher = watcher(&root);
    assert!(
        watcher
            .degraded()
            .unwrap()
            .contains("etc: cannot be watched")
    );
    fs::create_dir(&root).unwrap();
    watcher.watch_everything();
    assert_eq!((watcher.degraded(), watcher.watched()), (None, 1));
}

#[tokio::test]
async fn exhausted_watches_say_what_to_do() {
    let at = tempfile::tempdir().unwrap();
    let mut watcher = watcher(at.path());
    let full = io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
    watcher.not_watched(&RelPath::new("etc/deep").unwrap(), &full);
    assert!(watcher.degraded().unwrap().contains("max_user_watches"));
}
