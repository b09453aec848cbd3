//! Two appliances side by side: two virtual boards with a fence cable, and one network with a neighbour that asks for the vip again
//! and again.
//!
//! ```text
//!           ┌─ lan ─ relay ─┐                 ┌─ relay ─ lan ─┐
//!    host a ┤               ├─ switch 1 ── neighbour          ├ host b
//!           ├─ wan ─ relay ─┴─ switch 2 ──────┴─ relay ─ wan ─┤
//!           ├─ ha ─────────── direct cable ─────────────── ha ┤
//!           └─ board a ══════ fence cable ═══════════ board b ┘
//! ```
//!
//! That is the usual [`cabling`]; there are others. Two beds have these wires in common and differ in what a [`host::Host`] is: a network namespace at native speed ([`native`]), or a
//! machine with a kernel of its own ([`machine`]).
//!
//! Contract: what is true of relays is asked of the boards, what is true of the vip is what the neighbour saw. What if the rig dies? Its
//! processes and machines go with it; a namespace left behind has a name that says whose it was.

pub mod agent;
mod boards;
pub mod by_hand;
pub mod cabling;
pub mod contest;
pub mod film;
pub mod host;
pub mod machine;
pub(crate) mod namespace;
pub mod native;
pub mod scenario;
pub mod site;
pub mod sync_service;
pub mod trial;
pub mod watch;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use fencepost::board::RelayState;
use fencepost::config::pair::STANDARD_PORT;
use fencepost::node::Instant;
use fencepost::sim::VirtualBoard;
use fencepost::sim::fence_cable::Wire;

use crate::board::Clock;
use crate::error::Result;
use crate::priority::above_all;
use crate::wire::SharedPort;
use crate::wire::hub::{Hub, Passes};
use crate::wire::intruder::Intruder;
use crate::wire::neighbour::{Mac, Neighbour, Setup as Questions};
use crate::wire::pipe::pipe;
use crate::wire::segment::{Cables, End, Segment, Setup};

use boards::{SharedBoard, SharedCable, Ticking, lock};

pub use cabling::Cabling;
pub use namespace::Namespace;
pub use watch::Watch;

/// The address that moves.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Of the neighbour.
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);

/// Two appliances' boards, and what lies between them.
pub struct Bed {
    /// Everything here is on this clock.
    pub clock: Clock,
    /// The appliances.
    pub sides: [Side; 2],
    /// Who asks for the vip.
    pub neighbour: Neighbour,
    /// Who listens to the heartbeats on the direct cable.
    pub intruder: Intruder,
    cable: SharedCable,
    silence: [Arc<Silence>; 2],
    _boards: Ticking,
    _switches: Vec<Hub>,
    _folder: tempfile::TempDir,
}

/// Where the heartbeats of one side are lost.
#[derive(Default)]
struct Silence {
    cable: AtomicBool,
    network: AtomicBool,
}

/// A port of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// The segment's first: the vip is there.
    Lan,
    /// The segment's second.
    Wan,
    /// The direct cable's.
    Ha,
}

/// Shows carrier to a port of a host.
pub type Carrier = Arc<dyn Fn(Port, bool) -> Result<()> + Send + Sync>;

/// A host's cable ends, before anything is wired.
pub struct Ports {
    /// Ends of the cables into it.
    pub lan: SharedPort,
    /// See [`Port::Wan`].
    pub wan: SharedPort,
    /// See [`Port::Ha`].
    pub ha: SharedPort,
    /// Hardware address of its lan port.
    pub mac: Mac,
    /// Their carrier.
    pub carrier: Carrier,
}

/// One appliance's board and wires.
pub struct Side {
    /// Hardware address of its lan port.
    pub mac: Mac,
    board: SharedBoard,
    segment: Segment,
    carrier: Carrier,
}

impl Bed {
    /// Wires two hosts. Links come back at once after a relay moved: what is measured is our own part. `question_every`: the neighbour's
    /// pace. `folder` goes with the bed.
    fn wire(
        clock: Clock,
        cabling: Cabling,
        boards: [SharedBoard; 2],
        hosts: [Ports; 2],
        question_every: Duration,
        folder: tempfile::TempDir,
    ) -> Self {
        let [ours, theirs] = boards.clone();
        let [a, b] = hosts;
        let (tapped, intruder) = pipe();
        let heartbeats = [&a.ha, &b.ha, &tapped].map(SharedPort::clone);
        let (a, b) = (Plugged::new(a, ours, clock), Plugged::new(b, theirs, clock));
        let cable = boards::cable();
        let ticking = above_all(|| Ticking::start(clock, boards, Arc::clone(&cable)));
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
        // They carry what the agents judge each other by: a busy rig must not look like a broken wire.
        let switches = above_all(|| {
            let lan = through(|from| &from.network);
            let mut hubs = cabling.switches([a.lan, a.wan], [b.lan, b.wan], asked, &lan);
            hubs.push(Hub::filter(&heartbeats, &through(|from| &from.cable)));
            hubs
        });
        let neighbour = Neighbour::start(
            clock,
            &neighbour,
            Questions {
                address: NEIGHBOUR,
                vip: VIP,
                owners: vec![a.side.mac, b.side.mac],
                every: question_every,
            },
        );
        Self {
            clock,
            sides: [a.side, b.side],
            neighbour,
            intruder: Intruder::listen(&intruder, is_heartbeat),
            cable,
            silence,
            _boards: ticking,
            _switches: switches,
            _folder: folder,
        }
    }

    /// Now.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// For another thread to look with.
    pub fn watch(&self) -> Watch {
        let boards = self.sides.each_ref().map(|side| Arc::clone(&side.board));
        Watch::new(self.clock, boards, self.neighbour.eye())
    }

    /// Whether heartbeats that leave one side are lost, on the direct cable and in the network. All else passes.
    pub fn silence(&self, from: usize, silent: bool) {
        self.silence[from].cable.store(silent, Ordering::Relaxed);
        self.silence[from].network.store(silent, Ordering::Relaxed);
    }

    /// Whether the direct cable is plugged in.
    ///
    /// # Errors
    /// The host's kernel or machine says no.
    pub fn plug_cable(&self, plugged: bool) -> Result<()> {
        self.sides
            .iter()
            .try_for_each(|side| side.carrier(Port::Ha, plugged))
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

    /// Carrier of a port. A move of the relay decides anew for its two.
    ///
    /// # Errors
    /// The host's kernel or machine says no.
    pub fn carrier(&self, port: Port, up: bool) -> Result<()> {
        (self.carrier)(port, up)
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
}

impl Plugged {
    fn new(host: Ports, board: SharedBoard, clock: Clock) -> Self {
        let ((net_a, lan), (net_b, wan)) = (pipe(), pipe());
        let (contacts, carriers) = (Arc::clone(&board), Arc::clone(&host.carrier));
        let segment = Segment::start(Setup {
            number: 0,
            cables: Cables {
                net_a,
                net_b,
                host_a: host.lan,
                host_b: host.wan,
            },
            contacts: Box::new(move || lock(&contacts).segment_state(0)),
            carrier: Box::new(move |end, up| {
                let shown = match end {
                    End::HostA => carriers(Port::Lan, up),
                    End::HostB => carriers(Port::Wan, up),
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
            mac: host.mac,
            board,
            segment,
            carrier: host.carrier,
        };
        Self { side, lan, wan }
    }
}
