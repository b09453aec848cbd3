//! Why this node does not take over: every reason a sentence, none unsaid.

use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::wire::{DeclineReason, Role};

/// One reason not to take over now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It serves already.
    Serving,
    /// The first look at hardware, addresses and ledger is not complete.
    Starting,
    /// An operator took this node out.
    OutOfService(String),
    /// The agent is ending.
    Stopping,
    /// The controller does not answer.
    NoController,
    /// Nothing would cut this node if it died.
    NoDeadMan,
    /// The peer holds this node's latch.
    Latched,
    /// The relays are not where a takeover needs them.
    RelaysNotReady(String),
    /// A relay is being moved.
    RelayMoving,
    /// Something of serving is, or may still be, in the kernel.
    NotQuiet,
    /// Own failover checks fail.
    Unwell(u8),
    /// The ledger cannot be written.
    Ledger(String),
    /// The peer is heard, serves, and nothing asks for a change.
    PeerServes,
    /// The peer is heard and goes first.
    PeerGoesFirst,
    /// The peer is heard, does not serve, and has not ended serving.
    PeerNotDone(Role),
    /// Its agent was refused by its kernel and may be back in a moment.
    RestartGrace(Duration),
    /// Silent, but not for long enough.
    NotSilentLongEnough(Duration),
    /// Nobody shoots before it could hear.
    BootHold(Duration),
    /// Fenced or crashed, and not joined since: not alone.
    Quarantined,
    /// No means is proven to work, one sentence each.
    NoMeans(Vec<String>),
    /// The last attempt failed; the next one comes later.
    Waiting(Duration),
    /// Both nodes have the same rank.
    SameRank,
    /// The two nodes run different rules, boards or settings.
    Disagreement(String),
    /// The peer was asked and said no.
    Declined(DeclineReason),
    /// Both agreed that nothing moves by itself.
    Pinned,
    /// A word of ours is owed to the peer.
    WordOwed,
    /// Categories that a takeover waits for are not known to be the peer's, one sentence each.
    NotInSync(Vec<String>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serving => f.write_str("this node is Active already"),
            Self::Starting => f.write_str(
                "the agent has not yet read its hardware, its addresses and its ledger",
            ),
            Self::OutOfService(why) => write!(f, "this node is out of service: {why}"),
            Self::Stopping => f.write_str("the agent is stopping"),
            Self::NoController => f.write_str("the bypass controller does not answer"),
            Self::NoDeadMan => f.write_str("the dead-man is not armed and verified"),
            Self::Latched => f.write_str("the peer's fence latches this node"),
            Self::RelaysNotReady(place) => write!(f, "the relays are {place}"),
            Self::RelayMoving => f.write_str("a relay is being moved"),
            Self::NotQuiet => f.write_str(
                "addresses of this node are, or may still come to be, in the kernel",
            ),
            Self::Unwell(count) => write!(f, "{count} segments fail their checks here"),
            Self::Ledger(error) => write!(f, "the ledger cannot be written: {error}"),
            Self::PeerServes => f.write_str("the peer serves and is no worse"),
            Self::PeerGoesFirst => f.write_str("both nodes could, and the peer goes first"),
            Self::PeerNotDone(role) => write!(f, "the peer is {role:?} and may still answer"),
            Self::RestartGrace(left) => write!(
                f,
                "only the peer's agent died; it has {} ms to come back",
                left.as_millis()
            ),
            Self::NotSilentLongEnough(left) => {
                write!(f, "the peer has {} ms to be heard", left.as_millis())
            }
            Self::BootHold(left) => write!(
                f,
                "this node has just started; it fences nobody for {} ms",
                left.as_millis()
            ),
            Self::Quarantined => f.write_str(
                "this node was fenced or crashed and has not joined since; it does not take over alone",
            ),
            Self::NoMeans(why) => write!(f, "no means is proven to work: {}", why.join("; ")),
            Self::Waiting(left) => {
                write!(f, "the last attempt failed; again in {} ms", left.as_millis())
            }
            Self::SameRank => {
                f.write_str("both nodes have the same rank; exactly one must be preferred")
            }
            Self::Disagreement(what) => write!(f, "the nodes differ in {what}"),
            Self::Declined(reason) => write!(f, "the peer declined: {}", sentence(*reason)),
            Self::Pinned => f.write_str(
                "both nodes agreed that nothing moves by itself; `fencepost pair pin off` on the Active ends that",
            ),
            Self::WordOwed => f.write_str("this node is giving its word to the peer"),
            Self::NotInSync(why) => write!(
                f,
                "the configuration wants state in sync before a takeover, and it is not known to be: {}; \
                 `fencepost switchover` or `fencepost confirm-peer-dead` overrides this",
                why.join("; ")
            ),
        }
    }
}

fn sentence(reason: DeclineReason) -> &'static str {
    match reason {
        DeclineReason::Claiming => "it is taking over itself",
        DeclineReason::AskedFirst => "it asked too and goes first",
        DeclineReason::Pinned => "takeovers are pinned",
        DeclineReason::Busy => "it cannot give its word now",
        DeclineReason::NoNeed => "it serves and is no worse",
    }
}
