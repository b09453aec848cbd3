//! Events of the pair, each to the concern it belongs to; and the peer's messages.

use super::Pair;
use super::active::Active;
use super::claim::Claim;
use super::drill::Drill;
use super::event::{FenceReport, PairEvent};
use super::guard::{self, Guard};
use super::memory::Disk;
use super::peer::Accepted;
use super::policy::MeansKind;
use super::proof::Proof;
use super::word::Released;
use crate::node::outbox::Outbox;
use crate::node::record::{Fact, Level};
use crate::node::time::Instant;
use crate::wire::{Envelope, Message};

impl Pair {
    /// Something happened.
    pub(in crate::node) fn handle(&mut self, now: Instant, event: PairEvent, out: &mut Outbox) {
        match event {
            PairEvent::Started { boot, saved, host } => {
                self.introductions.name(host);
                self.boot = Some(boot);
                self.started_at = Some(now);
                self.ledger.restore(saved);
                self.used_epoch = self.used_epoch.max(self.ledger.saved_epoch());
            }
            PairEvent::Persisted { sequence, outcome } => {
                let failed_before = self.ledger.fault.is_some();
                match self.ledger.persisted(sequence, outcome) {
                    Disk::Failed => {
                        let error = self.ledger.fault.clone().unwrap_or_default();
                        out.record(now, Level::Alarm, Fact::LedgerFailed { error });
                    }
                    Disk::Saved if failed_before => self.news(now),
                    Disk::Saved | Disk::Same => {}
                }
            }
            PairEvent::Heard {
                link,
                envelope,
                message,
            } => self.heard(now, link, envelope, message, out),
            PairEvent::LinkCarrier { link, carrier } => {
                if self.peer.carrier(link, carrier) {
                    self.news(now);
                }
            }
            PairEvent::LinkRefused { link } => self.peer.refused(now, link),
            PairEvent::LinksMeasured { links } => self.peer.measured(links),
            PairEvent::ClocksCompared { ahead_ms } => self.clocks_compared(now, ahead_ms, out),
            PairEvent::VipContested => self.contested(out),
            PairEvent::VipsHeld { number, outcome } => self.vips_held(now, number, &outcome, out),
            PairEvent::VipsDropped { number, outcome } => self.vips.dropped(now, number, outcome),
            PairEvent::VipsRefreshed { number, outcome } => {
                self.vips.served(number);
                self.vips.fault = outcome.err();
            }
            PairEvent::Announced { number, .. } => {
                self.vips.served(number);
            }
            PairEvent::VipsRead { number, outcome } => self.vips.read(now, number, outcome),
            PairEvent::TicketTaken { outcome } => self.ticket_taken(now, outcome, out),
            PairEvent::FenceRead { sequence, outcome } => self.means.saw(now, sequence, outcome),
            PairEvent::Fenced {
                nonce,
                means,
                outcome,
            } => self.fence_reported(means, nonce, &outcome),
            PairEvent::Unfenced { means, outcome } => self.means.unfenced(now, means, &outcome),
            PairEvent::MeansProbed { means, outcome } => {
                let heard = self.peer.silent_for(&self.clock) < self.policy.timing.suspect_after;
                self.means.probed(now, means, outcome, heard);
            }
            PairEvent::HookEnded { role, outcome } => {
                if let Err(error) = outcome {
                    out.record(now, Level::Warning, Fact::HookFailed { role, error });
                }
            }
            PairEvent::ServicesSet {
                number,
                wanted,
                outcome,
            } => self.services_set(now, number, wanted, outcome, out),
            PairEvent::SyncTold { outcome } => self.sync.told(now, outcome),
            PairEvent::TrackingFailed { error } => {
                out.record(now, Level::Warning, Fact::TrackingFailed { error });
            }
            PairEvent::Requested {
                request,
                actor,
                command,
            } => self.requested(now, request, actor, command, out),
        }
    }

    fn heard(
        &mut self,
        now: Instant,
        link: usize,
        envelope: Envelope,
        message: Message,
        out: &mut Outbox,
    ) {
        let Some(us) = self.boot else { return };
        let silent = self.peer.silent_for(&self.clock) >= self.policy.timing.suspect_after;
        if self.peer.hear(now, &self.clock, link, envelope) == Accepted::Stale {
            self.rejected = self.rejected.saturating_add(1);
            return;
        }
        if silent {
            self.news(now);
        }
        self.heard_without_power(now, out);
        match message {
            Message::Heartbeat(heartbeat) => {
                self.used_epoch = self.used_epoch.max(heartbeat.epoch);
                let acknowledge = self.may_acknowledge(&heartbeat);
                self.lease.heard(now, &heartbeat);
                self.sync.heard(now, &heartbeat.sync_roots);
                self.peer.take(now, &self.clock, us, heartbeat, acknowledge);
                if self.lease.bound() || !self.agrees() || self.has_promised() {
                    self.lease.forfeit();
                }
            }
            Message::Ask(ask) => self.asked(now, envelope.boot, ask, out),
            Message::Answer(answer) => {
                if let Some(word) = self.answered(answer) {
                    self.word_given(now, word);
                }
            }
            Message::Decline(decline) => {
                if self.word.pending() {
                    self.abandon(now, "the peer declined", out);
                    self.word.declined = Some(decline.reason);
                }
            }
            Message::FenceOrder(order) => self.ordered(now, envelope.boot, order, out),
            Message::FenceAnswer(answer) => {
                let claims = self.claim.as_mut().and_then(Claim::ladder);
                let tests = self.drill.as_mut().and_then(Drill::ladder);
                if let Some(ladder) = claims.or(tests) {
                    ladder.peer_answered(answer, &self.means);
                }
            }
            Message::Introduction(told) => self.introduced(now, envelope.boot, told, out),
            Message::Pin(pin) => self.heard_pin(now, pin),
        }
    }

    fn word_given(&mut self, now: Instant, word: Released) {
        let proof = Proof::Released(word);
        let stage = self.check(now, proof);
        if let Some(claim) = &mut self.claim {
            claim.stage = stage;
        }
    }

    /// Whoever is heard has power: it was given back, or never taken. A claim that stands on it has to start over.
    fn heard_without_power(&mut self, now: Instant, out: &mut Outbox) {
        if self.ledger.wanted().peer_off {
            self.ledger.change(|memory| memory.peer_off = false);
        }
        let proof = self.claim.as_ref().and_then(Claim::proof);
        if let Some(Proof::Fenced(fenced)) = proof.filter(|_| guard::holds(Guard::SeesLies))
            && fenced.by_power()
        {
            self.means.lied(now, fenced.means());
            self.abandon(now, "the peer is heard although its power was taken", out);
        }
    }

    fn fence_reported(&mut self, means: usize, nonce: u64, report: &FenceReport) {
        let kind = self.means.policy(means).map(|policy| policy.kind);
        if kind == Some(MeansKind::External) && *report == FenceReport::Confirmed {
            self.means.power_taken(means);
            self.ledger.change(|memory| memory.peer_off = true);
        }
        let claims = self.claim.as_mut().and_then(Claim::ladder);
        let serves = self.active.as_mut().and_then(Active::ladder);
        let tests = self.drill.as_mut().and_then(Drill::ladder);
        if let Some(ladder) = claims.or(serves).or(tests) {
            ladder.reported(means, nonce, report, &self.means);
        }
    }
}
