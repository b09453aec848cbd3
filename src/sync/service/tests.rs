//! Two services on this host, over loopback TLS, with real trees.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::activation::{Activation, Ended, On};
use crate::category::{Category, Contents, Exporter, Hooks, Source};
use crate::category_id::CategoryId;
use crate::client::{Client, ClientError};
use crate::control::{Answer, Request};
use crate::hooks::Hook;
use crate::lineage::Epoch;
use crate::policy::Policy;
use crate::session::State;
use crate::settings::{HookPaths, Way};

mod large;
mod reload;
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

    fn state(&self) -> Option<State> {
        match self.ask(Request::Status).ok()?.pop()? {
            Answer::Status(report) => Some(report.categories.first()?.state.clone()),
            _ => None,
        }
    }

    fn generation(&self) -> Option<u64> {
        match self.ask(Request::Status).ok()?.pop()? {
            Answer::Status(report) => report.categories.first()?.generation,
            _ => None,
        }
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

fn activations() -> Vec<Activation> {
    let one = |name: &str, script: &str, on| Activation {
        name: name.to_owned(),
        hook: Hook {
            argv: ["/bin/sh", "-c", script].map(str::to_owned).into(),
            limit: PATIENCE,
        },
        on,
    };
    vec![
        one("fails", "echo no such table; exit 3", On::Backup),
        one("both", "echo $FENCEPOST_HOOK", On::Both),
        one("both-fail", "exit 4", On::Both),
        one("waits", "sleep 3", On::Backup),
    ]
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
            activations: activations(),
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

#[test]
fn commands_do_what_they_say() {
    let pair = Pair::settled(Hooks::default());
    let config = || Some(CategoryId::new("config").unwrap());
    let now = |full| Request::Now {
        category: config(),
        full,
        deletions: false,
        overwrite: false,
    };
    for full in [false, true] {
        let done = pair.a.ask(now(full)).unwrap();
        assert!(matches!(done.last(), Some(Answer::Done(_))), "{done:?}");
    }
    let refused = pair.b.ask(now(false)).unwrap_err().to_string();
    assert!(refused.contains("this node is Backup"), "{refused}");
    let verified = pair.a.ask(Request::Verify).unwrap();
    assert!(
        matches!(verified.last(), Some(Answer::Status(_))),
        "{verified:?}"
    );

    // A save of many files is one generation, and travels when it is complete.
    pair.a.ask(Request::Begin { category: None }).unwrap();
    fs::write(pair.a.at("app/f1"), "first of two").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(fs::read(pair.b.at("app/f1")).unwrap(), b"file 1");
    fs::write(pair.a.at("app/f2"), "second of two").unwrap();
    pair.a.ask(Request::Commit { category: None }).unwrap();
    pair.until_same();
    let id = CategoryId::new("config").unwrap();
    let Some(Answer::History(kept)) = pair
        .a
        .ask(Request::History {
            category: id.clone(),
        })
        .unwrap()
        .pop()
    else {
        panic!("no history");
    };
    assert_eq!(kept[0].changes, 2, "{kept:?}");

    // And back: by the node that holds what was overwritten, once its data counts.
    let rollback = |generation| Request::Rollback {
        category: id.clone(),
        generation,
    };
    let refused = pair
        .a
        .ask(rollback(kept[1].number))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("switch over"), "{refused}");
    pair.a.agent.says(BACKUP(2));
    pair.b.agent.says(ACTIVE(2));
    wait("b to serve", || pair.b.serves());
    let history = Request::History {
        category: id.clone(),
    };
    let Some(Answer::History(kept)) = pair.b.ask(history).unwrap().pop() else {
        panic!("no history");
    };
    let before = kept
        .iter()
        .skip_while(|one| one.changes != 2)
        .nth(1)
        .unwrap();
    pair.b.ask(rollback(before.number)).unwrap();
    pair.until_same();
    assert_eq!(fs::read(pair.a.at("app/f1")).unwrap(), b"file 1");
    pair.a.agent.says(ACTIVE(3));
    pair.b.agent.says(BACKUP(3));
    wait("a to serve", || pair.a.serves());

    let shown = pair
        .a
        .ask(Request::Diff {
            category: None,
            full: false,
        })
        .unwrap();
    let Some(Answer::Differences {
        count: 0,
        last: true,
        ..
    }) = shown.last()
    else {
        panic!("{shown:?}");
    };
}

fn run_by_name(node: &Node, name: &str) -> Result<(Option<Ended>, Option<Ended>), ClientError> {
    let name = name.to_owned();
    match node.ask(Request::Run { name })?.pop() {
        Some(Answer::Ran { here, backup }) => Ok((here, backup)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_runs_on_the_backup_by_name() {
    let pair = Pair::settled(Hooks::default());
    let ended = |code, output: &str| {
        let output = output.to_owned();
        Some(Ended { code, output })
    };
    let fails = run_by_name(&pair.a, "fails").unwrap();
    assert_eq!(fails, (None, ended(3, "no such table")));
    let both = run_by_name(&pair.a, "both").unwrap();
    assert_eq!(both, (ended(0, "activate"), ended(0, "activate")));
    // Failed here, not ordered there.
    let both = run_by_name(&pair.a, "both-fail").unwrap();
    assert_eq!(both, (ended(4, ""), None));
    let unknown = run_by_name(&pair.a, "nonsense").unwrap_err().to_string();
    assert_eq!(
        unknown,
        "no activation `nonsense`; configured here: fails, both, both-fail, waits"
    );
    let backup = run_by_name(&pair.b, "fails").unwrap_err().to_string();
    assert!(backup.contains("this node is Backup"), "{backup}");
}

#[test]
fn commands_run_one_at_a_time() {
    let pair = Pair::settled(Hooks::default());
    std::thread::scope(|scope| {
        // Whichever is first: the long one is asked for until it ran.
        let first = scope.spawn(|| {
            loop {
                match run_by_name(&pair.a, "waits") {
                    Ok(ended) => return ended,
                    Err(why) => assert!(why.to_string().contains("still running"), "{why}"),
                }
            }
        });
        let mut busy = false;
        wait("the refusal of a second one", || {
            busy |= run_by_name(&pair.a, "fails")
                .is_err_and(|why| why.to_string().contains("still running"));
            busy || first.is_finished()
        });
        assert_eq!(first.join().unwrap().1.unwrap().code, 0);
        assert!(busy, "nothing was refused while the first one ran");
    });
}

#[test]
fn a_backup_that_knows_a_newer_epoch_runs_nothing() {
    let pair = Pair::settled(Hooks::default());
    // Its agent knows; the session has not been told yet, or the connection ends: nothing runs either way.
    pair.b.agent.says(BACKUP(9));
    let refused = run_by_name(&pair.a, "fails").unwrap_err().to_string();
    let known = ["epoch 1 is over", "is not known", "no connection"];
    assert!(known.iter().any(|it| refused.contains(it)), "{refused}");
}
