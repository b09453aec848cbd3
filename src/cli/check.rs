//! `fencepost check`: what this configuration will do on this board, proven before any hardware is touched.

use std::io::Write;

use clap::Args;
use fencepost::commissioning;
use fencepost::plan::Plan;
use serde::Serialize;

use super::Global;
use super::exit::{Exit, Failure};
use super::places;

/// Show what this configuration will do on this board: settings per segment, timing, bounds
///
/// Touches no hardware. Exit code 0 means that `fencepost agent` would run it, 5 that it would be refused. Whether the
/// hardware is there is asked with `fencepost board probe`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One JSON object (docs/interfaces.md)
    #[arg(long)]
    json: bool,
}

/// The `check --json` interface.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    /// Absent: commissioned.
    not_commissioned: Option<String>,
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let site = places::site(global)?;
    let plan = Plan::draw(&site);
    let record = commissioning::load(&site.config.state.dir, &site);
    let mut out = std::io::stdout().lock();
    if options.json {
        let report = Report {
            plan: &plan,
            not_commissioned: record.err().map(|missing| missing.to_string()),
        };
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        out.write_all(plan.render().as_bytes())?;
        match record {
            Ok(record) => writeln!(
                out,
                "wiring    commissioned by {}, {}",
                record.operator, record.time
            )?,
            Err(missing) => writeln!(out, "wiring    {missing}")?,
        }
    }
    Ok(if plan.refusals.is_empty() {
        Exit::Done
    } else {
        Exit::Configuration
    })
}
