//! Bypass policy: where each segment should be, and why; and what speaks against a kick or a keepalive.
//!
//! Precedence, top first: the fence latch, an ordered stop, disarmed, an operator's forced state, maintenance, the
//! dead-man, checks and their dwell. (The hardware jumper stands above all of it and is only ever read.)

use core::time::Duration;

use super::event::Stop;
use super::health::Objection;
use super::machine::Node;
use super::policy::{Arming, Commissioning};
use super::record::Cause;
use super::segment::Segment;
use super::time::Instant;
use crate::board::controller::{Latch, RelayState};

impl Node {
    /// Where `index` should be, and why.
    pub(super) fn want(&mut self, now: Instant, index: usize) -> (RelayState, Cause) {
        let segment = &self.segments[index];
        let fail = RelayState::from(segment.policy.fail);
        if self.latch == Latch::Latched {
            return (fail, Cause::Latched);
        }
        let handing_over = self.handing_over();
        if matches!(self.stop, Some((Stop::Ordered, _))) && !handing_over {
            return (fail, Cause::Stopping);
        }
        if self.orders.disarmed().is_some() {
            return (fail, Cause::Disarmed);
        }
        if let Some(forced) = self.orders.forced(&segment.policy.name) {
            let cause = Cause::Operator(forced.by.clone());
            if forced.state != RelayState::Normal {
                return (forced.state, cause);
            }
            return match self.unprotected(segment) {
                Some(objection) => (fail, objection),
                None => (RelayState::Normal, cause),
            };
        }
        if self.orders.maintenance().is_some() && !handing_over {
            return (fail, Cause::Maintenance);
        }
        if let Some(objection) = self.unprotected(segment) {
            return (fail, objection);
        }
        let wish = match self.pair.as_ref().map(super::pair::Pair::wish) {
            Some(wish) => self.want_by_pair(segment, wish),
            None => self.want_by_health(now, segment),
        };
        let limited = wish.0 == RelayState::Normal
            && !segment.held()
            && !segment.reaffirm
            && !segment.closing()
            && segment.limit_reached(now);
        self.limit(now, index, limited);
        if limited {
            (fail, Cause::CloseLimit)
        } else {
            wish
        }
    }

    /// Why this segment may not serve whatever the checks say: nobody would cut it if we died.
    fn unprotected(&self, segment: &Segment) -> Option<Cause> {
        if self.policy.commissioning == Commissioning::Missing {
            return Some(Cause::Uncommissioned);
        }
        if !self.dead_man.verified() && (!segment.held() || self.dead_man.hopeless()) {
            return Some(Cause::DeadMan);
        }
        let only_the_watchdog = self.policy.dead_man.arming == Arming::Absent;
        if only_the_watchdog && !self.watchdog.runs() && !segment.held() {
            return Some(Cause::DeadMan);
        }
        let settled = self.link.is_good() && self.link.configured();
        if !segment.held() && !settled {
            return Some(Cause::ControllerLost);
        }
        None
    }

    fn want_by_health(&self, now: Instant, segment: &Segment) -> (RelayState, Cause) {
        let fail = RelayState::from(segment.policy.fail);
        match self.health.objection(segment) {
            Some(Objection::Failing(check)) => return (fail, Cause::CheckFailed(check)),
            Some(Objection::Silent(check)) => return (fail, Cause::CheckSilent(check)),
            Some(Objection::Pending(check)) if !segment.held() => {
                return (fail, Cause::CheckSilent(check));
            }
            Some(Objection::Pending(_)) if segment.wanted.0 == RelayState::Normal => {
                return segment.wanted.clone();
            }
            Some(Objection::Pending(_)) => return (RelayState::Normal, Cause::Adopted),
            None => {}
        }
        let dwelt = self.dwell_end(segment).is_some_and(|end| now >= end);
        let proven = dwelt && !segment.must_cut;
        if proven || segment.held() {
            (RelayState::Normal, Cause::PathProven)
        } else {
            (fail, Cause::Dwelling)
        }
    }

    /// When the dwell of an unheld segment ends, if all its checks are green.
    pub(super) fn dwell_end(&self, segment: &Segment) -> Option<Instant> {
        if segment.held() {
            return None;
        }
        let green = self.health.green_since(segment)?;
        Some(green.max(segment.prove_from) + segment.policy.dwell)
    }

    fn limit(&mut self, now: Instant, index: usize, limited: bool) {
        let segment = &mut self.segments[index];
        if limited && !segment.limit_told {
            segment.limit_told = true;
            let fact = super::record::Fact::CloseLimit {
                segment: segment.policy.name.clone(),
                per_hour: segment.policy.closes_per_hour_max,
            };
            self.out.record(now, super::record::Level::Alarm, fact);
        }
        segment.limited = limited;
    }

    /// Why the dead-man may not be kicked now. The gate: the hardware was seen lately, and nothing that should be
    /// cut is still on the wire. Checks are not asked: their segments are cut by order, and by expiry only
    /// if that order is not obeyed.
    pub(super) fn kick_objection(&self, now: Instant) -> Option<String> {
        if !self.armed_mode() {
            return Some("disarmed".to_owned());
        }
        let fresh_for = self.fresh_for();
        let fresh = self
            .link
            .read_at
            .is_some_and(|at| now.since(at) <= fresh_for);
        if !fresh {
            return Some(format!(
                "the controller was not read for {} ms",
                fresh_for.as_millis()
            ));
        }
        self.overdue_cut().or_else(|| self.kick_limit(now).err())
    }

    /// Why the watchdog may not be fed now.
    pub(super) fn keepalive_objection(&self, now: Instant) -> Option<String> {
        let overdue = self.watchdog.job_overdue_after().unwrap_or(Duration::MAX);
        if let Some(since) = self.link.waiting_since()
            && now.since(since) >= overdue
        {
            let waited_s = now.since(since).as_secs();
            return Some(format!(
                "a controller job has been stuck in the kernel for {waited_s} s"
            ));
        }
        // Without a dead-man the reset is what takes this host off the wire.
        (self.policy.dead_man.arming == Arming::Absent)
            .then(|| self.overdue_cut())
            .flatten()
    }

    fn overdue_cut(&self) -> Option<String> {
        let segment = self.segments.iter().find(|segment| segment.cut_overdue())?;
        let wanted = segment.wanted.0;
        Some(format!(
            "segment {} should be {wanted} and is not",
            segment.policy.name
        ))
    }
}
