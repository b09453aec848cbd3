//! One category of this node, as the service uses it: its store, its configuration, its programs. Everything here blocks.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::blocks::{BLOCK_BYTES, Levels, Run, WHOLE_BYTES_MAX};
use crate::category::{Category, Contents, export_directory};
use crate::category_id::CategoryId;
use crate::digest::Digest;
use crate::export::Export;
use crate::frame::{Content, Look, Needed, Refusal, Text, TransferId, pack};
use crate::hooks::{Call, Moment};
use crate::lineage::{CommitRecord, Epoch, Lineage, NodeId};
use crate::manifest::Manifest;
use crate::path::RelPath;
use crate::role::RoleSource;
use crate::scan::{Note, Scan, Trust};
use crate::session::{Local, Own, Standing};
use crate::store::{Staged, Store, StoreError, StoreSpec, Target, Want};
use crate::tree::Tree;
use crate::watch::Hint;

mod bases;
mod take_up;

/// A category that cannot be kept at all.
#[derive(Debug, thiserror::Error)]
#[error("category {category}: {why}")]
pub struct DiskError {
    category: CategoryId,
    why: String,
}

/// What a look found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The tree; nothing if it could not be looked at.
    pub local: Option<Local>,
    /// What was committed.
    pub lineage: Lineage,
}

/// See the module.
#[derive(Debug)]
pub struct Disk {
    category: Category,
    policy_hash: Digest,
    me: NodeId,
    trees: Vec<Tree>,
    store: Store,
    export: Option<Export>,
    incoming: Option<Incoming>,
    not_taken_up: watch::Sender<Option<String>>,
}

/// The generation under way.
#[derive(Debug)]
struct Incoming {
    transfer: TransferId,
    next: Arc<Manifest>,
    wants: BTreeMap<Digest, Want>,
    /// Small contents, until they are whole.
    whole: BTreeMap<Digest, Vec<u8>>,
    /// The large one under way.
    begun: Option<Digest>,
    /// The base that was asked about last, with its hashes; none if it could not be read.
    base: Option<(Digest, Option<Levels>)>,
    staged: Option<Staged>,
}

impl Disk {
    /// Opens it, below `state`, and ends what a crash interrupted.
    ///
    /// # Errors
    /// A pattern or name that is none, or a store that cannot be opened.
    pub fn open(
        category: Category,
        state: &Path,
        history: u16,
        me: NodeId,
    ) -> Result<Self, DiskError> {
        let id = category.id.clone();
        let failed = |why: String| DiskError {
            category: id.clone(),
            why,
        };
        let trees = category.trees(state);
        let trees = trees.map_err(|error| failed(error.to_string()))?;
        let export = export(&category, state).map_err(&failed)?;
        let spec = StoreSpec {
            category: id.clone(),
            state: state.join(id.as_str()),
            history: usize::from(history),
        };
        let opened = Store::open(&spec, trees.clone(), category.policy.clone());
        let (store, recovered) = opened.map_err(|error| failed(error.to_string()))?;
        tracing::info!(category = %id, ?recovered, "store is open");
        let mut disk = Self {
            policy_hash: category.policy_hash(),
            category,
            me,
            trees,
            store,
            export,
            incoming: None,
            not_taken_up: watch::Sender::default(),
        };
        let found = disk.find_debt();
        found.map_err(|error| failed(error.to_string()))?;
        Ok(disk)
    }

    /// Its name.
    pub fn id(&self) -> &CategoryId {
        &self.category.id
    }

    /// Where it is on this node.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// Looks at the trees.
    ///
    /// # Errors
    /// A sentence; what was found before stands.
    pub fn look(&mut self, look: Look) -> Result<Scan, String> {
        let trust = match look {
            Look::Known | Look::Walk => Trust::Cache,
            Look::Rehash => Trust::Nothing,
        };
        self.store.scan(trust).map_err(|error| error.to_string())
    }

