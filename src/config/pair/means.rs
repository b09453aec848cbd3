//! `[[means]]` tables: the ways to isolate the peer, in the order in which they are tried.
//!
//! What if none is written? Then the board's fence output is the one, if it has one. The lease is not written here: it
//! follows from the board, and what an operator says always counts.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::board::raw::words;
use crate::config::raw::{millis, path};
use crate::diagnose::{Findings, Mistake};
use crate::node::pair::policy::MeansKind;
use crate::wire::Side;

/// Most means of one pair; more are a list nobody has tried out.
pub const MEANS_MAX: usize = 8;
/// Most options of one program.
const OPTIONS_MAX: usize = 64;

/// One way to isolate the peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PairMeans {
    /// Name in status and events; the kind unless written.
    pub name: String,
    /// Not confirmed after this time, it has failed. From 10 ms to 120 s; `None`: eight heartbeats, for a program 10 s.
    pub timeout: Option<Duration>,
    /// How it is done.
    pub how: How,
}

/// How the peer is isolated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// By the own controller's fence output.
    FenceWire,
    /// By the peer's agent, on a signed order.
    PeerAgent,
    /// By a program.
    External(External),
}

/// A fence-agents program that takes the peer's power.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct External {
    /// By its whole path.
    pub program: PathBuf,
    /// What it is told about the *peer*, besides the action.
    pub options: BTreeMap<String, String>,
    /// A file of further options, for what must not be read by everybody.
    pub secrets: Option<PathBuf>,
    /// It is asked for the peer's power this often, so that it is known to work; 1 s to 10 min, default 5 s.
    pub probe_every: Duration,
    /// A node that does not serve waits this long first: up to a minute, default 2 s.
    pub hold_back: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawMeans {
    pub(super) kind: Spanned<RawKind>,
    name: Option<Spanned<String>>,
    timeout_ms: Option<Spanned<i64>>,
    program: Option<Spanned<String>>,
    options: Option<Spanned<Options>>,
    primary: Option<Spanned<Options>>,
    secondary: Option<Spanned<Options>>,
    secrets_file: Option<Spanned<String>>,
    probe_every_ms: Option<Spanned<i64>>,
    hold_back_ms: Option<Spanned<i64>>,
}

type Options = BTreeMap<String, Spanned<String>>;

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum RawKind {
    FenceWire,
    PeerAgent,
    External,
}

impl How {
    /// Its kind.
    pub fn kind(&self) -> MeansKind {
        match self {
            Self::FenceWire => MeansKind::FenceWire,
            Self::PeerAgent => MeansKind::PeerAgent,
            Self::External(_) => MeansKind::External,
        }
    }
}

/// All of them, in the order of the file; `None` if the file has none.
pub(super) fn understand(
    raw: &[RawMeans],
    node: Side,
    findings: &mut Findings,
) -> Option<Vec<PairMeans>> {
    if let Some(extra) = raw.get(MEANS_MAX) {
        let text = format!("more than {MEANS_MAX} means");
        findings.refuse(Mistake::new(extra.kind.span(), text));
    }
    let mut names = BTreeSet::new();
    let mut means = Vec::new();
    for one in raw.iter().take(MEANS_MAX) {
        let understood = one.understand(node, findings);
        if !names.insert(understood.name.clone()) {
            let place = one.name.as_ref().map_or(one.kind.span(), Spanned::span);
            let text = format!("means `{}` is there twice", understood.name);
            let label = match understood.how {
                How::External(_) => "another name = \"…\" for each",
                How::FenceWire | How::PeerAgent => "there is one of this kind between two nodes",
            };
            findings.refuse(Mistake::new(place, text).label(label));
        }
        means.push(understood);
    }
    (!raw.is_empty()).then_some(means)
}

impl RawMeans {
    /// Where its kind stands.
    pub(in crate::config) fn place(&self) -> Range<usize> {
        self.kind.span()
    }

    fn understand(&self, node: Side, findings: &mut Findings) -> PairMeans {
        let how = match self.kind.get_ref() {
            RawKind::FenceWire => self.without_program(How::FenceWire, findings),
            RawKind::PeerAgent => self.without_program(How::PeerAgent, findings),
            RawKind::External => How::External(self.external(node, findings)),
        };
        let timeout = &self.timeout_ms;
        PairMeans {
            name: self.name(findings),
            timeout: timeout
                .is_some()
                .then(|| millis("timeout_ms", timeout, 0, 10, 120_000, findings)),
            how,
        }
    }

    /// The fence wire and the peer's agent are there once: their kind is their name.
    fn name(&self, findings: &mut Findings) -> String {
        let kind = match self.kind.get_ref() {
            RawKind::FenceWire => "fence-wire",
            RawKind::PeerAgent => "peer-agent",
            RawKind::External => "external",
        };
        let Some(raw) = &self.name else {
            return kind.to_owned();
        };
        if *self.kind.get_ref() != RawKind::External {
            findings.refuse(
                Mistake::new(raw.span(), format!("a {kind} has no other name"))
                    .label("leave `name` out: there is one of this kind between two nodes"),
            );
        }
        words::name(raw, findings)
    }

