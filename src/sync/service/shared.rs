//! What the parts of the service share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};

use super::keeper::KeeperHandle;
use crate::category_id::CategoryId;
use crate::confine::Confined;
use crate::contents::Signatures;
use crate::control::Report;
use crate::diff::Change;
use crate::frame::Look;
use crate::identity::Identity;
use crate::lineage::NodeId;
use crate::role::RoleSource;
use crate::session::{CategoryStatus, Meant, Moment, Own, RunOutcome, Standing, State};
use crate::settings::Settings;

/// Something that somebody asks of the session with the Backup.
#[derive(Debug)]
pub(super) enum Order {
    /// Try again what was held back.
    Wanted {
        category: Option<CategoryId>,
        meant: Meant,
    },
    /// Have the Backup look; answered when it has.
    Verify {
        look: Look,
        answer: oneshot::Sender<()>,
    },
    /// Have the Backup run a command.
    Run {
        name: String,
        answer: oneshot::Sender<RunOutcome>,
    },
    /// Tell what differs.
    Diff {
        category: CategoryId,
        answer: oneshot::Sender<Vec<Change>>,
    },
}

/// See the module.
pub(super) struct Shared {
    pub(super) version: String,
    pub(super) me: NodeId,
    pub(super) settings: Settings,
    pub(super) identities: Vec<Identity>,
    pub(super) roles: Arc<dyn RoleSource>,
    pub(super) standing: watch::Receiver<Standing>,
    pub(super) keepers: Vec<KeeperHandle>,
    pub(super) signatures: Signatures,
    /// An activation runs on this node.
    pub(super) activating: AtomicBool,
    confined: Option<Confined>,
    started: Instant,
    session: Mutex<Session>,
}

/// The connection with the peer, as others see it.
#[derive(Default)]
struct Session {
    peer: Option<String>,
    trouble: Option<String>,
    ended_at: Moment,
    categories: Vec<CategoryStatus>,
    orders: Option<mpsc::Sender<Order>>,
}

/// Orders that may wait for the session.
const ORDERS: usize = 16;

impl Shared {
    #[allow(clippy::too_many_arguments, reason = "made once, of all there is")]
    pub(super) fn new(
        version: String,
        me: NodeId,
        settings: Settings,
        identities: Vec<Identity>,
        roles: Arc<dyn RoleSource>,
        standing: watch::Receiver<Standing>,
        keepers: Vec<KeeperHandle>,
        confined: Option<Confined>,
    ) -> Self {
        Self {
            version,
            me,
            settings,
            identities,
            roles,
            standing,
            keepers,
            signatures: Signatures::default(),
            activating: AtomicBool::new(false),
            confined,
            started: Instant::now(),
            session: Mutex::default(),
        }
    }

    /// Time since the service started.
    pub(super) fn now(&self) -> Moment {
        self.started.elapsed()
    }

    /// What this node has, for a session that begins.
    pub(super) fn own(&self) -> Vec<Own> {
        let now = self.now();
        let own = |keeper: &KeeperHandle| Own {
            behind_since: keeper.behind_for().map(|length| now.saturating_sub(length)),
            ..keeper.own()
        };
        self.keepers.iter().map(own).collect()
    }

    /// A session begins; orders for it come from here.
    pub(super) fn session_began(&self, peer: String) -> mpsc::Receiver<Order> {
        let (sender, orders) = mpsc::channel(ORDERS);
        let mut session = self.session();
        session.peer = Some(peer);
        session.trouble = None;
        session.orders = Some(sender);
        orders
    }

    pub(super) fn session_is(&self, categories: Vec<CategoryStatus>) {
        self.session().categories = categories;
    }

    pub(super) fn session_ended(&self, why: String) {
        let now = self.now();
        let mut session = self.session();
        tracing::info!(peer = session.peer, "the session ended: {why}");
        *session = Session {
            trouble: Some(why),
            ended_at: now,
            ..Session::default()
        };
    }

    /// Why there is none, as far as known.
    pub(super) fn no_session(&self, why: String) {
        let mut session = self.session();
        if session.peer.is_none() && session.trouble.as_ref() != Some(&why) {
            tracing::info!("no session: {why}");
            session.trouble = Some(why);
        }
    }

    /// Give an order to the session.
    pub(super) fn order(&self, order: Order) -> Result<(), String> {
        let session = self.session();
        let Some(orders) = &session.orders else {
            let why = session.trouble.as_deref().unwrap_or("none was made yet");
            return Err(format!("there is no connection with the backup: {why}"));
        };
        orders
            .try_send(order)
            .map_err(|_| "too many orders are waiting; try again later".to_owned())
    }

    /// All of it.
    pub(super) fn report(&self) -> Report {
        let now = self.now();
        let session = self.session();
        let notes = self.keepers.iter().flat_map(KeeperHandle::notes);
        Report {
            version: self.version.clone(),
            standing: *self.standing.borrow(),
            peer: session.peer.clone(),
            trouble: session.trouble.clone(),
            categories: if session.peer.is_some() {
                session.categories.clone()
            } else {
                let since = now.saturating_sub(session.ended_at);
                self.unknown(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            },
            confined: self.confined.clone(),
            notes: notes.collect(),
        }
    }

    fn unknown(&self, for_ms: u64) -> Vec<CategoryStatus> {
        let one = |own: Own| CategoryStatus {
            id: own.id,
            state: State::Unknown { for_ms },
            entries: own.local.as_ref().map_or(0, |local| local.manifest.len()),
            bytes: own.local.as_ref().map_or(0, |local| local.manifest.bytes()),
            generation: own.lineage.newest().map(|record| record.seq),
            root: own.local.map(|local| local.roots.content.to_string()),
        };
        self.own().into_iter().map(one).collect()
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
