//! What is known for certain: true contacts, the true dead-man, the host, defects, and what the node was told.
//!
//! Excuses live here. A segment is *defective* while its relay is stuck, welded or slow, its controller hung,
//! its lines held by somebody else; promises about it count from the end of that. It is *excused* once
//! the board itself has falsified a reading of it or somebody else has moved it, until it is seen cut, or in
//! `Normal` and truly guarded again.

use core::time::Duration;

use super::{Host, Moment, Promise, Seen};
use crate::board::RelayState;
use crate::board::controller::{Fault, Reading};
use crate::node::{Event, Instant, Policy};
use crate::sim::fault::BoardFault;
use crate::sim::relay::{MoveCause, RelayFault};

/// The dead-man as the board knows it, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadManTruth {
    /// Running.
    Running,
    /// Not running.
    Stopped,
    /// It fired.
    Expired,
}

/// One segment.
#[derive(Debug, Clone)]
pub struct SegmentGround {
    /// True contacts.
    pub contacts: RelayState,
    /// Since when.
    pub since: Instant,
    /// What the node was last told by a reading that still counts.
    pub told: RelayState,
    /// When, on the host's clock.
    pub told_at: Instant,
    /// How many defects it has just now.
    defects: u32,
    /// When the last defect ended.
    pub mended_at: Instant,
    /// Extra travel of a slow relay, for good measure kept after it is mended.
    pub slow: Duration,
    /// Readings of it are falsified just now.
    pub lies: bool,
    /// See above.
    pub excused: bool,
    /// When a late kick put it back into `Normal`. The board counts its whole period from there; once only while nobody
    /// can be trusted, since no more than one kick may be decided and not carried out.
    pub woken_at: Instant,
}

/// All that is known.
#[derive(Debug)]
pub struct Ground {
    /// What the board promises.
    pub promise: Promise,
    /// In order.
    pub segments: Vec<SegmentGround>,
    /// The dead-man.
    pub dead_man: DeadManTruth,
    /// Since when it is so.
    pub dead_man_since: Instant,
    /// The host.
    pub host: Host,
    /// Since when it is so.
    pub host_since: Instant,
    /// The host ran far too late until then.
    pub late_until: Instant,
    late: bool,
    /// Whether the watchdog device runs.
    pub watchdog_runs: bool,
    /// When anything but the agent was last disturbed.
    pub disturbed_at: Instant,
    /// Defects that last.
    disturbances: u32,
    flips: bool,
}

impl Ground {
    pub(super) fn new(policy: &Policy, promise: Promise) -> Self {
        let segment = SegmentGround {
            contacts: RelayState::Unknown,
            since: Instant::ZERO,
            told: RelayState::Unknown,
            told_at: Instant::ZERO,
            defects: 0,
            mended_at: Instant::ZERO,
            slow: Duration::ZERO,
            lies: false,
            excused: false,
            woken_at: Instant::ZERO,
        };
        Self {
            promise,
            segments: vec![segment; policy.segments.len()],
            dead_man: DeadManTruth::Stopped,
            dead_man_since: Instant::ZERO,
            host: Host::Unable,
            host_since: Instant::ZERO,
            late_until: Instant::ZERO,
            late: false,
            watchdog_runs: false,
            disturbed_at: Instant::ZERO,
            disturbances: 0,
            flips: false,
        }
    }

    /// Whether anything but the agent itself is or was disturbed since `from`.
    pub fn disturbed_since(&self, from: Instant) -> bool {
        self.disturbances > 0 || self.late || self.disturbed_at >= from || self.late_until >= from
    }

    pub(super) fn see(&mut self, at: Moment, seen: &Seen<'_>) {
        match seen {
            Seen::Moved {
                segment, to, cause, ..
            } => {
                let Some(segment) = self.segments.get_mut(*segment) else {
                    return;
                };
                let woken = *to == RelayState::Normal && *cause == MoveCause::Kick;
                if woken && segment.woken_at < self.host_since {
                    segment.woken_at = at.world;
                }
                segment.contacts = *to;
                segment.since = at.world;
                // While it is falsified, nobody sees that it is cut.
                let falsified = segment.lies || self.flips;
                let unseen = segment.excused || *cause == MoveCause::External;
                segment.excused = unseen && (falsified || *to == RelayState::Normal);
            }
            Seen::DeadMan(truth) => {
                self.dead_man = *truth;
                self.dead_man_since = at.world;
            }
            Seen::Defect { fault, begins } => self.defect(at.world, fault, *begins),
            Seen::Host(host) => {
                self.host = *host;
                self.host_since = at.world;
            }
            Seen::Late(late) => {
                self.late = *late;
                self.late_until = at.world;
            }
            Seen::Started(_) => self.forget(),
            Seen::WatchdogRuns(runs) => self.watchdog_runs = *runs,
            Seen::Told(event) => self.told(at.host, event),
            Seen::Ended | Seen::Durable(_) | Seen::Decided(_) => {}
            Seen::Kicked { .. } | Seen::Turned(_) => {}
        }
    }

