//! `hil list` and `hil run`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use fencepost_hil::appliance::Setting;
use fencepost_hil::appliance::model::MODELS;
use fencepost_hil::physical;
use fencepost_hil::rig::{Rig, VirtualRig};
use fencepost_hil::runner::{self, Plan};
use fencepost_hil::scenario::Scenario;

/// What to list.
#[derive(Args)]
pub(crate) struct List {
    /// One JSON object for each scenario and board.
    #[arg(long)]
    json: bool,
}

/// What to run.
#[derive(Args)]
pub(crate) struct Run {
    /// Scenarios; all if none is named.
    scenarios: Vec<String>,
    /// Boards; all if none is named.
    #[arg(long = "board", value_name = "BOARD")]
    boards: Vec<String>,
    /// A bench described in a file, as rigs/virtual.toml; its boards, unless some are named.
    #[arg(long, value_name = "FILE")]
    rig: Option<PathBuf>,
    /// Also write the lines to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a report of each scenario here.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// How long links take to come back after a relay moved, milliseconds.
    #[arg(long, value_name = "MS")]
    relink_ms: Option<u64>,
    /// Keep the machines' folders.
    #[arg(long)]
    keep: bool,
    /// How many appliances at once.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

/// Every scenario on every board, and why it would be skipped there.
pub(crate) fn list(options: &List) -> Result<()> {
    for scenario in Scenario::all() {
        if !options.json {
            println!("{:20} {}", scenario.name, scenario.shows);
        }
        for model in MODELS {
            let board = model.load()?;
            let skipped = scenario.skipped_on(&board);
            if options.json {
                let line = serde_json::json!({
                    "scenario": scenario.name, "shows": scenario.shows, "board": model.name, "profile": model.profile, "skipped": skipped,
                });
                println!("{line}");
            } else if let Some(reason) = skipped {
                println!("{:20}   not on {}: {reason}", "", model.name);
            }
        }
    }
    Ok(())
}

/// The board's timers and the wires are the hardware of the bench: they go before everything else on this host, where we may say so.
fn go_first() {
    let own = std::process::id().to_string();
    let asked = std::process::Command::new("renice")
        .args(["-n", "-10", "-p", &own])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    if !asked.is_ok_and(|status| status.success()) {
        eprintln!("hil: no right to go first on this host; results may show its lateness");
    }
}

/// Runs, and ends the process with 1 if anything failed.
pub(crate) fn run(options: Run) -> Result<()> {
    go_first();
    let bench = match &options.rig {
        Some(path) => Rig::load(path)?,
        None => Rig::Virtual(VirtualRig::default()),
    };
    let folder = options.report.clone();
    let totals = match bench {
        Rig::Virtual(bench) => {
            let relink = options
                .relink_ms
                .map_or(bench.relink, Duration::from_millis);
            runner::run(&Plan {
                scenarios: options.scenarios,
                boards: if options.boards.is_empty() {
                    bench.boards
                } else {
                    options.boards
                },
                json: options.json,
                report: options.report,
                jobs: options.jobs.unwrap_or(bench.jobs),
                setting: Setting {
                    relink,
                    keep: options.keep,
                },
            })?
        }
        Rig::Physical(appliances) => physical::skip_all(&appliances, &options.scenarios)?,
    };
    if let Some(folder) = &folder {
        println!("{}", fencepost_hil::report::write(folder)?.page.display());
    }
    println!("{totals}");
    if totals.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}
