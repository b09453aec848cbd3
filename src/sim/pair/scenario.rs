//! What a world is made of, drawn from its seed; and the policies both nodes are given.

use core::time::Duration;

use super::net::{Link, LinkKind};
use super::pace::{BEAT, Pace};
use super::power::LIMIT;
use crate::board::controller::SegmentSettings;
use crate::node::Policy;
use crate::node::pair::policy::{
    LeasePolicy, MeansKind, MeansPolicy, ProbePolicy, Rank, Reach, ServicesFailed, Standby, Timing,
    Topology,
};
use crate::node::pair::{PairPolicy, SyncPolicy};
use crate::node::policy::{
    Arming, CarrierRole, CheckPolicy, CheckSeverity, Commissioning, DeadManPolicy, ReadBackPolicy,
    SegmentPolicy,
};
use crate::sim::dice::Dice;
use crate::wire::Versions;

/// How the two nodes of a world are wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wires {
    /// Side by side or one behind the other, with relays: drawn.
    #[default]
    Drawn,
    /// Without relays.
    Apart,
    /// The second reached through the first one's relays.
    Chained,
    /// As drawn, and pinned now and then; as the two before it are too.
    Pinned,
}

impl Wires {
    /// All that a command line can name.
    pub const NAMED: [Self; 4] = [Self::Drawn, Self::Apart, Self::Chained, Self::Pinned];

    /// As a command line has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drawn => "drawn",
            Self::Apart => "apart",
            Self::Chained => "chained",
            Self::Pinned => "pinned",
        }
    }
}

