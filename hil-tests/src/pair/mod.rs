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

pub mod agent;
pub mod by_hand;
pub mod contest;
pub mod film;
mod namespace;
pub mod scenario;
pub mod trial;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fencepost::board::{RelayState, catalogue};
use fencepost::config::pair::STANDARD_PORT;
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
use crate::wire::hub::{Hub, Passes};
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
    silence: [Arc<Silence>; 2],
    _boards: Ticking,
    _switches: [Hub; 3],
    _folder: tempfile::TempDir,
}

/// Where the heartbeats of one side are lost.
#[derive(Default)]
struct Silence {
    cable: AtomicBool,
    network: AtomicBool,
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
    ports: [Arc<Veth>; 2],
    cable: Arc<Veth>,
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
        let silence: [Arc<Silence>; 2] = Default::default();
        let through = |over: fn(&Silence) -> &AtomicBool| -> Passes {
            let silence = silence.clone();
            Arc::new(move |port, frame: &[u8]| {
                let from = silence.get(port);
                let silent = from.is_some_and(|from| over(from).load(Ordering::Relaxed));
                !(silent && is_heartbeat(frame))
            })
        };
        let cables = [a.cable, b.cable].map(|end| end as SharedPort);
        // They carry what the agents judge each other by: a busy rig must not look like a broken wire.
        let switches = above_all(|| {
            [
                Hub::filter(&[a.lan, b.lan, asked], &through(|from| &from.network)),
                Hub::filter(&cables, &through(|from| &from.cable)),
                Hub::join(&[a.wan, b.wan]),
            ]
        });
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
            silence,
            _boards: boards,
            _switches: switches,
            _folder: folder,
        })
    }

    /// Now.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Whether heartbeats that leave one side are lost, on the direct cable and in the network. All else passes.
    pub fn silence(&self, from: usize, silent: bool) {
        self.silence[from].cable.store(silent, Ordering::Relaxed);
        self.silence[from].network.store(silent, Ordering::Relaxed);
    }

    /// Whether the direct cable is plugged in.
    ///
    /// # Errors
    /// The kernel says no.
    pub fn plug_cable(&self, plugged: bool) -> Result<()> {
        self.sides
            .iter()
            .try_for_each(|side| side.cable.set_link(plugged))
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

    /// Carrier of its data port 0 or 1. A move of the relay decides anew.
    ///
    /// # Errors
    /// The kernel says no.
    pub fn carrier(&self, port: usize, up: bool) -> Result<()> {
        self.ports[port].set_link(up)
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

/// UDP to the standard port, in IPv4 without options.
fn is_heartbeat(frame: &[u8]) -> bool {
    const TYPE_IPV4: [u8; 2] = [0x08, 0x00];
    const UDP: u8 = 17;
    let is = |at: usize, bytes: &[u8]| frame.get(at..at + bytes.len()) == Some(bytes);
    is(12, &TYPE_IPV4) && is(23, &[UDP]) && is(36, &STANDARD_PORT.to_be_bytes())
}

/// A side and the net ends of its segment.
struct Plugged {
    side: Side,
    lan: SharedPort,
    wan: SharedPort,
    cable: Arc<Veth>,
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
        let cable = Veth::create(&ours("h"), namespace.name(), "ha0")?;
        let mac = namespace.mac("lan0")?;
        let ((net_a, lan), (net_b, wan)) = (pipe(), pipe());
        let contacts = Arc::clone(&board);
        let ports = [Arc::clone(&host_a), Arc::clone(&host_b)];
        let carriers = ports.clone();
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
                    End::HostA => carriers[0].set_link(up),
                    End::HostB => carriers[1].set_link(up),
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
            ports,
            cable: Arc::clone(&cable),
            _server: server,
        };
        Ok(Self {
            side,
            lan,
            wan,
            cable,
        })
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
