//! What is known of the state that the pair keeps alike, and which takeovers wait for it.
//!
//! It can only withhold a claim that nobody ordered: fences, leases, relays and a node that serves never ask. What
//! counts is what was compared while the peer lived and the Active announced nothing newer since. What if the sync
//! service dies, here or there? Its last word ages like any other, and after [`BELIEVED_FOR`] nothing is known.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Pair;
use super::claim::Why;
use super::refusal::Refusal;
use crate::node::outbox::Outbox;
use crate::node::record::{Fact, Level};
use crate::node::time::Instant;
use crate::wire::{AskReason, Role};

mod shown;

pub use shown::{Roots, SyncCategoryStatus, SyncStatus};

/// News and comparisons older than this say nothing about now; the service compares every second.
pub const BELIEVED_FOR: Duration = Duration::from_secs(5);

/// Hash of what a node holds.
pub type Root = [u8; 32];

/// In place of a hash: not known.
pub const NO_ROOT: Root = [0; 32];

/// What a takeover waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SyncPolicy {
    /// Categories that must be in sync, by name; none: sync never withholds a takeover.
    pub required: BTreeSet<String>,
}

/// What the sync service said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SyncNews {
    /// What is held here, as heartbeats carry it: at most [`crate::wire::SYNC_ROOTS_MAX`].
    pub roots: Vec<Root>,
    /// Every category.
    pub categories: Vec<CategoryNews>,
}

/// One category, as the sync service sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryNews {
    /// Name.
    pub name: String,
    /// Which of [`SyncNews::roots`] speaks for it.
    pub slot: usize,
    /// How it is.
    pub state: SyncState,
}

/// How a category is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// Both nodes held the same when they were compared.
    InSync {
        /// How long ago that was, in milliseconds.
        verified_ms_ago: u64,
    },
    /// They do not, in words.
    Not(String),
    /// Nothing is known of the other node.
    Unknown,
}

/// As known here.
#[derive(Debug, Clone, Default)]
pub(super) struct Sync {
    news: Option<(Instant, SyncNews)>,
    /// Why the service's last word is not newer.
    fault: Option<String>,
    compared: BTreeMap<String, Compared>,
    announced: Vec<Announced>,
    /// A takeover is being withheld, and that was told.
    told: bool,
}

/// The last thing known of a category for certain.
#[derive(Debug, Clone)]
struct Compared {
    at: Instant,
    /// What was held here then.
    root: Root,
    outcome: Result<(), String>,
}

/// A root of the peer's, and since when it says so.
#[derive(Debug, Clone, Copy)]
struct Announced {
    root: Root,
    since: Instant,
}

impl Sync {
    /// The service spoke, or did not.
    pub(super) fn told(&mut self, now: Instant, outcome: Result<SyncNews, String>) {
        let news = match outcome {
            Ok(news) => news,
            Err(error) => {
                self.fault = Some(error);
                return;
            }
        };
        self.fault = None;
        self.compared
            .retain(|name, _| news.categories.iter().any(|one| one.name == *name));
        for one in &news.categories {
            let (at, outcome) = match &one.state {
                SyncState::InSync { verified_ms_ago } => {
                    (now - Duration::from_millis(*verified_ms_ago), Ok(()))
                }
                SyncState::Not(why) => (now, Err(why.clone())),
                // It says nothing about what was compared before.
                SyncState::Unknown => continue,
            };
            let root = root_in(&news.roots, one.slot);
            let compared = Compared { at, root, outcome };
            self.compared.insert(one.name.clone(), compared);
        }
        self.news = Some((now, news));
    }

    /// What the peer says that it holds.
    pub(super) fn heard(&mut self, now: Instant, roots: &[Root]) {
        self.announced.truncate(roots.len());
        for (slot, root) in roots.iter().enumerate() {
            let since = now;
            match self.announced.get_mut(slot) {
                Some(announced) if announced.root == *root => {}
                Some(announced) => *announced = Announced { root: *root, since },
                None => self.announced.push(Announced { root: *root, since }),
            }
        }
    }

    /// What this node's heartbeats say that it holds.
    pub(super) fn announce(&self, now: Instant) -> Vec<Root> {
        let news = self.fresh(now, now);
        news.map_or_else(Vec::new, |news| news.roots.clone())
    }

