//! One segment: two net-side cables, two host ports, and the bypass relay between them.
//!
//! ```text
//!              ┌── host A ── appliance ── host B ──┐
//!   net A ─────┤ Normal                    Normal  ├───── net B
//!              └─────────────  Bypass  ────────────┘          Disconnect: nothing is joined
//! ```
//!
//! Contract: the relay's contacts are asked once a millisecond; whatever moved them (agent, dead-man, fence), the wire follows. A move
//! drops carrier on the ports it touches, and frames pass again after `relink`: that part is physics. Contacts that are neither
//! (`Unknown`: moving, welded) join nothing. What a host sends while it is cut off is counted and goes nowhere.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use fencepost::board::RelayState;
use fencepost::node::Instant;
use serde::Serialize;

use super::traffic::{self, Via};
use super::{PATIENCE, SharedPort, Threads};
use crate::board::Clock;

/// How often the contacts are asked.
const POLL: Duration = Duration::from_millis(1);
/// Most moves that are remembered. A relay that does more than this is being worn out.
const MOVES_MAX: usize = 10_000;

/// A place where a cable ends at a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum End {
    /// Net side, port 0.
    NetA,
    /// Net side, port 1.
    NetB,
    /// Host's port 0.
    HostA,
    /// Host's port 1.
    HostB,
}

/// The cables of a segment.
pub struct Cables {
    /// Net side, port 0.
    pub net_a: SharedPort,
    /// Net side, port 1.
    pub net_b: SharedPort,
    /// Host's port 0.
    pub host_a: SharedPort,
    /// Host's port 1.
    pub host_b: SharedPort,
}

/// Asked for the contacts as they are.
pub type Contacts = Box<dyn FnMut() -> RelayState + Send>;
/// Told of carrier: which end, and whether it is there now.
pub type Carrier = Box<dyn FnMut(End, bool) + Send>;

/// What a segment is made of.
pub struct Setup {
    /// Number of the segment, 0 to 3, unique on its wire: numbered frames show their path by it.
    pub number: u8,
    /// Its cables.
    pub cables: Cables,
    /// Its relay.
    pub contacts: Contacts,
    /// Who shows carrier to the ports, as [`crate::qemu::Node::set_link`]. Called at the start for all four ends.
    pub carrier: Carrier,
    /// How long links take to come back after a move: 1.5 s on copper, 0 to see our own part alone.
    pub relink: Duration,
    /// The rig's clock.
    pub clock: Clock,
}

/// A move of the contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Move {
    /// When the wire followed.
    pub at: Instant,
    /// What the contacts then were.
    pub to: RelayState,
}

/// What a segment counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Frames from a host that reached the net.
    pub from_host: u64,
    /// Frames that crossed the bypass.
    pub bypassed: u64,
    /// Frames that a host sent while its relay was not `Normal`. They went nowhere.
    pub host_while_cut: u64,
    /// Frames lost because links were coming back after a move.
    pub while_relinking: u64,
}

#[derive(Default)]
struct Counters {
    from_host: AtomicU64,
    bypassed: AtomicU64,
    host_while_cut: AtomicU64,
    while_relinking: AtomicU64,
}

/// The relay as frames meet it.
#[derive(Clone, Copy)]
struct Joint {
    state: RelayState,
    linked_at: Instant,
}

struct Shared {
    number: u8,
    cables: Cables,
    clock: Clock,
    joint: RwLock<Joint>,
    moves: Mutex<Vec<Move>>,
    counters: Counters,
}

/// A working segment; ends with it.
pub struct Segment {
    shared: Arc<Shared>,
    threads: Threads,
}

impl Segment {
    /// Plugs everything in.
    pub fn start(setup: Setup) -> Self {
        let Setup {
            number,
            cables,
            mut contacts,
            carrier,
            relink,
            clock,
        } = setup;
        let state = contacts();
        let start = clock.now();
        let shared = Arc::new(Shared {
            number,
            cables,
            clock,
            joint: RwLock::new(Joint {
                state,
                linked_at: start,
            }),
            moves: Mutex::new(vec![Move {
                at: start,
                to: state,
            }]),
            counters: Counters::default(),
        });
        let mut threads = Threads::default();
        let link_orders = links(&mut threads, carrier, state);
        let theirs = Arc::clone(&shared);
        threads.run(move || {
            theirs.follow(contacts(), relink, &link_orders);
            std::thread::sleep(POLL);
            Ok(())
        });
        for end in [End::NetA, End::NetB, End::HostA, End::HostB] {
            let theirs = Arc::clone(&shared);
            threads.receive(shared.port(end), move |frame| theirs.pass(end, frame));
        }
        Self { shared, threads }
    }

    /// The contacts as the wire has them now.
    pub fn relay(&self) -> RelayState {
        self.shared.joint().state
    }

    /// All moves since the start, the first being what was found then.
    pub fn moves(&self) -> Vec<Move> {
        self.shared
            .moves
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Counts since the start.
    pub fn counts(&self) -> Counts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.shared.counters;
        Counts {
            from_host: load(&counters.from_host),
            bypassed: load(&counters.bypassed),
            host_while_cut: load(&counters.host_while_cut),
            while_relinking: load(&counters.while_relinking),
        }
    }

