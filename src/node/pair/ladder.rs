//! The ladder: means tried in their order, until one is confirmed.
//!
//! One at a time. A means that was fired and not confirmed in its time has failed, whatever it says later; what it
//! holds is withdrawn before the next one is fired: a hold nobody confirmed protects nobody and only cuts the peer.

use super::event::FenceReport;
use super::guard::{self, Guard};
use super::means::{AllMeans, Fenced};
use super::policy::MeansKind;
use crate::node::outbox::Outbox;
use crate::node::time::Instant;
use crate::wire::FenceAnswer;

/// One attempt to isolate the peer.
#[derive(Debug, Clone)]
pub(super) struct Ladder {
    nonce: u64,
    power: Power,
    next: usize,
    /// The last one that may be tried.
    last: usize,
    rung: Rung,
    /// What was tried or passed over, and why it did not do.
    pub(super) tried: Vec<String>,
    unconfirmed: bool,
}

#[derive(Debug, Clone)]
enum Rung {
    /// Look for the next usable means.
    Free,
    /// It would be this one's turn; the peer goes first, if it lives.
    HeldBack {
        means: usize,
        until: Instant,
    },
    /// Fired; no answer yet.
    Fired {
        means: usize,
        until: Instant,
    },
    /// The order is out; looks from this number on count.
    Out {
        means: usize,
        until: Instant,
        after: u64,
    },
    /// Failed; what it holds must go first.
    Withdrawing {
        means: usize,
    },
    Done(Fenced),
    Exhausted,
}

/// How readily power is taken from the peer. Nobody gives it back but a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    /// In its turn.
    AtOnce,
    /// After so many times the means' hold-back.
    HeldBack(u32),
    /// Not at all.
    Spared,
}

/// How an attempt stands.
#[derive(Debug)]
pub(super) enum Standing {
    /// Wait.
    Trying,
    /// This one did it.
    Confirmed(Fenced),
    /// None did.
    Exhausted,
}

impl Ladder {
    pub(super) fn new(nonce: u64, power: Power) -> Self {
        Self {
            nonce,
            power,
            next: 0,
            last: usize::MAX,
            rung: Rung::Free,
            tried: Vec::new(),
            unconfirmed: false,
        }
    }

    /// This means and no other.
    pub(super) fn only(nonce: u64, means: usize) -> Self {
        Self {
            next: means,
            last: means,
            ..Self::new(nonce, Power::AtOnce)
        }
    }

    /// The means that may hold the peer now.
    pub(super) fn means(&self) -> Option<usize> {
        match &self.rung {
            Rung::Fired { means, .. } | Rung::Out { means, .. } => Some(*means),
            Rung::Done(fenced) => Some(fenced.means()),
            Rung::Free | Rung::HeldBack { .. } | Rung::Withdrawing { .. } | Rung::Exhausted => None,
        }
    }

    /// Whether something that should isolate the peer was fired, and nothing said that it did.
    pub(super) fn unconfirmed(&self) -> bool {
        self.unconfirmed
    }

    /// Whether something was fired and not withdrawn.
    pub(super) fn fired(&self) -> bool {
        self.means().is_some()
    }

    /// A means answered its order.
    pub(super) fn reported(
        &mut self,
        means: usize,
        nonce: u64,
        report: &FenceReport,
        all: &AllMeans,
    ) {
        let Rung::Fired {
            means: fired,
            until,
        } = self.rung
        else {
            return;
        };
        if nonce != self.nonce || fired != means {
            return;
        }
        if let Some(fenced) = all.confirmed_by_report(means, report) {
            self.rung = Rung::Done(fenced);
            return;
        }
        self.rung = match report {
            FenceReport::Ordered | FenceReport::Confirmed => Rung::Out {
                means,
                until,
                after: all.next_look(),
            },
            FenceReport::Refused(why) => self.fail(means, &format!("refused: {why}"), all),
            FenceReport::Unknown(why) => self.fail(means, &format!("unknown: {why}"), all),
        };
    }

    /// The nonce the peer's agent must answer, while it was ordered to cut itself.
    pub(super) fn awaits_peer(&self, all: &AllMeans) -> Option<u64> {
        let means = self.means()?;
        let policy = all.policy(means)?;
        (policy.kind == MeansKind::PeerAgent).then_some(self.nonce)
    }

