//! From a manifest of the Active's to a generation that lies ready, durable, beside the trees.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::area::Area;
use super::build::{self, Sources};
use super::commit::now_s;
use super::error::{StoreError, io};
use super::journal::Intent;
use super::plan::{Plan, plan};
use super::staging;
use super::steps::{Action, Step, name_of};
use super::{Store, snapshot};
use crate::blocks::{Run, WHOLE_BYTES_MAX};
use crate::diff::{Change, diff};
use crate::digest::Digest;
use crate::entry::Entry;
use crate::filter::Verdict;
use crate::lineage::{CommitRecord, Epoch, Lineage};
use crate::manifest::Manifest;
use crate::path::RelPath;
use crate::resolve::Dir;

/// Up to this many new files and directories are synced one by one.
const SYNC_EACH_MAX: usize = 8;
/// Name of the directory of complete views.
const VIEW: &[u8] = b"view";

/// A generation to be.
#[derive(Debug, Clone)]
pub struct Target {
    /// All of it.
    pub manifest: Manifest,
    /// Under which it is sent: at least that of every record.
    pub epoch: Epoch,
    /// The commits that lead to it from the newest one held here, oldest first; the last one is of the manifest. None to
    /// make the trees again what the newest one held is of.
    pub records: Vec<CommitRecord>,
    /// The records are a whole lineage that takes the place of the one held: somebody chose whose data counts.
    pub replace: bool,
    /// Whether it may take away as much as it likes: somebody said that it is meant.
    pub force: bool,
    /// Whether a complete copy of it is made for validation.
    pub view: bool,
}

/// A content to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Its hash.
    pub content: Digest,
    /// In bytes.
    pub size: u64,
    /// A path that will have it.
    pub path: RelPath,
    /// What that path has now, if blocks of it may serve.
    pub base: Option<Digest>,
}

/// What lies in the slots, and what is to be done with it.
struct Built {
    steps: Vec<Step>,
    kept: BTreeSet<RelPath>,
    view: Option<PathBuf>,
}

/// A generation that lies ready. Dropping it drops nothing on disk; the next one takes its place.
#[derive(Debug)]
pub struct Staged {
    pub(super) intent: Intent,
    pub(super) manifest: Manifest,
    pub(super) areas: BTreeMap<RelPath, Area>,
    pub(super) epoch: Epoch,
    view: Option<PathBuf>,
}

impl Staged {
    /// A directory with the complete trees as they will be, each under its name; none if it was not asked for.
    pub fn view(&self) -> Option<&Path> {
        self.view.as_deref()
    }

    /// What it changes, from the generation that is applied.
    pub fn changes(&self) -> &[Change] {
        &self.intent.changes
    }

    /// Its commit record.
    pub fn record(&self) -> CommitRecord {
        self.intent.record
    }

    /// Whether the trees are this generation already: it brings commits alone.
    pub fn is_in_place(&self) -> bool {
        self.intent.steps.is_empty()
    }

    /// The epoch it was sent under.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl Store {
    /// Contents that a manifest needs and that are nowhere on this node. Forgets what arrived for other manifests.
    pub fn missing(&mut self, manifest: &Manifest) -> Result<Vec<Want>, StoreError> {
        self.usable()?;
        let live = self.scanner.manifest();
        let changes = diff(live, manifest);
        self.scanner.policy().check_changed(manifest, &changes)?;
        let held = held(live, &changes);
        let mut needed = BTreeSet::new();
        let mut wants = Vec::new();
        for change in changes {
            let content = change.new.as_ref().and_then(Entry::content);
            let Some((size, content)) = content.filter(|(_, content)| needed.insert(*content))
            else {
                continue;
            };
            let here = held.contains(&content) && !self.absent.contains(&content);
            let earlier = self.history.contents.look(&staging::name(&content));
            if here || self.staging.holds(&content) || matches!(earlier, Ok(Some(_))) {
                continue;
            }
            let old = change.old.as_ref().and_then(Entry::content);
            let base = old.filter(|(old, _)| size.min(*old) > WHOLE_BYTES_MAX);
            wants.push(Want {
                content,
                size,
                path: change.path.clone(),
                base: base.map(|(_, content)| content),
            });
        }
        self.staging.keep(&needed)?;
        self.wanted = wants.iter().map(|want| (want.content, want.size)).collect();
        Ok(wants)
    }

