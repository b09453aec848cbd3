//! A Backup's machine and disk under an Active that has the keys and means harm.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use fencepost_sync::blocks::Run;
use fencepost_sync::category::{Category, Contents, Files, Hooks, tree_name};
use fencepost_sync::category_id::CategoryId;
use fencepost_sync::digest::Digest;
use fencepost_sync::disk::Disk;
use fencepost_sync::entry::{Entry, Kind};
use fencepost_sync::filter::FilterSpec;
use fencepost_sync::frame::{
    CHUNK_BYTES_MAX, Capped, Changed, Content, Hello, Look, Message, Needed, Offer, Stage, Text,
    TransferId,
};
use fencepost_sync::lineage::{Epoch, NodeId};
use fencepost_sync::manifest::Manifest;
use fencepost_sync::path::RelPath;
use fencepost_sync::policy::Policy;
use fencepost_sync::role::RoleSource;
use fencepost_sync::session::{Moment, Own, Receiver, ReceiverAction, ReceiverEvent, Standing};

use crate::feed::Feed;
use place::Place;

mod place;

const EPOCH: Epoch = Epoch(3);
const NOW: Moment = Moment::from_secs(100);
/// Bytes of one made-up message, at most.
const BODY_BYTES: usize = 96;
/// Paths of one generation that change, at most.
const CHANGES_MAX: usize = 6;

/// Messages until the input ends, with deaths in between. How many generations were committed.
pub fn apply(bytes: &[u8]) -> usize {
    let place = Place::new();
    let before = place.outside();
    let mut backup = Backup::open(&place);
    let mut commits = 0;
    let mut feed = Feed::new(bytes);
    while !feed.is_empty() {
        match feed.below(8) {
            0..=4 => backup.transfer(&mut feed),
            5 => backup.rubbish(&mut feed),
            6 => {
                let bytes = feed.bytes(BODY_BYTES);
                if let Ok(message) = Message::from_body(bytes) {
                    backup.hear(message);
                }
            }
            _ => {
                commits += backup.commits;
                drop(backup);
                backup = Backup::open(&place);
            }
        }
        assert_eq!(place.outside(), before, "something outside was touched");
    }
    commits + backup.commits
}

/// An agent that says Backup.
struct Agent;

impl RoleSource for Agent {
    fn standing(&self) -> Standing {
        Standing::Backup { epoch: EPOCH }
    }
}

struct Backup {
    tree: String,
    root: PathBuf,
    disk: Disk,
    machine: Receiver,
    next: BTreeMap<TransferId, Manifest>,
    last: TransferId,
    needs: Vec<(TransferId, Needed)>,
    prepared: BTreeSet<TransferId>,
    commits: usize,
}

impl Backup {
    fn open(place: &Place) -> Self {
        let root = place.tree();
        let category = Category {
            id: CategoryId::new("config").expect("a name"),
            contents: Contents::Files(Files {
                roots: vec![root.clone()],
                filter: FilterSpec::default(),
            }),
            policy: Policy::default(),
            priority: 100,
            hooks: Hooks::default(),
        };
        let opened = Disk::open(category, &place.state(), 3, NodeId(2));
        let mut disk = opened.expect("a store that opens, whatever was sent before");
        let machine = session(&mut disk);
        Self {
            tree: tree_name(&root),
            root,
            disk,
            machine,
            next: BTreeMap::new(),
            last: 0,
            needs: Vec::new(),
            prepared: BTreeSet::new(),
            commits: 0,
        }
    }

    /// A message, and all that comes of it.
    fn hear(&mut self, message: Message) {
        self.machine.handle(NOW, ReceiverEvent::Received(message));
        self.act();
        if self.machine.is_closed() {
            self.machine = session(&mut self.disk);
            self.needs.clear();
            self.prepared.clear();
        }
    }

