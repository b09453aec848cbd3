//! What the pair was told to be: configuration and board facts, reduced to what its decisions need.
//!
//! Both nodes must be given the same [`Timing`], lease and topology: their digest travels in every heartbeat as the
//! *agreement*, and nodes that disagree neither bind to a lease nor give each other their word.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::sync::SyncPolicy;
use crate::board::controller::{CutState, RelayState};
use crate::wire::{BoardId, Digest, Versions};

/// A pair, from one node's side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairPolicy {
    /// How the two are cabled.
    pub topology: Topology,
    /// Which of the two wins where nothing else decides; the controller's rank strap says the same.
    pub rank: Rank,
    /// Links to the peer, in the configuration's order; at most [`crate::wire::LINKS_MAX`].
    pub links: Vec<String>,
    /// Times.
    pub timing: Timing,
    /// Ways to isolate the peer, in the order in which they are tried.
    pub means: Vec<MeansPolicy>,
    /// The dead-man as a lease, if this board and configuration may use it.
    pub lease: Option<LeasePolicy>,
    /// Come back after the peer has been Active for this long while this node was ready. `None`: never by itself.
    pub preempt: Option<Duration>,
    /// Most voluntary hand-overs (unwell, preempt) in any hour; past that only a failure or a person moves the vips.
    pub handovers_per_hour_max: u32,
    /// This kind of board.
    pub board: BoardId,
    /// Digests of the settings both nodes must share ([`super::preflight::agreement`]).
    pub agreement: Digest,
    /// What runs here.
    pub versions: Versions,
    /// For so long after this node began to serve its ports may be dark without its being unwell: the *peer's* relay gave
    /// it the wire. Zero where that moves nothing of ours.
    #[serde(default, skip_serializing_if = "Duration::is_zero")]
    pub relink: Duration,
    /// Units are bound to the role, and what it means if they do not start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<ServicesFailed>,
    /// State is kept alike, and a takeover may wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncPolicy>,
}

/// What it means that a unit did not start on the Active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServicesFailed {
    /// It is told and shown.
    Tell,
    /// A peer that is ready is invited to take over.
    HandOver,
}

/// How a topology answers the questions the protocol asks. Facts, not behaviour: nothing compares topologies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The relay state that takes a host off the wire here.
    pub fenced: CutState,
    /// Where a Backup's relays are.
    pub standby: Standby,
    /// What a failing check does to the relays of a node that does not serve.
    pub unwell: Unwell,
    /// Whether one node's relays decide over the other's wire.
    #[serde(default, skip_serializing_if = "Reach::is_own")]
    pub reach: Reach,
}

/// Whether one node's relays decide over the other's wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Each has a way of its own.
    #[default]
    Own,
    /// Our relays, closed, keep the peer off the wire: by physics, whatever it does.
    Gate,
    /// The peer's relays, closed, keep us off it; we cannot tell.
    Behind,
}

impl Reach {
    fn is_own(&self) -> bool {
        *self == Self::Own
    }
}

/// Where a Backup's relays are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standby {
    /// Closed, links up, not serving: a takeover moves no relay of the survivor.
    Hot,
    /// In the fenced state: it must close to serve.
    Cold,
}

/// What failing checks do to relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unwell {
    /// Nothing: the vips move, the relays stay. Heartbeats may use the data ports.
    StaysClosed,
    /// They go to the fenced state: this host must not stand in the wire while it cannot forward.
    IsCut,
}

/// Which of the two wins where nothing else decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rank {
    /// Wins.
    Preferred,
    /// Yields.
    Ordinary,
}

/// Times of the pair. `check` proves the inequalities between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// A heartbeat is sent this often (h).
    pub heartbeat_every: Duration,
    /// Silence after which the Active fences (Td): more than k·h + jitter + worst own lateness.
    pub suspect_after: Duration,
    /// By this much the Active is ahead: order + latch + relay time, so that it wins where both suspect at once.
    pub active_lead: Duration,
    /// A refused port says that only the agent died: a supervised one is back within this time.
    pub restart_grace: Duration,
    /// After a start, no fence order for so long: a reboot must not shoot before it can hear.
    pub boot_hold: Duration,
    /// A request or an unfinished claim is given up after this time.
    pub give_up_after: Duration,
    /// The first pause after a claim that failed; doubles up to eight times of it.
    pub retry_after: Duration,
    /// Heartbeats both ways for so long end a fence: the Active lets the fenced node back.
    pub join_after: Duration,
    /// A node that is unwell for so long, with a better peer, hands over.
    pub yield_after: Duration,
    /// The vips' kernel lifetime is renewed this often; zero where they have none.
    pub refresh_every: Duration,
    /// Means are proven this often.
    pub probe_every: Duration,
    /// Means not proven for so long count as failed.
    pub probe_stale_after: Duration,
    /// While a fence or claim waits for it, the controller is read this often.
    pub look_every: Duration,
}

