//! A node: its files, and its service as a process. The process is this test's own program, told by its environment.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fencepost_sync::category::{Category, Contents, Exporter, Hooks, Source};
use fencepost_sync::category_id::CategoryId;
use fencepost_sync::client::Client;
use fencepost_sync::control::{Answer, Request};
use fencepost_sync::hooks::Hook;
use fencepost_sync::identity::Side;
use fencepost_sync::lineage::Epoch;
use fencepost_sync::policy::Policy;
use fencepost_sync::role::RoleSource;
use fencepost_sync::service::{Right, Spec, run};
use fencepost_sync::session::{Standing, State};
use fencepost_sync::settings::{HookPaths, Settings, Way};
use rustix::process::{Signal, set_parent_process_death_signal};

const PLACE: &str = "SYNC_KILL_PLACE";
const ROLE: &str = "SYNC_KILL_ROLE";
const ENDS: &str = "SYNC_KILL_ENDS";

/// What its agent says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It sends.
    Active,
    /// It takes.
    Backup,
}

impl RoleSource for Role {
    fn standing(&self) -> Standing {
        let epoch = Epoch(1);
        match self {
            Self::Active => Standing::Active { epoch },
            Self::Backup => Standing::Backup { epoch },
        }
    }
}

/// One node.
pub(crate) struct Node {
    place: PathBuf,
    /// Where it listens, and where the other does.
    ends: [SocketAddr; 2],
    child: Option<Child>,
}

/// The way to its service, and its tree.
pub(crate) struct Door {
    socket: PathBuf,
    pub(crate) tree: PathBuf,
}

/// Sender and receiver; neither runs.
pub(crate) fn pair(place: &Path) -> (Node, Node) {
    let port = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let (one, other) = (port(), port());
    let node = |name: &str, ends| {
        let place = place.join(name);
        fs::create_dir_all(place.join("state/export/config")).unwrap();
        let child = None;
        Node { place, ends, child }
    };
    (node("a", [one, other]), node("b", [other, one]))
}

impl Node {
    /// Starts its service, and waits until it has recovered and answers.
    pub(crate) fn start(&mut self, role: Role) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let child = command
            .args(["--exact", "--ignored", "--nocapture", "service"])
            .env(PLACE, &self.place)
            .env(ROLE, format!("{role:?}"))
            .env(ENDS, format!("{} {}", self.ends[0], self.ends[1]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
        super::wait("the socket", || self.state().is_some());
    }

    /// Kills it: SIGKILL, no farewell.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.place.join("state/export/config")
    }

    pub(crate) fn door(&self) -> Door {
        Door {
            socket: self.place.join("sync.sock"),
            tree: self.tree(),
        }
    }

    /// How its category is, and the number of its newest commit.
    pub(crate) fn state(&self) -> Option<(State, Option<u64>)> {
        self.door().state()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Door {
    fn ask(&self, request: Request) -> Option<Answer> {
        let mut last = None;
        let mut client = Client::connect(&self.socket).ok()?;
        client.ask(request, |answer| last = Some(answer)).ok()?;
        last
    }

    pub(crate) fn state(&self) -> Option<(State, Option<u64>)> {
        match self.ask(Request::Status)? {
            Answer::Status(report) => {
                let category = report.categories.into_iter().next()?;
                Some((category.state, category.generation))
            }
            _ => None,
        }
    }

    /// A save of many files begins; whether anybody heard.
    pub(crate) fn begin(&self) -> bool {
        self.ask(Request::Begin { category: None }).is_some()
    }

    /// It is complete; whether it was published.
    pub(crate) fn commit(&self) -> bool {
        self.ask(Request::Commit { category: None }).is_some()
    }
}

/// The service, as the environment says, until it is killed.
pub(crate) fn serve() {
    // None of them outlives a test that was ended.
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let told = |name: &str| std::env::var(name).unwrap();
    let place = PathBuf::from(told(PLACE));
    let role = match told(ROLE).as_str() {
        "Active" => Role::Active,
        _ => Role::Backup,
    };
    let ends: Vec<SocketAddr> = told(ENDS)
        .split(' ')
        .map(|end| end.parse().unwrap())
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let spec = spec(&place, role, ends[0], ends[1]);
    runtime
        .unwrap()
        .block_on(run(spec, Arc::new(role)))
        .unwrap();
}

fn spec(place: &Path, role: Role, local: SocketAddr, peer: SocketAddr) -> Spec {
    Spec {
        version: "0.1.0".to_owned(),
        side: match role {
            Role::Active => Side::Preferred,
            Role::Backup => Side::Other,
        },
        secrets: vec![core::array::from_fn(|at| u8::try_from(at).unwrap())],
        settings: Settings {
            ways: vec![Way {
                name: "ha".to_owned(),
                interface: None,
                local,
                peer,
            }],
            quiet: Duration::from_millis(5),
            hold: Duration::from_millis(100),
            scrub_every: Duration::from_secs(3600),
            history: 10,
            categories: vec![category()],
            socket: place.join("sync.sock"),
            activations: Vec::new(),
            hook_paths: HookPaths::default(),
        },
        state: place.join("state"),
        socket: place.join("sync.sock"),
        gate: Arc::new(|_, _, _| Right::Change),
        confined: None,
        ready: Box::new(|| ()),
    }
}

/// A directory that both find below their own state: two nodes on one host cannot share a path.
fn category() -> Category {
    let nothing = || Hook {
        argv: vec!["/bin/true".to_owned()],
        limit: Duration::from_secs(10),
    };
    Category {
        id: CategoryId::new("config").unwrap(),
        contents: Contents::Export(Exporter {
            source: Source::Command {
                export: nothing(),
                import: nothing(),
            },
            every: Duration::from_secs(3600),
        }),
        policy: Policy::default(),
        priority: 100,
        hooks: Hooks::default(),
    }
}
