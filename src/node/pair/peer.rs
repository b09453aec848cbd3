//! What is known of the peer: its newest word, when it came, and whether it hears us.
//!
//! One counter orders everything a start of the peer says; an older message is dropped whatever link it came over.
//! Words of a start that was followed by another are dropped too. What if the peer is replayed? Only a message that
//! names *our* start and a counter we sent can acknowledge anything.

use core::time::Duration;
use std::collections::VecDeque;

use super::event::{Carrier, LinkMeasure};
use super::guard::{self, Guard};
use super::silence::{AwakeClock, Since};
use crate::node::time::Instant;
use crate::wire::{BootId, Envelope, Hears, Heartbeat, LINKS_MAX, Role};

/// Earlier starts of the peer that are remembered: more than it can have in the time a frame can be late.
const RETIRED_MAX: usize = 8;
/// Own messages whose sending times are remembered: enough for any lease at any heartbeat interval, thinned out.
const SENT_MAX: usize = 256;

/// The peer as heard.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    boot: Option<BootId>,
    retired: VecDeque<BootId>,
    counter: u64,
    /// What our heartbeats acknowledge: lags behind `counter` while nothing of it may be acknowledged.
    acknowledged: u64,
    last: Option<Heartbeat>,
    heard_at: Option<Instant>,
    heard: Since,
    /// Since when it has been hearing us without a break.
    hears_us: Since,
    hears_counter: u64,
    both_ways: Option<Instant>,
    links: Vec<Link>,
    refused_at: Option<Instant>,
    sent: VecDeque<(u64, Instant)>,
    /// When the newest of our messages that it acknowledged was sent.
    acked_sent_at: Option<Instant>,
}

/// One link.
#[derive(Debug, Clone, Default)]
pub(super) struct Link {
    pub(super) counter: u64,
    pub(super) heard_at: Option<Instant>,
    pub(super) carrier: Carrier,
    pub(super) refused: u64,
    pub(super) measure: LinkMeasure,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepted {
    /// New: it counts.
    New,
    /// Old, repeated, or from an earlier start.
    Stale,
}

impl Peer {
    pub(super) fn new(links: usize) -> Self {
        Self {
            boot: None,
            retired: VecDeque::new(),
            counter: 0,
            acknowledged: 0,
            last: None,
            heard_at: None,
            heard: Since::default(),
            hears_us: Since::default(),
            hears_counter: 0,
            both_ways: None,
            links: vec![Link::default(); links.min(LINKS_MAX)],
            refused_at: None,
            sent: VecDeque::new(),
            acked_sent_at: None,
        }
    }

    /// A message came in. Says whether it is newer than all before.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        clock: &AwakeClock,
        link: usize,
        envelope: Envelope,
    ) -> Accepted {
        let ordered = guard::holds(Guard::OneCounter);
        if self.retired.contains(&envelope.boot) && ordered {
            return Accepted::Stale;
        }
        if self.boot != Some(envelope.boot) {
            self.begin(envelope.boot);
        }
        if let Some(link) = self.links.get_mut(link)
            && envelope.counter > link.counter
        {
            link.counter = envelope.counter;
            link.heard_at = Some(now);
        }
        if envelope.counter <= self.counter && ordered {
            return Accepted::Stale;
        }
        self.counter = envelope.counter;
        self.heard_at = Some(now);
        self.heard = Since::now(clock);
        self.refused_at = None;
        Accepted::New
    }

    /// Takes in a heartbeat that [`Peer::hear`] found new.
    pub(super) fn take(
        &mut self,
        now: Instant,
        clock: &AwakeClock,
        us: BootId,
        heartbeat: Heartbeat,
        acknowledge: bool,
    ) {
        if acknowledge {
            self.acknowledged = self.counter;
        }
        if heartbeat.hears.boot == us && heartbeat.hears.counter > self.hears_counter {
            self.hears_counter = heartbeat.hears.counter;
            self.hears_us = Since::now(clock);
            self.both_ways.get_or_insert(now);
            let acked = heartbeat.hears.counter;
            while let Some((counter, at)) = self.sent.front().copied()
                && counter <= acked
            {
                self.acked_sent_at = self.acked_sent_at.max(Some(at));
                self.sent.pop_front();
            }
        }
        self.last = Some(heartbeat);
    }