/// One world's constants.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) pace: Pace,
    pub(super) topology: Topology,
    /// There are some. Without, only addresses move.
    pub(super) relays: bool,
    pub(super) segments: u8,
    pub(super) lease: bool,
    pub(super) wire: bool,
    pub(super) peer_agent: bool,
    pub(super) external: bool,
    /// The program is wired to something else that is off.
    pub(super) lying: bool,
    pub(super) preempt: Option<Duration>,
    pub(super) vip_lifetime: Option<Duration>,
    /// Most a turn or an answer is late, in microseconds.
    pub(super) late_us: u64,
    pub(super) bus_us: u64,
    pub(super) kernel_us: u64,
    pub(super) disk_us: u64,
    /// People pin it now and then.
    pub(super) pins: bool,
    /// Units are bound to the role; those of the first node never start.
    pub(super) services: Option<ServicesFailed>,
    /// State is kept alike; nobody tells the nodes anything of it but a test.
    pub(super) sync: Option<SyncPolicy>,
    /// So many of the two know their host's name and introduce themselves, the first one first.
    pub(super) named: usize,
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Setup {
    /// The default: side by side and hot, fence wire and lease.
    pub(super) fn plain() -> Self {
        Self {
            pace: Pace::Drawn,
            topology: Topology::PARALLEL_HOT,
            relays: true,
            segments: 1,
            lease: true,
            wire: true,
            peer_agent: false,
            external: false,
            lying: false,
            preempt: None,
            vip_lifetime: None,
            late_us: 200,
            bus_us: 600,
            kernel_us: 500,
            disk_us: 1_000,
            pins: false,
            services: None,
            sync: None,
            named: 0,
        }
    }

    /// Any of the supported ones.
    pub(super) fn drawn(dice: &mut Dice) -> Self {
        let topologies = [
            Topology::PARALLEL_HOT,
            Topology::PARALLEL_HOT,
            Topology::PARALLEL_HOT,
            Topology::PARALLEL_COLD,
            Topology::SERIES,
        ];
        // Draws of their own: worlds without these means stay what they were.
        let mut aside = dice.clone().fork();
        let (external, peer_agent) = (aside.chance(250), aside.chance(300));
        let lease = dice.chance(600);
        let topology = dice.pick(&topologies).unwrap_or(Topology::PARALLEL_HOT);
        let segments = if dice.chance(300) { 2 } else { 1 };
        let cabled = !lease || dice.chance(700);
        Self {
            pace: Pace::Drawn,
            topology,
            relays: true,
            segments,
            lease,
            wire: cabled && (lease || !external || aside.chance(700)),
            peer_agent,
            external,
            lying: false,
            preempt: dice.chance(200).then_some(ms(400)),
            vip_lifetime: dice.chance(400).then_some(ms(900)),
            late_us: dice.between(100, 3_000),
            bus_us: dice.between(200, 2_500),
            kernel_us: dice.between(100, 8_000),
            disk_us: dice.between(200, 15_000),
            pins: false,
            services: None,
            sync: None,
            named: 0,
        }
    }

    /// One whose nodes are wired like this, drawn from the same seed.
    pub(super) fn wired(self, wires: Wires) -> Self {
        match wires {
            Wires::Drawn => self,
            Wires::Apart => Self {
                topology: Topology::APART,
                relays: false,
                lease: false,
                wire: false,
                external: true,
                pins: true,
                ..self
            },
            Wires::Chained => Self {
                topology: Topology::CHAINED_GATE,
                segments: 1,
                lease: false,
                wire: true,
                pins: true,
                ..self
            },
            Wires::Pinned => Self { pins: true, ..self },
        }
    }

    /// In beats: the default pair.
    pub(super) fn beats(topology: Topology) -> Self {
        Self {
            pace: Pace::Beats,
            topology,
            ..Self::plain()
        }
    }

    /// A cable of their own, and the data network; in beats the first alone, which sees more faults.
    pub(super) fn links(&self) -> Vec<Link> {
        let kinds = [LinkKind::Direct, LinkKind::Data];
        let count = if self.pace == Pace::Drawn { 2 } else { 1 };
        kinds.into_iter().take(count).map(Link::new).collect()
    }

    /// The oldest ticket that counts (V).
    pub(super) fn ticket_max_age_ms(&self) -> u32 {
        match self.pace {
            Pace::Drawn => 500,
            Pace::Beats => 1_000,
        }
    }

    /// Of the means, in their order.
    pub(super) fn kinds(&self, index: usize) -> Vec<MeansKind> {
        let gate = self.topology_of(index).reach == Reach::Gate;
        let kinds = [
            self.wire.then_some(MeansKind::FenceWire),
            self.peer_agent.then_some(MeansKind::PeerAgent),
            self.external.then_some(MeansKind::External),
            gate.then_some(MeansKind::OwnRelay),
        ];
        kinds.into_iter().flatten().collect()
    }

    fn means(&self, index: usize) -> Vec<MeansPolicy> {
        let kinds = self.kinds(index).into_iter();
        let wire_timeout = if self.pace == Pace::Drawn {
            ms(80)
        } else {
            BEAT * 2
        };
        kinds
            .map(|kind| match kind {
                MeansKind::FenceWire => MeansPolicy::plain("fence-wire", kind, wire_timeout),
                MeansKind::OwnRelay => MeansPolicy::plain("own-relay", kind, wire_timeout * 2),
                MeansKind::External => MeansPolicy {
                    probe: Some(ProbePolicy {
                        every: ms(150),
                        stale_after: ms(600),
                    }),
                    hold_back: ms(250),
                    ..MeansPolicy::plain("external", kind, LIMIT)
                },
                MeansKind::PeerAgent | MeansKind::PeerController => {
                    MeansPolicy::plain("peer-agent", kind, ms(120))
                }
            })
            .collect()
    }

    /// How node `index` is wired.
    pub(super) fn topology_of(&self, index: usize) -> Topology {
        match self.topology.reach {
            Reach::Gate if index == 1 => Topology::CHAINED_BEHIND,
            _ => self.topology,
        }
    }

    fn hot(&self) -> bool {
        self.topology.standby == Standby::Hot
    }
}

impl core::str::FromStr for Wires {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::NAMED.into_iter().find(|wires| wires.word() == word);
        found.ok_or_else(|| {
            let known: Vec<&str> = Self::NAMED.iter().map(|wires| wires.word()).collect();
            format!("no wires {word:?}; known: {}", known.join(", "))
        })
    }
}

