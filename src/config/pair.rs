//! The pair: which of the two this node is, the links between them, the addresses that move.
//!
//! Written so that one file serves both nodes: addresses are named by the node they belong to, and only `node` differs.
//! Absent `[pair]` is a single appliance. Like all of the configuration it is understood whole or refused whole.

use core::time::Duration;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::Serialize;

use crate::wire::Side;

mod key_file;
mod links;
mod means;
mod policy;
mod raw;
mod services;
mod subnet;
mod vips;

pub(crate) use policy::{DRIFT_PER_MILLE, OWN_RELAY};

pub use key_file::{KeyFileError, load as load_keys, parse as parse_keys};
pub(super) use means::RawMeans;
pub use means::{External, How, MEANS_MAX, PairMeans};
pub(super) use raw::{RawLink, RawPair, RawPairTopology, RawVip, understand};
pub use services::Services;

/// Where the pair's keys are unless configured otherwise.
pub const STANDARD_KEY_FILE: &str = "/etc/fencepost/pair.key";
/// UDP port of heartbeats unless configured otherwise.
pub const STANDARD_PORT: u16 = 7694;
/// Most virtual addresses of one pair.
pub const VIPS_MAX: usize = 4096;

/// A pair, from one node's side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// Which of the two this node is; the primary is preferred where nothing else decides.
    pub node: Side,
    /// What a Backup's relays do. Only `parallel` has the choice.
    pub standby: Standby,
    /// The keys both nodes share.
    pub key_file: PathBuf,
    /// Times.
    pub timing: PairTiming,
    /// Come back after the peer has been Active for this long while this node was ready; never if absent: an address
    /// that moves without need breaks connections without need.
    pub preempt_after: Option<Duration>,
    /// Most voluntary hand-overs in any hour; default 6.
    pub handovers_per_hour_max: u32,
    /// The kernel takes the vips away this long after the agent's last renewal, in whole seconds; default 6 s, in
    /// profile `conservative` 12 s. Longer than a supervised agent takes to come back.
    pub vip_lifetime: Duration,
    /// Told of each change of role.
    pub notify: Option<Notify>,
    /// Units that run where the vips are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Services>,
    /// conntrackd is told of each change of role; its commit may delay a takeover by this long. `None`: it is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conntrackd: Option<Duration>,
    /// Links to the peer, by name: in the same order on both nodes.
    pub links: Vec<PairLink>,
    /// Addresses that move with the right to serve.
    pub vips: Vec<PairVip>,
    /// Ways to isolate the peer, in the order in which they are tried; `None`: the board's own.
    pub means: Option<Vec<PairMeans>>,
    /// Categories that must be in sync before this node takes over without being told to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub sync_required: BTreeSet<String>,
}

/// A program with keepalived's arguments: `INSTANCE fencepost MASTER|BACKUP priority`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notify {
    /// The program, by its whole path, and its first arguments.
    pub argv: Vec<String>,
    /// Killed after this long; default 10 s.
    pub limit: Duration,
}

/// What a Backup's relays do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standby {
    /// Closed, links up: a takeover moves no relay of the survivor.
    Hot,
    /// Cut: a takeover must close and relink.
    Cold,
}

/// Times: a profile's, or as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PairTiming {
    /// Where what is not written comes from.
    pub profile: TimingProfile,
    /// A heartbeat is sent this often.
    pub heartbeat_every: Option<Duration>,
    /// Silence after which the Active fences.
    pub suspect_after: Option<Duration>,
    /// A supervised agent is back within this time.
    pub restart_grace: Option<Duration>,
    /// No fence order for so long after a start.
    pub boot_hold: Option<Duration>,
}

/// Named sets of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimingProfile {
    /// 10 ms heartbeats, for a direct cable and a machine with time to spare.
    Fast,
    /// For most.
    Default,
    /// For slow machines, and links over switches that others manage.
    Conservative,
}

impl TimingProfile {
    /// Longer than a renewal and a restart grace together.
    fn vip_lifetime(self) -> Duration {
        Duration::from_secs(match self {
            Self::Fast | Self::Default => 6,
            Self::Conservative => 12,
        })
    }
}

/// A heartbeat link, as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PairLink {
    /// Name; what the two nodes know it by.
    pub name: String,
    /// The interface it must run over; `None` lets routes decide.
    pub interface: Option<String>,
    /// This node's address and port.
    pub local: SocketAddr,
    /// The peer's.
    pub peer: SocketAddr,
}

/// A virtual address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PairVip {
    /// Its interface.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// As which it is installed: alone (32 or 128) unless a prefix was written.
    pub prefix: u8,
    /// The interface's own address here, if told.
    pub own: Option<IpAddr>,
    /// The same interface's on the peer, if told.
    pub peers: Option<IpAddr>,
}

#[cfg(test)]
#[path = "pair/tests.rs"]
mod tests;
