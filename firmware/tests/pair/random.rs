//! Random worlds: late, repeated and lost orders, power cuts, broken cables, stuck relays, dead hosts.
//!
//! Every close is claimed with `Fenced`. Whatever happens, at no instant are both nodes connected.

use fencepost_firmware::{Command, CutState, Proof, Reply, SegmentMask, Strapping, TimerState};

use crate::world::{A, B, World};

const WORLDS: u64 = 200;
const STEPS_MS: u32 = 5_000;

#[test]
fn never_both_connected_parallel() {
    let totals = run_worlds(0..WORLDS, || Strapping::parallel(2).expect("parallel"));
    assert_worth_something(&totals);
}

#[test]
fn never_both_connected_series() {
    let totals = run_worlds(WORLDS..2 * WORLDS, || Strapping::series(2).expect("series"));
    assert_worth_something(&totals);
}

/// A test of safety that never closes a relay proves nothing.
fn assert_worth_something(totals: &Totals) {
    assert!(
        totals.closes[A] > 100 && totals.closes[B] > 100,
        "{totals:?}"
    );
    assert!(totals.late_closes_refused > 300, "{totals:?}");
    assert!(totals.takeovers > 100, "{totals:?}");
}

#[derive(Debug, Default)]
struct Totals {
    closes: [u32; 2],
    late_closes_refused: u32,
    takeovers: u32,
}

fn run_worlds(seeds: std::ops::Range<u64>, strapping: impl Fn() -> Strapping) -> Totals {
    let mut totals = Totals::default();
    for seed in seeds {
        let mut chaos = Chaos::new(World::new(&strapping), seed);
        for _ in 0..STEPS_MS {
            chaos.step(&mut totals);
            assert!(
                !(chaos.world.connected(A) && chaos.world.connected(B)),
                "seed {seed}: both connected at {} ms",
                chaos.world.now
            );
        }
    }
    totals
}

struct Chaos {
    world: World,
    random: Random,
    hosts: [Host; 2],
    in_flight: Vec<InFlight>,
    last_closed: Option<usize>,
}

/// A host that claims by the book, but whose orders arrive whenever they like.
#[derive(Clone, Copy, Default)]
struct Host {
    dead: bool,
    ticket: Option<u32>,
    close_sent: bool,
    patience_ms: u32,
}

struct InFlight {
    node: usize,
    arrives_at: u64,
    command: Command,
}

impl Chaos {
    fn new(world: World, seed: u64) -> Self {
        let random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        Self {
            world,
            random,
            hosts: [Host::default(); 2],
            in_flight: Vec::new(),
            last_closed: None,
        }
    }

    fn step(&mut self, totals: &mut Totals) {
        self.world.step();
        self.faults();
        for node in [A, B] {
            self.host(node);
        }
        self.arrivals(totals);
    }

    fn faults(&mut self) {
        let node = self.random.below(2) as usize;
        match self.random.below(2_000) {
            0 => self.world.power_down(node),
            1..=4 => self.world.cables[node].intact ^= true,
            5..=40 => self.world.cables[node].intact = true,
            41 => self.hosts[node].dead ^= true,
            42..=60 => self.hosts[node].dead = false,
            61 => self.world.boards[node].relays[0].stuck = true,
            62..=80 => self.world.boards[node].relays[0].stuck = false,
            81 => self.send(node, Command::Release, 400),
            82..=84 => {
                let state = self.world.boards[node].outputs().relays[0].as_cut();
                let state = state.unwrap_or(CutState::Bypass);
                self.send(
                    node,
                    Command::Cut {
                        segments: SegmentMask::first(2),
                        state,
                    },
                    50,
                );
            }
            _ => {}
        }
        let unpowered = self.world.boards[node].controller.is_none();
        if unpowered && self.random.below(100) == 0 {
            self.world.power_up(node);
            self.hosts[node] = Host::default();
        }
    }

    /// One look of a host at its own controller.
    fn host(&mut self, node: usize) {
        let Some(controller) = &self.world.boards[node].controller else {
            return;
        };
        if self.hosts[node].dead {
            return;
        }
        let (session, now) = (controller.session(), controller.now());
        let (timer, acknowledged) = (controller.timer(), controller.peer_fenced());
        let closed = controller.outputs().relays[0].as_cut().is_none();
        match timer {
            TimerState::Expired => self.send(node, Command::AcknowledgeExpiry { session }, 20),
            TimerState::Disarmed => {
                let segments = SegmentMask::first(2);
                let deadline = now + 300;
                self.send(
                    node,
                    Command::Arm {
                        session,
                        segments,
                        window_ms: 300,
                        deadline,
                    },
                    20,
                );
            }
            TimerState::Running if now.is_multiple_of(50) => {
                self.send(
                    node,
                    Command::Kick {
                        session,
                        deadline: now + 300,
                    },
                    20,
                );
            }
            TimerState::Running => {}
        }
        if !closed && timer == TimerState::Running {
            self.pursue_claim(node, session, now, acknowledged);
        }
    }

    fn pursue_claim(&mut self, node: usize, session: u32, now: u64, acknowledged: bool) {
        let host = self.hosts[node];
        if host.patience_ms == 0 {
            self.hosts[node] = Host {
                patience_ms: 100 + self.random.below(900),
                ..Host::default()
            };
            if self.random.below(3) == 0 {
                self.send(node, Command::Release, 100);
            } else {
                self.send(node, Command::TakeTicket, 10);
            }
            return;
        }
        self.hosts[node].patience_ms -= 1;
        match host.ticket {
            Some(ticket) if acknowledged && !host.close_sent => {
                self.hosts[node].close_sent = true;
                let segments = SegmentMask::first(2);
                let close = Command::Close {
                    ticket,
                    proof: Proof::Fenced,
                    segments,
                };
                for _ in 0..=self.random.below(2) {
                    let latest_ms = if self.random.below(2) == 0 { 3 } else { 800 };
                    self.send(node, close, latest_ms);
                }
            }
            None if now.is_multiple_of(40) => {
                self.send(
                    node,
                    Command::Fence {
                        session,
                        read_at: now,
                    },
                    60,
                );
            }
            _ => {}
        }
    }

    fn send(&mut self, node: usize, command: Command, latest_ms: u32) {
        if self.random.below(10) == 0 {
            return;
        }
        let arrives_at = self.world.now + u64::from(self.random.below(latest_ms));
        self.in_flight.push(InFlight {
            node,
            arrives_at,
            command,
        });
    }

    fn arrivals(&mut self, totals: &mut Totals) {
        let now = self.world.now;
        let (due, waiting) = std::mem::take(&mut self.in_flight)
            .into_iter()
            .partition(|o| o.arrives_at <= now);
        self.in_flight = waiting;
        for InFlight { node, command, .. } in due {
            if self.world.boards[node].controller.is_none() {
                continue;
            }
            let outcome = self.world.command(node, command);
            match (command, outcome) {
                (Command::TakeTicket, Ok(Reply::Ticket(number))) => {
                    self.hosts[node].ticket = Some(number);
                    let controller = self.world.controller(node);
                    let (session, read_at) = (controller.session(), controller.now());
                    self.send(node, Command::Fence { session, read_at }, 60);
                }
                (Command::Close { .. }, Ok(_)) => {
                    totals.closes[node] += 1;
                    totals.takeovers += u32::from(self.last_closed == Some(1 - node));
                    self.last_closed = Some(node);
                }
                (Command::Close { .. }, Err(_)) => totals.late_closes_refused += 1,
                _ => {}
            }
        }
    }
}

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        u32::try_from(high % u64::from(bound)).unwrap_or(0)
    }
}