    fn without_program(&self, how: How, findings: &mut Findings) -> How {
        let span = |raw: &Option<Spanned<Options>>| raw.as_ref().map(Spanned::span);
        let number = |raw: &Option<Spanned<i64>>| raw.as_ref().map(Spanned::span);
        let text = |raw: &Option<Spanned<String>>| raw.as_ref().map(Spanned::span);
        let keys: [(&str, Option<Range<usize>>); 7] = [
            ("program", text(&self.program)),
            ("options", span(&self.options)),
            ("primary", span(&self.primary)),
            ("secondary", span(&self.secondary)),
            ("secrets_file", text(&self.secrets_file)),
            ("probe_every_ms", number(&self.probe_every_ms)),
            ("hold_back_ms", number(&self.hold_back_ms)),
        ];
        for (key, place) in keys {
            if let Some(place) = place {
                let text = format!("`{key}` is for a means that is a program");
                findings.refuse(Mistake::new(place, text).label("only with kind = \"external\""));
            }
        }
        how
    }

    fn external(&self, node: Side, findings: &mut Findings) -> External {
        let program = match &self.program {
            Some(raw) => path(raw, findings),
            None => {
                findings.refuse(
                    Mistake::new(self.kind.span(), "an external means needs its program")
                        .help("add program = \"/usr/sbin/fence_ipmilan\", or whichever speaks to what feeds the peer"),
                );
                PathBuf::new()
            }
        };
        let mut options = BTreeMap::new();
        for table in [self.options.as_ref(), self.of_peer(node, findings)] {
            for (key, value) in table.into_iter().flat_map(Spanned::get_ref) {
                if let Some(value) = option(key, value, findings) {
                    options.insert(key.clone(), value);
                }
            }
        }
        if options.len() > OPTIONS_MAX {
            let text = format!("more than {OPTIONS_MAX} options");
            findings.refuse(Mistake::new(self.kind.span(), text));
        }
        External {
            program,
            options,
            secrets: self.secrets_file.as_ref().map(|raw| path(raw, findings)),
            probe_every: millis(
                "probe_every_ms",
                &self.probe_every_ms,
                5_000,
                1_000,
                600_000,
                findings,
            ),
            hold_back: millis(
                "hold_back_ms",
                &self.hold_back_ms,
                2_000,
                0,
                60_000,
                findings,
            ),
        }
    }

    /// What names the peer's power: the same on both nodes, it would be one machine's for both.
    fn of_peer(&self, node: Side, findings: &mut Findings) -> Option<&Spanned<Options>> {
        let (Some(primary), Some(secondary)) = (&self.primary, &self.secondary) else {
            let place = self.primary.as_ref().or(self.secondary.as_ref());
            let place = place.map_or(self.kind.span(), Spanned::span);
            findings.refuse(
                Mistake::new(place, "each node's own power has to be named")
                    .label("primary = { … } and secondary = { … }")
                    .help("such as primary = { ip = \"198.51.100.11\" }, secondary = { ip = \"198.51.100.12\" }: each node uses the other's"),
            );
            return None;
        };
        let values = |table: &Spanned<Options>| -> Vec<(String, String)> {
            let entries = table.get_ref().iter();
            entries
                .map(|(key, value)| (key.clone(), value.get_ref().clone()))
                .collect()
        };
        if values(primary) == values(secondary) {
            findings.refuse(
                Mistake::new(secondary.span(), "the same power for both nodes")
                    .label("this is what feeds the primary; a node would take its own"),
            );
        }
        Some(match node {
            Side::Preferred => secondary,
            Side::Other => primary,
        })
    }
}

/// One option, as the program's standard input can carry it.
fn option(key: &str, value: &Spanned<String>, findings: &mut Findings) -> Option<String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let mistake = if key.is_empty() || !key.chars().all(plain) {
        Mistake::new(value.span(), format!("`{key}` is no name of an option"))
            .label("letters, digits, `_` and `-`")
    } else if key == "action" {
        Mistake::new(value.span(), "the action is said by the agent").label("leave it out")
    } else if key.contains("passw") {
        Mistake::new(value.span(), "a password in a file that many may read").help(
            "write the line `password=…` into a file of its own, mode 0600, and name that with secrets_file",
        )
    } else if value.get_ref().contains(['\n', '\r', '\0']) {
        Mistake::new(value.span(), format!("`{key}` has more than one line"))
    } else {
        return Some(value.get_ref().clone());
    };
    findings.refuse(mistake);
    None
}

#[cfg(test)]
#[path = "means_tests.rs"]
mod tests;