    /// A message of ours goes out.
    pub(super) fn sent(&mut self, now: Instant, counter: u64) {
        if self.sent.len() == SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((counter, now));
    }

    /// What our heartbeats say we hear.
    pub(super) fn hears(&self) -> Hears {
        let mut links = [0; LINKS_MAX];
        for (slot, link) in links.iter_mut().zip(&self.links) {
            *slot = link.counter;
        }
        Hears {
            boot: self.boot.unwrap_or_default(),
            counter: self.acknowledged,
            links,
        }
    }

    pub(super) fn boot(&self) -> Option<BootId> {
        self.boot
    }

    /// Its last heartbeat, however old.
    pub(super) fn last(&self) -> Option<&Heartbeat> {
        self.last.as_ref()
    }

    pub(super) fn heard_at(&self) -> Option<Instant> {
        self.heard_at
    }

    pub(super) fn acked_sent_at(&self) -> Option<Instant> {
        self.acked_sent_at
    }

    /// For how long it has said nothing.
    pub(super) fn silent_for(&self, clock: &AwakeClock) -> Duration {
        self.heard.elapsed(clock)
    }

    /// For how long it has not acknowledged anything new.
    pub(super) fn deaf_for(&self, clock: &AwakeClock) -> Duration {
        self.hears_us.elapsed(clock)
    }

    /// Both directions work, and have for this long.
    pub(super) fn both_ways_for(
        &self,
        now: Instant,
        clock: &AwakeClock,
        limit: Duration,
    ) -> Option<Duration> {
        let fresh = self.silent_for(clock) < limit && self.deaf_for(clock) < limit;
        let since = self.both_ways.filter(|_| fresh && self.last.is_some())?;
        Some(now.since(since))
    }

    /// A break in either direction starts the count of unbroken talk anew.
    pub(super) fn outdate(&mut self, clock: &AwakeClock, limit: Duration) {
        if self.silent_for(clock) >= limit || self.deaf_for(clock) >= limit {
            self.both_ways = None;
        }
    }

    pub(super) fn role(&self) -> Option<Role> {
        self.last.as_ref().map(|heartbeat| heartbeat.role)
    }

    /// Whether that is news.
    pub(super) fn carrier(&mut self, link: usize, carrier: Carrier) -> bool {
        let Some(link) = self.links.get_mut(link) else {
            return false;
        };
        core::mem::replace(&mut link.carrier, carrier) != carrier
    }

    /// Its kernel refuses: only its agent is gone.
    pub(super) fn refused(&mut self, now: Instant, link: usize) {
        self.refused_at.get_or_insert(now);
        if let Some(link) = self.links.get_mut(link) {
            link.refused = link.refused.saturating_add(1);
        }
    }

    /// How well each link carries.
    pub(super) fn measured(&mut self, measures: Vec<LinkMeasure>) {
        for (link, measure) in self.links.iter_mut().zip(measures) {
            link.measure = measure;
        }
    }

    pub(super) fn refused_at(&self) -> Option<Instant> {
        self.refused_at
    }

    /// Every link's carrier is gone: its power died, or ours sees nothing at all.
    pub(super) fn all_dark(&self) -> bool {
        !self.links.is_empty() && self.links.iter().all(|link| link.carrier == Carrier::Down)
    }

    pub(super) fn links(&self) -> &[Link] {
        &self.links
    }

    fn begin(&mut self, boot: BootId) {
        if let Some(old) = self.boot.replace(boot) {
            if self.retired.len() == RETIRED_MAX {
                self.retired.pop_front();
            }
            self.retired.push_back(old);
        }
        self.counter = 0;
        self.acknowledged = 0;
        self.last = None;
        self.both_ways = None;
        for link in &mut self.links {
            link.counter = 0;
        }
    }
}