    fn act(&mut self) {
        loop {
            let actions = self.machine.poll_actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                if let Some(event) = self.done(action) {
                    self.machine.handle(NOW, event);
                }
            }
        }
    }

    fn done(&mut self, action: ReceiverAction) -> Option<ReceiverEvent> {
        match action {
            ReceiverAction::Send(Message::Need {
                transfer, contents, ..
            }) => {
                self.needs
                    .extend(contents.iter().map(|need| (transfer, *need)));
                None
            }
            ReceiverAction::Send(Message::Prepared { transfer }) => {
                self.prepared.insert(transfer);
                None
            }
            ReceiverAction::Open { transfer, next, .. } => {
                let missing = self.disk.begin(transfer, next);
                Some(ReceiverEvent::Opened { transfer, missing })
            }
            ReceiverAction::Hash {
                transfer,
                content,
                base,
                question,
            } => {
                let hashes = self.disk.hash(transfer, content, base, &question);
                Some(ReceiverEvent::Hashed {
                    transfer,
                    content,
                    hashes,
                })
            }
            ReceiverAction::Rebase {
                transfer,
                content,
                base,
                runs,
            } => {
                let begun = self.disk.rebase(transfer, content, base, &runs);
                let complete = begun.map(|()| None);
                Some(ReceiverEvent::Stored { transfer, complete })
            }
            ReceiverAction::Store(content) => {
                let transfer = content.transfer;
                let complete = self.disk.take(content);
                Some(ReceiverEvent::Stored { transfer, complete })
            }
            ReceiverAction::Prepare {
                transfer,
                records,
                replace,
                force,
            } => {
                let outcome = self.disk.prepare(transfer, records, replace, force);
                Some(ReceiverEvent::Prepared { transfer, outcome })
            }
            ReceiverAction::Commit { transfer, epoch } => {
                let outcome = self.disk.commit(transfer, epoch, &Agent);
                if let (Ok(()), Some(next)) = (&outcome, self.next.get(&transfer)) {
                    self.compare(next);
                    self.commits += 1;
                }
                Some(ReceiverEvent::Committed { transfer, outcome })
            }
            ReceiverAction::Discard { transfer } => {
                self.disk.discard(transfer);
                None
            }
            ReceiverAction::Run { run, .. } => {
                let outcome = Err(Text::new("nothing can be run here"));
                Some(ReceiverEvent::Ran { run, outcome })
            }
            ReceiverAction::Send(_) | ReceiverAction::Scan { .. } | ReceiverAction::Close(_) => {
                None
            }
        }
    }

    /// What was committed is what is there, by a look of our own.
    fn compare(&self, next: &Manifest) {
        for (path, entry) in next.iter() {
            let below = &path.as_bytes()[self.tree.len()..];
            let below = String::from_utf8_lossy(below).into_owned();
            let at = PathBuf::from(format!("{}{below}", self.root.display()));
            // A name that is no text is not found by this one.
            let Ok(facts) = fs::symlink_metadata(&at) else {
                assert!(below.contains('\u{fffd}'), "{path} is missing");
                continue;
            };
            match &entry.kind {
                Kind::Dir => assert!(facts.is_dir(), "{path}"),
                Kind::Symlink { .. } => assert!(facts.is_symlink(), "{path}"),
                Kind::File { size, content } => {
                    assert!(facts.is_file() && facts.len() == *size, "{path}");
                    let bytes = fs::read(&at).expect("readable");
                    assert_eq!(Digest::of_file(&bytes), *content, "{path}");
                }
            }
        }
    }

    /// A generation that is well formed as a whole, of entries that may not be.
    fn transfer(&mut self, feed: &mut Feed<'_>) {
        let live = self.disk.store().live().clone();
        let mut next = live.clone();
        let mut changes = Vec::new();
        for _ in 0..=feed.below(CHANGES_MAX) {
            let Some((path, entry)) = self.change(feed) else {
                continue;
            };
            match &entry {
                Some(entry) => drop(next.insert(path.clone(), entry.clone())),
                None => next.remove_within(&path),
            }
            changes.push(Changed { path, entry });
        }
        // What went with its directory is told as gone.
        for (path, _) in live.iter().filter(|(path, _)| next.get(path).is_none()) {
            if !changes.iter().any(|change| change.path == *path) {
                let path = path.clone();
                changes.push(Changed { path, entry: None });
            }
        }
        self.last += 1;
        let lineage = self.disk.store().applied().lineage.clone();
        let mut record = lineage.next(EPOCH, next.roots().content, NodeId(1));
        if feed.byte() < 8 {
            record.seq = u64::from(feed.byte());
        }
        let transfer = self.last;
        self.next.insert(transfer, next);
        self.hear(Message::Stage(Stage {
            transfer,
            category: CategoryId::new("config").expect("a name"),
            epoch: EPOCH,
            record,
            history: Capped::default(),
            base: live.roots().content,
            changes: u32::try_from(changes.len()).expect("few"),
            deletions_meant: true,
            replaces_history: feed.byte() < 16,
        }));
        let changes = Capped::new(changes);
        self.hear(Message::Changes { transfer, changes });
        self.give(feed);
        if self.prepared.remove(&transfer) {
            let epoch = EPOCH;
            self.hear(Message::Commit { transfer, epoch });
        }
    }

    fn change(&self, feed: &mut Feed<'_>) -> Option<(RelPath, Option<Entry>)> {
        const NAMES: [&str; 12] = [
            "a", "b", "way", "keep", "plain", "file", "victim", "..", ".", "", "c\0d", "tree",
        ];
        let mut path = if feed.byte() < 8 {
            "..".to_owned()
        } else {
            self.tree.clone()
        };
        for _ in 0..feed.below(4) {
            path.push('/');
            path.push_str(NAMES[feed.below(NAMES.len())]);
        }
        if feed.byte() < 4 {
            path.push_str("/.fencepost-config-");
            path.push_str(&self.tree);
        }
        let path = RelPath::new(path).ok()?;
        let kind = match feed.below(6) {
            0 => return Some((path, None)),
            1 => Kind::Dir,
            2 => {
                const TARGETS: [&[u8]; 5] = [
                    b"../outside",
                    b"/etc",
                    b"..",
                    b"a\0b",
                    b"../../outside/victim",
                ];
                let target = TARGETS[feed.below(TARGETS.len())].to_vec();
                Kind::Symlink { target }
            }
            _ => {
                let bytes = text(feed.below(4));
                let content = Digest::of_file(&bytes);
                let size = bytes.len() as u64;
                Kind::File { size, content }
            }
        };
        const MODES: [u32; 6] = [0o644, 0o755, 0o000, 0o4755, 0o7777, 0o10_644];
        let mut entry = Entry {
            kind,
            mode: MODES[feed.below(MODES.len())],
            uid: u32::from(feed.byte() < 16) * 1234,
            gid: 0,
            mtime_ns: i64::from(feed.byte()),
            xattrs: BTreeMap::new(),
        };
        if feed.byte() < 16 {
            let name = [&b"user.a"[..], b"security.capability", b""][feed.below(3)].to_vec();
            entry.xattrs.insert(name, vec![1]);
        }
        Some((path, Some(entry)))
    }

    /// What was asked for, or something else.
    fn give(&mut self, feed: &mut Feed<'_>) {
        for (transfer, need) in std::mem::take(&mut self.needs) {
            let known = (0..4)
                .map(text)
                .find(|it| Digest::of_file(it) == need.content);
            let mut bytes = known.unwrap_or_default();
            if feed.byte() < 8 {
                bytes.push(feed.byte());
            }
            if let Some(base) = need.base.filter(|_| feed.byte() < 128) {
                let runs = Capped::new([Run {
                    first: u32::from(feed.byte()),
                    count: u32::from(feed.byte()),
                }]);
                self.hear(Message::Base {
                    transfer,
                    content: need.content,
                    base,
                    runs,
                });
            }
            let mut offset = 0;
            loop {
                let end = bytes.len().min(offset + CHUNK_BYTES_MAX);
                self.hear(Message::Content(Content {
                    transfer,
                    content: need.content,
                    offset: offset as u64,
                    last: end == bytes.len(),
                    packed: feed.byte() < 4,
                    bytes: Capped::new(bytes[offset..end].iter().copied()),
                }));
                if end == bytes.len() {
                    break;
                }
                offset = end;
            }
        }
    }

    /// Words of the protocol out of their place.
    fn rubbish(&mut self, feed: &mut Feed<'_>) {
        let transfer = TransferId::from(feed.byte() % 4) + self.last.saturating_sub(2);
        let content = Digest::of_file(&text(feed.below(4)));
        let message = match feed.below(4) {
            0 => Message::Commit {
                transfer,
                epoch: Epoch(u64::from(feed.byte() % 5)),
            },
            1 => Message::Abort { transfer },
            2 => Message::Content(Content {
                transfer,
                content,
                offset: u64::from(feed.word()),
                last: feed.byte() < 128,
                packed: feed.byte() < 128,
                bytes: Capped::new(feed.bytes(32).iter().copied()),
            }),
            _ => Message::AskBlocks {
                transfer,
                content,
                base: Digest::of_file(&text(feed.below(4))),
                level: feed.byte(),
                groups: Capped::new([Run {
                    first: u32::from(feed.word()),
                    count: u32::from(feed.word()),
                }]),
            },
        };
        self.hear(message);
    }
}

