//! Where to look: the kernel's change events as hints, never as truth.
//!
//! inotify is not recursive, drops events when its queue is full, and runs out of watches. So: own recursion, a watch
//! before a look (what is made in between is seen by the look), and whenever an event may be missing everything is
//! looked at. What if there are no more watches? The watcher says so ([`Watcher::degraded`]), and whoever uses it walks every
//! few seconds. It never ends and never starts over by itself.

mod gather;
mod noticed;

pub use gather::Gather;
pub use noticed::Noticed;

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask, Watches};
use tokio::sync::mpsc;

use crate::filter::Verdict;
use crate::path::RelPath;
use crate::tree::Tree;

/// Bytes of events read at once: some thousand.
const BUFFER_BYTES: usize = 64 * 1024;
/// Batches of events that may wait here; more wait in the kernel's queue, which says when it overflows.
const BATCHES: usize = 16;

/// Where something may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// At these paths, or below them.
    Paths(BTreeSet<RelPath>),
    /// Anywhere.
    Everything,
}

/// Watches the trees of one category.
#[derive(Debug)]
pub struct Watcher {
    watches: Watches,
    events: mpsc::Receiver<io::Result<Vec<Seen>>>,
    closed: Arc<AtomicBool>,
    trees: Vec<Tree>,
    watched: HashMap<WatchDescriptor, RelPath>,
    degraded: Option<String>,
}

/// An event.
#[derive(Debug, Clone)]
struct Seen {
    wd: WatchDescriptor,
    mask: EventMask,
    /// The same for both halves of a move.
    cookie: u32,
    /// In the directory.
    name: Option<OsString>,
}

/// What came of one event.
enum Noted {
    Nothing,
    Path(RelPath),
    /// A directory that is new here.
    NewDirectory(RelPath),
    /// A directory that left.
    OldDirectory(RelPath),
    /// Something that may have hidden other things.
    Blind,
}

impl Watcher {
    /// Of these trees. A tree that cannot be watched degrades the watcher.
    ///
    /// # Errors
    /// No inotify, or no thread: too many of them on this host.
    pub fn new(trees: Vec<Tree>) -> io::Result<Self> {
        let inotify = Inotify::init()?;
        let (sender, events) = mpsc::channel(BATCHES);
        let closed = Arc::new(AtomicBool::new(false));
        let mut watcher = Self {
            watches: inotify.watches(),
            events,
            closed: Arc::clone(&closed),
            trees,
            watched: HashMap::new(),
            degraded: None,
        };
        std::thread::Builder::new()
            .name("fp-watch".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || read(inotify, &sender, &closed))?;
        watcher.watch_everything();
        Ok(watcher)
    }

    /// Why not everything is watched, if so: walk every few seconds instead.
    pub fn degraded(&self) -> Option<&str> {
        self.degraded.as_deref()
    }

    /// How many directories are watched.
    pub fn watched(&self) -> usize {
        self.watched.len()
    }

    /// Try anew to watch all there is; after a walk, when degraded.
    pub fn watch_everything(&mut self) {
        self.degraded = None;
        for tree in self.trees.clone() {
            self.watch_below(tree.name());
        }
    }

    /// Wait for the next hint. Nothing is lost if the wait is given up.
    ///
    /// # Errors
    /// The kernel's queue cannot be read; everything has to be walked from now on.
    pub async fn next(&mut self) -> io::Result<Noticed> {
        loop {
            let events = self.events.recv().await;
            let events = events.ok_or(io::ErrorKind::BrokenPipe)??;
            let noticed = self.understand(events);
            if noticed.hint != Hint::Paths(BTreeSet::new()) {
                return Ok(noticed);
            }
        }
    }

    fn understand(&mut self, events: Vec<Seen>) -> Noticed {
        let arrived = events
            .iter()
            .filter(|seen| seen.mask.contains(EventMask::MOVED_TO));
        let arrived: BTreeSet<u32> = arrived.map(|seen| seen.cookie).collect();
        let mut noticed = Noticed::nothing();
        let mut paths = BTreeSet::new();
        let mut blind = false;
        for seen in events {
            match self.note(&seen.wd, seen.mask, seen.name.as_deref()) {
                Noted::Nothing => {}
                Noted::Path(path) => {
                    let moved_on = arrived.contains(&seen.cookie);
                    self.progress(&mut noticed, &path, &seen, moved_on);
                    paths.insert(path);
                }
                Noted::NewDirectory(path) => {
                    self.watch_below(&path);
                    noticed.loose = true;
                    paths.insert(path);
                }
                Noted::OldDirectory(path) => {
                    self.forget_below(&path);
                    noticed.loose = true;
                    paths.insert(path);
                }
                Noted::Blind => blind = true,
            }
        }
        if blind {
            self.watch_everything();
            return Noticed::loose(Hint::Everything);
        }
        noticed.hint = Hint::Paths(paths);
        noticed
    }

    /// Whether an event begins or ends the writing of a file.
    fn progress(&self, noticed: &mut Noticed, path: &RelPath, seen: &Seen, moved_on: bool) {
        let ends = EventMask::CLOSE_WRITE | EventMask::MOVED_TO;
        if seen.name.is_none() {
            noticed.loose = true;
        } else if seen.mask.intersects(ends)
            || (seen.mask.contains(EventMask::MOVED_FROM) && moved_on)
        {
            noticed.ends(path.clone());
        } else if seen.mask.contains(EventMask::CREATE) {
            if self.is_being_written(path) {
                noticed.begins(path.clone());
            } else {
                noticed.ends(path.clone());
            }
        } else if seen
            .mask
            .intersects(EventMask::DELETE | EventMask::MOVED_FROM)
        {
            noticed.open.remove(path);
            noticed.loose = true;
        }
        // A new attribute says nothing about the writing: it comes before the close as well as after.
    }

