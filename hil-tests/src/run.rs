//! `hil list` and `hil run`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use fencepost_hil::appliance::Setting;
use fencepost_hil::appliance::model::MODELS;
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
    /// Also write the lines to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a report of each scenario here.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// How long links take to come back after a relay moved, milliseconds.
    #[arg(long, default_value_t = 1_500, value_name = "MS")]
    relink_ms: u64,
    /// Keep the machines' folders.
    #[arg(long)]
    keep: bool,
    /// How many appliances at once.
    #[arg(long, default_value_t = 2, value_name = "N")]
    jobs: usize,
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
    let asked = std::process::Command::new("renice").args(["-n", "-10", "-p", &own]).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status();
    if !asked.is_ok_and(|status| status.success()) {
        eprintln!("hil: no right to go first on this host; results may show its lateness");
    }
}

/// Runs, and ends the process with 1 if anything failed.
pub(crate) fn run(options: Run) -> Result<()> {
    go_first();
    let plan = Plan {
        scenarios: options.scenarios,
        boards: options.boards,
        json: options.json,
        report: options.report,
        jobs: options.jobs,
        setting: Setting { relink: Duration::from_millis(options.relink_ms), keep: options.keep },
    };
    let totals = runner::run(&plan)?;
    println!("{totals}");
    if totals.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}