/// A connection from a peer that says hello as it should.
fn session(disk: &mut Disk) -> Receiver {
    disk.look(Look::Walk).expect("a tree that can be looked at");
    let found = disk.found();
    let own = Own {
        local: found.local,
        ..disk.own()
    };
    let offer = Offer {
        id: own.id.clone(),
        policy: own.policy_hash,
        held: None,
    };
    let standing = Standing::Backup { epoch: EPOCH };
    let mut machine = Receiver::new(NOW, "0", NodeId(2), standing, vec![own]);
    let hello = Hello {
        protocol: 0,
        version: Text::new("0"),
        node: NodeId(1),
        epoch: EPOCH,
        categories: Capped::new([offer]),
    };
    machine.handle(NOW, ReceiverEvent::Received(Message::Hello(hello)));
    let _greeting = machine.poll_actions();
    machine
}

/// Contents that there are: of nothing, small, and of more than travels whole.
fn text(number: usize) -> Vec<u8> {
    match number {
        0 => Vec::new(),
        1 => b"small".to_vec(),
        2 => vec![7; 70_000],
        _ => (0..90_000_u32).map(|at| at.to_le_bytes()[0]).collect(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_passes() {
        let inputs = crate::inputs("sync_apply");
        let commits: usize = inputs.iter().map(|input| super::apply(input)).sum();
        assert!(
            commits > inputs.len() / 2,
            "{commits} commits of {}",
            inputs.len()
        );
    }
}
