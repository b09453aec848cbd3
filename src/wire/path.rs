//! How well one link carries: loss, round trip, last sign of life.
//!
//! Every frame has a sequence of its own on its link, so a gap is a loss *of this link*; and it tells which sequence
//! was heard last and how long ago, so a round trip is measured without any clock but our own. One-way loss shows as a
//! peer that is heard and hears nothing. Numbers for people and for the detector; nothing here decides.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::frame::Header;
use super::refusal::Refusal;
use super::window::{Place, ReplayWindow, WINDOW};
use crate::node::time::Instant;

/// How many sent frames are remembered; an answer to an older one measures nothing.
const SENT_MAX: usize = 64;
/// How far behind the newest frame an overtaken one still fills its gap.
const SPAN: u32 = 128;
/// Messages that may still be on their way by a slower link while a faster one has told them already.
const ON_THE_WAY: u64 = 4;

/// One link, as both directions see it.
#[derive(Debug, Clone)]
pub(super) struct Path {
    sequence: u32,
    /// Counter of the newest message sent on it.
    counter: u64,
    /// Counters of the messages received on it.
    window: ReplayWindow,
    sent: [Option<(u32, Instant)>; SENT_MAX],
    heard: Option<Heard>,
    quality: PathQuality,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    newest: u32,
    at: Instant,
    /// Bit `n` stands for `newest - n`; frames before the first one count as heard.
    seen: u128,
}

/// What a frame says of its link.
pub(super) struct Sent {
    pub(super) sequence: u32,
    /// Newest sequence heard; 0 if none.
    pub(super) heard: u32,
    /// How long ago.
    pub(super) held_us: u32,
}

/// What is known of one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PathQuality {
    /// When something authentic and current was last heard on it.
    pub last_heard: Option<Instant>,
    /// The highest sequence of ours that the peer says it heard on it, and when we had sent that.
    pub peer_heard: Option<(u32, Instant)>,
    /// Frames heard.
    pub heard: u64,
    /// Frames missing between those heard, now; falls again when an overtaken one comes in.
    pub lost: u64,
    /// Of the peer's last messages, which it sends over every link, how many did not come over this one.
    pub missing: u32,
    /// How many messages that is of; 128 once there were as many.
    pub of: u32,
    /// The last round trip, without the time the peer held it.
    pub round_trip: Option<Duration>,
    /// Average of round trips, each new one weighing an eighth.
    pub round_trip_mean: Option<Duration>,
    /// The longest.
    pub round_trip_max: Option<Duration>,
}

impl Path {
    pub(super) fn new() -> Self {
        Self {
            sequence: 0,
            counter: 0,
            window: ReplayWindow::default(),
            sent: [None; SENT_MAX],
            heard: None,
            quality: PathQuality::default(),
        }
    }

    /// `span`: the first and the newest of the peer's messages that came over any link, once one did.
    pub(super) fn quality(&self, span: Option<(u64, u64)>) -> PathQuality {
        let (missing, of) = span.map_or((0, 0), |(first, newest)| self.lately(first, newest));
        PathQuality {
            missing,
            of,
            ..self.quality
        }
    }

    fn lately(&self, first: u64, newest: u64) -> (u32, u32) {
        let upto = self
            .window
            .newest()
            .max(newest.saturating_sub(ON_THE_WAY))
            .min(newest);
        let after = upto.saturating_sub(WINDOW).max(first.saturating_sub(1));
        let of = u32::try_from(upto.saturating_sub(after)).unwrap_or(u32::MAX);
        (of.saturating_sub(self.window.seen_between(after, upto)), of)
    }

    /// The peer started anew: its sequences begin anew, and it has heard nothing of ours.
    pub(super) fn peer_changed(&mut self) {
        self.heard = None;
        self.window = ReplayWindow::default();
        self.quality.peer_heard = None;
    }

    /// A frame goes out; `None` if its counter was used on this link already.
    pub(super) fn send(&mut self, now: Instant, counter: u64) -> Option<Sent> {
        if counter <= self.counter {
            return None;
        }
        self.counter = counter;
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sent[slot(self.sequence)] = Some((self.sequence, now));
        let (heard, at) = self
            .heard
            .map_or((0, now), |heard| (heard.newest, heard.at));
        let held_us = u32::try_from(now.since(at).as_micros()).unwrap_or(u32::MAX);
        Some(Sent {
            sequence: self.sequence,
            heard,
            held_us,
        })
    }

    /// An authentic frame of the peer's present boot came in: once each.
    pub(super) fn receive(&mut self, header: &Header, now: Instant) -> Result<(), Refusal> {
        match self.window.place(header.counter) {
            Place::Seen => return Err(Refusal::Replayed),
            Place::TooOld => return Err(Refusal::TooOld),
            Place::Newest | Place::Overtaken => self.window.mark(header.counter),
        }
        let quality = &mut self.quality;
        quality.last_heard = Some(now);
        quality.heard = quality.heard.saturating_add(1);
        let lost = match &mut self.heard {
            None => {
                self.heard = Some(Heard {
                    newest: header.sequence,
                    at: now,
                    seen: u128::MAX,
                });
                0
            }
            Some(heard) => heard.take(header.sequence, now),
        };
        quality.lost = quality.lost.saturating_add_signed(lost);
        self.measure(header, now);
        Ok(())
    }

    fn measure(&mut self, header: &Header, now: Instant) {
        let Some((sequence, sent_at)) = self.sent[slot(header.heard)] else {
            return;
        };
        if sequence != header.heard || header.heard == 0 {
            return;
        }
        let quality = &mut self.quality;
        if quality.peer_heard.is_none_or(|(known, _)| known < sequence) {
            quality.peer_heard = Some((sequence, sent_at));
        }
        // The peer held it until this frame was made; saturated means it was held for longer than can be told.
        if header.held_us == u32::MAX {
            return;
        }
        let held = Duration::from_micros(u64::from(header.held_us));
        let trip = now.since(sent_at).saturating_sub(held);
        quality.round_trip = Some(trip);
        quality.round_trip_mean = Some(
            quality
                .round_trip_mean
                .map_or(trip, |mean| (mean * 7 + trip) / 8),
        );
        quality.round_trip_max = quality.round_trip_max.max(Some(trip));
    }
}

impl Heard {
    /// How many more frames are missing after this one.
    fn take(&mut self, sequence: u32, now: Instant) -> i64 {
        if sequence > self.newest {
            let step = sequence - self.newest;
            self.seen = if step >= SPAN { 0 } else { self.seen << step };
            self.seen |= 1;
            self.newest = sequence;
            self.at = now;
            return i64::from(step - 1);
        }
        let behind = self.newest - sequence;
        if behind < SPAN && self.seen >> behind & 1 == 0 {
            self.seen |= 1 << behind;
            return -1;
        }
        0
    }
}

fn slot(sequence: u32) -> usize {
    usize::try_from(sequence).unwrap_or(0) % SENT_MAX
}
