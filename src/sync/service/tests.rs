//! Two services on this host, over loopback TLS, with real trees.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::category::{Category, Contents, Exporter, Hooks, Source};
use crate::category_id::CategoryId;
use crate::client::{Client, ClientError};
use crate::control::{Answer, Request};
use crate::hooks::Hook;
use crate::lineage::Epoch;
use crate::policy::Policy;
use crate::session::{CategoryStatus, State};
use crate::settings::{HookPaths, Way};

mod errands;
mod large;
mod reload;
mod runs;
mod there_and_back;
mod walk;

use walk::tree;

/// For what must happen; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// An agent that says what the test wants.
#[derive(Clone, Default)]
struct Agent(Arc<Mutex<Standing>>);

impl RoleSource for Agent {
    fn standing(&self) -> Standing {
        *self.0.lock().unwrap()
    }
}

impl Agent {
    fn says(&self, standing: Standing) {
        *self.0.lock().unwrap() = standing;
    }
}

struct Node {
    place: PathBuf,
    agent: Agent,
    running: Option<(
        tokio::sync::oneshot::Sender<()>,
        std::thread::JoinHandle<()>,
    )>,
    spec: Box<dyn Fn() -> Spec + Sync>,
}

impl Node {
    fn start(&mut self) {
        let (spec, agent) = ((self.spec)(), Arc::new(self.agent.clone()));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                tokio::select! {
                    ended = run(spec, agent) => ended.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        self.running = Some((stop, thread));
        wait("the socket", || self.client().is_ok());
    }

    /// Killed: no farewell.
    fn kill(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            thread.join().unwrap();
        }
    }

    fn client(&self) -> Result<Client, ClientError> {
        Client::connect(&self.place.join("sync.sock"))
    }

    fn ask(&self, request: Request) -> Result<Vec<Answer>, ClientError> {
        let mut answers = Vec::new();
        self.client()?.ask(request, |answer| answers.push(answer))?;
        Ok(answers)
    }

    fn category(&self) -> Option<CategoryStatus> {
        match self.ask(Request::Status).ok()?.pop()? {
            Answer::Status(report) => report.categories.into_iter().next(),
            _ => None,
        }
    }

    fn state(&self) -> Option<State> {
        Some(self.category()?.state)
    }

    fn generation(&self) -> Option<u64> {
        self.category()?.generation
    }

    /// It knows that it is Active, and its backup is in sync.
    fn serves(&self) -> bool {
        let answers = self.ask(Request::Status).unwrap_or_default();
        let active = |answer: &Answer| {
            matches!(answer, Answer::Status(report)
                if matches!(report.standing, Standing::Active { .. }))
        };
        answers.iter().any(active) && self.is_in_sync()
    }

    fn is_in_sync(&self) -> bool {
        matches!(self.state(), Some(State::InSync { .. }))
    }

    /// A path in its tree.
    fn at(&self, path: &str) -> PathBuf {
        self.place.join("state/export/config").join(path)
    }
}