    /// The peer's agent answered our order.
    pub(super) fn peer_answered(&mut self, answer: FenceAnswer, all: &AllMeans) {
        if let Rung::Out { means, .. } = self.rung
            && answer.nonce == self.nonce
            && self.awaits_peer(all).is_some()
        {
            self.rung = match all.confirmed_by_peer(means, answer.outcome) {
                Some(fenced) => Rung::Done(fenced),
                None => {
                    self.unconfirmed = true;
                    self.fail(means, "the peer cannot prove that it is off the wire", all)
                }
            };
        }
    }

    pub(super) fn step(
        &mut self,
        now: Instant,
        talking: bool,
        all: &mut AllMeans,
        out: &mut Outbox,
    ) -> Standing {
        if let Rung::Withdrawing { means } = self.rung
            && all.let_go(means)
        {
            self.rung = Rung::Free;
        }
        if let Rung::Out { means, after, .. } = self.rung
            && let Some(fenced) = (all.confirmed_by_wire(means, after))
                .or_else(|| all.confirmed_by_own_relays(means, after))
        {
            self.rung = Rung::Done(fenced);
        }
        if let Rung::Fired { means, until } | Rung::Out { means, until, .. } = self.rung
            && now >= until
        {
            self.unconfirmed = true;
            self.rung = self.fail(means, "not confirmed in time", all);
        }
        if let Rung::HeldBack { means, until } = self.rung
            && now >= until
        {
            self.rung = Rung::Free;
            self.try_this(now, means, talking, all, out);
        }
        if let Rung::Free = self.rung {
            self.climb(now, talking, all, out);
        }
        match &self.rung {
            Rung::Done(fenced) => Standing::Confirmed(fenced.clone()),
            Rung::Exhausted => Standing::Exhausted,
            _ => Standing::Trying,
        }
    }

    fn climb(&mut self, now: Instant, talking: bool, all: &mut AllMeans, out: &mut Outbox) {
        while let Rung::Free = self.rung {
            let means = self.next;
            let Some(policy) = all.policy(means).filter(|_| means <= self.last) else {
                self.rung = Rung::Exhausted;
                return;
            };
            self.next += 1;
            let takes_power = policy.kind == MeansKind::External;
            match self.power {
                Power::Spared if takes_power => {
                    let why = format!(
                        "{}: the peer left in order, and keeps its power",
                        policy.name
                    );
                    self.tried.push(why);
                }
                Power::HeldBack(times) if takes_power => {
                    let until = now + policy.hold_back * times;
                    self.rung = Rung::HeldBack { means, until };
                }
                _ => self.try_this(now, means, talking, all, out),
            }
        }
    }

    /// Fires it, if it may be; else stays free for the next one.
    fn try_this(
        &mut self,
        now: Instant,
        means: usize,
        talking: bool,
        all: &mut AllMeans,
        out: &mut Outbox,
    ) {
        let Some(policy) = all.policy(means) else {
            return;
        };
        let until = now + policy.timeout;
        let kind = policy.kind;
        if let Err(why) = all.usable(now, means, talking) {
            self.tried.push(format!("{}: {why}", policy.name));
            return;
        }
        all.fire(now, means, self.nonce, out);
        // The peer's agent is asked by message, not by an adapter; no look at a controller counts.
        let out = |after| Rung::Out {
            means,
            until,
            after,
        };
        self.rung = match kind {
            MeansKind::PeerAgent => out(u64::MAX),
            // The segments close by themselves; what counts is that they are seen closed.
            MeansKind::OwnRelay => out(all.next_look()),
            MeansKind::FenceWire | MeansKind::PeerController | MeansKind::External => {
                Rung::Fired { means, until }
            }
        };
    }

    fn fail(&mut self, means: usize, why: &str, all: &AllMeans) -> Rung {
        let name = all.policy(means).map_or("", |policy| &policy.name);
        self.tried.push(format!("{name}: {why}"));
        if !guard::holds(Guard::Withdraws) {
            return Rung::Exhausted;
        }
        Rung::Withdrawing { means }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.rung {
            Rung::HeldBack { until, .. } | Rung::Fired { until, .. } | Rung::Out { until, .. } => {
                Some(until)
            }
            _ => None,
        }
    }

    /// Looks at the controller are what is waited for.
    pub(super) fn wants_looks(&self) -> bool {
        matches!(self.rung, Rung::Out { .. })
    }
}