    /// Takes a whole content that was asked for.
    pub fn put_whole(&mut self, content: Digest, bytes: &[u8]) -> Result<(), StoreError> {
        self.asked(&content)?;
        self.staging.put_whole(content, bytes)
    }

    /// The present content of a path, to read; nothing if it is another than this.
    pub fn base(&self, path: &RelPath, held: Digest) -> Option<std::os::fd::OwnedFd> {
        let entry = self.scanner.manifest().get(path).and_then(Entry::content);
        let same = entry.is_some_and(|(_, now)| now == held);
        same.then(|| self.open_live(path)).flatten()
    }

    /// Begins, or resumes, a content that was asked for. With `base`, the present content of `path`, all blocks but the
    /// runs are taken from there; `false` if that path no longer has it, and nothing was begun.
    pub fn begin(
        &mut self,
        content: Digest,
        base: Option<(&RelPath, Digest, &[Run])>,
    ) -> Result<bool, StoreError> {
        let size = self.asked(&content)?;
        let Some((path, held, changed)) = base else {
            self.staging.begin(content, size, None)?;
            return Ok(true);
        };
        let Some(file) = self.base(path, held) else {
            return Ok(false);
        };
        self.staging.begin(content, size, Some((file, changed)))?;
        Ok(true)
    }

    /// Blocks of a content under way that are still to come.
    pub fn missing_blocks(&self, content: &Digest) -> Vec<Run> {
        self.staging.missing(content)
    }

    /// Takes neighbouring blocks of a content under way.
    pub fn put_blocks(
        &mut self,
        content: &Digest,
        first: u32,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.staging.put_blocks(content, first, bytes)
    }

    /// Ends a content under way. [`StoreError::Mismatch`] if it is not what was announced; it then begins anew.
    pub fn finish(&mut self, content: &Digest) -> Result<(), StoreError> {
        self.staging.finish(content)
    }

    /// Builds a generation beside the trees and makes it durable. The trees are as they were.
    pub fn stage(&mut self, target: Target) -> Result<Staged, StoreError> {
        self.usable()?;
        let (record, changes) = self.judge(&target)?;
        self.sweep_last()?;
        let number = self.applied.number + 1;
        let mut areas = self.open_areas(number)?;
        areas.values_mut().try_for_each(|area| area.clear(number))?;
        let built = self.build(&target, &areas);
        if let Err(StoreError::Missing(_, content)) = &built {
            self.absent.insert(*content);
        }
        let Built { steps, kept, view } = built?;
        Ok(Staged {
            intent: Intent {
                number,
                record,
                records: target.records,
                replace: target.replace,
                changes,
                steps,
                kept,
                at: now_s(),
            },
            manifest: target.manifest,
            areas,
            epoch: target.epoch,
            view,
        })
    }

    /// All that can be said against a generation before anything is written.
    fn judge(&self, target: &Target) -> Result<(CommitRecord, Vec<Change>), StoreError> {
        let manifest = &target.manifest;
        self.fence(target.epoch)?;
        let newest = self.applied.lineage.newest();
        let record = target.records.last().copied().or(newest);
        let record = record.filter(|record| record.epoch <= target.epoch);
        let record = record.ok_or(StoreError::Root)?;
        let changes = diff(&self.applied.manifest, manifest);
        manifest.check_changed(&changes)?;
        self.scanner.policy().check_changed(manifest, &changes)?;
        if record.root != manifest.roots().content {
            return Err(StoreError::Root);
        }
        let mut lineage = match target.replace {
            true => Lineage::new(),
            false => self.applied.lineage.clone(),
        };
        target
            .records
            .iter()
            .try_for_each(|record| lineage.push(*record))?;
        self.judge_paths(&changes)?;
        if !target.force {
            let deletions = self.scanner.policy().deletions;
            deletions.check_trees(self.scanner.manifest(), manifest)?;
            deletions.check(&self.applied.manifest, manifest)?;
        }
        Ok((record, changes))
    }

