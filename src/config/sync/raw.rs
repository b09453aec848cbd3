//! `[sync]` as written, and what must hold between all categories.

use core::time::Duration;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use fencepost_sync::category::{CATEGORIES_MAX, Category, Claim, Contents, Source, overlap};
use fencepost_sync::control::SOCKET_PATH;
use fencepost_sync::settings::{HookPaths, STANDARD_PORT, Settings, Way};
use serde::Deserialize;
use toml::Spanned;

use super::activation::{self, RawActivation};
pub(in crate::config) use super::category::RawCategory;
use super::preset::{Shipped, shipped};
use crate::config::pair::{Pair, PairLink};
use crate::config::raw::{millis, path};
use crate::diagnose::{Findings, Mistake};

/// Most paths in one list.
const HOOK_PATHS_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawSync {
    port: Option<Spanned<i64>>,
    socket: Option<Spanned<String>>,
    history: Option<Spanned<i64>>,
    quiet_ms: Option<Spanned<i64>>,
    hold_ms: Option<Spanned<i64>>,
    scrub_every_s: Option<Spanned<i64>>,
    #[serde(default)]
    activation: Vec<RawActivation>,
    #[serde(default)]
    hooks_read: Vec<Spanned<String>>,
    #[serde(default)]
    hooks_write: Vec<Spanned<String>>,
}

/// What the rest of the file says that matters here.
pub(in crate::config) struct Around<'a> {
    /// The pair, if there is one.
    pub(in crate::config) pair: Option<&'a Pair>,
    /// Fencepost's own files and directories.
    pub(in crate::config) own: Vec<PathBuf>,
}

/// What is kept alike, if the file says so; its parts without it are refused.
pub(in crate::config) fn understand(
    sync: Option<&Spanned<RawSync>>,
    categories: &[Spanned<RawCategory>],
    around: &Around<'_>,
    findings: &mut Findings,
) -> Option<Settings> {
    let Some(sync) = sync else {
        if let Some(category) = categories.first() {
            findings.refuse(
                Mistake::new(
                    category.span(),
                    "a [[category]] is a part of sync, and this file has no [sync]",
                )
                .help("add a [sync] table; it may be empty"),
            );
        }
        return None;
    };
    let Some(pair) = around.pair else {
        findings.refuse(
            Mistake::new(sync.span(), "nobody to sync with: this file has no [pair]")
                .help("add a [pair] table and its links (docs/pair.md), or leave [sync] out"),
        );
        return None;
    };
    let shipped = match shipped() {
        Ok(shipped) => shipped,
        Err(mistakes) => {
            let text = format!("the shipped presets are damaged: {mistakes}");
            findings.refuse(Mistake::new(sync.span(), text).help("reinstall the package"));
            return None;
        }
    };
    if categories.is_empty() {
        findings.refuse(
            Mistake::new(sync.span(), "nothing is to be kept alike").help(format!(
                "add a [[category]] with preset = \"…\" (shipped: {}), or with name and roots",
                shipped.names().join(", ")
            )),
        );
    }
    let raw = sync.get_ref();
    Some(Settings {
        ways: raw.ways(&pair.links, findings),
        quiet: millis("quiet_ms", &raw.quiet_ms, 10, 1, 1_000, findings),
        hold: raw.hold(findings),
        scrub_every: Duration::from_secs(raw.scrub_every_s.as_ref().map_or(900, |raw| {
            u64::from(findings.number("scrub_every_s", raw, 60..=604_800_u32))
        })),
        history: raw
            .history
            .as_ref()
            .map_or(10, |raw| findings.number("history", raw, 0..=1_000_u16)),
        categories: all(categories, &shipped, around, findings),
        socket: match &raw.socket {
            None => PathBuf::from(SOCKET_PATH),
            Some(socket) => path(socket, findings),
        },
        activations: activation::understand(&raw.activation, findings),
        hook_paths: HookPaths {
            read: paths(&raw.hooks_read, findings),
            write: paths(&raw.hooks_write, findings),
        },
    })
}

/// Categories that a takeover waits for: those that say so, and where the pair says so those that do not say otherwise.
pub(in crate::config) fn required(
    by_pair: Option<&Spanned<bool>>,
    sync: Option<&Settings>,
    categories: &[Spanned<RawCategory>],
    findings: &mut Findings,
) -> BTreeSet<String> {
    if let (Some(raw), None) = (by_pair.filter(|raw| *raw.get_ref()), sync) {
        findings.refuse(
            Mistake::new(
                raw.span(),
                "a takeover would wait for state in sync, and this file has no [sync]",
            )
            .help("add a [sync] table and its categories (docs/sync.md), or leave this out"),
        );
    }
    let by_default = by_pair.is_some_and(|raw| *raw.get_ref());
    let categories = categories.iter().map(Spanned::get_ref);
    let required = categories.filter(|one| one.required.unwrap_or(by_default));
    required
        .filter_map(RawCategory::name)
        .map(str::to_owned)
        .collect()
}

