//! `[pair]`, `[[link]]` and `[[vip]]` as written.

use core::time::Duration;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::means::{self, RawMeans};
use super::{
    Notify, Pair, PairTiming, STANDARD_KEY_FILE, Standby, TimingProfile, links, services, vips,
};
use crate::board::profile::PortRef;
use crate::board::raw::words;
use crate::config::raw::{millis, path};
use crate::diagnose::{Findings, Mistake};
use crate::node::pair::policy::ServicesFailed;
use crate::wire::Side;

/// What a script may take unless configured otherwise.
const NOTIFY_LIMIT: Duration = Duration::from_secs(10);

/// How long a takeover may wait for conntrackd unless configured otherwise.
const COMMIT_LIMIT: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawPair {
    node: Spanned<RawNode>,
    standby: Option<Spanned<Standby>>,
    key_file: Option<Spanned<String>>,
    profile: Option<TimingProfile>,
    heartbeat_ms: Option<Spanned<i64>>,
    suspect_after_ms: Option<Spanned<i64>>,
    restart_grace_ms: Option<Spanned<i64>>,
    boot_hold_ms: Option<Spanned<i64>>,
    preempt_after_ms: Option<Spanned<i64>>,
    handovers_per_hour_max: Option<Spanned<i64>>,
    vip_lifetime_s: Option<Spanned<i64>>,
    notify: Option<Spanned<Vec<String>>>,
    notify_timeout_ms: Option<Spanned<i64>>,
    conntrackd: Option<bool>,
    conntrackd_timeout_ms: Option<Spanned<i64>>,
    pub(in crate::config) takeover_requires_sync: Option<Spanned<bool>>,
    pub(super) services_active: Option<Vec<Spanned<String>>>,
    pub(super) services_timeout_ms: Option<Spanned<i64>>,
    pub(super) services_failed: Option<Spanned<ServicesFailed>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawNode {
    Primary,
    Secondary,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawLink {
    pub(super) name: Spanned<String>,
    pub(super) interface: Option<Spanned<String>>,
    pub(super) primary: Spanned<String>,
    pub(super) secondary: Spanned<String>,
    pub(super) port: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawVip {
    pub(super) interface: Spanned<String>,
    pub(super) primary: Option<Spanned<String>>,
    pub(super) secondary: Option<Spanned<String>>,
    #[serde(rename = "virtual")]
    pub(super) addresses: Spanned<Vec<Spanned<String>>>,
}

/// What the file's topology says of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum RawPairTopology {
    /// One appliance.
    One,
    /// Two; a Backup may be hot.
    Parallel,
    /// Two; a Backup is always out of the wire.
    InOneWire,
    /// Two without relays: nothing of them can be cut.
    Apart,
}

/// The pair, if the file has one; tables of a pair without it are refused, and so is a pair without its topology.
pub(in crate::config) fn understand(
    topology: (RawPairTopology, Option<Range<usize>>),
    pair: Option<&RawPair>,
    links: &[RawLink],
    vips: &[RawVip],
    means: &[RawMeans],
    findings: &mut Findings,
) -> Option<Pair> {
    let Some(pair) = pair else {
        let parts = links.iter().map(|link| ("link", link.name.span()));
        let parts = parts.chain(vips.iter().map(|vip| ("vip", vip.interface.span())));
        let parts = parts.chain(means.iter().map(|means| ("means", means.kind.span())));
        refuse_parts_of_a_pair(topology.1, topology.0, parts, findings);
        return None;
    };
    if topology.0 == RawPairTopology::One {
        let place = topology.1.unwrap_or_else(|| pair.node.span());
        findings.refuse(
            Mistake::new(
                place,
                "a pair needs to be told how its two nodes are cabled",
            )
            .label(
                "topology: allowed with [pair]: \"parallel\", \"series\", \"chained\", \"apart\"",
            ),
        );
    }
    let mut understood = pair.understand(topology.0, links, vips, findings);
    understood.means = means::understand(means, understood.node, findings);
    Some(understood)
}

fn refuse_parts_of_a_pair(
    place: Option<Range<usize>>,
    topology: RawPairTopology,
    mut parts: impl Iterator<Item = (&'static str, Range<usize>)>,
    findings: &mut Findings,
) {
    let help = "add a [pair] table with node = \"primary\" or \"secondary\"";
    if let (Some(place), true) = (place, topology != RawPairTopology::One) {
        findings.refuse(
            Mistake::new(
                place,
                "this topology needs a pair, and this file has no [pair]",
            )
            .label("for one appliance: \"inline\"")
            .help(help),
        );
    }
    if let Some((what, place)) = parts.next() {
        let text = format!("a [[{what}]] is a part of a pair, and this file has no [pair]");
        findings.refuse(Mistake::new(place, text).help(help));
    }
}

impl RawPair {
    fn understand(
        &self,
        topology: RawPairTopology,
        links: &[RawLink],
        vips: &[RawVip],
        findings: &mut Findings,
    ) -> Pair {
        let node = match self.node.get_ref() {
            RawNode::Primary => Side::Preferred,
            RawNode::Secondary => Side::Other,
        };
        let links = links::understand(&self.node, links, node, findings);
        let handovers = self.handovers_per_hour_max.as_ref();
        let handovers =
            handovers.map(|raw| findings.number("handovers_per_hour_max", raw, 1..=60_u32));
        let lifetime = self.vip_lifetime_s.as_ref();
        let lifetime = lifetime.map(|raw| findings.number("vip_lifetime_s", raw, 2..=3_600_u32));
        Pair {
            node,
            standby: self.standby(topology, findings),
            key_file: match &self.key_file {
                None => PathBuf::from(STANDARD_KEY_FILE),
                Some(raw) => path(raw, findings),
            },
            timing: self.timing(findings),
            preempt_after: optional(
                "preempt_after_ms",
                &self.preempt_after_ms,
                0..=86_400_000,
                findings,
            ),
            handovers_per_hour_max: handovers.unwrap_or(6),
            vip_lifetime: lifetime.map_or_else(
                || {
                    self.profile
                        .unwrap_or(TimingProfile::Default)
                        .vip_lifetime()
                },
                |seconds| Duration::from_secs(u64::from(seconds)),
            ),
            notify: self.notify(findings),
            services: services::understand(self, findings),
            conntrackd: self.conntrackd(findings),
            vips: vips::understand(vips, node, &links, findings),
            means: None,
            sync_required: BTreeSet::new(),
            links,
        }
    }

    fn notify(&self, findings: &mut Findings) -> Option<Notify> {
        let limit = optional(
            "notify_timeout_ms",
            &self.notify_timeout_ms,
            10..=600_000,
            findings,
        );
        let argv = self.notify.as_ref()?;
        let absolute = argv.get_ref().first().is_some_and(|it| it.starts_with('/'));
        if !absolute {
            findings.refuse(
                Mistake::new(argv.span(), "a program is meant here, by its whole path")
                    .label("such as [\"/etc/fencepost/notify\"]"),
            );
        }
        Some(Notify {
            argv: argv.get_ref().clone(),
            limit: limit.unwrap_or(NOTIFY_LIMIT),
        })
    }

    fn conntrackd(&self, findings: &mut Findings) -> Option<Duration> {
        let raw = &self.conntrackd_timeout_ms;
        let limit = optional("conntrackd_timeout_ms", raw, 10..=2_000, findings);
        let used = self.conntrackd == Some(true);
        if let (Some(raw), false) = (raw, used) {
            findings.refuse(
                Mistake::new(raw.span(), "a limit for what is not used")
                    .help("add conntrackd = true, or leave this out"),
            );
        }
        used.then(|| limit.unwrap_or(COMMIT_LIMIT))
    }

    fn standby(&self, topology: RawPairTopology, findings: &mut Findings) -> Standby {
        let written = self.standby.as_ref();
        match topology {
            RawPairTopology::One | RawPairTopology::Parallel => {
                return written.map_or(Standby::Hot, |raw| *raw.get_ref());
            }
            RawPairTopology::Apart => {
                if let Some(raw) = written.filter(|raw| *raw.get_ref() == Standby::Cold) {
                    findings.refuse(
                        Mistake::new(raw.span(), "a cold standby is a relay that is open")
                            .label("without relays: \"hot\""),
                    );
                }
                return Standby::Hot;
            }
            RawPairTopology::InOneWire => {}
        }
        if let Some(raw) = written.filter(|raw| *raw.get_ref() == Standby::Hot) {
            findings.refuse(
                Mistake::new(raw.span(), "a hot standby needs a path of its own")
                    .label("in this topology: \"cold\"")
                    .help("two appliances that are both connected in one wire both forward; only `parallel` can be hot"),
            );
        }
        Standby::Cold
    }

    fn timing(&self, findings: &mut Findings) -> PairTiming {
        let timing = PairTiming {
            profile: self.profile.unwrap_or(TimingProfile::Default),
            heartbeat_every: optional("heartbeat_ms", &self.heartbeat_ms, 5..=10_000, findings),
            suspect_after: optional(
                "suspect_after_ms",
                &self.suspect_after_ms,
                15..=60_000,
                findings,
            ),
            restart_grace: optional(
                "restart_grace_ms",
                &self.restart_grace_ms,
                0..=60_000,
                findings,
            ),
            boot_hold: optional("boot_hold_ms", &self.boot_hold_ms, 0..=600_000, findings),
        };
        if let (Some(every), Some(after), Some(raw)) = (
            timing.heartbeat_every,
            timing.suspect_after,
            &self.suspect_after_ms,
        ) && after < every * 3
        {
            findings.refuse(
                Mistake::new(
                    raw.span(),
                    "two lost heartbeats would already start a fence",
                )
                .label(format!(
                    "at least {}, three heartbeats",
                    (every * 3).as_millis()
                )),
            );
        }
        timing
    }
}

pub(super) fn optional(
    key: &str,
    raw: &Option<Spanned<i64>>,
    allowed: std::ops::RangeInclusive<u32>,
    findings: &mut Findings,
) -> Option<Duration> {
    raw.is_some()
        .then(|| millis(key, raw, 0, *allowed.start(), *allowed.end(), findings))
}

/// An interface, by its name: addresses and links go by that.
pub(super) fn interface(raw: &Spanned<String>, findings: &mut Findings) -> String {
    if let PortRef::Pci(_) = words::port(raw, findings) {
        findings.refuse(
            Mistake::new(raw.span(), "an interface is meant here, not a PCI path")
                .label("a name such as \"enp1s0f0\""),
        );
    }
    raw.get_ref().clone()
}
