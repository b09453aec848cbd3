//! The facts a commissioning proves, and nothing else: a corrected title or source in a profile must not void it.

use serde::{Deserialize, Serialize};

use crate::board::profile::PortRef;
use crate::config::Site;

/// How relays, ports and names belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wiring {
    /// Board id.
    pub board: String,
    /// The profile's controller table: bus, addresses, lines, and which of them is which segment's.
    pub controller: serde_json::Value,
    /// Segments in use, in board order.
    pub segments: Vec<WiredSegment>,
}

/// One segment in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WiredSegment {
    /// Name in the configuration.
    pub name: String,
    /// Name in the profile.
    pub at: String,
    /// Its ports, as configured.
    pub ports: Vec<String>,
}

impl Wiring {
    /// This site's.
    pub fn of(site: &Site) -> Self {
        let segments = site.config.segments.iter().zip(&site.board.segments);
        Self {
            board: site.board.id.clone(),
            // A table of plain facts has no reason not to be written; should it, `null` equals nothing proven.
            controller: serde_json::to_value(&site.board.controller).unwrap_or_default(),
            segments: segments
                .map(|(segment, fact)| WiredSegment {
                    name: segment.name.clone(),
                    at: fact.name.clone(),
                    ports: segment.ports.iter().flatten().map(port_name).collect(),
                })
                .collect(),
        }
    }

    /// What is different in `now`, as sentences; empty if nothing is.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut told = Vec::new();
        if self.board != now.board {
            told.push(format!("it was board {} and is {}", self.board, now.board));
        } else if self.controller != now.controller {
            told.push("the profile's facts about the controller changed".to_owned());
        }
        for old in &self.segments {
            match now.segments.iter().find(|new| new.name == old.name) {
                None => told.push(format!("segment {} is no longer used", old.name)),
                Some(new) if new.at != old.at => told.push(format!(
                    "segment {} was the board's {} and is {}",
                    old.name, old.at, new.at
                )),
                Some(new) if new.ports != old.ports => told.push(format!(
                    "segment {} had ports {} and has {}",
                    old.name,
                    old.ports.join(" and "),
                    new.ports.join(" and ")
                )),
                Some(_) => {}
            }
        }
        let known = |new: &&WiredSegment| !self.segments.iter().any(|old| old.name == new.name);
        told.extend(
            now.segments
                .iter()
                .filter(known)
                .map(|new| format!("segment {} is new", new.name)),
        );
        told
    }
}

/// As configured.
pub(super) fn port_name(port: &PortRef) -> String {
    match port {
        PortRef::Pci(name) | PortRef::Interface(name) => name.clone(),
    }
}