    /// Unplugs everything.
    pub fn end(mut self) {
        self.threads.end();
    }
}

impl Shared {
    fn joint(&self) -> Joint {
        *self.joint.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn port(&self, end: End) -> SharedPort {
        let cables = &self.cables;
        SharedPort::clone(match end {
            End::NetA => &cables.net_a,
            End::NetB => &cables.net_b,
            End::HostA => &cables.host_a,
            End::HostB => &cables.host_b,
        })
    }

    /// The contacts may have moved.
    fn follow(&self, state: RelayState, relink: Duration, orders: &Sender<LinkOrder>) {
        if state == self.joint().state {
            return;
        }
        let at = self.clock.now();
        let joint = Joint {
            state,
            linked_at: at + relink,
        };
        *self.joint.write().unwrap_or_else(PoisonError::into_inner) = joint;
        let mut moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        if moves.len() < MOVES_MAX {
            moves.push(Move { at, to: state });
        }
        let _ = orders.send(LinkOrder { state, relink });
    }

    /// One frame arrives at `from`.
    fn pass(&self, from: End, frame: &mut [u8]) {
        let joint = self.joint();
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        let counters = &self.counters;
        let from_host = matches!(from, End::HostA | End::HostB);
        let (to, via) = match (joint.state, from) {
            (RelayState::Normal, End::NetA) => (End::HostA, None),
            (RelayState::Normal, End::NetB) => (End::HostB, None),
            (RelayState::Normal, End::HostA) => (End::NetA, Some(Via::Host)),
            (RelayState::Normal, End::HostB) => (End::NetB, Some(Via::Host)),
            (RelayState::Bypass, End::NetA) => (End::NetB, Some(Via::Bypass)),
            (RelayState::Bypass, End::NetB) => (End::NetA, Some(Via::Bypass)),
            (_, End::HostA | End::HostB) => {
                count(&counters.host_while_cut);
                return;
            }
            (RelayState::Disconnect | RelayState::Unknown, _) => return,
        };
        if self.clock.now() < joint.linked_at {
            count(&counters.while_relinking);
            return;
        }
        if let Some(via) = via {
            count(if from_host {
                &counters.from_host
            } else {
                &counters.bypassed
            });
            traffic::stamp(frame, self.number, via);
        }
        self.port(to).send(frame);
    }
}

/// Links shall follow a move.
struct LinkOrder {
    state: RelayState,
    relink: Duration,
}

/// Whether an end has carrier once its links are back.
fn carrier_in(state: RelayState, end: End) -> bool {
    match state {
        RelayState::Normal => true,
        RelayState::Bypass => matches!(end, End::NetA | End::NetB),
        RelayState::Disconnect | RelayState::Unknown => false,
    }
}

/// A thread of its own for carrier: showing it to a slow machine must not keep the relay from being watched.
fn links(threads: &mut Threads, mut carrier: Carrier, start: RelayState) -> Sender<LinkOrder> {
    let (orders, inbox) = channel::<LinkOrder>();
    let mut show = move |state: RelayState, up: bool| {
        for end in [End::NetA, End::NetB, End::HostA, End::HostB] {
            if carrier_in(state, end) == up {
                carrier(end, up);
            }
        }
    };
    let mut first = Some(start);
    let mut coming: Option<(RelayState, std::time::Instant)> = None;
    threads.run(move || {
        if let Some(state) = first.take() {
            show(state, false);
            show(state, true);
        }
        let due = coming.map(|(_, due)| due.saturating_duration_since(std::time::Instant::now()));
        match inbox.recv_timeout(due.unwrap_or(PATIENCE).min(PATIENCE)) {
            Ok(LinkOrder { state, relink }) if relink.is_zero() => {
                show(state, false);
                show(state, true);
                coming = None;
            }
            Ok(LinkOrder { state, relink }) => {
                // Every link that runs through the relay is renegotiated, even one that is up before and after.
                show(RelayState::Disconnect, false);
                coming = Some((state, std::time::Instant::now() + relink));
            }
            Err(RecvTimeoutError::Timeout) => {
                let now = std::time::Instant::now();
                if let Some((state, _)) = coming.take_if(|(_, due)| *due <= now) {
                    show(state, true);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::new(
                    io::ErrorKind::BrokenPipe,
                    "the segment ended",
                ));
            }
        }
        Ok(())
    });
    orders
}

#[cfg(test)]
mod tests {
    use super::super::hub::Hub;
    use super::super::pipe::pipe;
    use super::super::traffic::Traffic;
    use super::*;

    /// Long, because the machine may be busy; nothing waits for it unless it fails.
    const LONG: Duration = Duration::from_secs(60);

    struct Rig {
        segment: Segment,
        traffic: Traffic,
        relay: Arc<Mutex<RelayState>>,
        carrier: Arc<Mutex<Vec<(End, bool)>>>,
        _appliance: Hub,
    }

