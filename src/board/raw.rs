//! `RawBoard` to [`Board`]: a profile as written, checked and typed.
//!
//! The shape is checked by serde (unknown keys and words are refused), everything a shape cannot say by the
//! modules here. One profile yields one board, or one per model of a family. A profile with any mistake
//! yields no board: the relays stay as they are and the agent says which line is wrong.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::profile::{
    Board, BoardSegment, Confidence, ControllerSpec, FactSource, FenceWires, NamedLine, OnRelease,
    PortRef,
};
use crate::diagnose::{Findings, Mistake, Mistakes, Source};

mod controller;
mod dead_man;
mod family;
mod segments;
pub(crate) mod words;

use controller::RawController;
use dead_man::RawDeadMan;
use segments::{RawSegments, RawSettle};
use words::RawLine;

/// Version of the profile format this agent reads.
const SCHEMA: i64 = 1;

/// Most segments one board can have: nine slots of eight pairs is the largest known.
pub const SEGMENTS_MAX: usize = 80;

/// A profile file, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// File stem.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// One board, or one per model in the file's order.
    pub boards: Vec<Board>,
}

impl Profile {
    /// Whether a model has to be chosen, as `family/model`.
    pub fn is_family(&self) -> bool {
        self.boards.iter().any(|board| board.id != self.id)
    }
}