    fn fresh(&self, now: Instant, since: Instant) -> Option<&SyncNews> {
        let (at, news) = self.news.as_ref()?;
        (since.since(*at) <= BELIEVED_FOR && *at <= now).then_some(news)
    }

    /// Whether a category was the peer's when the peer was last heard; why not, in words.
    fn as_of(&self, now: Instant, heard_at: Instant, name: &str) -> Result<(), String> {
        let Some((_, news)) = &self.news else {
            let why = self.fault.as_deref();
            return Err(why
                .unwrap_or("the sync service said nothing yet")
                .to_owned());
        };
        let category = news.categories.iter().find(|one| one.name == name);
        let category = category.ok_or("the sync service does not have it")?;
        let announced = self.announced.get(category.slot);
        let announced = announced.filter(|announced| announced.root != NO_ROOT);
        let own = self.fresh(now, heard_at);
        let own = own.map(|news| root_in(&news.roots, category.slot));
        if let (Some(announced), Some(own)) = (announced, own)
            && announced.root == own
        {
            return Ok(());
        }
        let compared = self.compared.get(name).ok_or("never compared")?;
        compared.outcome.clone()?;
        let age = heard_at.since(compared.at);
        if age > BELIEVED_FOR {
            return Err(format!(
                "unknown: last compared {} s before the peer was last heard",
                age.as_secs()
            ));
        }
        let newer =
            announced.is_some_and(|they| they.root != compared.root && they.since > compared.at);
        if newer {
            return Err("the peer announced a newer state than is here".to_owned());
        }
        Ok(())
    }
}

fn root_in(roots: &[Root], slot: usize) -> Root {
    roots.get(slot).copied().unwrap_or(NO_ROOT)
}

impl Pair {
    /// Categories that a takeover waits for and that are not known to be the peer's; empty if nothing is withheld.
    pub(super) fn sync_withholds(&self, now: Instant) -> Vec<String> {
        let required = self.policy.sync.iter().flat_map(|sync| &sync.required);
        if !self.peers_data_counts() {
            return Vec::new();
        }
        let heard_at = self.peer.heard_at();
        required
            .filter_map(|name| {
                let known = match heard_at {
                    Some(at) => self.sync.as_of(now, at, name),
                    None => Err("the peer was not heard since this agent started".to_owned()),
                };
                known.err().map(|why| format!("{name}: {why}"))
            })
            .collect()
    }

    /// Where this node was the last to serve, its own data count, and so they do where neither was.
    fn peers_data_counts(&self) -> bool {
        let theirs = self
            .peer
            .last()
            .is_none_or(|peer| peer.role == Role::Active || peer.flags.last_active);
        theirs && !self.ledger.wanted().last_active
    }

    /// An order overrides it; everything that begins by itself waits.
    pub(super) fn sync_allows(&self, now: Instant, why: &Why) -> bool {
        let ordered = matches!(why, Why::Operator(_) | Why::Ask(AskReason::Switchover));
        ordered || self.sync_withholds(now).is_empty()
    }

    /// What [`Pair::takeover_refusals`] says of it.
    pub(super) fn sync_refusal(&self, now: Instant) -> Option<Refusal> {
        let withheld = self.sync_withholds(now);
        (!withheld.is_empty()).then_some(Refusal::NotInSync(withheld))
    }

    /// Tells once that a takeover that is called for is withheld.
    pub(super) fn step_sync(&mut self, now: Instant, out: &mut Outbox) {
        let Some(sync) = &self.policy.sync else {
            return;
        };
        let idle = self.claim.is_none() && self.active.is_none();
        let withheld = if sync.required.is_empty() || !idle {
            Vec::new()
        } else {
            self.sync_withholds(now)
        };
        let called = !withheld.is_empty()
            && self.own_objections(now).is_empty()
            && (self.called_for(now)).is_some_and(|why| !self.sync_allows(now, &why));
        if called && !self.sync.told {
            let why = withheld.join("; ");
            out.record(now, Level::Alarm, Fact::TakeoverWithheld { why });
        }
        self.sync.told = called;
    }
}

#[cfg(test)]
mod tests;
