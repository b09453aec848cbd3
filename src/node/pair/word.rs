//! Words: numbered requests for the peer's word that it does not serve, and our own word.
//!
//! A word counts only for the number that is pending, in this boot, with no cut of our own since it was asked. Ours
//! is given only when it is true and stays true: nothing of ours is served, nothing is on its way, no claim of ours
//! is under way and no request of ours is pending. What if the answer is lost? The request is repeated, and answered
//! again if it is still true.

use core::time::Duration;

use super::Pair;
use super::event::PairAction;
use super::guard::{self, Guard};
use super::policy::MeansKind;
use crate::node::outbox::Outbox;
use crate::node::time::Instant;
use crate::wire::{
    Answer, Ask, AskReason, BootId, Decline, DeclineReason, FenceAnswer, FenceOrder, FenceOutcome,
    Message, Role,
};

/// A request not repeated for this long is no longer owed an answer: its asker gave up.
const OWED_FOR: Duration = Duration::from_secs(2);

/// Proof: the peer's word. Made only by [`Word::accept`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Released {
    number: u64,
}

impl Released {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

/// Requests of ours and of the peer's.
#[derive(Debug, Clone, Default)]
pub(super) struct Word {
    numbers: u64,
    pending: Option<u64>,
    /// The peer's request that we mean to answer.
    owed: Option<Owed>,
    /// The peer's order to cut ourselves.
    obeying: Option<Obeying>,
    /// Why the peer last declined.
    pub(super) declined: Option<DeclineReason>,
}

#[derive(Debug, Clone, Copy)]
struct Owed {
    number: u64,
    boot: BootId,
    asked_at: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Obeying {
    nonce: u64,
    boot: BootId,
    /// When it first came.
    since: Instant,
    /// When it was last repeated.
    asked_at: Instant,
    /// Whether that one has been answered.
    answered: bool,
}

impl Word {
    /// A fresh number; the one before is void.
    pub(super) fn ask(&mut self) -> u64 {
        self.numbers += 1;
        self.pending = Some(self.numbers);
        self.declined = None;
        self.numbers
    }

    /// A number for an order or attempt; never pending.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Our request no longer counts, whatever is still answered.
    pub(super) fn void(&mut self) {
        self.pending = None;
    }

    pub(super) fn pending(&self) -> bool {
        self.pending.is_some()
    }

    fn accept(&mut self, answer: Answer) -> Option<Released> {
        let any = !guard::holds(Guard::WordNumber);
        let number = self
            .pending
            .take_if(|number| *number == answer.number || any)?;
        Some(Released { number })
    }

    pub(super) fn owes(&self) -> bool {
        self.owed.is_some() || self.obeying.is_some()
    }

    /// We were told to cut ourselves, and whoever said so is not known to be done.
    pub(super) fn obeying(&self) -> bool {
        self.obeying.is_some()
    }

    pub(super) fn forget_old(&mut self, now: Instant) {
        let old = |at: Instant| now.since(at) >= OWED_FOR;
        self.owed.take_if(|owed| old(owed.asked_at));
        self.obeying.take_if(|order| old(order.asked_at));
    }
}

impl Pair {
    /// The peer wants our word.
    pub(super) fn asked(&mut self, now: Instant, boot: BootId, ask: Ask, out: &mut Outbox) {
        if let Some(reason) = self.declines(now, ask.reason) {
            let number = ask.number;
            let message = Message::Decline(Decline { number, reason });
            return self.send(now, message, out);
        }
        // The other's request goes before ours: ours is void from here on.
        if self.word.pending() && guard::holds(Guard::WordsDoNotCross) {
            self.abandon(now, "the peer asked too and goes first", out);
        }
        if self.active.is_some() {
            self.step_down(now, "the peer takes over by our word", out);
        }
        self.lease.forfeit();
        self.word.owed = Some(Owed {
            number: ask.number,
            boot,
            asked_at: now,
        });
    }

    fn declines(&self, now: Instant, reason: AskReason) -> Option<DeclineReason> {
        let talking = self.talking(now);
        let crosses = self.word.pending() && guard::holds(Guard::WordsDoNotCross);
        if crosses && self.preferred() && self.active.is_none() {
            return Some(DeclineReason::AskedFirst);
        }
        if self.claim.is_some() && !self.word.pending() {
            return Some(DeclineReason::Claiming);
        }
        if !talking || !self.agrees() {
            return Some(DeclineReason::Busy);
        }
        let active = self.active.as_ref()?;
        match reason {
            AskReason::Switchover => None,
            AskReason::Preempt => self.preferred().then_some(DeclineReason::NoNeed),
            AskReason::Invited => (!active.yielding()).then_some(DeclineReason::NoNeed),
            AskReason::Election => Some(DeclineReason::NoNeed),
        }
    }

