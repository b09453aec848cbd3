//! The walk at the end of every turn, from the hardware inwards: what is due is done, in one order.
//!
//! What if the process dies within it? Every action is absolute; the successor walks the same way.

use super::super::action::Action;
use super::super::event::Stop;
use super::super::pair::Pair;
use super::super::policy::Arming;
use super::super::segment::Segment;
use super::super::time::Instant;
use super::Node;
use crate::board::controller::RelayState;

impl Node {
    /// From the hardware inwards: what is due is done, in this order.
    pub(super) fn steer(&mut self, now: Instant) {
        if !self.started || self.exiting {
            return;
        }
        if matches!(self.stop, Some((Stop::Handover, _))) {
            return self.steer_handover(now);
        }
        self.link.step_open(now, &mut self.out);
        self.steer_pair(now);
        for index in 0..self.segments.len() {
            let (wanted, cause) = self.want(now, index);
            self.segments[index].want(now, wanted, cause);
        }
        // A cut is free, so it needs no reading that still counts; only what a predecessor left must have been adopted.
        if self.link.is_open() && self.link.adopted {
            for segment in &mut self.segments {
                if segment.wanted.0 != RelayState::Normal {
                    segment.step(now, &mut self.out);
                }
            }
        }
        if self.link.is_open() && self.link.read_at.is_some() {
            if self.may_arm() {
                self.dead_man.step_arm(now, &mut self.out);
                let settings = || self.policy.segments.iter().map(|s| s.settings).collect();
                self.link.step_configure(now, settings, &mut self.out);
            }
            self.steer_close(now);
        }
        let trusted = self.kick_objection(now).is_none();
        let limit = self.kick_limit(now).unwrap_or(Some(now));
        self.dead_man.step_kick(now, trusted, limit, &mut self.out);
        self.link.step_read(now, &mut self.out);
        self.steer_watchdog(now);
        self.steer_stop(now);
    }

    /// One segment at a time: a controller's newer ticket voids the one before, so two that are ready in the
    /// same turn would refuse each other for ever.
    fn steer_close(&mut self, now: Instant) {
        for index in 0..self.segments.len() {
            if self.segments.iter().any(Segment::closing) {
                return;
            }
            if self.segments[index].wants_ticket(now)
                && let Some(ticket) = self.pair.as_mut().and_then(Pair::take_claim_ticket)
            {
                let (left, proof) = (self.left_with_normal(index), self.close_proof());
                let segment = &mut self.segments[index];
                segment.use_ticket(now, ticket, left, proof, &mut self.out);
                continue;
            }
            let segment = &mut self.segments[index];
            if segment.wanted.0 == RelayState::Normal {
                segment.step(now, &mut self.out);
            }
        }
    }

    fn steer_watchdog(&mut self, now: Instant) {
        let objection = self.keepalive_objection(now);
        self.watchdog.step_feed(now, objection, &mut self.out);
        if self.armed_mode() {
            self.watchdog.step_open(now, &mut self.out);
        } else if self.segments.iter().all(Segment::settled) && self.orders.disarmed().is_some() {
            if self.watchdog.runs() {
                self.watchdog.release(now, &mut self.out);
            }
            if self.dead_man.status().verified && self.policy.dead_man.arming == Arming::Required {
                self.dead_man.disarmed();
                self.out.push(Action::Disarm);
            }
        }
    }

    /// Ordered stop: once everything is seen cut, or has been waited for long enough, end.
    fn steer_stop(&mut self, now: Instant) {
        let Some((Stop::Ordered, until)) = self.stop else {
            return;
        };
        // While it hands over, relays are where they should be: closed.
        let cut = self.segments.iter().all(Segment::settled) && !self.handing_over();
        if !cut && now < until {
            return;
        }
        if cut {
            if self.policy.dead_man.arming == Arming::Required && self.link.is_open() {
                self.out.push(Action::Disarm);
            }
            self.watchdog.release(now, &mut self.out);
        }
        self.exit();
    }

    fn steer_handover(&mut self, now: Instant) {
        let until = self.stop.map_or(now, |(_, until)| until);
        let busy = self.dead_man.kicking() || self.segments.iter().any(Segment::busy);
        if !busy || now >= until {
            self.exit();
        }
    }

    fn exit(&mut self) {
        self.exiting = true;
        self.out.push(Action::Exit);
    }

    /// Not while a relay that should be cut is not: a dead-man that would not be kicked would only fire again.
    pub(super) fn may_arm(&self) -> bool {
        self.link.is_good()
            && self.armed_mode()
            && self.stop.is_none()
            && self.pair.as_ref().is_none_or(Pair::may_arm)
            && !self.segments.iter().any(Segment::cut_overdue)
    }
}
