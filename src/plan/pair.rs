//! What `fencepost check` proves for a pair: its times, what a takeover costs in this topology, and that no setting of
//! a relay can close a loop.
//!
//! The times are those the node is given ([`PairPolicy`]), never a second copy of them.

use core::time::Duration;
use std::collections::BTreeSet;

use serde::Serialize;

use super::{Inequality, Plan, SegmentPlan, Side, TURN, settle};
use crate::board::profile::{DeadManKind, Expiry};
use crate::config::pair::{How, OWN_RELAY};
use crate::config::{Site, Topology};
use crate::node::pair::PairPolicy;
use crate::node::pair::policy::{LeasePolicy, MeansKind, MeansPolicy, Reach, Standby, Timing};
use crate::node::policy::Commissioning;

mod chain;
mod outage;
pub(super) mod render;
mod settings;

/// Installing virtual addresses and reading them back: this and [`PER_VIP`] for each (the budget `make bench` checks:
/// 1,000 addresses within 50 ms).
pub const VIPS_BASE: Duration = Duration::from_millis(1);

/// See [`VIPS_BASE`].
pub const PER_VIP: Duration = Duration::from_micros(50);

/// The proof for one pair, from one node's side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PairPlan {
    /// Where a Backup's relays are.
    pub standby: Standby,
    /// Ways to isolate the peer, in the order in which they are tried.
    pub means: Vec<String>,
    /// The dead-man as a lease, or why this board may not use it.
    pub lease: LeasePlan,
    /// What must hold between the times.
    pub chain: Vec<Inequality>,
    /// What a takeover does to the survivor's relays.
    pub takeover: String,
    /// Where the Active changes, relays move and links renegotiate.
    #[serde(skip)]
    relinks: bool,
    /// For each fault of the Active, how long nobody answers.
    pub outages: Vec<Outage>,
    /// Categories that must be in sync before a takeover that nobody ordered.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub waits_for: BTreeSet<String>,
}

/// Whether silence can become a proof here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeasePlan {
    /// It can.
    Used {
        /// The Active's right, from sending a heartbeat that was acknowledged.
        right: Duration,
        /// The Backup's wait, from hearing the last heartbeat.
        wait: Duration,
    },
    /// It must not.
    Refused {
        /// Which fact of the board forbids it.
        why: String,
    },
}

/// One fault of the Active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// What goes wrong.
    pub what: String,
    /// How long nobody answers, about; and what that is made of.
    pub about: Side,
}

/// All that the pair's times are judged by.
#[derive(Debug, Clone)]
struct Given {
    timing: Timing,
    lease: Option<LeasePolicy>,
    /// All means in a row.
    means: Duration,
    /// What the first of them takes, if there is one.
    fence: Option<Duration>,
    standby: Standby,
    kick_every: Duration,
    /// Bus and settling of a relay command.
    command: Duration,
    settle: Duration,
    vip_lifetime: Duration,
    /// Installing, or taking away, all of them.
    vips: Duration,
    /// Data ports are watched: that one is dark is told by the kernel.
    port_watched: bool,
    /// A takeover waits for connection tracking no longer than this.
    tracking: Option<Duration>,
}

/// Proves what can be proven; `None`: there is no pair.
pub(super) fn draw(site: &Site) -> Option<PairPlan> {
    let policy = site.policy(Commissioning::Done).pair?;
    let given = Given::new(site, &policy)?;
    Some(PairPlan {
        standby: policy.topology.standby,
        means: policy
            .means
            .iter()
            .map(|means| means.name.clone())
            .collect(),
        lease: lease(site, policy.lease),
        chain: chain::chain(&given),
        takeover: outage::takeover(policy.topology, site.board.has_relays()).to_owned(),
        relinks: policy.topology.standby == Standby::Cold || policy.topology.reach == Reach::Behind,
        outages: outage::outages(&given),
        waits_for: policy.sync.map(|sync| sync.required).unwrap_or_default(),
    })
}

