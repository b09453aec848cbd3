//! A real agent as a process of this machine, holding a virtual board over a Unix socket.
//!
//! No kernel device and no network is touched. What if the bench dies? The agent is killed with the thread that started it.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fencepost::board::profile::DeadManKind;
use fencepost::board::{Board as Profile, RelayState};
use fencepost::control::{AgentStatus, Answer, Request};
use fencepost::control_client::Client;
use fencepost::node::Instant;
use fencepost::sim::{BoardFact, MoveCause, Options, VirtualBoard};

use crate::appliance::model::Model;
use crate::board::{Board, Clock, Ticker};
use crate::error::{AtPath, Result, RigError};
use crate::priority::above_all;
use crate::socket::{self, Server};
use crate::vhost::i2c::Shape;

/// For an agent to come to Normal, or a relay to move. Nothing waits for it unless something fails.
const LONG: Duration = Duration::from_secs(40);
/// How often something awaited is looked at.
const POLL: Duration = Duration::from_millis(2);

/// What the agent is told of its service manager's patience, microseconds.
const WATCHDOG_USEC: &str = "10000000";

/// How the agent is set.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// For the table.
    pub name: &'static str,
    /// Lines for `[dead_man]`; empty: the defaults.
    pub dead_man: &'static str,
    /// From one start of the check to the next, milliseconds; 0: no check.
    pub check_every_ms: u32,
}

/// A relay move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When the coil was told.
    pub commanded: Instant,
    /// When the contacts were at rest in their new place.
    pub rested: Instant,
}

/// The virtual board and whoever holds it.
pub struct Hardware {
    _server: Server,
    _ticker: Ticker,
    board: Arc<Mutex<VirtualBoard>>,
    clock: Clock,
    /// Monotonic time of this machine when the rig's clock was zero.
    zero: Duration,
    /// Segments in use, as the board counts them.
    segments: Vec<usize>,
}

/// An agent on its hardware.
pub struct Subject {
    /// Its board.
    pub hardware: Hardware,
    child: Option<Child>,
    _manager: Manager,
    program: PathBuf,
    folder: tempfile::TempDir,
}

/// Monotonic time of this machine, as programs see it.
pub fn monotonic() -> Duration {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(Duration::ZERO, Duration::from)
}

impl Hardware {
    /// A board on a socket.
    pub fn serve(profile: &Profile, segments: Vec<usize>, socket: &Path) -> Result<Self> {
        let clock = Clock::start();
        let zero = monotonic().saturating_sub(clock.now().since(Instant::ZERO));
        let virtual_board = Arc::new(Mutex::new(VirtualBoard::for_board(
            profile,
            Options::default(),
        )));
        let board = Board::new(virtual_board.clone(), clock);
        let (server, ticker) = above_all(|| {
            (
                socket::serve(socket, board.clone(), Shape::Plain),
                board.tick_every(Duration::from_millis(1)),
            )
        });
        Ok(Self {
            _server: server?,
            _ticker: ticker,
            board: virtual_board,
            clock,
            zero,
            segments,
        })
    }

    /// Now, on the board's clock.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// A monotonic time of this machine on the board's clock.
    pub fn at(&self, monotonic: Duration) -> Instant {
        Instant::ZERO + monotonic.saturating_sub(self.zero)
    }

    /// Waits until all segments in use are in a state. `false`: they are not, after a long time.
    pub fn wait(&self, mut good: impl FnMut(RelayState) -> bool) -> bool {
        let until = std::time::Instant::now() + LONG;
        loop {
            let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
            let done = self
                .segments
                .iter()
                .all(|segment| good(board.segment_state(*segment)));
            drop(board);
            if done || std::time::Instant::now() > until {
                return done;
            }
            std::thread::sleep(POLL);
        }
    }

    /// Forgets what was seen so far.
    pub fn forget(&self) {
        self.board
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take_log();
    }

    /// Waits until all segments in use have left Normal; the last of their moves. `None`: they did not.
    pub fn wait_cut(&self) -> Option<Seen> {
        let cut = |state| matches!(state, RelayState::Bypass | RelayState::Disconnect);
        if !self.wait(cut) {
            return None;
        }
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let log = board.take_log();
        let moves = log.into_iter().filter_map(|event| match event.fact {
            BoardFact::RelayMoved {
                segment,
                to,
                commanded_at,
                ..
            } if self.segments.contains(&segment) && cut(to) => Some(Seen {
                commanded: commanded_at,
                rested: event.at,
            }),
            _ => None,
        });
        moves.max_by_key(|seen| seen.rested)
    }

    /// Moves of segments in use since they were last forgotten: by the dead-man, and by orders.
    pub fn moves(&self) -> (usize, usize) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut expiries, mut orders) = (0, 0);
        for event in board.take_log() {
            match event.fact {
                BoardFact::RelayMoved { segment, cause, .. }
                    if self.segments.contains(&segment) =>
                {
                    match cause {
                        MoveCause::Expiry => expiries += 1,
                        _ => orders += 1,
                    }
                }
                _ => {}
            }
        }
        (expiries, orders)
    }
}

/// Takes what the agent tells its service manager, as systemd would.
struct Manager {
    stop: Arc<AtomicBool>,
}

