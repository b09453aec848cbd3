//! Relay settings against the cabling: what takes a host off the wire, and what would close a loop.

use super::super::{SegmentPlan, Setting};
use crate::board::controller::RelayState;
use crate::config::Topology;

/// What of this segment must not be run.
pub(super) fn refusals(topology: Topology, segment: &SegmentPlan) -> Vec<String> {
    let name = &segment.name;
    let mut found = Vec::new();
    let fenced = topology.strap();
    if segment.fail != fenced {
        let cabling = format!("{topology:?}").to_lowercase();
        found.push(format!(
            "segment {name}: fail is {}, but in topology {cabling} only {fenced} takes a host off the wire; \
             set fail = \"{}\"",
            segment.fail,
            fenced.to_string().to_lowercase()
        ));
    }
    if topology != Topology::Parallel {
        return found;
    }
    let settings = [
        ("power-up", &segment.power_up),
        ("power-off", &segment.power_off),
        ("expiry", &segment.expiry),
    ];
    found.extend(settings.into_iter().filter_map(|(key, setting)| {
        let why = closes_a_loop(setting)?;
        Some(format!(
            "segment {name}: {key} {why}; in topology parallel that joins two networks past the node that serves, a \
             loop where it bridges"
        ))
    }));
    found
}

/// None known is as bad as `Bypass`. One that stays where it was does not join what it did not join before.
fn closes_a_loop(setting: &Setting) -> Option<&'static str> {
    if setting.states.is_empty() {
        return Some("is in no public source, so it may be Bypass");
    }
    setting
        .states
        .contains(&RelayState::Bypass)
        .then_some("is Bypass")
}
