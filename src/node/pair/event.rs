//! What can happen to a node of a pair, and what it can ask for. Every action that can fail is answered.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::memory::PairMemory;
use super::sync::SyncNews;
use crate::board::controller::{Fault, FenceReading, Ticket};
use crate::node::event::Actor;
use crate::node::time::Instant;
use crate::wire::{BootId, Envelope, LINKS_MAX, Message, Role, Text};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairEvent {
    /// The pair's part of the agent came up. The first of these events.
    Started {
        /// Random: this start of the agent.
        boot: BootId,
        /// What was saved, or why there is none.
        saved: SavedPair,
        /// Name of this host. `None`: this node does not introduce itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<Text>,
    },
    /// Answer to [`PairAction::Persist`].
    Persisted {
        /// Which save.
        sequence: u64,
        /// Durable, or why not.
        outcome: Result<(), String>,
    },
    /// An authentic message of the peer came in.
    Heard {
        /// Over which link.
        link: usize,
        /// Who sent it, and which it is.
        envelope: Envelope,
        /// What it says.
        message: Message,
    },
    /// A link's carrier came or went.
    LinkCarrier {
        /// Which link.
        link: usize,
        /// How it is now.
        carrier: Carrier,
    },
    /// The peer's kernel refused our heartbeat: nobody listens, but the machine lives.
    LinkRefused {
        /// Over which link.
        link: usize,
    },
    /// How well each link carries, in the policy's order; told about once a second.
    LinksMeasured {
        /// One each.
        links: Vec<LinkMeasure>,
    },
    /// The peer told its wall clock.
    ClocksCompared {
        /// By how many milliseconds it is ahead of ours, less the way here; negative: behind.
        ahead_ms: i64,
    },
    /// Somebody else answers for one of our vips.
    VipContested,
    /// Answer to [`PairAction::HoldVips`].
    VipsHeld {
        /// Which.
        number: u64,
        /// Installed, or why not.
        outcome: Result<(), String>,
    },
    /// Answer to [`PairAction::DropVips`].
    VipsDropped {
        /// Which.
        number: u64,
        /// Gone, or why not.
        outcome: Result<(), String>,
    },
    /// Answer to [`PairAction::RefreshVips`].
    VipsRefreshed {
        /// Which.
        number: u64,
        /// Done, or why not.
        outcome: Result<(), String>,
    },
    /// Answer to [`PairAction::Announce`].
    Announced {
        /// Which.
        number: u64,
        /// Done, or why not.
        outcome: Result<(), String>,
    },
    /// Answer to [`PairAction::ReadVips`].
    VipsRead {
        /// Which.
        number: u64,
        /// What the kernel has.
        outcome: Result<Presence, String>,
    },
    /// Answer to [`PairAction::TakeTicket`].
    TicketTaken {
        /// The ticket, or why not.
        outcome: Result<Ticket, Fault>,
    },
    /// Answer to [`PairAction::ReadFence`].
    FenceRead {
        /// Which.
        sequence: u64,
        /// What the controller says.
        outcome: Result<FenceReading, Fault>,
    },
    /// Answer to [`PairAction::Fence`].
    Fenced {
        /// The order's nonce.
        nonce: u64,
        /// Which means.
        means: usize,
        /// What became of it.
        outcome: FenceReport,
    },
    /// Answer to [`PairAction::Unfence`].
    Unfenced {
        /// Which means.
        means: usize,
        /// Withdrawn, or why not.
        outcome: Result<(), String>,
    },
    /// Answer to [`PairAction::ProbeMeans`].
    MeansProbed {
        /// Which means.
        means: usize,
        /// It works, or why not.
        outcome: Result<Probed, String>,
    },
    /// The program told of a change of role has ended.
    HookEnded {
        /// Told of this role.
        role: Role,
        /// Well, or why not.
        outcome: Result<(), String>,
    },
    /// Answer to [`PairAction::SetServices`], unless a newer order overtook it.
    ServicesSet {
        /// Which.
        number: u64,
        /// How they should be.
        wanted: ServicesWanted,
        /// They are, or why not.
        outcome: Result<(), String>,
    },
    /// Connection tracking did not move with the role, or not in time.
    TrackingFailed {
        /// Why.
        error: String,
    },
    /// The sync service was asked how it is.
    SyncTold {
        /// What it said, or why it did not.
        outcome: Result<SyncNews, String>,
    },
    /// An operator asked for something.
    Requested {
        /// Answered with the same number.
        request: u64,
        /// Who.
        actor: Actor,
        /// What.
        command: PairCommand,
    },
}

/// How the units bound to the role should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServicesWanted {
    /// Up: this node serves.
    Started,
    /// Down: it does not.
    Stopped,
}

/// What the pair's ledger remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SavedPair {
    /// First start on this machine.
    Nothing,
    /// The last saved state.
    Memory(PairMemory),
    /// It cannot be read; nothing in it may be assumed.
    Unreadable(String),
}