/// Adds what must not be run: no proof possible, a relay setting that does not fit the cabling.
pub(super) fn judge(site: &Site, plan: &mut Plan) {
    let Some(pair) = &plan.pair else {
        return;
    };
    if let (LeasePlan::Refused { why }, Some(means)) = (&pair.lease, proves_nothing(site, pair)) {
        plan.refusals.push(format!(
            "nothing could ever prove that the peer is off the wire: {means}, and {why}"
        ));
    }
    if !site.board.has_relays() {
        plan.warnings.push(WITHOUT_RELAYS.to_owned());
    }
    if let Some(second) = plan
        .segments
        .get(1)
        .filter(|_| site.config.topology == Topology::Chained)
    {
        plan.refusals.push(format!(
            "segment {}: a chained pair has one segment: of two relays one falls first, and between the two each node \
             is on a wire",
            second.name
        ));
    }
    let topology = site.config.topology;
    let judge = |segment: &SegmentPlan| settings::refusals(topology, segment);
    let refusals: Vec<String> = plan.segments.iter().flat_map(judge).collect();
    plan.refusals.extend(refusals);
}

/// What is left where nothing can be cut.
const WITHOUT_RELAYS: &str = "without relays only power proves that a silent peer is off the wire: where a fault takes \
    away what feeds it together with what would say so (a power cut, and a controller that lives on the same supply), \
    nobody takes over until a person says that it is dead";

/// What a silent peer is fenced by; its agent is not asked.
fn first_fence(policy: &PairPolicy) -> Option<&MeansPolicy> {
    let mut means = policy.means.iter();
    means.find(|means| means.kind != MeansKind::PeerAgent)
}

/// Why the means alone prove nothing about a peer that is silent, if they do not.
fn proves_nothing(site: &Site, pair: &PairPlan) -> Option<&'static str> {
    let written = site.config.pair.as_ref()?.means.as_ref();
    if written.is_some_and(|means| means.iter().all(|means| means.how == How::PeerAgent)) {
        return Some("a silent peer's agent answers no order");
    }
    // The gate's own relay is the gate's alone: for the other node it proves nothing.
    let shared = |name: &&String| *name != OWN_RELAY;
    let none = pair.means.iter().filter(shared).count() == 0;
    none.then_some(if site.board.has_relays() {
        "this board has no fence wire"
    } else {
        "no [[means]] takes its power"
    })
}

impl Given {
    fn new(site: &Site, policy: &PairPolicy) -> Option<Self> {
        let pair = site.config.pair.as_ref()?;
        let count = u32::try_from(pair.vips.len()).unwrap_or(u32::MAX);
        Some(Self {
            timing: policy.timing,
            lease: policy.lease,
            fence: first_fence(policy).map(|means| match means.kind {
                MeansKind::FenceWire | MeansKind::OwnRelay => TURN + super::command(site).time,
                // Somebody else's time: not before it is up is it known to have failed.
                _ => means.hold_back + means.timeout,
            }),
            means: policy.means.iter().map(|means| means.timeout).sum(),
            standby: policy.topology.standby,
            kick_every: site.timing.kick_every,
            command: super::command(site).time,
            settle: settle(site),
            vip_lifetime: pair.vip_lifetime,
            vips: VIPS_BASE + PER_VIP * count,
            port_watched: super::failures::carrier_noticed(site).is_some(),
            tracking: pair.conntrackd,
        })
    }
}

/// The reason is a fact of the board, so no configuration can talk it away.
fn lease(site: &Site, policy: Option<LeasePolicy>) -> LeasePlan {
    let dead_man = &site.board.dead_man;
    let why = match (policy, dead_man.kind, dead_man.expiry) {
        (Some(LeasePolicy { right, wait, .. }), _, _) => return LeasePlan::Used { right, wait },
        _ if site.config.topology == Topology::Chained => {
            "a node that is cut off by the other's relay does not know it, so its silence says nothing of what it does"
        }
        (None, DeadManKind::Absent, _) if !site.board.has_relays() => {
            "nothing here ends a right to serve by itself: a machine that stands still does not count the life of its \
             addresses and answers for them when it goes on, and a watchdog that is emulated stands still with it"
        }
        (None, DeadManKind::Absent, _) => "it has no dead-man to end a right",
        (None, _, Expiry::KickRestores) => {
            "its dead-man's expiry is not sticky: a late kick gives the relay back after the right has ended"
        }
        (None, _, Expiry::Unknown) => {
            "no public source says whether its dead-man's expiry is sticky: a late kick may give the relay back after \
             the right has ended"
        }
        (None, _, Expiry::Sticky) => {
            "its controller has no ticket and its kick names no deadline: a late kick or close outlives the right it \
             was decided under"
        }
    };
    LeasePlan::Refused {
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests;