    fn rig(relink: Duration) -> Rig {
        let clock = Clock::start();
        let [(net_a, a), (net_b, b), (host_a, in_a), (host_b, in_b)] = [(); 4].map(|()| pipe());
        let relay = Arc::new(Mutex::new(RelayState::Normal));
        let carrier = Arc::new(Mutex::new(Vec::new()));
        let (contacts, shown) = (Arc::clone(&relay), Arc::clone(&carrier));
        let segment = Segment::start(Setup {
            number: 0,
            cables: Cables {
                net_a,
                net_b,
                host_a,
                host_b,
            },
            contacts: Box::new(move || *contacts.lock().unwrap()),
            carrier: Box::new(move |end, up| shown.lock().unwrap().push((end, up))),
            relink,
            clock,
        });
        let traffic = Traffic::start(clock, &a, &b);
        Rig {
            segment,
            traffic,
            relay,
            carrier,
            _appliance: Hub::join(&[in_a, in_b]),
        }
    }

    impl Rig {
        fn turn(&self, to: RelayState) -> Instant {
            *self.relay.lock().unwrap() = to;
            let until = std::time::Instant::now() + LONG;
            while self.segment.relay() != to {
                assert!(
                    std::time::Instant::now() < until,
                    "the wire did not follow its relay"
                );
                std::thread::sleep(POLL);
            }
            self.traffic.clock().now()
        }

        fn wait_carrier(&self, expected: &[(End, bool)]) {
            let until = std::time::Instant::now() + LONG;
            let seen = || self.carrier.lock().unwrap().clone();
            while seen().len() < expected.len() && std::time::Instant::now() < until {
                std::thread::sleep(POLL);
            }
            assert_eq!(seen(), expected);
            self.carrier.lock().unwrap().clear();
        }
    }

    #[test]
    fn frames_go_where_the_relay_is() {
        let rig = rig(Duration::ZERO);
        let start = rig.traffic.clock().now();
        assert!(rig.traffic.wait_flowing(start, LONG));
        let normal = rig.traffic.report(start, rig.traffic.clock().now());
        assert!(normal.a_to_b.through_host[0] > 0 && normal.b_to_a.through_host[0] > 0);
        assert_eq!(
            normal.a_to_b.through_bypass[0] + normal.b_to_a.through_bypass[0],
            0
        );

        let bypassed = rig.turn(RelayState::Bypass);
        assert!(rig.traffic.wait_flowing(bypassed, LONG));
        let through = rig.traffic.report(bypassed, rig.traffic.clock().now());
        assert!(through.a_to_b.through_bypass[0] > 0 && through.b_to_a.through_bypass[0] > 0);
        assert_eq!(
            through.a_to_b.through_host[0] + through.b_to_a.through_host[0],
            0
        );

        let cut = rig.turn(RelayState::Disconnect);
        std::thread::sleep(Duration::from_millis(50));
        let dark = rig.traffic.report(cut, rig.traffic.clock().now());
        assert!(dark.a_to_b.sent > 0 && dark.b_to_a.sent > 0);
        assert_eq!((dark.a_to_b.came, dark.b_to_a.came), (0, 0));
        let states: Vec<RelayState> = rig.segment.moves().iter().map(|step| step.to).collect();
        assert_eq!(
            states,
            [
                RelayState::Normal,
                RelayState::Bypass,
                RelayState::Disconnect
            ]
        );
    }

    #[test]
    fn a_move_costs_carrier_on_every_port_it_touches() {
        use End::{HostA, HostB, NetA, NetB};
        let rig = rig(Duration::from_millis(200));
        rig.wait_carrier(&[(NetA, true), (NetB, true), (HostA, true), (HostB, true)]);
        let moved = rig.turn(RelayState::Bypass);
        rig.wait_carrier(&[
            (NetA, false),
            (NetB, false),
            (HostA, false),
            (HostB, false),
            (NetA, true),
            (NetB, true),
        ]);
        assert!(rig.traffic.wait_flowing(moved, LONG));
        let seen = rig.traffic.report(moved, rig.traffic.clock().now());
        assert!(
            seen.a_to_b.longest_gap_ms >= 150.0,
            "no time was spent relinking: {seen:?}"
        );
        assert!(rig.segment.counts().while_relinking > 0);
    }

    #[test]
    fn a_host_that_is_cut_reaches_nobody_and_is_counted() {
        let clock = Clock::start();
        let [(net_a, a), (net_b, _b), (host_a, in_a), (host_b, _in_b)] = [(); 4].map(|()| pipe());
        let segment = Segment::start(Setup {
            number: 0,
            cables: Cables {
                net_a,
                net_b,
                host_a,
                host_b,
            },
            contacts: Box::new(|| RelayState::Unknown),
            carrier: Box::new(|_, _| ()),
            relink: Duration::ZERO,
            clock,
        });
        in_a.send(&[0xff; 60]);
        let until = std::time::Instant::now() + LONG;
        while segment.counts().host_while_cut == 0 {
            assert!(
                std::time::Instant::now() < until,
                "the frame was not counted"
            );
            std::thread::sleep(POLL);
        }
        assert_eq!(a.receive(&mut [0; super::super::FRAME_MAX]).unwrap(), None);
        segment.end();
    }
}