/// How well a link carries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkMeasure {
    /// Of the peer's last messages, which it sends over every link, how many did not come over this one.
    pub missing: u32,
    /// How many messages that is of; 0: none was heard.
    pub of: u32,
    /// Frames heard since the agent started.
    pub heard: u64,
    /// Frames missing between those, since the agent started.
    pub lost: u64,
    /// To the peer and back, without the time it took to answer; averaged.
    pub round_trip: Option<Duration>,
    /// The longest since the agent started.
    pub round_trip_max: Option<Duration>,
    /// Why it cannot be used, if it cannot.
    pub fault: Option<String>,
}

/// Carrier of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// Nobody said.
    #[default]
    Unknown,
    /// There is one.
    Up,
    /// There is none.
    Down,
}

/// Which of this node's vips the kernel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// None, and nothing else of serving either (gate shut, bridge down).
    Absent,
    /// Some.
    Partial,
    /// All.
    Present,
}

/// What an order to fence came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FenceReport {
    /// The order is out; whether it worked is read elsewhere (fence wire, peer's agent).
    Ordered,
    /// The peer is off the wire, verified.
    Confirmed,
    /// It was not done, and why.
    Refused(String),
    /// Nobody knows, and why.
    Unknown(String),
}

/// What a means that works says of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probed {
    /// Nothing, or that it is on.
    Works,
    /// That its power is off.
    PeerOff,
}

/// What an operator can ask of the pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum PairCommand {
    /// Move the vips to the other node.
    Switchover {
        /// Why.
        reason: String,
    },
    /// Cut the Backup through each means, see that it is cut, and let it back. Answered when it has begun; how it goes is
    /// in the status.
    FenceTest {
        /// Only this one; `None`: all that take no power.
        #[serde(default)]
        means: Option<String>,
        /// Why.
        reason: String,
    },
    /// Both agree that nothing moves by itself, or end that. Asked of the Active; answered when both have saved it.
    Pin {
        /// Agree, or end it.
        on: bool,
        /// Why.
        reason: String,
    },
    /// "The peer is off the wire; I have seen it."
    ConfirmPeerDead {
        /// Why it is known.
        reason: String,
    },
}

/// Something to do, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairAction {
    /// Make the pair's memory durable. Answer: `Persisted`.
    Persist {
        /// Echoed.
        sequence: u64,
        /// All of it.
        memory: PairMemory,
    },
    /// Send a message under this start's boot id. Not answered.
    Send {
        /// Over which links.
        links: LinkSet,
        /// The envelope's counter.
        counter: u64,
        /// What.
        message: Message,
    },
    /// Serve: connection tracking committed behind a shut gate, then gate open, bridge up, vips installed. Answer:
    /// `VipsHeld`.
    HoldVips {
        /// Echoed.
        number: u64,
    },
    /// Stop serving: vips removed, gate shut, bridge down. Answer: `VipsDropped`.
    DropVips {
        /// Echoed.
        number: u64,
    },
    /// Renew the vips' kernel lifetime. Answer: `VipsRefreshed`.
    RefreshVips {
        /// Echoed.
        number: u64,
    },
    /// Tell the neighbours where the vips are, with all repeats. Answer: `Announced`, at the last repeat.
    Announce {
        /// Echoed.
        number: u64,
    },
    /// Ask the kernel which vips it has. Answer: `VipsRead`.
    ReadVips {
        /// Echoed.
        number: u64,
    },
    /// Ask the controller for a ticket, before any proof is gathered. Answer: `TicketTaken`.
    TakeTicket,
    /// Read controller, latch, hold and acknowledge. Answer: `FenceRead`.
    ReadFence {
        /// Echoed.
        sequence: u64,
    },
    /// Isolate the peer. Answer: `Fenced`.
    Fence {
        /// Echoed; for the peer's agent, the nonce it must answer.
        nonce: u64,
        /// Which means.
        means: usize,
        /// When this was decided: a controller refuses an order that comes too late.
        decided: Instant,
    },
    /// Withdraw what a means holds, or call off what it has not done yet. Gives nobody power. Answer: `Unfenced`.
    Unfence {
        /// Which means.
        means: usize,
    },
    /// Prove that a means works, without cutting anything. Answer: `MeansProbed`.
    ProbeMeans {
        /// Which means.
        means: usize,
    },
    /// Start or stop the units bound to the role. Nothing waits for it. Answer: `ServicesSet`.
    SetServices {
        /// Echoed.
        number: u64,
        /// How they should be.
        wanted: ServicesWanted,
    },
    /// Let hooks and sync know. Not answered; the last step of a transition.
    Advertise {
        /// The new role.
        role: Role,
        /// Epoch it holds in.
        epoch: u64,
    },
}

/// A set of links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkSet(pub u8);

impl LinkSet {
    /// The first `count` links.
    pub fn first(count: usize) -> Self {
        let count = count.min(LINKS_MAX);
        Self((0..count).fold(0, |set, link| set | 1 << link))
    }

    /// Whether `link` is in it.
    pub fn contains(self, link: usize) -> bool {
        link < LINKS_MAX && self.0 & (1 << link) != 0
    }
}
