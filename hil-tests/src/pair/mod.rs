//! Two appliances at native speed, side by side: two network namespaces, two virtual boards with a fence cable, one network with a
//! neighbour that asks for the vip each millisecond.
//!
//! ```text
//!              ┌─ lan0 ─ relay ─┐                 ┌─ relay ─ lan0 ─┐
//!  namespace a ┤                ├─ switch 1 ── neighbour           ├ namespace b
//!              ├─ wan0 ─ relay ─┴─ switch 2 ──────┴─ relay ─ wan0 ─┤
//!              ├─ ha0 ─────────── direct cable ─────────────── ha0 ┤
//!              └─ board a ═══════ fence cable ═══════════ board b ─┘
//! ```
//!
//! Contract: what is true of relays is asked of the boards, what is true of the vip is what the neighbour saw. Needs root (namespaces,
//! raw sockets). What if the rig dies? Its processes go with it; a namespace left behind has a name that says whose it was.

mod namespace;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fencepost::board::{RelayState, catalogue};
use fencepost::node::Instant;
use fencepost::sim::fence_cable::{FenceCable, Wire};
use fencepost::sim::port::HostPort;
use fencepost::sim::{Options, VirtualBoard};
use fencepost_firmware::{Rank, Strapping};

use crate::board::{Board, Clock};
use crate::error::{AtPath, Result, RigError};
use crate::priority::above_all;
use crate::socket::{self, Server};
use crate::vhost::i2c::Shape;
use crate::wire::SharedPort;
use crate::wire::hub::Hub;
use crate::wire::neighbour::{Mac, Neighbour, Setup as Questions};
use crate::wire::pipe::pipe;
use crate::wire::segment::{Cables, End, Segment, Setup};
use crate::wire::veth::Veth;

pub use namespace::Namespace;

/// The address that moves.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Of the neighbour.
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
/// Between two looks of the boards at their timers and at the fence cable.
const TICK: Duration = Duration::from_micros(250);
/// Of the fence cable: an optocoupler.
const CABLE_DELAY: Duration = Duration::from_micros(50);

/// Two appliances and what lies between them.
pub struct Bed {
    /// Everything here is on this clock.
    pub clock: Clock,
    /// The appliances.
    pub sides: [Side; 2],
    /// Who asks for the vip.
    pub neighbour: Neighbour,
    cable: Arc<Mutex<FenceCable>>,
    _boards: Ticking,
    _switches: [Hub; 2],
    _folder: tempfile::TempDir,
}

/// One appliance's place: no agent yet.
pub struct Side {
    /// Where its agent runs.
    pub namespace: Namespace,
    /// Where its files are.
    pub folder: PathBuf,
    /// Hardware address of `lan0`.
    pub mac: Mac,
    board: Arc<Mutex<VirtualBoard>>,
    segment: Segment,
    _server: Server,
}

/// Keeps both boards and the cable between them going; ends with it.
struct Ticking {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bed {
    /// Builds it. Links come back at once after a relay moved: what is measured is our own part.
    ///
    /// # Errors
    /// Without the right to make namespaces, or the tools to.
    pub fn build() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("hil-pair-")
            .tempdir()
            .at("cannot make", "a folder for the pair")?;
        let clock = Clock::start();
        let a = Plugged::new('a', Rank::Preferred, folder.path(), clock)?;
        let b = Plugged::new('b', Rank::Ordinary, folder.path(), clock)?;
        a.side.namespace.cable("ha0", &b.side.namespace, "ha0")?;
        for (number, side) in (1..).zip([&a.side, &b.side]) {
            side.namespace
                .address("ha0", &format!("198.51.100.{number}/30"))?;
            side.namespace
                .address("lan0", &format!("192.0.2.{}/24", number + 1))?;
        }
        let cable = Arc::new(Mutex::new(FenceCable::new(CABLE_DELAY)));
        let boards = [Arc::clone(&a.side.board), Arc::clone(&b.side.board)];
        let boards = above_all(|| Ticking::start(clock, boards, Arc::clone(&cable)));
        let (asked, neighbour) = pipe();
        let switches = [
            Hub::join(&[a.lan, b.lan, asked]),
            Hub::join(&[a.wan, b.wan]),
        ];
        let neighbour = Neighbour::start(
            clock,
            &neighbour,
            Questions {
                address: NEIGHBOUR,
                vip: VIP,
                owners: vec![a.side.mac, b.side.mac],
            },
        );
        Ok(Self {
            clock,
            sides: [a.side, b.side],
            neighbour,
            cable,
            _boards: boards,
            _switches: switches,
            _folder: folder,
        })
    }

