//! Carrier on both ports of each segment is a check of its own, unless the site says why not.

use core::time::Duration;

use super::name;
use crate::board::profile::PortRef;
use crate::config::{CarrierWatch, Check, CheckKind, Config, Segment};
use crate::node::policy::CheckSeverity;

pub(super) fn add_carrier_checks(config: &mut Config) {
    let mut added = Vec::new();
    for segment in &config.segments {
        if segment.carrier != CarrierWatch::Watched {
            continue;
        }
        for port in segment.ports.iter().flatten() {
            let kind = CheckKind::Carrier { port: port.clone() };
            let known = |check: &Check| {
                check.kind == kind || check.name == format!("carrier-{}", name(port))
            };
            if !config.checks.iter().any(known) {
                added.push(carrier_check(segment, port, kind));
            }
        }
    }
    added.append(&mut config.checks);
    config.checks = added;
}

fn carrier_check(segment: &Segment, port: &PortRef, kind: CheckKind) -> Check {
    Check {
        name: format!("carrier-{}", name(port)),
        severity: CheckSeverity::Failover,
        segments: vec![segment.name.clone()],
        // Reading carrier costs one small kernel read; twice in a row, so that one renegotiated lane is no failure.
        interval: Duration::from_millis(100),
        timeout: Duration::from_millis(1_000),
        rise: 1,
        fall: 2,
        kind,
    }
}