    /// Whether the host is far behind its own time just now.
    pub fn is_late(&self) -> bool {
        self.late
    }

    fn forget(&mut self) {
        for segment in &mut self.segments {
            segment.told = RelayState::Unknown;
        }
    }

    fn defect(&mut self, at: Instant, fault: &BoardFault, begins: bool) {
        self.disturbed_at = at;
        let lasts = !matches!(
            fault,
            BoardFault::ControllerReset | BoardFault::ExternalWrite { .. }
        );
        if lasts {
            self.disturbances = if begins {
                self.disturbances + 1
            } else {
                self.disturbances.saturating_sub(1)
            };
        }
        match fault {
            BoardFault::Relay { segment, fault } => {
                if let Some(segment) = self.segments.get_mut(*segment) {
                    segment.defect(at, begins);
                    if let RelayFault::Slow { extra } = fault {
                        segment.slow = segment.slow.max(*extra);
                    }
                }
            }
            BoardFault::ControllerDead | BoardFault::LineBusy { .. } => {
                for segment in &mut self.segments {
                    segment.defect(at, begins);
                    segment.excused = true;
                }
            }
            BoardFault::ReadBackLies { segment, .. } => {
                if let Some(segment) = self.segments.get_mut(*segment) {
                    segment.defect(at, begins);
                    segment.lies = begins;
                    segment.excused = true;
                }
            }
            BoardFault::FlipBit { .. } => {
                self.flips = begins;
                for segment in &mut self.segments {
                    segment.defect(at, begins);
                    segment.excused = true;
                }
            }
            BoardFault::NackBurst { .. }
            | BoardFault::BusStuck
            | BoardFault::BusSlow { .. }
            | BoardFault::ControllerReset => {}
            BoardFault::ExternalWrite { segment, .. } => {
                // A relay that sticks just now goes there when it is freed.
                if let Some(segment) = self.segments.get_mut(*segment).filter(|_| begins) {
                    segment.excused = true;
                }
            }
        }
    }

    fn told(&mut self, host: Instant, event: &Event) {
        match event {
            Event::ControllerRead {
                outcome: Ok(reading),
            } => self.read(host, reading),
            Event::SegmentClosed {
                segment,
                outcome: Ok(moved),
            }
            | Event::SegmentCut {
                segment,
                outcome: Ok(moved),
                ..
            } => {
                if let Some(segment) = self.segments.get_mut(*segment) {
                    segment.told = moved.after.state;
                    segment.told_at = host;
                }
            }
            Event::ControllerOpened {
                outcome: Err(fault),
            }
            | Event::ControllerRead {
                outcome: Err(fault),
            }
            | Event::Kicked {
                outcome: Err(fault),
            } if matches!(fault, Fault::Bus(_) | Fault::Integrity { .. }) => self.forget(),
            Event::SegmentClosed {
                segment,
                outcome: Err(_),
            }
            | Event::SegmentCut {
                segment,
                outcome: Err(_),
                ..
            } => {
                if let Some(segment) = self.segments.get_mut(*segment) {
                    segment.told = RelayState::Unknown;
                }
            }
            _ => {}
        }
    }

    fn read(&mut self, host: Instant, reading: &Reading) {
        let guarded = self.dead_man == DeadManTruth::Running && !self.flips;
        for (segment, read) in self.segments.iter_mut().zip(&reading.segments) {
            segment.told = read.state;
            segment.told_at = host;
            let honest = segment.defects == 0 && read.state == segment.contacts;
            if honest && guarded {
                segment.excused = false;
            }
        }
    }
}

impl SegmentGround {
    /// Physically unable to do as told, or to say the truth.
    pub fn defective(&self) -> bool {
        self.defects > 0
    }

    fn defect(&mut self, at: Instant, begins: bool) {
        self.mended_at = at;
        self.defects = if begins {
            self.defects + 1
        } else {
            self.defects.saturating_sub(1)
        };
    }
}