/// What node `index` is told.
pub(super) fn policy(index: usize, setup: &Setup, segments: usize) -> Policy {
    let names = (0..segments).map(|index| format!("segment{index}"));
    Policy {
        segments: names
            .map(|name| SegmentPolicy {
                name,
                fail: setup.topology.fenced,
                settings: SegmentSettings::default(),
                dwell: Duration::ZERO,
                relink: setup.pace.span(ms(20)),
                closes_per_hour_max: 100_000,
                read_back: ReadBackPolicy::Required,
            })
            .collect(),
        checks: vec![CheckPolicy {
            name: "web".to_owned(),
            severity: CheckSeverity::Failover,
            segments: (0..segments).collect(),
            rise: 1,
            fall: 1,
            carrier: CarrierRole::None,
            stale_after: Duration::from_secs(36_000),
        }],
        dead_man: dead_man(setup),
        watchdog: None,
        read_every: if setup.pace == Pace::Drawn {
            ms(200)
        } else {
            BEAT
        },
        commissioning: Commissioning::Done,
        pair: Some(pair_policy(index, setup)),
    }
}

fn dead_man(setup: &Setup) -> DeadManPolicy {
    let (period, kick_every) = match setup.pace {
        Pace::Drawn => (ms(300), ms(60)),
        Pace::Beats => (BEAT * 3, BEAT),
    };
    DeadManPolicy {
        arming: if setup.relays {
            Arming::Required
        } else {
            Arming::Absent
        },
        period,
        kick_every,
    }
}

fn lease(setup: &Setup) -> LeasePolicy {
    let doubt = |margin| {
        setup
            .vip_lifetime
            .map_or(Duration::ZERO, |span| span + margin)
    };
    match setup.pace {
        Pace::Drawn => LeasePolicy {
            right: ms(400),
            // L, both drifts, relay time, one tick, and the driver's allowance.
            wait: ms(430),
            doubt: doubt(ms(50)),
            drop_lead: ms(60),
        },
        Pace::Beats => LeasePolicy {
            right: BEAT * 4,
            wait: BEAT * 5,
            doubt: doubt(BEAT),
            drop_lead: BEAT,
        },
    }
}

fn pair_policy(index: usize, setup: &Setup) -> PairPolicy {
    PairPolicy {
        topology: setup.topology_of(index),
        rank: if index == 0 {
            Rank::Preferred
        } else {
            Rank::Ordinary
        },
        links: (setup.links().iter().zip(["ha", "lan"]))
            .map(|(_, name)| name.to_owned())
            .collect(),
        timing: match setup.pace {
            Pace::Drawn => timing(setup),
            Pace::Beats => timing_in_beats(setup),
        },
        means: setup.means(index),
        lease: setup.lease.then(|| lease(setup)),
        preempt: setup.preempt,
        handovers_per_hour_max: 1_000,
        board: [1; 16],
        agreement: [2; 16],
        versions: Versions {
            protocol: 1,
            ..Versions::default()
        },
        relink: match setup.topology_of(index).reach {
            Reach::Behind => ms(300),
            Reach::Own | Reach::Gate => Duration::ZERO,
        },
        services: setup.services,
        sync: setup.sync.clone(),
    }
}

fn timing(setup: &Setup) -> Timing {
    Timing {
        heartbeat_every: ms(10),
        suspect_after: ms(50),
        active_lead: ms(40),
        restart_grace: ms(150),
        boot_hold: ms(600),
        give_up_after: ms(400),
        retry_after: ms(40),
        join_after: ms(80),
        yield_after: ms(40),
        refresh_every: if setup.vip_lifetime.is_some() {
            ms(250)
        } else {
            Duration::ZERO
        },
        probe_every: if setup.hot() { ms(50) } else { ms(60) },
        probe_stale_after: ms(1_000),
        look_every: ms(2),
    }
}

fn timing_in_beats(setup: &Setup) -> Timing {
    Timing {
        heartbeat_every: BEAT,
        suspect_after: BEAT * 2,
        active_lead: BEAT * 2,
        restart_grace: BEAT * 2,
        boot_hold: BEAT * 3,
        give_up_after: BEAT * 4,
        retry_after: BEAT,
        join_after: BEAT,
        yield_after: BEAT,
        refresh_every: setup.vip_lifetime.map_or(Duration::ZERO, |_| BEAT),
        probe_every: BEAT,
        probe_stale_after: BEAT * 4,
        look_every: BEAT,
    }
}
