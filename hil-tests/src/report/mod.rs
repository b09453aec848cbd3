//! What a run left behind, as something to look at: `DIR/*.json` to `DIR/index.html`, and one timeline to one picture.
//!
//! Contract: the page is one file without scripts and without anything from elsewhere; it can be made again from the JSON at any time.
//! A file that is not a report of this version is named on the page, not passed over: a missing result must not look like a good one.
//! Text of guests and agents is untrusted and is escaped.

mod labels;
mod lanes;
mod page;
mod picture;
mod scale;
mod story;
mod style;
pub(crate) mod svg;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{AtPath, Result};
use crate::outcome::{Report, Timeline, Totals};

pub use picture::standalone;

/// Name of the page in its folder.
pub const PAGE: &str = "index.html";

/// What `hil bench` leaves in the same place; no scenario's report.
const BENCH: &str = "bench.json";

/// A page that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where it is.
    pub page: PathBuf,
    /// What it shows.
    pub totals: Totals,
    /// Files that are no reports, each with the reason.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// Makes the page of a folder anew.
///
/// # Errors
/// The folder cannot be read, or the page cannot be written.
pub fn write(folder: &Path) -> Result<Written> {
    let (reports, unreadable) = load(folder)?;
    let mut totals = Totals::default();
    for report in &reports {
        totals.count(report.outcome.result);
    }
    let page = folder.join(PAGE);
    let text = page::render(&reports, &unreadable);
    // Complete or not at all: somebody may be looking at the one before.
    let draft = folder.join(".index.html.new");
    fs::write(&draft, text).at("cannot write", &draft)?;
    fs::rename(&draft, &page).at("cannot write", &page)?;
    Ok(Written {
        page,
        totals,
        unreadable,
    })
}

/// One report from its file.
///
/// # Errors
/// It cannot be read, or is not a report.
pub fn read(file: &Path) -> Result<Report> {
    let text = fs::read_to_string(file).at("cannot read", file)?;
    serde_json::from_str(&text)
        .map_err(std::io::Error::from)
        .at("not a scenario's report:", file)
}

/// A hole in the traffic, and what it is made of, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Split {
    /// All of it.
    pub whole_ms: f64,
    /// Until the last relay in it had moved; all of it where none did.
    pub ours_ms: f64,
    /// Links coming back after that.
    pub relink_ms: f64,
}

/// The longest hole that begins between two moments.
pub fn gap_between(timeline: &Timeline, from_ms: f64, to_ms: f64) -> Option<Split> {
    let holes = story::read(timeline).holes.into_iter();
    let inside = holes.filter(|hole| (from_ms..to_ms).contains(&hole.from_ms));
    let longest = inside.max_by(|a, b| a.length_ms().total_cmp(&b.length_ms()))?;
    Some(Split {
        whole_ms: longest.length_ms(),
        ours_ms: longest.ours_ms(),
        relink_ms: longest.relink_ms(),
    })
}

type Unreadable = Vec<(PathBuf, String)>;

fn load(folder: &Path) -> Result<(Vec<Report>, Unreadable)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .at("cannot read", folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|it| it == "json") && !path.ends_with(BENCH))
        .collect();
    files.sort();
    let (mut reports, mut unreadable) = (Vec::new(), Vec::new());
    for file in files {
        match read(&file) {
            Ok(report) => reports.push(report),
            Err(error) => unreadable.push((file, error.to_string())),
        }
    }
    Ok((reports, unreadable))
}

#[cfg(test)]
mod tests;