#[track_caller]
fn wait(what: &str, mut ready: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !ready() {
        assert!(Instant::now() < until, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Pair {
    _place: tempfile::TempDir,
    a: Node,
    b: Node,
}

const ACTIVE: fn(u64) -> Standing = |epoch| Standing::Active {
    epoch: Epoch(epoch),
};
const BACKUP: fn(u64) -> Standing = |epoch| Standing::Backup {
    epoch: Epoch(epoch),
};

fn free_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn category(hooks: Hooks) -> Category {
    let nothing = || Hook {
        argv: vec!["/bin/true".to_owned()],
        limit: Duration::from_secs(10),
    };
    Category {
        id: CategoryId::new("config").unwrap(),
        // A directory that both find below their own state: two nodes on one host cannot share a path.
        contents: Contents::Export(Exporter {
            source: Source::Command {
                export: nothing(),
                import: nothing(),
            },
            every: Duration::from_secs(3600),
        }),
        policy: Policy::default(),
        priority: 100,
        hooks,
    }
}

fn node(place: &Path, side: Side, ends: [SocketAddr; 2], hooks: Hooks) -> Node {
    let place = place.to_owned();
    fs::create_dir_all(place.join("state/export/config")).unwrap();
    let at = place.clone();
    let spec = move || Spec {
        version: "0.1.0".to_owned(),
        side,
        secrets: vec![core::array::from_fn(|at| u8::try_from(at).unwrap())],
        settings: Settings {
            socket: PathBuf::new(),
            activations: runs::activations(),
            ways: vec![Way {
                name: "ha".to_owned(),
                interface: None,
                local: ends[0],
                peer: ends[1],
            }],
            quiet: Duration::from_millis(5),
            hold: Duration::from_millis(100),
            scrub_every: Duration::from_secs(3600),
            history: 10,
            categories: vec![category(hooks.clone())],
            hook_paths: HookPaths::default(),
        },
        state: at.join("state"),
        socket: at.join("sync.sock"),
        gate: Arc::new(|_, _, _| Right::Change),
        confined: None,
        ready: Box::new(|| ()),
    };
    Node {
        place,
        agent: Agent::default(),
        running: None,
        spec: Box::new(spec),
    }
}

impl Pair {
    fn new(hooks: Hooks) -> Self {
        let (one, other) = (free_port(), free_port());
        Self::between(one, other, other, hooks)
    }

    /// `a` reaches `b`, which listens at `other`, by another address.
    fn between(one: SocketAddr, other: SocketAddr, by: SocketAddr, hooks: Hooks) -> Self {
        let place = tempfile::tempdir().unwrap();
        let a = node(
            &place.path().join("a"),
            Side::Preferred,
            [one, by],
            hooks.clone(),
        );
        let b = node(&place.path().join("b"), Side::Other, [other, one], hooks);
        Self {
            _place: place,
            a,
            b,
        }
    }

    /// Both run, `a` is Active, and holds something.
    fn settled(hooks: Hooks) -> Self {
        let pair = Self::new(hooks);
        pair.settle()
    }

    fn settle(self) -> Self {
        let mut pair = self;
        fs::create_dir_all(pair.a.at("app/deep/er")).unwrap();
        for number in 0..50 {
            fs::write(
                pair.a.at(&format!("app/f{number}")),
                format!("file {number}"),
            )
            .unwrap();
        }
        pair.a.agent.says(ACTIVE(1));
        pair.b.agent.says(BACKUP(1));
        pair.a.start();
        pair.b.start();
        pair.until_same();
        pair
    }

    #[track_caller]
    fn until_same(&self) {
        wait("equal trees", || {
            tree(&self.a.at("")) == tree(&self.b.at(""))
        });
        wait("in sync", || self.a.is_in_sync() && self.b.is_in_sync());
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.a.kill();
        self.b.kill();
    }
}

#[test]
fn what_is_saved_on_the_active_is_on_the_backup() {
    let pair = Pair::settled(Hooks::default());
    let at = |path: &str| pair.a.at(path);
    fs::write(at("app/f1"), "saved").unwrap();
    pair.until_same();
    // An editor's save.
    fs::write(at("app/.f2.tmp"), "saved by rename").unwrap();
    fs::set_permissions(at("app/.f2.tmp"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(at("app/.f2.tmp"), at("app/f2")).unwrap();
    fs::remove_file(at("app/f3")).unwrap();
    fs::rename(at("app/deep"), at("app/moved")).unwrap();
    fs::remove_file(at("app/f4")).unwrap();
    fs::create_dir(at("app/f4")).unwrap();
    fs::write(at("app/f4/inside"), "a directory now").unwrap();
    fs::remove_file(at("app/f5")).unwrap();
    symlink("f1", at("app/f5")).unwrap();
    fs::write(at("app/large"), vec![3; 300_000]).unwrap();
    pair.until_same();
    // One byte of a large file, and a large file that shrinks.
    let mut bytes = vec![3; 300_000];
    bytes[200_000] = 4;
    fs::write(at("app/large"), &bytes).unwrap();
    pair.until_same();
    fs::write(at("app/large"), &bytes[..100_001]).unwrap();
    pair.until_same();
    assert!(pair.b.at("app/moved/er").is_dir());
}

#[test]
fn a_backup_that_was_away_catches_up() {
    let mut pair = Pair::settled(Hooks::default());
    pair.b.kill();
    fs::write(pair.a.at("app/f1"), "while away").unwrap();
    fs::remove_file(pair.a.at("app/f2")).unwrap();
    wait("unknown", || {
        matches!(pair.a.state(), Some(State::Unknown { .. }))
    });
    pair.b.start();
    pair.until_same();
}

/// A commit that only the Active remembers would pass for a split brain once the roles are exchanged.
#[test]
fn a_save_while_the_service_was_away_is_one_generation() {
    let mut pair = Pair::settled(Hooks::default());
    for round in 0..10 {
        pair.a.kill();
        fs::write(pair.a.at("app/f1"), format!("while away: {round}")).unwrap();
        pair.a.start();
        pair.until_same();
        assert_eq!(pair.a.generation(), pair.b.generation());
    }
}

#[test]
fn roles_are_exchanged_and_the_other_sends() {
    let pair = Pair::settled(Hooks::default());
    pair.a.agent.says(BACKUP(2));
    pair.b.agent.says(ACTIVE(2));
    wait("b to serve", || pair.b.serves());
    fs::write(pair.b.at("app/owner"), "b").unwrap();
    pair.until_same();
    assert_eq!(fs::read(pair.a.at("app/owner")).unwrap(), b"b");
}

#[test]
fn without_the_agents_word_nothing_is_sent_or_taken() {
    let pair = Pair::settled(Hooks::default());
    pair.b.agent.says(Standing::Unknown);
    wait("unknown", || {
        matches!(pair.b.state(), Some(State::Unknown { .. }))
    });
    let before = tree(&pair.b.at(""));
    fs::write(pair.a.at("app/f1"), "not yet").unwrap();
    wait("a to notice", || !pair.a.is_in_sync());
    assert_eq!(tree(&pair.b.at("")), before);
    pair.b.agent.says(BACKUP(1));
    pair.until_same();
}

#[test]
fn an_edit_on_the_backup_gives_way() {
    let pair = Pair::settled(Hooks::default());
    fs::write(pair.b.at("app/f1"), "edited on the backup").unwrap();
    wait("the edit to give way", || {
        fs::read(pair.b.at("app/f1")).unwrap() == b"file 1"
    });
    pair.until_same();
}

#[test]
fn what_the_check_rejects_is_not_committed() {
    let validate = Hook {
        argv: ["/bin/sh", "-c", "! grep -r broken \"$FENCEPOST_STAGED\""]
            .map(str::to_owned)
            .into(),
        limit: Duration::from_secs(20),
    };
    let pair = Pair::settled(Hooks {
        validate: Some(validate),
        reload: None,
    });
    fs::write(pair.a.at("app/f1"), "broken").unwrap();
    wait("the rejection", || {
        matches!(pair.a.state(), Some(State::OutOfSync { reason, .. })
            if reason == crate::session::Reason::RejectedByValidation)
    });
    assert_eq!(fs::read(pair.b.at("app/f1")).unwrap(), b"file 1");
    fs::write(pair.a.at("app/f1"), "mended").unwrap();
    pair.until_same();
}
