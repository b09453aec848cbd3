//! Two nodes in two directories, and what carries contents between them.

use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::blocks::{BLOCK_BYTES, WHOLE_BYTES_MAX, signature};
use crate::category_id::CategoryId;
use crate::filter::{Filter, FilterSpec};
use crate::lineage::{Epoch, NodeId};
use crate::manifest::Manifest;
use crate::path::RelPath;
use crate::policy::Policy;
use crate::resolve::Dir;
use crate::scan::Trust;
use crate::seam;
use crate::store::{Committed, Recovered, Staged, Store, StoreError, StoreSpec, Target};
use crate::tree::Tree;

pub(super) const NODE: NodeId = NodeId(1);

/// One node: where its files are, and its store while it lives.
pub(super) struct Node {
    place: TempDir,
    filter: FilterSpec,
    pub(super) policy: Policy,
    pub(super) store: Option<Store>,
}

impl Node {
    pub(super) fn new(filter: FilterSpec) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("tree")).unwrap();
        let mut policy = Policy {
            setuid: true,
            ..Policy::default()
        };
        policy.xattrs.insert("user.".to_owned());
        policy.deletions.percent_max = 100;
        Self {
            place,
            filter,
            policy,
            store: None,
        }
    }

    pub(super) fn start(&mut self) -> Result<Recovered, StoreError> {
        self.store = None;
        let spec = StoreSpec {
            category: CategoryId::new("test").unwrap(),
            state: self.state(),
            history: 3,
        };
        let filter = Filter::new(&self.filter).unwrap();
        let tree = Tree::new("t", self.root(), filter).unwrap();
        let (store, recovered) = Store::open(&spec, vec![tree], self.policy.clone())?;
        self.store = Some(store);
        Ok(recovered)
    }

    /// The process is gone; the disk stays.
    pub(super) fn kill(&mut self) {
        self.store = None;
        seam::inject(None);
    }

    pub(super) fn root(&self) -> PathBuf {
        self.place.path().join("tree")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.place.path().join("state")
    }

    pub(super) fn at(&self, below: &str) -> PathBuf {
        self.root().join(below)
    }

    pub(super) fn write(&self, below: &str, text: impl AsRef<[u8]>) {
        fs::create_dir_all(self.at(below).parent().unwrap()).unwrap();
        fs::write(self.at(below), text).unwrap();
    }

    pub(super) fn read(&self, below: &str) -> String {
        fs::read_to_string(self.at(below)).unwrap()
    }

    pub(super) fn store(&mut self) -> &mut Store {
        self.store.as_mut().unwrap()
    }
}

/// An Active and a Backup.
pub(super) struct Pair {
    pub(super) active: Node,
    pub(super) backup: Node,
}

impl Pair {
    pub(super) fn new() -> Self {
        Self::with(FilterSpec::default())
    }

    pub(super) fn with(filter: FilterSpec) -> Self {
        let (mut active, mut backup) = (Node::new(filter.clone()), Node::new(filter));
        assert_eq!(active.start().unwrap(), Recovered::Clean);
        assert_eq!(backup.start().unwrap(), Recovered::Clean);
        Self { active, backup }
    }

    /// What the Active would send now.
    pub(super) fn target(&mut self) -> Target {
        let store = self.active.store();
        store.scan(Trust::Cache).unwrap();
        store.publish(Epoch(1), NODE).unwrap();
        let held = self.backup.store().applied().lineage.newest();
        let lineage = &self.active.store().applied().lineage;
        let newer = lineage
            .iter()
            .filter(|record| held.is_none_or(|held| record.seq > held.seq));
        let records = newer.copied().collect();
        Target {
            manifest: self.active.store().applied().manifest.clone(),
            epoch: Epoch(1),
            records,
            replace: false,
            force: false,
            view: false,
        }
    }

    /// Carries over what the Backup lacks.
    pub(super) fn fetch(&mut self, manifest: &Manifest) -> Result<(), StoreError> {
        let root = self.active.root();
        let store = self.backup.store();
        for want in store.missing(manifest)? {
            let file = read_deep(&root, &want.path);
            if want.size <= WHOLE_BYTES_MAX {
                store.put_whole(want.content, &file)?;
                continue;
            }
            store.begin(want.content, None)?;
            for run in store.missing_blocks(&want.content) {
                let start = run.first as usize * BLOCK_BYTES;
                let end = file.len().min(start + run.count as usize * BLOCK_BYTES);
                store.put_blocks(&want.content, run.first, &file[start..end])?;
            }
            store.finish(&want.content)?;
            assert_eq!(signature(&file[..]).unwrap().1, want.content);
        }
        Ok(())
    }

    pub(super) fn stage(&mut self) -> Result<Staged, StoreError> {
        self.stage_with(|_| {})
    }

    pub(super) fn stage_with(&mut self, change: fn(&mut Target)) -> Result<Staged, StoreError> {
        self.backup.store().scan(Trust::Cache)?;
        let mut target = self.target();
        change(&mut target);
        self.fetch(&target.manifest)?;
        self.backup.store().stage(target)
    }

    pub(super) fn sync(&mut self) -> Result<Committed, StoreError> {
        let staged = self.stage()?;
        self.backup.store().commit(staged, |_| Ok(()))
    }

    /// Asserts that both hold the same, by a walk of its own; what this node excludes is the caller's.
    pub(super) fn assert_same(&self) {
        let (active, backup) = (walk(&self.active.root()), walk(&self.backup.root()));
        assert_eq!(active, backup);
    }
}

/// All of a tree, as lines, by means of the standard library alone.
pub(super) fn walk(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    walk_into(root, root, &mut lines);
    lines.sort();
    lines
}

fn walk_into(root: &Path, at: &Path, lines: &mut Vec<String>) {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::symlink_metadata(at).unwrap();
    let name = at.strip_prefix(root).unwrap().as_os_str().as_bytes();
    let name = name.escape_ascii();
    let owned = format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid());
    if meta.is_symlink() {
        let target = fs::read_link(at).unwrap();
        lines.push(format!("{name} -> {target:?} {owned}"));
    } else if meta.is_dir() {
        lines.push(format!("{name}/ {owned} {}", attributes(at)));
        for entry in fs::read_dir(at).unwrap() {
            walk_into(root, &entry.unwrap().path(), lines);
        }
    } else {
        let content = blake3::hash(&fs::read(at).unwrap());
        let time = (meta.mtime(), meta.mtime_nsec());
        lines.push(format!(
            "{name} {content} {time:?} {owned} {}",
            attributes(at)
        ));
    }
}

fn attributes(at: &Path) -> String {
    let mut list = vec![0; 65_536];
    let length = rustix::fs::listxattr(at, &mut list[..]).unwrap_or(0);
    let names = list[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    let values = names.map(|name| {
        let mut value = vec![0; 65_536];
        let length = rustix::fs::getxattr(at, name, &mut value[..]).unwrap();
        format!("{}={}", name.escape_ascii(), value[..length].escape_ascii())
    });
    values.collect::<Vec<_>>().join(",")
}

/// A file whose path may be longer than the kernel takes.
fn read_deep(root: &Path, path: &RelPath) -> Vec<u8> {
    let root = Dir::open(root).unwrap();
    let (parent, name) = root.parent(path.split_tree().1).unwrap();
    let mut bytes = Vec::new();
    let mut file = fs::File::from(parent.file(name).unwrap());
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

pub(super) fn rel(text: &str) -> RelPath {
    RelPath::try_from(text).unwrap()
}
