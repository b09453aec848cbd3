//! The pair reduced to what the node's decisions need.
//!
//! Both nodes derive the same times from the same words; a digest of them travels in every heartbeat, so that two that
//! were configured differently are seen before they decide differently.

use core::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{How, Pair, PairMeans, Standby, TimingProfile};
use crate::board::profile::{DeadManKind, Expiry};
use crate::config::{Site, Topology as Cabling};
use crate::node::pair::policy::{
    LeasePolicy, MeansKind, MeansPolicy, ProbePolicy, Rank, Reach, Timing, Topology,
};
use crate::node::pair::preflight::{PARTS, agreement};
use crate::node::pair::{PairPolicy, SyncPolicy};
use crate::wire::{Digest, Side, Versions};

/// Version of the pair's rules.
const PROTOCOL: u16 = 1;
/// Name of the means that nobody writes.
pub(crate) const OWN_RELAY: &str = "own-relay";
/// Bound on how far two clocks drift apart, parts per thousand. Quartz is ten times better.
pub(crate) const DRIFT_PER_MILLE: u32 = 1;

impl Pair {
    /// What the node is told of its pair. `None`: this topology is no pair's.
    pub(in crate::config) fn policy(&self, site: &Site) -> Option<PairPolicy> {
        let topology = self.topology(site.config.topology)?;
        let scale = self.scale();
        let timing = self.times(scale);
        let means = self.means(site, scale);
        let tries = means.iter().map(|means| means.timeout).sum();
        let lease = lease(site, scale, timing, tries, self.vip_lifetime);
        let links: Vec<String> = self.links.iter().map(|link| link.name.clone()).collect();
        let agreement = agreement(self.shared(site, topology, timing, lease));
        Some(PairPolicy {
            topology,
            rank: match self.node {
                Side::Preferred => Rank::Preferred,
                Side::Other => Rank::Ordinary,
            },
            links,
            timing,
            means,
            lease,
            preempt: self.preempt_after,
            handovers_per_hour_max: self.handovers_per_hour_max,
            board: digest(&site.board.id),
            agreement,
            versions: Versions {
                protocol: PROTOCOL,
                software: software(),
                firmware: [0; 3],
            },
            relink: match topology.reach {
                Reach::Behind => (site.config.segments.iter())
                    .map(|segment| segment.relink)
                    .max()
                    .unwrap_or_default(),
                Reach::Own | Reach::Gate => Duration::ZERO,
            },
            services: self.services.as_ref().map(|services| services.failed),
            sync: site.config.sync.as_ref().map(|_| SyncPolicy {
                required: self.sync_required.clone(),
            }),
        })
    }

    /// What both nodes must agree on, part by part as [`PARTS`] names them: the same on both, whoever looks.
    fn shared(
        &self,
        site: &Site,
        topology: Topology,
        timing: Timing,
        lease: Option<LeasePolicy>,
    ) -> [Digest; PARTS.len()] {
        let agreed = match topology.reach {
            Reach::Own => topology,
            // One wire, seen from its two ends.
            Reach::Gate | Reach::Behind => Topology::CHAINED_GATE,
        };
        let segments = site.config.segments.iter();
        let cabling: Vec<_> = segments.clone().map(|it| (&it.name, it.fail)).collect();
        let links = self.links.iter();
        let ways: Vec<_> = links
            .clone()
            .map(|link| (&link.name, self.by_rank(link.local, link.peer)))
            .collect();
        let vips: Vec<_> = self
            .vips
            .iter()
            .map(|vip| {
                let own = self.by_rank(vip.own, vip.peers);
                (&vip.interface, vip.address, vip.prefix, own)
            })
            .collect();
        let ports: Vec<_> = segments.map(|it| &it.ports).collect();
        let interfaces: Vec<_> = links.map(|link| &link.interface).collect();
        [
            digest(&(PROTOCOL, &site.board.id, agreed, cabling)),
            self.times_digest(timing, lease),
            digest(&ways),
            digest(&vips),
            digest(&(ports, interfaces)),
        ]
    }

    /// Lists of means that take the same time all together are not the same list. One that nobody wrote is the board's.
    fn times_digest(&self, timing: Timing, lease: Option<LeasePolicy>) -> Digest {
        let Some(written) = &self.means else {
            return digest(&(timing, lease));
        };
        let beat = self.scale();
        let means: Vec<MeansPolicy> = written.iter().map(|means| means.policy(beat)).collect();
        digest(&(timing, lease, means))
    }

    /// The primary's first, on both nodes.
    fn by_rank<T>(&self, own: T, peers: T) -> (T, T) {
        match self.node {
            Side::Preferred => (own, peers),
            Side::Other => (peers, own),
        }
    }

    fn topology(&self, cabling: Cabling) -> Option<Topology> {
        match (cabling, self.standby) {
            (Cabling::Parallel, Standby::Hot) => Some(Topology::PARALLEL_HOT),
            (Cabling::Parallel, Standby::Cold) => Some(Topology::PARALLEL_COLD),
            (Cabling::Series, _) => Some(Topology::SERIES),
            (Cabling::Apart, _) => Some(Topology::APART),
            // The primary's relay lies in the wire, the secondary is behind it.
            (Cabling::Chained, _) => Some(match self.node {
                Side::Preferred => Topology::CHAINED_GATE,
                Side::Other => Topology::CHAINED_BEHIND,
            }),
            (Cabling::Inline, _) => None,
        }
    }

