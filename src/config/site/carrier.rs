//! Carrier on both ports of each segment is a check of its own, unless the site says why not; without segments, carrier
//! where the vips are.

use core::time::Duration;
use std::collections::BTreeSet;

use super::name;
use crate::board::profile::PortRef;
use crate::config::{CarrierWatch, Check, CheckKind, Config};
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
                added.push(carrier_check(vec![segment.name.clone()], port, kind));
            }
        }
    }
    for port in vip_ports(config) {
        let kind = CheckKind::Carrier { port: port.clone() };
        if !config.checks.iter().any(|check| check.kind == kind) {
            added.push(carrier_check(Vec::new(), &port, kind));
        }
    }
    added.append(&mut config.checks);
    config.checks = added;
}

/// A host without segments serves where its vips are.
fn vip_ports(config: &Config) -> BTreeSet<PortRef> {
    let pair = config.pair.iter().filter(|_| config.segments.is_empty());
    pair.flat_map(|pair| &pair.vips)
        .map(|vip| PortRef::Interface(vip.interface.clone()))
        .collect()
}

fn carrier_check(segments: Vec<String>, port: &PortRef, kind: CheckKind) -> Check {
    Check {
        name: format!("carrier-{}", name(port)),
        severity: CheckSeverity::Failover,
        segments,
        // Reading carrier costs one small kernel read; twice in a row, so that one renegotiated lane is no failure.
        interval: Duration::from_millis(100),
        timeout: Duration::from_millis(1_000),
        rise: 1,
        fall: 2,
        kind,
    }
}
