//! The pair as people and programs see it.

use serde::{Deserialize, Serialize};

use super::Pair;
use super::drill::FenceTest;
use super::event::{LinkMeasure, ServicesWanted};
use super::policy::MeansKind;
use super::preflight::Finding;
use super::refusal::Refusal;
use super::sync::SyncStatus;
use crate::node::time::Instant;
use crate::wire::{Flags, HealthSummary, Introduction, Role, Versions};

/// This node's part in the pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairStatus {
    /// Own role.
    pub role: Role,
    /// Highest epoch known.
    pub epoch: u64,
    /// What the Active's right rests on.
    pub proof: Option<String>,
    /// Since when it serves.
    pub active_since: Option<Instant>,
    /// Nothing of serving is in the kernel or on its way.
    pub quiet: bool,
    /// Fenced or crashed, and not joined since.
    pub quarantined: bool,
    /// The right to serve ends by itself.
    pub bound: bool,
    /// When it ends, if it does.
    pub right_until: Option<Instant>,
    /// This node took the peer's power and has not heard it since: it stays off until somebody gives it back.
    #[serde(default)]
    pub peer_off: bool,
    /// Both agreed that nothing moves by itself.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub pinned: bool,
    /// The claim under way, in words.
    pub claim: Option<String>,
    /// The peer.
    pub peer: Option<PeerStatus>,
    /// Both directions work.
    pub talking: bool,
    /// Links.
    pub links: Vec<LinkStatus>,
    /// Means.
    pub means: Vec<MeansStatus>,
    /// The fence test under way, or the last one of this start of the agent.
    #[serde(default)]
    pub fence_test: Option<FenceTest>,
    /// Units bound to the role; `None` if there are none, or nothing was ordered yet.
    #[serde(default)]
    pub services: Option<ServicesStatus>,
    /// State sync; `None` if nothing is kept alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncStatus>,
    /// Messages dropped as old or repeated.
    pub stale_messages: u64,
    /// Authentic orders to cut itself that it did not obey: of an epoch that is over, or without a heartbeat both ways.
    #[serde(default)]
    pub fence_orders_refused: u64,
    /// Why it would not take over now; empty if it would.
    pub refusals: Vec<Refusal>,
    /// Why it would not take over if the peer died now; empty if it would. Of an Active: that it serves.
    #[serde(default)]
    pub if_peer_died: Vec<Refusal>,
    /// Own checks, as the peer is told them.
    #[serde(default)]
    pub health: HealthSummary,
    /// Own flags, as the peer is told them.
    #[serde(default)]
    pub flags: Flags,
    /// What was compared with the peer.
    #[serde(default)]
    pub preflight: Vec<Finding>,
    /// What runs here.
    #[serde(default)]
    pub versions: Versions,
    /// Who this node says it is; `None` if it does not know its host's name.
    #[serde(default)]
    pub introduction: Option<Introduction>,
}

/// The peer, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Role.
    pub role: Role,
    /// Flags.
    pub flags: Flags,
    /// Epoch.
    pub epoch: u64,
    /// Checks.
    pub health: HealthSummary,
    /// When it was last heard.
    pub heard_at: Option<Instant>,
    /// What runs there.
    #[serde(default)]
    pub versions: Versions,
    /// Who it says it is; `None`: not told in its present start.
    #[serde(default)]
    pub introduction: Option<Introduction>,
    /// By how many milliseconds its wall clock is ahead of this node's; negative: behind. `None`: not told.
    #[serde(default)]
    pub clock_ahead_ms: Option<i64>,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// Name.
    pub name: String,
    /// When the peer was last heard over it.
    pub heard_at: Option<Instant>,
    /// Times the peer's kernel refused.
    pub refused: u64,
    /// Loss and round trips, about a second old at most.
    #[serde(default)]
    pub measure: LinkMeasure,
}

/// One means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeansStatus {
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: MeansKind,
    /// When it was last proven to work.
    pub proven_at: Option<Instant>,
    /// Why it does not.
    pub fault: Option<String>,
}

/// The units bound to the role, all together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicesStatus {
    /// How they should be.
    pub wanted: ServicesWanted,
    /// They were last said to be so.
    pub done: bool,
    /// Why not.
    pub fault: Option<String>,
}

impl Pair {
    pub(in crate::node) fn status(&self, now: Instant) -> PairStatus {
        let (active, ground) = (self.active.as_ref(), self.ground.as_ref());
        PairStatus {
            role: self.role(),
            epoch: self.used_epoch,
            proof: active.map(|active| active.proof.clone()),
            active_since: active.map(|active| active.since),
            quiet: self.vips.quiet(),
            quarantined: self.quarantined,
            bound: self.lease.bound(),
            right_until: self.lease.right_until(self.peer.acked_sent_at()),
            peer_off: self.ledger.wanted().peer_off,
            pinned: self.pinned(),
            claim: self.claim.as_ref().map(super::Claim::describe),
            peer: self.peer_status(),
            talking: self.talking(now),
            links: self.link_status(),
            means: self.means_status(),
            fence_test: self.drill.as_ref().map(|drill| drill.report.clone()),
            services: self.services_status(),
            sync: self.sync_status(now),
            stale_messages: self.rejected,
            fence_orders_refused: self.orders_refused,
            refusals: self.takeover_refusals(now),
            if_peer_died: self.refusals_if_peer_died(now),
            health: ground.map(|it| it.health).unwrap_or_default(),
            flags: ground.map(|it| self.flags(now, it)).unwrap_or_default(),
            preflight: self.preflight(now),
            versions: self.versions(),
            introduction: self.introductions.own().cloned(),
        }
    }

    fn peer_status(&self) -> Option<PeerStatus> {
        let last = self.peer.last()?;
        Some(PeerStatus {
            role: last.role,
            flags: last.flags,
            epoch: last.epoch,
            health: last.health,
            heard_at: self.peer.heard_at(),
            versions: last.versions,
            introduction: self.told_by_peer().cloned(),
            clock_ahead_ms: self.clock_ahead_ms(),
        })
    }

    fn link_status(&self) -> Vec<LinkStatus> {
        let links = self.policy.links.iter().zip(self.peer.links());
        links
            .map(|(name, link)| LinkStatus {
                name: name.clone(),
                heard_at: link.heard_at,
                refused: link.refused,
                measure: link.measure.clone(),
            })
            .collect()
    }

    fn means_status(&self) -> Vec<MeansStatus> {
        let means = self.means.all().iter();
        means
            .map(|means| MeansStatus {
                name: means.policy.name.clone(),
                kind: means.policy.kind,
                proven_at: means.proven_at,
                fault: means.fault.clone(),
            })
            .collect()
    }
}