    /// Now.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Breaks or mends the wires that leave one board.
    pub fn fence_wire(&self, from: usize, wire: Wire) {
        lock(&self.cable).set_wire(from, wire);
    }
}

impl Side {
    /// The relay's contacts.
    pub fn relay(&self) -> RelayState {
        lock(&self.board).segment_state(0)
    }

    /// What the wire has seen of the relay.
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Where the board is served.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("board")
    }

    /// The board, held still.
    pub fn board(&self) -> MutexGuard<'_, VirtualBoard> {
        lock(&self.board)
    }
}

/// A side and the net ends of its segment.
struct Plugged {
    side: Side,
    lan: SharedPort,
    wan: SharedPort,
}

impl Plugged {
    fn new(name: char, rank: Rank, folder: &Path, clock: Clock) -> Result<Self> {
        let folder = folder.join(name.to_string());
        std::fs::create_dir(&folder).at("cannot make", &folder)?;
        let namespace = Namespace::add(&format!("fencepost-{}-{name}", std::process::id()))?;
        let board = Arc::new(Mutex::new(board(rank)?));
        let served = Board::new(board.clone(), clock);
        let server = above_all(|| socket::serve(&folder.join("board"), served, Shape::Plain))?;
        // Names of links are fifteen bytes at most, and those of the rig's own ends are this machine's.
        let ours = |port: &str| format!("fp{}{name}{port}", std::process::id() % 1_000_000);
        let host_a = Veth::create(&ours("l"), namespace.name(), "lan0")?;
        let host_b = Veth::create(&ours("w"), namespace.name(), "wan0")?;
        let mac = namespace.mac("lan0")?;
        let ((net_a, lan), (net_b, wan)) = (pipe(), pipe());
        let contacts = Arc::clone(&board);
        let carriers = (Arc::clone(&host_a), Arc::clone(&host_b));
        let segment = Segment::start(Setup {
            number: 0,
            cables: Cables {
                net_a,
                net_b,
                host_a,
                host_b,
            },
            contacts: Box::new(move || lock(&contacts).segment_state(0)),
            carrier: Box::new(move |end, up| {
                let shown = match end {
                    End::HostA => carriers.0.set_link(up),
                    End::HostB => carriers.1.set_link(up),
                    End::NetA | End::NetB => Ok(()),
                };
                if let Err(error) = shown {
                    tracing::warn!("carrier of {end:?}: {error}");
                }
            }),
            relink: Duration::ZERO,
            clock,
        });
        let side = Side {
            namespace,
            folder,
            mac,
            board,
            segment,
            _server: server,
        };
        Ok(Self { side, lan, wan })
    }
}

fn board(rank: Rank) -> Result<VirtualBoard> {
    let wrong = |error: String| RigError::Input(format!("the pair's boards: {error}"));
    let profile = catalogue::load(&[], "reference").map_err(|error| wrong(error.to_string()))?;
    let strapping = Strapping::parallel(1).map_err(|error| wrong(error.to_string()))?;
    let options = Options {
        seed: rank as u64 + 1,
        strapping: Some(strapping.with_rank(rank)),
        ..Options::default()
    };
    Ok(VirtualBoard::for_board(&profile, options))
}

impl Ticking {
    fn start(
        clock: Clock,
        boards: [Arc<Mutex<VirtualBoard>>; 2],
        cable: Arc<Mutex<FenceCable>>,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                {
                    let [mut a, mut b] = [lock(&boards[0]), lock(&boards[1])];
                    let now = clock.now();
                    a.tick(now);
                    b.tick(now);
                    lock(&cable).carry(now, [&mut a, &mut b]);
                }
                std::thread::sleep(TICK);
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