/// Understand a profile. `id` is its file stem.
///
/// # Errors
/// Everything that is wrong with it, each with line and column.
pub fn parse(id: &str, source: &Source) -> Result<Profile, Mistakes> {
    let raw: RawBoard = source.parse()?;
    let mut findings = Findings::default();
    let profile = raw.understand(id, &mut findings);
    findings.finish(source, profile)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBoard {
    schema: Spanned<i64>,
    title: String,
    controller: Spanned<RawController>,
    segments: Spanned<RawSegments>,
    settle: RawSettle,
    dead_man: Spanned<RawDeadMan>,
    release: RawRelease,
    fence: Option<RawFence>,
    #[serde(default)]
    led: Vec<RawNamedLine>,
    #[serde(default)]
    button: Vec<RawNamedLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRelease {
    source: Spanned<String>,
    confidence: Confidence,
    relays: RawOnRelease,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawOnRelease {
    Hold,
    FallToRest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFence {
    source: Spanned<String>,
    confidence: Confidence,
    held_by: Spanned<RawFenceHolder>,
    order: Option<Spanned<RawLine>>,
    acknowledge: Option<Spanned<RawLine>>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawFenceHolder {
    Controller,
    Lines,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNamedLine {
    source: Spanned<String>,
    confidence: Confidence,
    name: Spanned<String>,
    line: RawLine,
}

/// One board's controller, as a profile's controller table yields it.
struct Wiring {
    /// Appended to the profile's id; `None` if the profile is no family.
    model: Option<String>,
    title: Option<String>,
    facts: Vec<FactSource>,
    spec: ControllerSpec,
    /// Names and, where the model fixes them, ports.
    segments: Vec<(String, Option<[PortRef; 2]>)>,
}

impl RawBoard {
    fn understand(&self, id: &str, findings: &mut Findings) -> Profile {
        if *self.schema.get_ref() != SCHEMA {
            findings.refuse(
                Mistake::new(
                    self.schema.span(),
                    format!("schema {} is not known", self.schema.get_ref()),
                )
                .label(format!("this agent reads schema {SCHEMA}")),
            );
        }
        let wirings = self.controller.get_ref().wirings(findings);
        self.controller
            .get_ref()
            .agree_with(&self.dead_man, findings);
        let mut facts = vec![
            fact(
                "segments",
                &self.segments.get_ref().source,
                self.segments.get_ref().confidence,
                findings,
            ),
            fact(
                "settle",
                &self.settle.source,
                self.settle.confidence,
                findings,
            ),
            fact(
                "dead_man",
                &self.dead_man.get_ref().source,
                self.dead_man.get_ref().confidence,
                findings,
            ),
            fact(
                "release",
                &self.release.source,
                self.release.confidence,
                findings,
            ),
        ];
        let shared = Shared {
            segment: segments::understand(&self.segments, &self.settle, &self.dead_man, findings),
            dead_man: self
                .dead_man
                .get_ref()
                .understand(self.dead_man.span(), findings),
            on_release: match self.release.relays {
                RawOnRelease::Hold => OnRelease::Holds,
                RawOnRelease::FallToRest => OnRelease::FallsToRest,
            },
            fence: self.fence(findings, &mut facts),
            leds: named_lines("led", &self.led, findings, &mut facts),
            buttons: named_lines("button", &self.button, findings, &mut facts),
            facts,
        };
        let boards = wirings
            .into_iter()
            .map(|wiring| shared.board(id, &self.title, wiring))
            .collect();
        Profile {
            id: id.to_owned(),
            title: self.title.clone(),
            boards,
        }
    }

    fn fence(&self, findings: &mut Findings, facts: &mut Vec<FactSource>) -> Option<FenceWires> {
        let raw = self.fence.as_ref()?;
        facts.push(fact("fence", &raw.source, raw.confidence, findings));
        let at = raw.held_by.span();
        match (raw.held_by.get_ref(), &raw.order, &raw.acknowledge) {
            (RawFenceHolder::Controller, None, None) => Some(FenceWires::InController),
            (RawFenceHolder::Lines, Some(order), Some(acknowledge)) => Some(FenceWires::Lines {
                order: order.get_ref().understand(findings),
                acknowledge: acknowledge.get_ref().understand(findings),
            }),
            _ => {
                findings.refuse(
                    Mistake::new(at, "fence wires and their lines do not fit together").help(
                        "held_by = \"controller\" takes no lines; held_by = \"lines\" needs both `order` and \
                         `acknowledge`",
                    ),
                );
                None
            }
        }
    }
}

/// What all models of a profile have in common.
struct Shared {
    segment: BoardSegment,
    dead_man: super::profile::DeadManSpec,
    on_release: OnRelease,
    fence: Option<FenceWires>,
    leds: Vec<NamedLine>,
    buttons: Vec<NamedLine>,
    facts: Vec<FactSource>,
}

impl Shared {
    fn board(&self, id: &str, title: &str, wiring: Wiring) -> Board {
        let mut facts = wiring.facts;
        facts.extend(self.facts.iter().cloned());
        let segments = wiring
            .segments
            .into_iter()
            .map(|(name, ports)| BoardSegment {
                name,
                ports,
                ..self.segment.clone()
            })
            .collect();
        Board {
            id: match &wiring.model {
                Some(model) => format!("{id}/{model}"),
                None => id.to_owned(),
            },
            title: match wiring.title {
                Some(model) => format!("{title}: {model}"),
                None => title.to_owned(),
            },
            confidence: facts
                .iter()
                .map(|fact| fact.confidence)
                .min()
                .unwrap_or(Confidence::Low),
            controller: wiring.spec,
            segments,
            dead_man: self.dead_man.clone(),
            on_release: self.on_release,
            fence: self.fence.clone(),
            leds: self.leds.clone(),
            buttons: self.buttons.clone(),
            facts,
        }
    }
}

fn fact(
    table: &str,
    source: &Spanned<String>,
    confidence: Confidence,
    findings: &mut Findings,
) -> FactSource {
    let said = source.get_ref().trim();
    if said.is_empty() {
        findings.refuse(
            Mistake::new(
                source.span(),
                format!("[{table}] states facts without a source"),
            )
            .label("where was this read?")
            .help(
                "name the file, manual page or measurement; a fact nobody can check is not a fact",
            ),
        );
    }
    FactSource {
        table: table.to_owned(),
        source: said.to_owned(),
        confidence,
    }
}

fn named_lines(
    table: &str,
    raw: &[RawNamedLine],
    findings: &mut Findings,
    facts: &mut Vec<FactSource>,
) -> Vec<NamedLine> {
    raw.iter()
        .map(|raw| {
            let table = format!("{table} {}", raw.name.get_ref());
            facts.push(fact(&table, &raw.source, raw.confidence, findings));
            NamedLine {
                name: words::name(&raw.name, findings),
                line: raw.line.understand(findings),
            }
        })
        .collect()
}

/// Where in the file something stands.
type Span = Range<usize>;
