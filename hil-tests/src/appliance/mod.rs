//! One virtual appliance: a board of the matrix, its wires, and a QEMU machine that runs the real agent as its package installs it.
//!
//! Contract: the board and the wires outlive the machine; the machine may be paused, reset and cut from power at will. What is true of
//! the relays is asked of the board model, never of the agent. If the rig's process dies, machine and board go with it.

pub mod agent;
pub mod files;
pub mod guest_clock;
pub mod model;
mod power;
mod rest;
pub mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use fencepost::board::Board as Profile;
use fencepost::board::RelayState;
use fencepost::control::{Answer, Request};
use fencepost::node::Instant;
use fencepost::sim::port::HostPort;
use fencepost::sim::{BoardEvent, BoardFact, BoardFault, NotApplicable, Options, VirtualBoard};

use crate::board::{Board, Clock, Ticker};
use crate::channel::{Execution, Hello};
use crate::error::{AtPath, Result, RigError};
use crate::guest::{Image, disk};
use crate::outcome::Moment;
use crate::qemu::{Config, Node};
use crate::wire::cable::to_machine;
use crate::wire::pipe::pipe;
use crate::wire::segment::{Cables, End, Segment, Setup};
use crate::wire::traffic::Traffic;

use guest_clock::GuestClock;
use model::Model;

/// For a command in the guest. Generous: the machine may share its processors with a compiler.
pub const COMMAND: Duration = Duration::from_secs(60);
/// For a boot until the command channel answers.
pub const BOOT: Duration = Duration::from_secs(180);
/// How often something awaited is looked at.
pub const POLL: Duration = Duration::from_millis(10);

/// What may differ between appliances of one model.
#[derive(Debug, Clone)]
pub struct Setting {
    /// How long links take to come back after a relay moved.
    pub relink: Duration,
    /// Keep the machine's folder for a look afterwards.
    pub keep: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            relink: Duration::from_millis(1_500),
            keep: false,
        }
    }
}

/// Carrier of the machine's two ports, as last shown.
type Carrier = Arc<Mutex<[bool; 2]>>;

/// The appliance. Fields end in this order: wires before the machine they hang on.
pub struct Appliance {
    traffic: Traffic,
    segment: Segment,
    _ticker: Ticker,
    node: Arc<RwLock<Node>>,
    carrier: Carrier,
    virtual_board: Arc<Mutex<VirtualBoard>>,
    clock: Clock,
    model: Model,
    profile: Profile,
    /// Index on the board of each segment in use.
    in_use: Vec<usize>,
    image: Image,
    setting: Setting,
    hello: Option<Hello>,
    guest_clock: GuestClock,
    /// What the board reported since the scenario began.
    journal: Vec<BoardEvent>,
    /// What happened to the machine since the scenario began, milliseconds of rig time.
    machine_log: Vec<Moment>,
    /// When the scenario began.
    begun: std::time::Instant,
    faults: Vec<BoardFault>,
    folder: Option<tempfile::TempDir>,
}

impl Appliance {
    /// A wired appliance without power.
    pub fn new(model: Model, image: Image, setting: Setting) -> Result<Self> {
        let input = |error: String| RigError::Input(format!("board {}: {error}", model.name));
        let profile = model.load().map_err(|error| input(error.to_string()))?;
        let in_use: Option<Vec<usize>> = (0..model.segments.len())
            .map(|segment| model.board_index(&profile, segment))
            .collect();
        let in_use = in_use
            .ok_or_else(|| input(format!("no segments {:?} in its profile", model.segments)))?;
        let folder = tempfile::Builder::new()
            .prefix("hil-")
            .tempdir()
            .at("cannot make", "a folder for the machine")?;
        let config = Config {
            command_line: "panic=1".to_owned(),
            ..Config::new(0, folder.path())
        };

        let clock = Clock::start();
        let virtual_board = Arc::new(Mutex::new(VirtualBoard::for_board(
            &profile,
            Options::default(),
        )));
        let board = Board::new(virtual_board.clone(), clock);
        let cables = [0, 1].map(|port| config.cable(port));
        let node = Arc::new(RwLock::new(Node::new(
            config,
            image.clone(),
            board.clone(),
        )?));
        let [host_a, host_b] = cables.map(|(theirs, ours)| to_machine((&theirs, &ours)));
        let [(net_a, source_a), (net_b, source_b)] = [(); 2].map(|()| pipe());
        let carrier = Carrier::default();
        let segment = Segment::start(Setup {
            number: 0,
            cables: Cables {
                net_a,
                net_b,
                host_a: host_a?,
                host_b: host_b?,
            },
            contacts: contacts(&virtual_board, in_use.first().copied().unwrap_or(0)),
            carrier: show_carrier(&node, &carrier),
            relink: setting.relink,
            clock,
        });
        Ok(Self {
            traffic: Traffic::start(clock, &source_a, &source_b),
            segment,
            _ticker: board.tick_every(Duration::from_millis(1)),
            node,
            carrier,
            virtual_board,
            clock,
            model,
            profile,
            in_use,
            image,
            setting,
            hello: None,
            guest_clock: GuestClock::default(),
            journal: Vec::new(),
            machine_log: Vec::new(),
            begun: std::time::Instant::now(),
            faults: Vec::new(),
            folder: Some(folder),
        })
    }