/// One way to isolate the peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeansPolicy {
    /// Name in configuration, status and events.
    pub name: String,
    /// What it is.
    pub kind: MeansKind,
    /// Not confirmed after this time, it has failed.
    pub timeout: Duration,
    /// How it is proven to work; `None`: by looks at the own controller, or by the peer's being heard.
    #[serde(default)]
    pub probe: Option<ProbePolicy>,
    /// Who does not serve waits this long before it is fired, twice as long where rank decides: two that take each
    /// other's power at the same moment both lose it.
    #[serde(default)]
    pub hold_back: Duration,
}

/// Proofs that an adapter must go and get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbePolicy {
    /// This often.
    pub every: Duration,
    /// Not proven for so long, it counts as failed.
    pub stale_after: Duration,
}

/// Kinds of means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MeansKind {
    /// Our own relays, closed, take the peer's wire away.
    OwnRelay,
    /// Our controller holds the peer's latch over the fence cable and reads its acknowledge.
    FenceWire,
    /// The peer's controller over a second bus: held until withdrawn.
    PeerController,
    /// The peer cuts itself on our order and says so.
    PeerAgent,
    /// A fence-agents program: while it runs it can be called off; the power it took is not given back.
    External,
}

/// The dead-man as a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasePolicy {
    /// The Active's right to serve, from sending a heartbeat that was acknowledged (L).
    pub right: Duration,
    /// The Backup's wait, from receiving the last heartbeat (E): at least L and the relay time, drift counted.
    pub wait: Duration,
    /// How much longer after a fence that was ordered and not acknowledged. Then the cable is broken or the relay sticks, and
    /// a relay that sticks does not end a right: the kernel does, when nobody renews its vips' lifetime any more.
    pub doubt: Duration,
    /// The Active drops its vips this long before its right ends.
    pub drop_lead: Duration,
}

impl MeansPolicy {
    /// One that needs neither probe nor patience.
    pub fn plain(name: &str, kind: MeansKind, timeout: Duration) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            timeout,
            probe: None,
            hold_back: Duration::ZERO,
        }
    }
}

impl Topology {
    /// Side by side, both closed.
    pub const PARALLEL_HOT: Self = Self {
        fenced: CutState::Disconnect,
        standby: Standby::Hot,
        unwell: Unwell::StaysClosed,
        reach: Reach::Own,
    };
    /// Side by side, the Backup dark.
    pub const PARALLEL_COLD: Self = Self {
        fenced: CutState::Disconnect,
        standby: Standby::Cold,
        unwell: Unwell::IsCut,
        reach: Reach::Own,
    };
    /// Both in one wire; what does not serve is a plain wire.
    pub const SERIES: Self = Self {
        fenced: CutState::Bypass,
        standby: Standby::Cold,
        unwell: Unwell::IsCut,
        reach: Reach::Own,
    };

    /// In the wire, with the other behind it: what does not serve is the other's wire.
    pub const CHAINED_GATE: Self = Self {
        reach: Reach::Gate,
        ..Self::SERIES
    };
    /// Reached through the other's relays.
    pub const CHAINED_BEHIND: Self = Self {
        fenced: CutState::Bypass,
        standby: Standby::Hot,
        unwell: Unwell::StaysClosed,
        reach: Reach::Behind,
    };
    /// No relays: who does not serve is off the wire, and nothing can be cut. What is said of relays here is true of none.
    pub const APART: Self = Self::PARALLEL_HOT;

    /// Where relays are while this host is off the wire.
    pub fn fenced(self) -> RelayState {
        self.fenced.into()
    }
}