    /// The peer gives its word, if that is still what we wait for.
    pub(super) fn answered(&mut self, answer: Answer) -> Option<Released> {
        self.used_epoch = self.used_epoch.max(answer.epoch);
        self.word.accept(answer)
    }

    /// The peer orders us to cut ourselves.
    pub(super) fn ordered(
        &mut self,
        now: Instant,
        boot: BootId,
        order: FenceOrder,
        out: &mut Outbox,
    ) {
        if order.epoch < self.used_epoch || !self.talking(now) {
            self.orders_refused = self.orders_refused.saturating_add(1);
            return;
        }
        self.used_epoch = order.epoch;
        self.abandon(now, "the peer ordered a fence", out);
        if self.active.is_some() {
            self.step_down(now, "the peer ordered a fence", out);
        }
        self.lease.forfeit();
        let repeated = |old: &Obeying| old.nonce == order.nonce && old.boot == boot;
        let first = self.word.obeying.filter(repeated);
        self.word.obeying = Some(Obeying {
            nonce: order.nonce,
            boot,
            since: first.map_or(now, |old| old.since),
            asked_at: now,
            answered: false,
        });
    }

    /// Says what is owed, once it is true.
    pub(super) fn step_word(&mut self, now: Instant, out: &mut Outbox) {
        self.word.forget_old(now);
        if self.peer.role() == Some(Role::Active) {
            // It stands where it wanted to; beside it a Backup may close.
            self.word.obeying.take_if(|order| order.answered);
        }
        self.admit_unproven(now, out);
        let peer = self.peer.boot();
        let same_peer = |boot: BootId| peer == Some(boot);
        let quiet = self.vips.quiet() || !guard::holds(Guard::AnswersQuiet);
        let claims = self.claim.is_some() && guard::holds(Guard::WordsDoNotCross);
        if !quiet || claims || self.active.is_some() {
            return;
        }
        let epoch = self.used_epoch;
        if let Some(owed) = self.word.owed
            && same_peer(owed.boot)
            && self.stands_as_released()
        {
            self.word.owed = None;
            self.lease.forfeit();
            let number = owed.number;
            self.send(now, Message::Answer(Answer { number, epoch }), out);
        }
        let stands_cut = self.stands_cut();
        if let Some(order) = &mut self.word.obeying
            && !order.answered
            && same_peer(order.boot)
            && stands_cut
        {
            // It stays cut: a copy of the order on its way must find what this answer says.
            order.answered = true;
            let answer = FenceAnswer {
                nonce: order.nonce,
                outcome: FenceOutcome::Cut,
            };
            self.send(now, Message::FenceAnswer(answer), out);
        }
    }

    /// Ordered to cut ourselves, and after most of the time that the peer waits for it not seen to be: it has to know, and
    /// go on to its next means.
    fn admit_unproven(&mut self, now: Instant, out: &mut Outbox) {
        let patience = self.cut_patience();
        let proven = self.vips.quiet() && self.stands_cut();
        let peer = self.peer.boot();
        let Some(order) = self.word.obeying.as_mut().filter(|order| {
            !order.answered
                && !proven
                && peer == Some(order.boot)
                && now.since(order.since) >= patience
        }) else {
            return;
        };
        order.answered = true;
        let answer = FenceAnswer {
            nonce: order.nonce,
            outcome: FenceOutcome::Unproven,
        };
        self.send(now, Message::FenceAnswer(answer), out);
    }

    /// Three quarters of what both nodes give the peer's agent.
    fn cut_patience(&self) -> Duration {
        let mut means = self.policy.means.iter();
        let agent = means.find(|means| means.kind == MeansKind::PeerAgent);
        let whole = agent.map_or(self.policy.timing.heartbeat_every * 8, |it| it.timeout);
        whole * 3 / 4
    }

    /// Sends a message with the next counter over every link.
    pub(super) fn send(&mut self, now: Instant, message: Message, out: &mut Outbox) {
        if self.boot.is_none() {
            return;
        }
        self.counter += 1;
        self.peer.sent(now, self.counter);
        out.pair(PairAction::Send {
            links: self.all_links(),
            counter: self.counter,
            message,
        });
    }
}