    /// Only what this node's own filter chooses may be written.
    fn judge_paths(&self, changes: &[Change]) -> Result<(), StoreError> {
        for Change { path, new, .. } in changes {
            let Some(new) = new else { continue };
            let tree = self.scanner.trees().iter().find(|tree| tree.holds(path));
            let verdict = tree.map(|tree| tree.filter.judge(path.split_tree().1, new.is_dir()));
            if verdict.is_none_or(|verdict| verdict == Verdict::Skip) {
                return Err(StoreError::NotChosen(path.clone()));
            }
        }
        Ok(())
    }

    fn build(
        &mut self,
        target: &Target,
        areas: &BTreeMap<RelPath, Area>,
    ) -> Result<Built, StoreError> {
        if !self.probed {
            areas.values().try_for_each(Area::probe)?;
            self.probed = true;
        }
        let manifest = &target.manifest;
        let live = self.scanner.manifest();
        let plan = plan(live, manifest, areas)?;
        let built = || plan.built().flat_map(|path| manifest.within(path));
        let few = built().nth(SYNC_EACH_MAX).is_none();
        let mut sources = Sources {
            arrived: &self.staging.dir,
            earlier: &self.history.contents,
            live,
            roots: roots(areas),
            index: None,
            uses: build::uses(built().map(|(_, entry)| entry)),
            sync_each: few,
        };
        let policy = self.scanner.policy();
        let view = match target.view {
            true => Some(self.build_view(&mut sources, manifest)?),
            false => None,
        };
        let mut steps = Vec::new();
        for path in plan.built() {
            let area = area_of(areas, path)?;
            let slot = u32::try_from(steps.len()).unwrap_or(u32::MAX);
            let name = name_of(slot);
            build::subtree(&mut sources, policy, manifest, path, &area.slots, &name)?;
            let inode = build::inode(&area.slots, &name).map_err(io("stage", path))?;
            steps.push((path, slot, inode));
        }
        sync_slots(areas, few)?;
        Ok(Built {
            steps: arrange(&plan, &steps, live, manifest),
            kept: kept(&self.applied.kept, &plan, manifest),
            view,
        })
    }

    /// All trees, complete. Contents that arrived are copied, for the slots take them afterwards.
    fn build_view(
        &self,
        sources: &mut Sources<'_>,
        manifest: &Manifest,
    ) -> Result<PathBuf, StoreError> {
        let failed = |error| io("build", "the view for validation")(error);
        self.home.remove_all(VIEW).map_err(failed)?;
        let view: Dir = self.home.ensure_dir(VIEW).map_err(failed)?;
        let uses = std::mem::take(&mut sources.uses);
        let sync_each = std::mem::replace(&mut sources.sync_each, false);
        for (tree, _) in manifest.iter().filter(|(path, _)| path.depth() == 1) {
            let policy = self.scanner.policy();
            build::subtree(sources, policy, manifest, tree, &view, tree.as_bytes())?;
        }
        (sources.uses, sources.sync_each) = (uses, sync_each);
        Ok(self.state.join("view"))
    }

    pub(super) fn open_areas(&self, number: u64) -> Result<BTreeMap<RelPath, Area>, StoreError> {
        let trees = self.scanner.trees().iter();
        let opened = trees.map(|tree| {
            let area = Area::open(tree, &self.category, number)?;
            Ok((tree.name().clone(), area))
        });
        opened.collect()
    }

