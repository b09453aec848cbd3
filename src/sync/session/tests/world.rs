//! Two machines, a wire that can be cut at any frame, and disks that remember.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::category_id::CategoryId;
use crate::diff::Change;
use crate::digest::Digest;
use crate::entry::{Entry, Kind};
use crate::frame::{
    CHANGES_MAX, CHUNK_BYTES_MAX, Capped, Changed, Content, LENGTH_BYTES, Message, Needed, Refusal,
    Text, TransferId, parts,
};
use crate::lineage::{CommitRecord, Epoch, Lineage, NodeId};
use crate::manifest::Manifest;
use crate::path::RelPath;
use crate::policy::Policy;
use crate::session::{
    CategoryStatus, Local, Moment, Own, Receiver, ReceiverAction, ReceiverEvent, RunId, RunOutcome,
    Sender, SenderAction, SenderEvent, Standing, State,
};

/// One node's disk.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) version: &'static str,
    pub(super) policy_hash: Digest,
    pub(super) tree: Manifest,
    pub(super) lineage: Lineage,
    pub(super) behind_since: Option<Moment>,
    blobs: BTreeMap<Digest, Vec<u8>>,
}

impl Node {
    pub(super) fn new(id: u64) -> Self {
        let mut node = Self {
            id: NodeId(id),
            version: "0.1.0",
            policy_hash: Digest::from_bytes([1; 32]),
            tree: Manifest::new(),
            lineage: Lineage::new(),
            behind_since: None,
            blobs: BTreeMap::new(),
        };
        node.dir("etc");
        node
    }

    fn put(&mut self, path: &str, kind: Kind) {
        let mode = if kind == Kind::Dir { 0o755 } else { 0o644 };
        let entry = Entry {
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime_ns: 0,
            xattrs: BTreeMap::new(),
        };
        self.tree.insert(RelPath::new(path).unwrap(), entry);
    }

    pub(super) fn dir(&mut self, path: &str) {
        self.put(path, Kind::Dir);
    }

    pub(super) fn file(&mut self, path: &str, bytes: &[u8]) {
        let content = Digest::of_file(bytes);
        self.blobs.insert(content, bytes.to_vec());
        let size = u64::try_from(bytes.len()).unwrap();
        self.put(path, Kind::File { size, content });
    }

    /// The time alone.
    pub(super) fn touch(&mut self, path: &str, mtime_ns: i64) {
        let path = RelPath::new(path).unwrap();
        let mut entry = self.tree.get(&path).unwrap().clone();
        entry.mtime_ns = mtime_ns;
        self.tree.insert(path, entry);
    }

    pub(super) fn remove(&mut self, path: &str) {
        self.tree.remove_within(&RelPath::new(path).unwrap());
    }

    /// What the Active does with what it found.
    pub(super) fn save(&mut self, epoch: Epoch) {
        let root = self.tree.roots().content;
        if self
            .lineage
            .newest()
            .is_none_or(|newest| newest.root != root)
        {
            self.publish(epoch);
        }
    }

    pub(super) fn publish(&mut self, epoch: Epoch) {
        let root = self.tree.roots().content;
        let record = self.lineage.next(epoch, root, self.id);
        self.lineage.push(record).unwrap();
    }

    pub(super) fn own(&self) -> Vec<Own> {
        vec![Own {
            id: CategoryId::new("config").unwrap(),
            policy_hash: self.policy_hash,
            policy: Policy::default(),
            lineage: self.lineage.clone(),
            local: Some(Local::new(self.tree.clone())),
            behind_since: self.behind_since,
        }]
    }
}

/// What becomes of the connection before a frame is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Goes,
    Cut,
}