    /// A regular file that was just made is written and closed; a link is there at once.
    fn is_being_written(&self, path: &RelPath) -> bool {
        use std::os::unix::fs::MetadataExt;
        let found = self.place(path).map(std::fs::symlink_metadata);
        matches!(found, Some(Ok(facts)) if facts.is_file() && facts.nlink() == 1)
    }

    fn note(&mut self, wd: &WatchDescriptor, mask: EventMask, name: Option<&OsStr>) -> Noted {
        if mask.contains(EventMask::Q_OVERFLOW) {
            return Noted::Blind;
        }
        let Some(dir) = self.watched.get(wd).cloned() else {
            return Noted::Nothing;
        };
        let gone = EventMask::IGNORED | EventMask::UNMOUNT;
        if mask.intersects(gone) {
            self.watched.remove(wd);
        }
        if mask.intersects(gone | EventMask::DELETE_SELF | EventMask::MOVE_SELF) {
            // Of a directory inside, its parent tells; of a tree itself nobody else does.
            let whole = dir.depth() == 1;
            return if whole {
                Noted::Blind
            } else {
                Noted::Path(dir)
            };
        }
        // An attribute of the directory itself, or a name that cannot be replicated: the look at the directory says so.
        let path = name.and_then(|name| dir.join(name.as_bytes()).ok());
        let Some(path) = path else {
            return Noted::Path(dir);
        };
        let directory = mask.contains(EventMask::ISDIR);
        if directory && mask.intersects(EventMask::CREATE | EventMask::MOVED_TO) {
            Noted::NewDirectory(path)
        } else if directory && mask.intersects(EventMask::MOVED_FROM | EventMask::DELETE) {
            Noted::OldDirectory(path)
        } else {
            Noted::Path(path)
        }
    }

    /// Watches a directory first and then looks for those in it.
    fn watch_below(&mut self, top: &RelPath) {
        let mut waiting = vec![top.clone()];
        while let Some(path) = waiting.pop() {
            let Some(place) = self.place(&path) else {
                continue;
            };
            match self.watches.add(&place, mask()) {
                Ok(wd) => drop(self.watched.insert(wd, path.clone())),
                Err(error) => {
                    self.not_watched(&path, &error);
                    continue;
                }
            }
            let Ok(entries) = std::fs::read_dir(&place) else {
                continue;
            };
            for entry in entries.flatten() {
                let directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if let (true, Ok(child)) = (directory, path.join(entry.file_name().as_bytes())) {
                    waiting.push(child);
                }
            }
        }
    }

    fn not_watched(&mut self, path: &RelPath, error: &io::Error) {
        let inside = path.depth() > 1;
        // Made and gone again, or no directory any more: its parent is watched.
        let vanished = matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        );
        if inside && vanished {
            return;
        }
        let advice = match error.raw_os_error() {
            Some(code) if code == rustix::io::Errno::NOSPC.raw_os_error() => {
                "; raise fs.inotify.max_user_watches"
            }
            _ => "",
        };
        self.degraded
            .get_or_insert_with(|| format!("{path}: cannot be watched: {error}{advice}"));
    }

    /// Watches follow a directory that is moved, under names that are no longer right.
    fn forget_below(&mut self, top: &RelPath) {
        let stale: Vec<WatchDescriptor> = self
            .watched
            .iter()
            .filter(|(_, path)| path.is_within(top))
            .map(|(wd, _)| wd.clone())
            .collect();
        for wd in stale {
            self.watched.remove(&wd);
            // Gone with its directory, most likely.
            let _gone = self.watches.remove(wd);
        }
    }

    /// Where a path is on this host; nowhere if it is not replicated.
    fn place(&self, path: &RelPath) -> Option<PathBuf> {
        let tree = self.trees.iter().find(|tree| tree.holds(path))?;
        let (_, below) = path.split_tree();
        if below.is_empty() {
            return Some(tree.root.clone());
        }
        let taken = tree.filter.judge(below, true) != Verdict::Skip;
        taken.then(|| tree.root.join(OsStr::from_bytes(below)))
    }
}

impl Drop for Watcher {
    /// The reading thread waits for events; it is sent one.
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
        if let Ok(wd) = self.watches.add("/", mask()) {
            let _woken = self.watches.remove(wd);
        }
    }
}

fn read(mut inotify: Inotify, events: &mpsc::Sender<io::Result<Vec<Seen>>>, closed: &AtomicBool) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while !closed.load(Ordering::Acquire) {
        let read = inotify.read_events_blocking(&mut buffer).map(|events| {
            events
                .map(|event| Seen {
                    wd: event.wd,
                    mask: event.mask,
                    cookie: event.cookie,
                    name: event.name.map(OsStr::to_owned),
                })
                .collect()
        });
        let broken = read.is_err();
        if events.blocking_send(read).is_err() || broken {
            return;
        }
    }
}

fn mask() -> WatchMask {
    WatchMask::CLOSE_WRITE
        | WatchMask::MOVED_FROM
        | WatchMask::MOVED_TO
        | WatchMask::CREATE
        | WatchMask::DELETE
        | WatchMask::ATTRIB
        | WatchMask::DELETE_SELF
        | WatchMask::MOVE_SELF
        | WatchMask::ONLYDIR
        | WatchMask::DONT_FOLLOW
        | WatchMask::EXCL_UNLINK
}

#[cfg(test)]
mod tests;
