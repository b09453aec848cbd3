//! Status: the node as people and programs see it. Reads, never changes.

use super::machine::Node;
use super::policy::{Commissioning, ReadBackPolicy};
use super::segment::{Segment, TRIES_MAX};
use super::status::{SegmentMode, SegmentStatus, Status, Summary};
use super::time::Instant;
use crate::board::controller::RelayState;

impl Node {
    /// A snapshot.
    pub fn status(&self, now: Instant) -> Status {
        let reasons = self.reasons(now);
        let summary = reasons
            .iter()
            .map(|(light, _)| *light)
            .max()
            .unwrap_or(Summary::Green);
        Status {
            at: now,
            summary,
            reasons: reasons.into_iter().map(|(_, sentence)| sentence).collect(),
            identity: self.link.identity.clone(),
            controller_fault: self.link.fault(),
            segments: self
                .segments
                .iter()
                .map(|segment| self.segment_status(now, segment))
                .collect(),
            dead_man: self.dead_man.status(),
            watchdog: self.watchdog.status(),
            checks: self.health.status(),
            maintenance: self.orders.maintenance().cloned(),
            disarmed: self.orders.disarmed().cloned(),
            commissioning: self.policy.commissioning,
            ledger_fault: self
                .orders
                .ledger_fault
                .clone()
                .or_else(|| self.orders.history_fault.clone()),
            alarms: self.out.alarms().cloned().collect(),
        }
    }

    fn segment_status(&self, now: Instant, segment: &Segment) -> SegmentStatus {
        let name = &segment.policy.name;
        let mode = if self.orders.disarmed().is_some() {
            SegmentMode::Disarmed
        } else if let Some(forced) = self.orders.forced(name) {
            SegmentMode::Forced {
                by: forced.by.clone(),
            }
        } else if self.orders.maintenance().is_some() {
            SegmentMode::Maintenance
        } else {
            SegmentMode::Auto
        };
        SegmentStatus {
            name: name.clone(),
            state: segment.reading.state,
            evidence: segment.reading.evidence,
            wanted: segment.wanted.0,
            cause: segment.wanted.1.clone(),
            fail: segment.policy.fail,
            mode,
            dwell_left: self.dwell_end(segment).map(|end| end.since(now)),
            closes_last_hour: segment.closes_last_hour(now),
            moves: segment.moves,
            read_at: segment.read_at,
        }
    }

    /// What keeps the light from green, each with its colour.
    fn reasons(&self, now: Instant) -> Vec<(Summary, String)> {
        let mut reasons = Vec::new();
        if let Some(fault) = self.link.fault() {
            reasons.push((Summary::Red, format!("controller lost: {fault}")));
        }
        if self.policy.commissioning == Commissioning::Missing {
            let sentence = "this board is not commissioned: run `fencepost board commission`";
            reasons.push((Summary::Red, sentence.to_owned()));
        }
        if let Some(order) = self.orders.disarmed() {
            reasons.push((
                Summary::Red,
                format!("disarmed by {}: {}", order.by, order.reason),
            ));
        } else if !self.dead_man.verified() {
            reasons.push((
                Summary::Red,
                "the dead-man is not armed and verified".to_owned(),
            ));
        } else if let Some(objection) = self.kick_objection(now) {
            reasons.push((
                Summary::Red,
                format!("the dead-man is not kicked: {objection}"),
            ));
        }
        if let Some(order) = self.orders.maintenance() {
            let sentence = format!("maintenance by {}: {}", order.by, order.reason);
            reasons.push((Summary::Yellow, sentence));
        }
        if let Some(fault) = self.watchdog.status().and_then(|watchdog| watchdog.fault) {
            reasons.push((Summary::Yellow, format!("watchdog: {fault}")));
        }
        if let Some(fault) = self
            .orders
            .ledger_fault
            .as_ref()
            .or(self.orders.history_fault.as_ref())
        {
            reasons.push((Summary::Yellow, format!("ledger: {fault}")));
        }
        for segment in &self.segments {
            reasons.extend(self.segment_reason(segment));
        }
        let alarms = self.out.alarms().count();
        if alarms > 0 {
            let sentence =
                format!("{alarms} alarms not acknowledged: see `fencepost events --alarms`");
            reasons.push((Summary::Yellow, sentence));
        }
        reasons
    }

    fn segment_reason(&self, segment: &Segment) -> Option<(Summary, String)> {
        let name = &segment.policy.name;
        let (wanted, cause) = &segment.wanted;
        let place = segment.place();
        if place != *wanted {
            let light = if segment.cut_overdue() {
                Summary::Red
            } else {
                Summary::Yellow
            };
            let tries = if segment.cut_overdue() {
                format!(" after {TRIES_MAX} tries")
            } else {
                String::new()
            };
            return Some((
                light,
                format!("segment {name} should be {wanted} and is {place}{tries}"),
            ));
        }
        if segment.policy.read_back == ReadBackPolicy::Impossible {
            let sentence = format!(
                "segment {name} was ordered to {wanted}; this board cannot read its relay back"
            );
            return Some((Summary::Yellow, sentence));
        }
        let deliberate = self.orders.forced(name).is_some()
            || self.orders.maintenance().is_some()
            || self.orders.disarmed().is_some();
        (*wanted != RelayState::Normal).then(|| {
            let light = if deliberate {
                Summary::Yellow
            } else {
                Summary::Red
            };
            (light, format!("segment {name} is {place}: {cause}"))
        })
    }
}
