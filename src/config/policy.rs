//! A site reduced to what the node's decisions need.

use core::time::Duration;

use super::{CarrierWhenCut, Check, CheckKind, Site, WatchdogMode};
use crate::board::profile::ReadBack;
use crate::node::Policy;
use crate::node::policy::{
    CarrierRole, CheckPolicy, Commissioning, DeadManPolicy, ReadBackPolicy, SegmentPolicy,
    WatchdogPolicy,
};

/// Keepalives per watchdog timeout. The node asks for at least three; one more may be lost.
const KEEPALIVES_PER_TIMEOUT: u32 = 4;

/// A check without a verdict is judged only after this, so that a starved machine's late checker is not
/// taken for a dead one.
const STALE_AT_LEAST: Duration = Duration::from_secs(2);

impl Site {
    /// What the node is told to want.
    pub fn policy(&self, commissioning: Commissioning) -> Policy {
        let watchdog = &self.config.watchdog;
        Policy {
            pair: self.config.pair.as_ref().and_then(|pair| pair.policy(self)),
            segments: self.segment_policies(),
            checks: self
                .config
                .checks
                .iter()
                .map(|check| self.check_policy(check))
                .collect(),
            dead_man: DeadManPolicy {
                arming: self.timing.arming,
                period: self.timing.period,
                kick_every: self.timing.kick_every,
            },
            watchdog: (watchdog.mode != WatchdogMode::Off).then(|| WatchdogPolicy {
                keepalive_every: watchdog.timeout / KEEPALIVES_PER_TIMEOUT,
                // A job of bounded retries is long over by then; half a timeout is left for the reset to follow.
                job_overdue_after: watchdog.timeout / 2,
            }),
            read_every: self.config.read_every,
            commissioning,
        }
    }

    fn segment_policies(&self) -> Vec<SegmentPolicy> {
        let segments = self
            .config
            .segments
            .iter()
            .zip(&self.board.segments)
            .zip(&self.settings);
        segments
            .map(|((segment, fact), settings)| SegmentPolicy {
                name: segment.name.clone(),
                fail: segment.fail,
                settings: *settings,
                dwell: segment.dwell,
                relink: segment.relink,
                closes_per_hour_max: segment.closes_per_hour_max,
                read_back: match fact.read_back {
                    ReadBack::Nothing => ReadBackPolicy::Impossible,
                    ReadBack::Contacts | ReadBack::Register | ReadBack::Drive => {
                        ReadBackPolicy::Required
                    }
                },
            })
            .collect()
    }

    fn check_policy(&self, check: &Check) -> CheckPolicy {
        let speaks_for = |name: &String| check.segments.is_empty() || check.segments.contains(name);
        let segments = self.config.segments.iter().enumerate();
        CheckPolicy {
            name: check.name.clone(),
            severity: check.severity,
            segments: segments
                .filter(|(_, segment)| speaks_for(&segment.name))
                .map(|(index, _)| index)
                .collect(),
            rise: check.rise,
            fall: check.fall,
            carrier: self.carrier_role(check),
            stale_after: check.stale_after(),
        }
    }
}

impl Site {
    /// Carrier checks of a segment whose cut ports are dark can prove nothing before the close.
    fn carrier_role(&self, check: &Check) -> CarrierRole {
        let CheckKind::Carrier { port } = &check.kind else {
            return CarrierRole::None;
        };
        let segment = self
            .config
            .segments
            .iter()
            .find(|segment| segment.ports.iter().flatten().any(|mine| mine == port));
        match segment.map(|segment| segment.carrier_when_cut) {
            None => CarrierRole::None,
            Some(CarrierWhenCut::Expected) => CarrierRole::Always,
            Some(CarrierWhenCut::Absent) => CarrierRole::InNormalOnly,
        }
    }
}

impl Check {
    /// Without any verdict for this long it counts as failing: twice what an honest round can take.
    pub fn stale_after(&self) -> Duration {
        ((self.interval + self.timeout) * 2).max(STALE_AT_LEAST)
    }
}
