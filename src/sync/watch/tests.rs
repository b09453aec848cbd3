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
            match watcher.next().await.unwrap() {
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
    let hint = watcher.understand(vec![(wd.clone(), EventMask::Q_OVERFLOW, None)]);
    assert_eq!(hint, Hint::Everything);
    let hint = watcher.understand(vec![(wd, EventMask::IGNORED, None)]);
    assert_eq!(hint, Hint::Everything);
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