    /// Everything is a multiple of this; a heartbeat is one of it.
    fn scale(&self) -> Duration {
        self.timing
            .heartbeat_every
            .unwrap_or(match self.timing.profile {
                TimingProfile::Fast => Duration::from_millis(10),
                TimingProfile::Default => Duration::from_millis(50),
                TimingProfile::Conservative => Duration::from_millis(500),
            })
    }

    /// As written; else a board with a fence output confirms by its own lines. A relay that lies in the peer's wire comes
    /// after them.
    fn means(&self, site: &Site, beat: Duration) -> Vec<MeansPolicy> {
        let mut means: Vec<MeansPolicy> = match &self.means {
            None => {
                let wire = MeansPolicy::plain("fence-wire", MeansKind::FenceWire, beat * 8);
                let wire = site.board.fence.is_some().then_some(wire);
                wire.into_iter().collect()
            }
            Some(written) => written.iter().map(|means| means.policy(beat)).collect(),
        };
        if site.config.topology == Cabling::Chained && self.node == Side::Preferred {
            // Last: what holds the peer's latch tells it that it is fenced, and keeps it from fencing back.
            let limit = beat * 8 + CLOSE;
            means.push(MeansPolicy::plain(OWN_RELAY, MeansKind::OwnRelay, limit));
        }
        means
    }

    /// In heartbeats: silence of five is suspicious, four more are the Active's lead.
    fn times(&self, beat: Duration) -> Timing {
        Timing {
            heartbeat_every: beat,
            suspect_after: self.timing.suspect_after.unwrap_or(beat * 5),
            active_lead: beat * 4,
            restart_grace: self
                .timing
                .restart_grace
                .unwrap_or((beat * 15).max(RESTART_MIN)),
            boot_hold: self.timing.boot_hold.unwrap_or((beat * 60).max(BOOT_MIN)),
            give_up_after: beat * 40,
            retry_after: beat * 4,
            join_after: beat * 8,
            yield_after: beat * 4,
            refresh_every: self.vip_lifetime / 4,
            probe_every: (beat * 5).max(PROBE_MIN),
            probe_stale_after: (beat * 100).max(PROBE_MIN * 5),
            look_every: LOOK,
        }
    }
}

impl PairMeans {
    fn policy(&self, beat: Duration) -> MeansPolicy {
        let kind = self.how.kind();
        let How::External(external) = &self.how else {
            return MeansPolicy::plain(&self.name, kind, self.timeout.unwrap_or(beat * 8));
        };
        let limit = self.limit();
        MeansPolicy {
            probe: Some(ProbePolicy {
                every: external.probe_every,
                stale_after: external.probe_every * 2 + limit,
            }),
            hold_back: external.hold_back,
            // The adapter's own time is over first, so that its reason is heard.
            ..MeansPolicy::plain(&self.name, kind, limit + ANSWER)
        }
    }

    /// How long a program may take, all of its runs together.
    pub fn limit(&self) -> Duration {
        self.timeout.unwrap_or(PROGRAM)
    }
}

/// A ticket refused, another taken, the relay's way and looks.
const CLOSE: Duration = Duration::from_millis(200);
/// For a BMC that thinks.
const PROGRAM: Duration = Duration::from_secs(10);
/// From the end of a program's time to the answer.
const ANSWER: Duration = Duration::from_millis(500);
/// A supervised agent is started again after 100 ms, and has to open its board.
const RESTART_MIN: Duration = Duration::from_millis(500);
/// For links and bonds to settle after a start.
const BOOT_MIN: Duration = Duration::from_secs(1);
/// Looks at a fence path that is not in use; each costs the bus one transaction.
const PROBE_MIN: Duration = Duration::from_millis(200);
/// While something waits for the controller.
const LOOK: Duration = Duration::from_millis(2);

/// Only where an expiry cannot be undone by a late kick, and a kick names its deadline.
fn lease(
    site: &Site,
    beat: Duration,
    timing: Timing,
    tries: Duration,
    vip_lifetime: Duration,
) -> Option<LeasePolicy> {
    if site.config.topology == Cabling::Chained {
        // Who is behind the other's relay is cut off without knowing it: it would claim by a lease that still runs.
        return None;
    }
    let dead_man = &site.board.dead_man;
    if dead_man.kind != DeadManKind::Deadline || dead_man.expiry != Expiry::Sticky {
        return None;
    }
    let settle = site
        .board
        .segments
        .iter()
        .map(|segment| segment.settle)
        .max();
    let drop_lead = beat * 6;
    // An Active whose peer has gone must have fenced it before its own right ends: silence, grace, every means in turn.
    let right = timing.suspect_after + timing.restart_grace + tries + drop_lead + beat * 10;
    let drift = right * (2 * DRIFT_PER_MILLE) / 1000;
    Some(LeasePolicy {
        right,
        // Both clocks' drift, the relay, and one tick of the controller with the driver's allowance for it.
        wait: right + drift + settle.unwrap_or_default() + DRIVER,
        // Whole seconds in the kernel, counted from when it last looked.
        doubt: vip_lifetime + Duration::from_secs(1),
        drop_lead,
    })
}

/// One tick of the controller and what the driver adds to a deadline for it.
const DRIVER: Duration = Duration::from_millis(20);

fn digest<T: Serialize + ?Sized>(what: &T) -> Digest {
    // Plain data of numbers, strings and enums: nothing in it can fail to be written.
    let text = serde_json::to_vec(what).unwrap_or_default();
    let mut short = Digest::default();
    short
        .iter_mut()
        .zip(Sha256::digest(&text))
        .for_each(|(to, from)| *to = from);
    short
}

fn software() -> [u16; 3] {
    let mut numbers = env!("CARGO_PKG_VERSION")
        .split('.')
        .map(|number| number.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}
