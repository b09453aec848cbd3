//! Peer messages: the words of the pair, with every size bounded.
//!
//! Every message of a sender carries the sender's random boot id and ONE counter that rises with each message, of
//! whatever kind and over whatever links: the newest word of a sender is always known, and an old one never undoes
//! it. Both live in the [`Envelope`]. Wall-clock time appears in an introduction only, to be shown.
//!
//! What if one of these is lost? Nothing waits for it for ever: heartbeats repeat, requests are asked again with
//! their number, and silence is answered by a fence, never by an assumption.

use serde::{Deserialize, Serialize};

use super::introduction::Introduction;

/// Most links between two nodes.
pub const LINKS_MAX: usize = 8;

/// Most state-sync categories whose roots a heartbeat carries.
pub const SYNC_ROOTS_MAX: usize = 8;

/// One start of one agent: random, so that nothing said in an earlier life counts in this one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct BootId(pub u64);

/// 16 bytes that two nodes compare and nobody interprets.
pub type Digest = [u8; 16];

/// Which kind of board, as a hash: two nodes of different boards do not form a pair.
pub type BoardId = Digest;

/// Who sent a message, and which of its messages it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Envelope {
    /// The sender's start.
    pub boot: BootId,
    /// Rises with every message of that start; the first is 1. The same message sent over several links has one
    /// counter.
    pub counter: u64,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Sign of life and state.
    Heartbeat(Heartbeat),
    /// "Give me your word that you do not serve."
    Ask(Ask),
    /// That word.
    Answer(Answer),
    /// "Not now", so that the asker can say why.
    Decline(Decline),
    /// Agreement that nothing moves by itself.
    Pin(Pin),
    /// "Cut yourself." Carried under a key of its own.
    FenceOrder(FenceOrder),
    /// What became of that.
    FenceAnswer(FenceAnswer),
    /// Who the sender is. Nothing rests on it.
    Introduction(Introduction),
}

/// Sign of life and everything the peer must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The sender's role.
    pub role: Role,
    /// What else is so.
    pub flags: Flags,
    /// Highest epoch the sender knows.
    pub epoch: u64,
    /// What the sender has heard of the receiver: so one-way loss is seen, and a lease is acknowledged.
    pub hears: Hears,
    /// The sender's heartbeat interval in microseconds.
    pub interval_us: u32,
    /// The sender's worst lateness lately in microseconds: it may be silent for that long without being dead.
    pub lateness_us: u32,
    /// Checks, summed up.
    pub health: HealthSummary,
    /// Latch generation of the sender's own controller; `None` if it has none or cannot be read.
    pub generation: Option<u32>,
    /// The generation of the *receiver's* controller, as far as the sender lets its lease be judged by it. `None`
    /// while the sender holds the receiver's latch.
    pub names_generation: Option<u32>,
    /// What runs there.
    pub versions: Versions,
    /// Which kind of board.
    pub board: BoardId,
    /// The settings that must be the same on both nodes: a short digest of each part, so that it can be said which differs.
    pub agreement: Digest,
    /// One opaque root per sync category; at most [`SYNC_ROOTS_MAX`].
    pub sync_roots: Vec<[u8; 32]>,
}

/// Role of a node in the pair.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Not ready to take part yet.
    #[default]
    Init,
    /// Takes part, does not serve.
    Backup,
    /// Serves.
    Active,
    /// Cannot serve.
    Fault,
}

/// One bit each; the first is bit 0.
#[expect(
    clippy::struct_excessive_bools,
    reason = "bits of a frame: independent of each other, each with a meaning of its own"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flags {
    /// An operator took the sender out of the pair's automatism.
    pub maintenance: bool,
    /// No automatic takeover, as agreed.
    pub pinned: bool,
    /// May not claim alone: it was fenced or crashed and has not joined since.
    pub quarantined: bool,
    /// Its dead-man is kicked only as long as its heartbeats are acknowledged: its right to serve ends by itself.
    pub bound: bool,
    /// Wins where nothing else decides. Exactly one of a pair.
    pub preferred: bool,
    /// It may be answering for a vip at this moment.
    pub serving: bool,
    /// Its controller holds the receiver's latch.
    pub holds: bool,
    /// It could take over now.
    pub ready: bool,
    /// It was the last Active, as far as it knows.
    pub last_active: bool,
    /// Its controller is latched by the receiver.
    pub latched: bool,
    /// Active, and would rather not be: ask, and it will answer.
    pub yielding: bool,
    /// Its agent or its machine is about to end.
    pub leaving: bool,
}

/// What a sender has heard of the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hears {
    /// The receiver's start that these counters belong to.
    pub boot: BootId,
    /// Newest counter heard over any link; 0 if none.
    pub counter: u64,
    /// Newest counter heard per link; 0 if none.
    pub links: [u64; LINKS_MAX],
}

/// Checks of a node, summed up.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct HealthSummary {
    /// Segments against which a failover check speaks.
    pub failing: u8,
    /// Checks that only tell, and do.
    pub warning: u8,
}

/// What runs on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Versions {
    /// Version of the rules of the pair; nodes of different ones do not take over from each other.
    pub protocol: u16,
    /// The agent: major, minor, patch.
    pub software: [u16; 3],
    /// The controller's firmware: major, minor, patch.
    pub firmware: [u8; 3],
}

/// "Give me your word that you do not serve." Asked again with the same number until answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Fresh for every request of this start.
    pub number: u64,
    /// Epoch the asker wants to serve in; already saved.
    pub epoch: u64,
    /// Why.
    pub reason: AskReason,
}

/// Why one node asks the other for its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskReason {
    /// Nobody is Active.
    Election,
    /// An operator wants it.
    Switchover,
    /// The asker is configured to come back.
    Preempt,
    /// The receiver invited it: it is unwell, or leaving.
    Invited,
}

/// "I do not serve, and I will not without a new proof." True when sent: dropped, and read to be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The request's number.
    pub number: u64,
    /// Highest epoch the answerer knows.
    pub epoch: u64,
}

/// "Not now."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// The request's number.
    pub number: u64,
    /// Why.
    pub reason: DeclineReason,
}

/// Why a node does not give its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    /// It is taking over itself.
    Claiming,
    /// It asked first, and is preferred.
    AskedFirst,
    /// No automatic takeover, as agreed.
    Pinned,
    /// A serve action of its own has not ended.
    Busy,
    /// It serves and is no worse.
    NoNeed,
}

/// A numbered round of pinning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Fresh for every round of this start.
    pub round: u64,
    /// What is said in it.
    pub word: PinRound,
}

/// What is said in a round of pinning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PinRound {
    /// "Promise not to claim by yourself."
    Ask,
    /// "Promised, and saved."
    Promised,
    /// "I am bound again; your promise of this round ends."
    Release,
    /// "It has ended."
    Released,
}

/// "Cut yourself."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceOrder {
    /// Fresh for every order of this start.
    pub nonce: u64,
    /// Epoch of the claim; already saved.
    pub epoch: u64,
}

/// What became of a fence order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceAnswer {
    /// The order's nonce.
    pub nonce: u64,
    /// Done or not.
    pub outcome: FenceOutcome,
}

/// Outcome of a fence order, in the words of the one that was told to cut itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FenceOutcome {
    /// Vips dropped and read to be absent, all segments cut and read back.
    Cut,
    /// It cannot prove that.
    Unproven,
}