    /// Which board of the matrix.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Its profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Now, on the rig's clock.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The numbered frames.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// How long links take to come back.
    pub fn relink(&self) -> Duration {
        self.setting.relink
    }

    /// Number of segments in use.
    pub fn segments(&self) -> usize {
        self.in_use.len()
    }

    /// Index on the board of a segment in use.
    pub fn on_board(&self, segment: usize) -> usize {
        self.in_use.get(segment).copied().unwrap_or(0)
    }

    /// True contacts of a segment in use, now.
    pub fn relay(&self, segment: usize) -> RelayState {
        let now = self.now();
        let mut board = self.board_model();
        board.tick(now);
        board.segment_state(self.on_board(segment))
    }

    /// True contacts of all segments in use.
    pub fn relays(&self) -> Vec<RelayState> {
        (0..self.segments())
            .map(|segment| self.relay(segment))
            .collect()
    }

    /// Lets a fault of the board begin. All end when the appliance is brought to rest.
    pub fn inject(&mut self, fault: BoardFault) -> std::result::Result<(), NotApplicable> {
        let now = self.now();
        self.board_model().inject(now, fault.clone())?;
        self.faults.push(fault);
        Ok(())
    }

    /// Ends all faults of the board.
    pub fn clear_faults(&mut self) {
        for fault in std::mem::take(&mut self.faults) {
            let now = self.now();
            // What could begin can end.
            let _ = self.board_model().clear(now, fault);
        }
    }

    /// What the board reported since [`Appliance::begin`], oldest first; kicks included.
    pub fn journal(&mut self) -> &[BoardEvent] {
        let news = self.board_model().take_log();
        self.journal.extend(news);
        &self.journal
    }

    /// Moves of the segments in use since `since`: when, which segment in use, where to.
    pub fn moves_since(&mut self, since: Instant) -> Vec<(Instant, usize, RelayState)> {
        let in_use = self.in_use.clone();
        let place = move |on_board: usize| in_use.iter().position(|known| *known == on_board);
        let moved = |event: &BoardEvent| match event.fact {
            BoardFact::RelayMoved { segment, to, .. } if event.at >= since => {
                Some((event.at, place(segment)?, to))
            }
            _ => None,
        };
        self.journal().iter().filter_map(moved).collect()
    }

    /// Moves of the first segment as its wire followed them since `since`: the rig's own lateness included, as frames met it.
    pub fn wire_moves_since(&self, since: Instant) -> Vec<(Instant, RelayState)> {
        self.segment
            .moves()
            .into_iter()
            .filter(|moved| moved.at >= since)
            .map(|moved| (moved.at, moved.to))
            .collect()
    }

    /// Forgets what was reported: a scenario begins.
    pub fn begin(&mut self) {
        self.journal();
        self.journal.clear();
        self.machine_log.clear();
        self.begun = std::time::Instant::now();
    }

    /// Runs a program in the guest.
    pub fn exec(&self, argv: &[&str], timeout: Duration) -> Result<Execution> {
        self.machine().guest()?.exec(argv, timeout)
    }

    /// What the agent answers over its control socket; nothing, if none does.
    pub fn ask(&self, request: Request) -> Result<Vec<Answer>> {
        self.machine().guest()?.ask(request)
    }

    /// Runs a shell script in the guest; its standard output if it succeeds.
    pub fn shell(&self, script: &str) -> Result<String> {
        self.machine().guest()?.shell(script, COMMAND)
    }

    /// Writes a file in the guest.
    pub fn write(&self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.machine().guest()?.write(path, mode, content)
    }

    fn machine(&self) -> RwLockReadGuard<'_, Node> {
        self.node.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn board_model(&self) -> MutexGuard<'_, VirtualBoard> {
        self.virtual_board
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A new disk for the next power-on.
    fn new_disk(&self) -> Result<()> {
        let path = self.machine().config().disk();
        disk::create(&self.image, &path, &files::all(&self.model, &path)?)
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        // Otherwise it goes last, by itself: the servers in it end by way of their sockets.
        if self.setting.keep
            && let Some(folder) = self.folder.take()
        {
            eprintln!("hil: kept {}", folder.keep().display());
        }
    }
}

fn contacts(board: &Arc<Mutex<VirtualBoard>>, segment: usize) -> crate::wire::segment::Contacts {
    let board = Arc::clone(board);
    Box::new(move || {
        board
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .segment_state(segment)
    })
}

/// Shows carrier to the machine's ports, and remembers it for one that has no power now.
fn show_carrier(node: &Arc<RwLock<Node>>, shown: &Carrier) -> crate::wire::segment::Carrier {
    let (node, shown) = (Arc::clone(node), Arc::clone(shown));
    Box::new(move |end, up| {
        let port = match end {
            End::HostA => 0,
            End::HostB => 1,
            End::NetA | End::NetB => return,
        };
        shown.lock().unwrap_or_else(PoisonError::into_inner)[port] = up;
        // Without power there is nobody to show it to.
        let _ = node
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .set_link(port, up);
    })
}