    /// Looks where something may have changed.
    ///
    /// # Errors
    /// A sentence; what was found before stands.
    pub fn look_at(&mut self, hint: &Hint) -> Result<Scan, String> {
        let scanned = match hint {
            Hint::Everything => self.store.scan(Trust::Cache),
            Hint::Paths(paths) => {
                let paths: Vec<RelPath> = paths.iter().cloned().collect();
                self.store.rescan(&paths)
            }
        };
        scanned.map_err(|error| error.to_string())
    }

    /// How often an export is made, if this category is one.
    pub fn exported_every(&self) -> Option<Duration> {
        match &self.category.contents {
            Contents::Files(_) => None,
            Contents::Export(exporter) => Some(exporter.every),
        }
    }

    /// On the Active: write the state to its file. Elsewhere: let go of what it is taken from.
    ///
    /// # Errors
    /// A sentence; the file is as it was.
    pub fn export(&mut self, active: bool) -> Result<(), String> {
        match &mut self.export {
            Some(export) if active => {
                let taken = export.take();
                taken.map(|_| ()).map_err(|error| error.to_string())
            }
            Some(export) => {
                export.release();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Lets the next look find trees empty: somebody said that it is meant.
    pub fn accept_empty(&mut self) {
        self.store.accept_empty();
    }

    /// On the Active: what was found becomes the next generation, if it is another; or in any case, if `anew`. Whether it
    /// did.
    ///
    /// # Errors
    /// A sentence.
    pub fn publish(&mut self, epoch: Epoch, anew: bool) -> Result<bool, String> {
        let published = if anew {
            self.store.publish_anew(epoch, self.me).map(Some)
        } else {
            self.store.publish(epoch, self.me)
        };
        let record = published.map_err(|error| error.to_string())?;
        if let Some(record) = record {
            tracing::debug!(category = %self.category.id, generation = record.seq, "published");
        }
        Ok(record.is_some())
    }

    /// What the last look found, or the last commit left.
    pub fn found(&self) -> Found {
        Found {
            local: Some(Local::new(self.store.live().clone())),
            lineage: self.store.applied().lineage.clone(),
        }
    }

    /// For a session, before anything was looked at.
    pub fn own(&self) -> Own {
        Own {
            id: self.category.id.clone(),
            policy_hash: self.policy_hash,
            policy: self.category.policy.clone(),
            lineage: self.store.applied().lineage.clone(),
            local: None,
            behind_since: None,
        }
    }

    /// The store, for what only reads it.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// On the Active: an earlier generation becomes the next one.
    ///
    /// # Errors
    /// A sentence.
    pub fn roll_back(&mut self, number: u64, epoch: Epoch) -> Result<CommitRecord, String> {
        let words = |error: StoreError| match error {
            // What was overwritten in place here is kept where it was committed.
            StoreError::Missing(..) => format!(
                "{error}: it is kept on the node that was Backup then; switch over, and roll back there"
            ),
            error => error.to_string(),
        };
        let staged = self.store.rollback(number, epoch, self.me).map_err(words)?;
        let done = self.store.commit(staged, |_| Ok(())).map_err(words)?;
        self.reload(done.record.seq)?;
        Ok(done.record)
    }

    /// A generation begins: what is missing for it.
    ///
    /// # Errors
    /// It cannot be taken.
    pub fn begin(
        &mut self,
        transfer: TransferId,
        next: Arc<Manifest>,
    ) -> Result<Vec<Needed>, Refusal> {
        let wants = self.store.missing(&next).map_err(refusal)?;
        let needed = wants.iter().map(|want| Needed {
            content: want.content,
            base: want.base,
        });
        let needed = needed.collect();
        self.incoming = Some(Incoming {
            transfer,
            next,
            wants: wants.into_iter().map(|want| (want.content, want)).collect(),
            whole: BTreeMap::new(),
            begun: None,
            base: None,
            staged: None,
        });
        Ok(needed)
    }

    /// A large content begins with blocks of what is in its place.
    ///
    /// # Errors
    /// That is no longer there.
    pub fn rebase(
        &mut self,
        transfer: TransferId,
        content: Digest,
        base: Digest,
        runs: &[Run],
    ) -> Result<(), Refusal> {
        let incoming = current(&mut self.incoming, transfer)?;
        let want = incoming.wants.get(&content).ok_or(Refusal::Voided)?;
        let begun = self.store.begin(content, Some((&want.path, base, runs)));
        if !begun.map_err(refusal)? {
            return Err(Refusal::BaseMoved);
        }
        incoming.begun = Some(content);
        Ok(())
    }

    /// Bytes of a content; its hash once it is complete.
    ///
    /// # Errors
    /// They are not what was announced, or the disk says no.
    pub fn take(&mut self, chunk: Content) -> Result<Option<Digest>, Refusal> {
        let incoming = current(&mut self.incoming, chunk.transfer)?;
        let content = chunk.content;
        let malformed = |what: &str| Refusal::Malformed(Text::new(what));
        let size = incoming.wants.get(&content).map(|want| want.size);
        let size = size.ok_or(Refusal::Voided)?;
        let bytes = if chunk.packed {
            pack::unpack(&chunk.bytes).map_err(|error| malformed(&error.to_string()))?
        } else {
            chunk.bytes.into_inner()
        };
        if size <= WHOLE_BYTES_MAX {
            let whole = incoming.whole.entry(content).or_default();
            let fits =
                whole.len() as u64 == chunk.offset && chunk.offset + bytes.len() as u64 <= size;
            if !fits {
                return Err(malformed("bytes out of their place"));
            }
            whole.extend(bytes);
            if !chunk.last {
                return Ok(None);
            }
            let whole = incoming.whole.remove(&content).unwrap_or_default();
            self.store.put_whole(content, &whole).map_err(refusal)?;
            return Ok(Some(content));
        }
        if incoming.begun != Some(content) {
            self.store.begin(content, None).map_err(refusal)?;
            incoming.begun = Some(content);
        }
        let first = chunk.offset / BLOCK_BYTES as u64;
        let first = u32::try_from(first).map_err(|_| malformed("bytes out of their place"))?;
        if !bytes.is_empty() {
            let put = self.store.put_blocks(&content, first, &bytes);
            put.map_err(refusal)?;
        }
        if !chunk.last {
            return Ok(None);
        }
        incoming.begun = None;
        self.store.finish(&content).map_err(refusal)?;
        Ok(Some(content))
    }

    /// Builds the generation aside, durable, and lets the category's check look at it.
    ///
    /// # Errors
    /// It cannot be built, or the check says no.
    pub fn prepare(
        &mut self,
        transfer: TransferId,
        records: Vec<CommitRecord>,
        replace: bool,
        force: bool,
    ) -> Result<(), Refusal> {
        let incoming = current(&mut self.incoming, transfer)?;
        let validate = self.category.hooks.validate.as_ref();
        let staged = self.store.stage(Target {
            manifest: (*incoming.next).clone(),
            epoch: records.last().map_or(Epoch(0), |record| record.epoch),
            records,
            replace,
            force,
            view: validate.is_some(),
        });
        let staged = staged.map_err(refusal)?;
        // What is in place already was judged when it came there.
        if let Some(hook) = validate.filter(|_| !staged.is_in_place()) {
            let call = Call {
                moment: Moment::Validate,
                category: Some(&self.category.id),
                staged: staged.view(),
                generation: Some(staged.record().seq),
            };
            let said = hook.run(&call);
            said.map_err(|error| Refusal::Validation(Text::new(error)))?;
        }
        incoming.staged = Some(staged);
        Ok(())
    }

    /// Commits, if the agent, asked now, under the lock, says Backup and knows no epoch above the session's.
    ///
    /// # Errors
    /// It does not, or the disk says no; the trees are as they were.
    pub fn commit(
        &mut self,
        transfer: TransferId,
        epoch: Epoch,
        roles: &dyn RoleSource,
    ) -> Result<(), Refusal> {
        let incoming = current(&mut self.incoming, transfer)?;
        let staged = incoming.staged.take().ok_or(Refusal::Voided)?;
        let owing = self.store.owed();
        let generation = (!staged.is_in_place() && self.is_taken_up_by_programs())
            .then_some(staged.record().seq);
        if generation.is_some() && owing.is_none() {
            self.store.owe(generation).map_err(refusal)?;
        }
        let mut fenced = None;
        let outcome = self.store.commit(staged, |_| match roles.standing() {
            Standing::Backup { epoch: known } if known <= epoch => Ok(()),
            Standing::Backup { epoch: known } => {
                fenced = Some(Refusal::StaleEpoch(known));
                Err("a newer epoch is known".to_owned())
            }
            Standing::Active { .. } | Standing::Unknown => {
                fenced = Some(Refusal::NotBackup);
                Err("this node is not Backup".to_owned())
            }
        });
        self.incoming = None;
        if outcome.is_err() && owing.is_none() {
            self.forgive();
        }
        let done = outcome.map_err(|error| fenced.unwrap_or_else(|| refusal(error)))?;
        let category = &self.category.id;
        for edit in &done.edits {
            tracing::warn!(%category, path = %edit.path, uid = edit.uid, "an edit made on the backup gave way and was laid aside");
        }
        if let Some(leftover) = &done.leftover {
            tracing::warn!(%category, "something of the commit could not be put away: {leftover}");
        }
        tracing::info!(%category, generation = done.record.seq, "committed");
        if let Some(generation) = generation {
            self.take_up(generation);
        }
        Ok(())
    }

    /// The transfer is over; what was staged of its contents stays.
    pub fn discard(&mut self, transfer: TransferId) {
        self.incoming
            .take_if(|incoming| incoming.transfer == transfer);
    }
}

/// An exported category's directory is ours, and made.
fn export(category: &Category, state: &Path) -> Result<Option<Export>, String> {
    let Contents::Export(exporter) = &category.contents else {
        return Ok(None);
    };
    let directory = export_directory(state, &category.id);
    let mut make = std::fs::DirBuilder::new();
    let made = make.recursive(true).mode(0o700).create(&directory);
    made.map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(Some(Export::new(&category.id, exporter, state)))
}

fn current(
    incoming: &mut Option<Incoming>,
    transfer: TransferId,
) -> Result<&mut Incoming, Refusal> {
    let current = incoming.as_mut().filter(|one| one.transfer == transfer);
    current.ok_or(Refusal::Voided)
}

/// What the store says, as the Active reads it.
fn refusal(error: StoreError) -> Refusal {
    let words = Text::new(&error);
    match error {
        StoreError::Fenced { held, .. } => Refusal::StaleEpoch(held),
        StoreError::Policy(_) | StoreError::NotChosen(_) => Refusal::Policy(words),
        StoreError::Deletion(_) => Refusal::Deletions(words),
        StoreError::Manifest(_) | StoreError::Root | StoreError::Block(_) => {
            Refusal::Malformed(words)
        }
        StoreError::Lineage(_) => Refusal::Lineage(words),
        StoreError::Overtaken | StoreError::Missing(..) | StoreError::Mismatch(_) => {
            Refusal::BaseMoved
        }
        _ => Refusal::Disk(words),
    }
}

/// What people should know of a look, in words.
pub fn notes(scan: &Scan) -> Vec<String> {
    let words = |note: &Note| match note {
        Note::Special(path) => format!("{path}: neither file, directory nor link; left out"),
        Note::HardLinked(path) => format!("{path}: has several names; each becomes a file"),
    };
    scan.notes.iter().map(words).collect()
}
