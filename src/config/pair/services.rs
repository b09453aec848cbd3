//! `services_active` in `[pair]`: units that run where the vips are.

use core::time::Duration;

use serde::Serialize;
use toml::Spanned;

use super::raw::{RawPair, optional};
use crate::diagnose::{Findings, Mistake};
use crate::node::pair::policy::ServicesFailed;

/// Most units; each is waited for in turn.
const UNITS_MAX: usize = 32;
/// For each unit unless configured otherwise.
const LIMIT: Duration = Duration::from_secs(10);
/// This agent's own units: it would stop itself.
const OWN: &str = "fencepost";

/// Units bound to the role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Services {
    /// In the order in which they are started; stopped in the opposite one.
    pub units: Vec<String>,
    /// For each unit; default 10 s.
    pub limit: Duration,
    /// What it means that one does not start; default `tell`.
    pub failed: ServicesFailed,
}

pub(super) fn understand(raw: &RawPair, findings: &mut Findings) -> Option<Services> {
    let limit = optional(
        "services_timeout_ms",
        &raw.services_timeout_ms,
        10..=600_000,
        findings,
    );
    let Some(units) = &raw.services_active else {
        let orphan = raw.services_failed.as_ref().map(Spanned::span);
        let orphan = orphan.or(raw.services_timeout_ms.as_ref().map(Spanned::span));
        if let Some(place) = orphan {
            findings.refuse(
                Mistake::new(place, "no unit is bound to the role")
                    .help("add services_active = [\"squid.service\"], or leave this out"),
            );
        }
        return None;
    };
    if let Some(extra) = units.get(UNITS_MAX) {
        let text = format!("more than {UNITS_MAX} units");
        findings.refuse(
            Mistake::new(extra.span(), text).help("bind one target that wants all of them"),
        );
    }
    let mut known: Vec<String> = Vec::new();
    for unit in units {
        let name = unit.get_ref();
        refuse_what_is_no_unit(unit, findings);
        if known.contains(name) {
            findings.refuse(Mistake::new(
                unit.span(),
                format!("unit `{name}` is named twice"),
            ));
        }
        known.push(name.clone());
    }
    let failed = raw.services_failed.as_ref();
    (!known.is_empty()).then_some(Services {
        units: known,
        limit: limit.unwrap_or(LIMIT),
        failed: failed.map_or(ServicesFailed::Tell, |raw| *raw.get_ref()),
    })
}

fn refuse_what_is_no_unit(raw: &Spanned<String>, findings: &mut Findings) {
    let unit = raw.get_ref();
    let plain = |c: char| c.is_ascii_alphanumeric() || "@:_.-\\".contains(c);
    if !unit.contains('.') || unit.starts_with('-') || !unit.chars().all(plain) {
        findings.refuse(
            Mistake::new(raw.span(), format!("`{unit}` is no unit name"))
                .label("with its suffix, such as \"squid.service\""),
        );
    } else if unit.starts_with(OWN) {
        findings.refuse(
            Mistake::new(raw.span(), format!("`{unit}` is Fencepost's own"))
                .label("a unit of the appliance's; the agent runs on both nodes"),
        );
    }
}