pub(super) struct World {
    pub(super) active: Node,
    pub(super) backup: Node,
    pub(super) epoch: Epoch,
    /// What the backup's agent says when it is asked under the commit lock.
    pub(super) agent: Standing,
    pub(super) invalid: Option<&'static str>,
    pub(super) now: Moment,
    pub(super) sender: Option<Sender>,
    pub(super) receiver: Option<Receiver>,
    pub(super) closed: Vec<String>,
    pub(super) said: Vec<Message>,
    pub(super) bytes: usize,
    pub(super) differs: Option<Vec<Change>>,
    /// Ended commands, as the Active hears of them.
    pub(super) ran: Vec<(RunId, RunOutcome)>,
    /// Commands that the Backup was to run; nobody ends them but a test.
    pub(super) running: Vec<(RunId, String)>,
    staged: BTreeMap<Digest, Vec<u8>>,
    records: (Vec<CommitRecord>, bool),
    next: BTreeMap<TransferId, Arc<Manifest>>,
    to_backup: VecDeque<Vec<u8>>,
    to_active: VecDeque<Vec<u8>>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            active: Node::new(1),
            backup: Node::new(2),
            epoch: Epoch(1),
            agent: Standing::Backup { epoch: Epoch(1) },
            invalid: None,
            now: Duration::from_secs(1000),
            sender: None,
            receiver: None,
            closed: Vec::new(),
            said: Vec::new(),
            bytes: 0,
            differs: None,
            ran: Vec::new(),
            running: Vec::new(),
            staged: BTreeMap::new(),
            records: (Vec::new(), false),
            next: BTreeMap::new(),
            to_backup: VecDeque::new(),
            to_active: VecDeque::new(),
        }
    }

    /// A pair that holds something, and is in sync.
    pub(super) fn settled() -> Self {
        let mut world = Self::new();
        for number in 0..30 {
            world.active.dir(&format!("etc/d{}", number % 5));
            let path = format!("etc/d{}/f{number}", number % 5);
            world
                .active
                .file(&path, format!("file {number}").as_bytes());
        }
        world.connect();
        world.run(3);
        world.assert_in_sync();
        world
    }

    pub(super) fn connect(&mut self) {
        self.active.save(self.epoch);
        let (a, b) = (&self.active, &self.backup);
        self.sender = Some(Sender::new(self.now, a.version, a.id, self.epoch, a.own()));
        self.receiver = Some(Receiver::new(
            self.now,
            b.version,
            b.id,
            self.agent,
            b.own(),
        ));
        (self.said, self.bytes) = (Vec::new(), 0);
        (self.to_backup, self.to_active) = (VecDeque::new(), VecDeque::new());
    }

    pub(super) fn cut(&mut self) {
        (self.sender, self.receiver) = (None, None);
        self.next.clear();
    }

    /// Both nodes swap roles, as after an ordered switchover.
    pub(super) fn switch_over(&mut self) {
        self.cut();
        std::mem::swap(&mut self.active, &mut self.backup);
        self.epoch = Epoch(self.epoch.0 + 1);
        self.agent = Standing::Backup { epoch: self.epoch };
        self.staged.clear();
    }

    /// The Active's tree was looked at.
    pub(super) fn notice(&mut self) {
        self.active.save(self.epoch);
        self.tell();
    }

    fn tell(&mut self) {
        let local = Local::new(self.active.tree.clone());
        let category = CategoryId::new("config").unwrap();
        let lineage = self.active.lineage.clone();
        self.sender(SenderEvent::Scanned {
            category,
            local,
            lineage,
        });
    }

    pub(super) fn sender(&mut self, event: SenderEvent) {
        let now = self.now;
        if let Some(sender) = &mut self.sender {
            sender.handle(now, event);
        }
    }

    pub(super) fn receiver(&mut self, event: ReceiverEvent) {
        let now = self.now;
        if let Some(receiver) = &mut self.receiver {
            receiver.handle(now, event);
        }
    }

    /// Run for so many seconds.
    pub(super) fn run(&mut self, seconds: u64) {
        self.run_with(seconds, |_, _| Fate::Goes);
    }

    /// Run; before each frame is delivered, `incident` is asked with its number.
    pub(super) fn run_with(
        &mut self,
        seconds: u64,
        mut incident: impl FnMut(&mut Self, usize) -> Fate,
    ) {
        let end = self.now + Duration::from_secs(seconds);
        let mut frames = 0;
        loop {
            self.act();
            let to_backup = !self.to_backup.is_empty();
            let next = self
                .to_backup
                .pop_front()
                .or_else(|| self.to_active.pop_front());
            let Some(frame) = next else {
                if self.pass_time(end) {
                    continue;
                }
                return;
            };
            if incident(self, frames) == Fate::Cut {
                return self.cut();
            }
            frames += 1;
            self.bytes += frame.len();
            let message = Message::from_body(&frame[LENGTH_BYTES..]).unwrap();
            self.said.push(message.clone());
            if to_backup {
                self.receiver(ReceiverEvent::Received(message));
            } else {
                self.sender(SenderEvent::Received(message));
            }
        }
    }

    fn pass_time(&mut self, end: Moment) -> bool {
        let (Some(sender), Some(receiver)) = (&mut self.sender, &mut self.receiver) else {
            return false;
        };
        let next = sender.poll_timeout(self.now).min(receiver.poll_timeout());
        if next > end || sender.is_closed() || receiver.is_closed() {
            return false;
        }
        self.now = next.max(self.now + Duration::from_millis(1));
        sender.handle_timeout(self.now);
        receiver.handle_timeout(self.now);
        true
    }

    fn act(&mut self) {
        loop {
            let sends = self.sender.as_mut().map(Sender::poll_actions);
            let receives = self.receiver.as_mut().map(Receiver::poll_actions);
            let (sends, receives) = (sends.unwrap_or_default(), receives.unwrap_or_default());
            if sends.is_empty() && receives.is_empty() {
                return;
            }
            sends.into_iter().for_each(|action| self.act_active(action));
            receives
                .into_iter()
                .for_each(|action| self.act_backup(action));
        }
    }

    fn act_active(&mut self, action: SenderAction) {
        match action {
            SenderAction::Send(message) => self.to_backup.push_back(message.to_frame().unwrap()),
            SenderAction::SendChanges { transfer, changes } => {
                let parts: Vec<Capped<Changed, CHANGES_MAX>> = parts(changes);
                for changes in parts {
                    let part = Message::Changes { transfer, changes };
                    self.to_backup.push_back(part.to_frame().unwrap());
                }
            }
            SenderAction::SendContents {
                transfer, files, ..
            } => {
                for file in files {
                    self.send_content(transfer, file.content);
                }
            }
            SenderAction::StopSending { .. } | SenderAction::Hashes { .. } => {}
            SenderAction::Ran { run, outcome } => self.ran.push((run, outcome)),
            SenderAction::Differs { changes, .. } => self.differs = Some(changes),
            SenderAction::Publish { .. } => {
                self.active.publish(self.epoch);
                self.tell();
            }
            SenderAction::Close(why) => self.closed.push(why),
        }
    }

    fn send_content(&mut self, transfer: TransferId, content: Digest) {
        let bytes = self.active.blobs[&content].clone();
        let mut offset = 0;
        loop {
            let end = bytes.len().min(offset + CHUNK_BYTES_MAX);
            let chunk = Content {
                transfer,
                content,
                offset: u64::try_from(offset).unwrap(),
                last: end == bytes.len(),
                packed: false,
                bytes: Capped::new(bytes[offset..end].iter().copied()),
            };
            self.to_backup
                .push_back(Message::Content(chunk).to_frame().unwrap());
            offset = end;
            if end == bytes.len() {
                let bytes = u64::try_from(end).unwrap();
                return self.sender(SenderEvent::Sent { transfer, bytes });
            }
        }
    }

    fn act_backup(&mut self, action: ReceiverAction) {
        match action {
            ReceiverAction::Send(message) => self.to_active.push_back(message.to_frame().unwrap()),
            ReceiverAction::Scan { round, .. } => {
                let local = Local::new(self.backup.tree.clone());
                let category = CategoryId::new("config").unwrap();
                let local = Some(local);
                self.receiver(ReceiverEvent::Scanned { category, local });
                self.receiver(ReceiverEvent::Looked { round });
            }
            ReceiverAction::Open { transfer, next, .. } => {
                let contents = next.iter().filter_map(|(_, entry)| entry.content());
                let missing = contents.map(|(_, content)| content).filter(|content| {
                    let whole = |bytes: &Vec<u8>| Digest::of_file(bytes) == *content;
                    !self.backup.blobs.contains_key(content)
                        && !self.staged.get(content).is_some_and(whole)
                });
                let missing = missing.map(|content| Needed {
                    content,
                    base: None,
                });
                let missing = Ok(missing.collect());
                self.next.insert(transfer, next);
                self.receiver(ReceiverEvent::Opened { transfer, missing });
            }
            ReceiverAction::Rebase { .. } | ReceiverAction::Hash { .. } => {}
            ReceiverAction::Store(content) => {
                let staged = self.staged.entry(content.content).or_default();
                staged.truncate(usize::try_from(content.offset).unwrap());
                staged.extend_from_slice(&content.bytes);
                let whole = Digest::of_file(staged) == content.content;
                assert!(whole || !content.last, "a content arrived wrong");
                let complete = Ok(whole.then_some(content.content));
                let transfer = content.transfer;
                self.receiver(ReceiverEvent::Stored { transfer, complete });
            }
            ReceiverAction::Prepare {
                transfer,
                records,
                replace,
                ..
            } => {
                self.records = (records, replace);
                let outcome = match self.invalid {
                    // What is in place already is not judged again.
                    Some(why) if *self.next[&transfer] != self.backup.tree => {
                        Err(Refusal::Validation(Text::new(why)))
                    }
                    _ => Ok(()),
                };
                self.receiver(ReceiverEvent::Prepared { transfer, outcome });
            }
            ReceiverAction::Commit { transfer, epoch } => {
                let outcome = self.commit(transfer, epoch);
                self.receiver(ReceiverEvent::Committed { transfer, outcome });
            }
            ReceiverAction::Run { run, name, .. } => self.running.push((run, name.to_string())),
            ReceiverAction::Discard { transfer } => drop(self.next.remove(&transfer)),
            ReceiverAction::Close(why) => self.closed.push(why),
        }
    }

    /// What the disk does under its lock.
    fn commit(&mut self, id: TransferId, epoch: Epoch) -> Result<(), Refusal> {
        match self.agent {
            Standing::Backup { epoch: known } if known <= epoch => {}
            Standing::Backup { epoch: known } => return Err(Refusal::StaleEpoch(known)),
            Standing::Active { .. } | Standing::Unknown => return Err(Refusal::NotBackup),
        }
        self.backup.tree = (*self.next.remove(&id).unwrap()).clone();
        let (records, replace) = std::mem::take(&mut self.records);
        if replace {
            self.backup.lineage.replace([]);
        }
        for record in records {
            self.backup.lineage.push(record).unwrap();
        }
        self.backup.blobs.append(&mut self.staged);
        for (path, entry) in self.backup.tree.iter() {
            let known = entry
                .content()
                .is_none_or(|(_, it)| self.backup.blobs.contains_key(&it));
            assert!(known, "{path} was committed without its content");
        }
        Ok(())
    }

    pub(super) fn status(&self) -> CategoryStatus {
        self.sender.as_ref().unwrap().status(self.now).remove(0)
    }

    #[track_caller]
    pub(super) fn assert_in_sync(&self) {
        assert_eq!(self.active.tree, self.backup.tree, "{:?}", self.closed);
        assert_eq!(self.active.lineage, self.backup.lineage);
        let state = self.status().state;
        assert!(matches!(state, State::InSync { .. }), "{state:?}");
        let theirs = self.receiver.as_ref().unwrap().status(self.now).remove(0);
        assert!(matches!(theirs.state, State::InSync { .. }), "{theirs:?}");
    }

    /// How many messages `chosen` chooses were said on this connection.
    pub(super) fn count(&self, chosen: impl Fn(&Message) -> bool) -> usize {
        self.said.iter().filter(|message| chosen(message)).count()
    }
}