    fn open_live(&self, path: &RelPath) -> Option<std::os::fd::OwnedFd> {
        let tree = self.scanner.trees().iter().find(|tree| tree.holds(path))?;
        let root = Dir::open(&tree.root).ok()?;
        let (parent, name) = root.parent(path.split_tree().1).ok()?;
        parent.file(name).ok()
    }

    fn asked(&self, content: &Digest) -> Result<u64, StoreError> {
        let size = self.wanted.get(content).copied();
        size.ok_or(StoreError::Unasked(*content))
    }
}

/// Contents that these changes need and that some file has already.
fn held(live: &Manifest, changes: &[Change]) -> HashSet<Digest> {
    let content = |entry: &Entry| entry.content().map(|(_, content)| content);
    let news = changes.iter().filter_map(|change| change.new.as_ref());
    let needed: HashSet<Digest> = news.filter_map(content).collect();
    let files = live.iter().filter_map(|(_, entry)| content(entry));
    files.filter(|content| needed.contains(content)).collect()
}

/// Makes what was built durable: by its directory if each of few files was synced as it was made; otherwise by one sync
/// of each file system, whatever else is waiting to be written there.
fn sync_slots(areas: &BTreeMap<RelPath, Area>, few: bool) -> Result<(), StoreError> {
    let mut synced = BTreeSet::new();
    for area in areas.values() {
        let mut sync = || match few {
            true => area.slots.sync(),
            false if synced.insert(area.slots.own_status()?.stamp.dev) => {
                area.slots.sync_file_system()
            }
            false => Ok(()),
        };
        sync().map_err(io("sync the file system of", area.tree.root.display()))?;
    }
    Ok(())
}

/// The plan as steps: what is new, then deletions, then directories' metadata from the inside out.
fn arrange(
    plan: &Plan,
    built: &[(&RelPath, u32, u64)],
    live: &Manifest,
    next: &Manifest,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for (at, (path, slot, inode)) in built.iter().enumerate() {
        let (slot, inode) = (*slot, *inode);
        let action = match at < plan.place.len() {
            true => Action::Place { slot, inode },
            false => Action::Exchange { slot, inode },
        };
        steps.push(Step {
            path: (*path).clone(),
            action,
        });
    }
    for path in plan.remove.iter().rev() {
        let slot = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        let action = Action::Remove { slot };
        let path = path.clone();
        steps.push(Step { path, action });
    }
    for path in &plan.directories {
        if let Some(new) = next.get(path).cloned() {
            let old = live.get(path).cloned();
            let action = Action::SetDirectory { old, new };
            let path = path.clone();
            steps.push(Step { path, action });
        }
    }
    steps
}

/// Directories that stay for what is not replicated in them: those of before that are still not wanted, and new ones.
fn kept(before: &BTreeSet<RelPath>, plan: &Plan, next: &Manifest) -> BTreeSet<RelPath> {
    let all = before.iter().chain(&plan.kept);
    all.filter(|path| next.get(path).is_none())
        .cloned()
        .collect()
}

fn roots(areas: &BTreeMap<RelPath, Area>) -> BTreeMap<RelPath, &Dir> {
    let areas = areas.iter();
    areas
        .map(|(name, area)| (name.clone(), &area.root))
        .collect()
}

fn area_of<'a>(areas: &'a BTreeMap<RelPath, Area>, path: &RelPath) -> Result<&'a Area, StoreError> {
    let mut all = areas.iter();
    let area = all
        .find(|(name, _)| path.is_within(name))
        .map(|(_, area)| area);
    area.ok_or_else(|| StoreError::NotChosen(path.clone()))
}

/// Keeps the applied generation as a file of its own, and empties the journal.
pub(super) fn snapshot_applied(store: &mut Store) -> Result<(), StoreError> {
    snapshot::write(&store.home, super::APPLIED, &store.applied)?;
    let cleared = store.journal.clear();
    store.broken |= cleared.is_err();
    cleared.map_err(io("clear", "the journal"))
}