impl Manager {
    fn listen(path: &Path) -> Result<Self> {
        let socket = UnixDatagram::bind(path).at("cannot listen on", path)?;
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .at("cannot listen on", path)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !stopped.load(Ordering::Relaxed) {
                let _ = socket.recv(&mut buffer);
            }
        });
        Ok(Self { stop })
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Subject {
    /// An agent's place; no agent yet.
    pub fn prepare(model: &Model, setting: Setting, program: &Path) -> Result<Self> {
        let wrong = |error: String| RigError::Input(format!("board {}: {error}", model.name));
        let profile = model.load().map_err(|error| wrong(error.to_string()))?;
        let segments: Option<Vec<usize>> = (0..model.segments.len())
            .map(|index| model.board_index(&profile, index))
            .collect();
        let segments =
            segments.ok_or_else(|| wrong(format!("no segments {:?}", model.segments)))?;
        let folder = tempfile::Builder::new()
            .prefix("hil-")
            .tempdir()
            .at("cannot make", "a folder for the agent")?;
        let hardware = Hardware::serve(&profile, segments, &folder.path().join("board"))?;
        let manager = Manager::listen(&folder.path().join("notify"))?;
        let subject = Self {
            hardware,
            child: None,
            _manager: manager,
            program: program.to_path_buf(),
            folder,
        };
        subject.write("site.toml", &subject.site(model, &profile, setting))?;
        subject.verdict("ok")?;
        Ok(subject)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let (draft, path) = (self.path(".draft"), self.path(name));
        std::fs::write(&draft, text).at("cannot write", &draft)?;
        std::fs::rename(&draft, &path).at("cannot write", &path)
    }

    fn site(&self, model: &Model, profile: &Profile, setting: Setting) -> String {
        let place = |name: &str| self.path(name).display().to_string();
        let mut text = format!("board = \"{}\"\n", model.profile);
        for (index, at) in model.segments.iter().enumerate() {
            text += &format!(
                "\n[[segment]]\nname = \"segment{index}\"\nat = \"{at}\"\nports = [\"bench{index}a\", \"bench{index}b\"]\n\
                 carrier_unwatched_because = \"the bench has no wires\"\ndwell_ms = 50\nrelink_ms = 0\ncloses_per_hour_max = 1000\n"
            );
        }
        // Without a dead-man there must be a watchdog; the machine's own must not be touched by a bench.
        let absent = profile.dead_man.kind == DeadManKind::Absent;
        let watchdog = if absent { "systemd" } else { "off" };
        text += &format!(
            "\n[dead_man]\n{}\n[watchdog]\nmode = \"{watchdog}\"\n\n[control]\nsocket = \"{}\"\n\n[state]\ndir = \"{}\"\nruntime_dir = \"{}\"\n\n[adapter]\nbus = \"unix:{}\"\n",
            setting.dead_man,
            place("control"),
            place("state"),
            place("run"),
            place("board"),
        );
        if setting.check_every_ms > 0 {
            let own = std::env::current_exe().unwrap_or_default();
            text += &format!(
                "\n[[check]]\nname = \"app\"\nkind = \"plugin\"\nargv = [\"{}\", \"verdict\", \"{}\", \"{}\"]\ninterval_ms = {}\ntimeout_ms = 1000\nrise = 1\nfall = 1\n",
                own.display(),
                place("verdict"),
                place("stamp"),
                setting.check_every_ms
            );
        }
        text
    }

    /// What the check says from now on: `ok` or `critical`.
    pub fn verdict(&self, verdict: &str) -> Result<()> {
        let _ = std::fs::remove_file(self.path("stamp"));
        self.write("verdict", verdict)
    }

    /// When the check first exited with its critical verdict.
    pub fn stamp(&self) -> Option<Instant> {
        let text = std::fs::read_to_string(self.path("stamp")).ok()?;
        let nanos: u64 = text.trim().parse().ok()?;
        Some(self.hardware.at(Duration::from_nanos(nanos)))
    }

    /// Starts the agent and waits until its relays are in Normal.
    pub fn start(&mut self) -> Result<()> {
        let log = self.path("agent.log");
        let output = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .at("cannot write", &log)?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(&self.program)
            .arg("--config")
            .arg(self.path("site.toml"))
            .args(["agent", "--uncommissioned"])
            .env("RUST_LOG", "warn")
            .env("NOTIFY_SOCKET", self.path("notify"))
            .env("WATCHDOG_USEC", WATCHDOG_USEC)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .at("cannot start", &self.program)?;
        self.child = Some(child);
        let mut ended = false;
        let child = &mut self.child;
        let there = self.hardware.wait(|state| {
            ended = child
                .as_mut()
                .is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            ended || state == RelayState::Normal
        });
        if there && !ended {
            return Ok(());
        }
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let said: Vec<&str> = said.lines().rev().take(6).collect();
        Err(RigError::Gone {
            what: "the way to Normal".to_owned(),
            reason: format!(
                "the agent said last:\n{}",
                said.into_iter().rev().collect::<Vec<_>>().join("\n")
            ),
        })
    }

    /// The agent's process.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Kills it; when.
    pub fn kill(&mut self) -> Instant {
        let at = self.hardware.now();
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        at
    }

    /// What it says of itself.
    pub fn status(&self) -> Option<AgentStatus> {
        let mut client = Client::connect(&self.path("control")).ok()?;
        match client.ask(Request::Status) {
            Ok(Answer::Status(status)) => Some(*status),
            _ => None,
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.kill();
    }
}