impl RawSync {
    /// Over the same links as heartbeats, by another port.
    fn ways(&self, links: &[PairLink], findings: &mut Findings) -> Vec<Way> {
        let port = self.port.as_ref().map_or(STANDARD_PORT, |raw| {
            findings.number("port", raw, 1..=u16::MAX)
        });
        let way = |link: &PairLink| Way {
            name: link.name.clone(),
            interface: link.interface.clone(),
            local: SocketAddr::new(link.local.ip(), port),
            peer: SocketAddr::new(link.peer.ip(), port),
        };
        links.iter().map(way).collect()
    }

    fn hold(&self, findings: &mut Findings) -> Duration {
        let hold = millis("hold_ms", &self.hold_ms, 100, 1, 60_000, findings);
        let quiet = millis(
            "quiet_ms",
            &self.quiet_ms,
            10,
            1,
            1_000,
            &mut Findings::default(),
        );
        if let Some(raw) = self.hold_ms.as_ref().filter(|_| hold < quiet) {
            findings.refuse(
                Mistake::new(
                    raw.span(),
                    "a save would be held for less than its quiet time",
                )
                .label(format!("at least quiet_ms = {}", quiet.as_millis())),
            );
        }
        hold
    }
}

/// In the order in which they go: by priority, then as written.
fn all(
    raw: &[Spanned<RawCategory>],
    shipped: &Shipped,
    around: &Around<'_>,
    findings: &mut Findings,
) -> Vec<Category> {
    if let Some(extra) = raw.get(CATEGORIES_MAX) {
        findings.refuse(Mistake::new(
            extra.span(),
            format!("more than {CATEGORIES_MAX} categories"),
        ));
    }
    let mut known: Vec<(Category, Vec<Claim>)> = Vec::new();
    for one in raw.iter().take(CATEGORIES_MAX) {
        let Some(category) = one.get_ref().understand(one.span(), shipped, findings) else {
            continue;
        };
        let claims = claims(&category.contents);
        let place = one.get_ref().place(one.span());
        if let Some(own) = around.own.iter().find(|own| held(&claims, own)) {
            let text = format!("{} is Fencepost's own and never kept alike", own.display());
            let help = "leave it out with exclude, or choose other roots";
            findings.refuse(Mistake::new(place.clone(), text).help(help));
        }
        for (other, theirs) in &known {
            if other.id == category.id {
                let text = format!("category `{}` is there twice", other.id);
                findings.refuse(Mistake::new(place.clone(), text).label("each name once"));
            } else if let Some(path) = overlap(&claims, theirs) {
                let text = format!(
                    "categories `{}` and `{}` could both hold {}",
                    other.id,
                    category.id,
                    path.display()
                );
                findings.refuse(Mistake::new(place.clone(), text).help(
                    "each would undo the other's commits: give the path to one of them, and leave it out of the other \
                     by an anchored pattern without wildcards, such as exclude = [\"/network/\"]",
                ));
            }
        }
        known.push((category, claims));
    }
    let mut all: Vec<Category> = known.into_iter().map(|(category, _)| category).collect();
    all.sort_by_key(|category| category.priority);
    all
}

/// What may not be in two categories. A database is its journals, too.
fn claims(contents: &Contents) -> Vec<Claim> {
    match contents {
        Contents::Files(files) => files.claims(),
        Contents::Export(exporter) => match &exporter.source {
            Source::Command { .. } => Vec::new(),
            Source::Sqlite { database } => ["", "-wal", "-shm", "-journal"]
                .iter()
                .map(|end| {
                    let mut path = database.clone().into_os_string();
                    path.push(end);
                    Claim {
                        path: path.into(),
                        spared: Vec::new(),
                    }
                })
                .collect(),
        },
    }
}

/// Whether a claim holds it, or is a part of it.
fn held(claims: &[Claim], own: &Path) -> bool {
    claims
        .iter()
        .any(|claim| claim.holds(own) || claim.path.starts_with(own))
}

fn paths(raw: &[Spanned<String>], findings: &mut Findings) -> Vec<PathBuf> {
    if let Some(extra) = raw.get(HOOK_PATHS_MAX) {
        let text = format!("more than {HOOK_PATHS_MAX} paths");
        findings.refuse(Mistake::new(extra.span(), text));
    }
    raw.iter().map(|raw| path(raw, findings)).collect()
}
