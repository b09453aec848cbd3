//! Real appliances: whether they are there.
//!
//! Driving them is not built: every scenario on them is reported as skipped, with the sentence that says why, and never as passed. What is
//! built is the bench's description ([`crate::rig`]) and the question whether an appliance answers.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use crate::outcome::{Outcome, Totals, Verdict};
use crate::rig::PhysicalAppliance;
use crate::scenario::Scenario;

/// How long an appliance may take to answer, seconds.
const CONNECT_TIMEOUT_S: u32 = 5;

/// Reports every scenario on every appliance as skipped.
pub fn skip_all(appliances: &[PhysicalAppliance], scenarios: &[String]) -> Result<Totals> {
    for name in scenarios {
        ensure!(
            Scenario::named(name).is_some(),
            "no scenario {name}: see `hil list`"
        );
    }
    let mut totals = Totals::default();
    for appliance in appliances {
        let reason = match reach(&appliance.ssh) {
            Ok(()) => format!(
                "appliance {} answers, and this rig does not drive real appliances yet",
                appliance.name
            ),
            Err(why) => format!("appliance {} is not there: {why}", appliance.name),
        };
        for scenario in Scenario::all() {
            if !scenarios.is_empty() && !scenarios.iter().any(|name| name == scenario.name) {
                continue;
            }
            totals.count(Verdict::Skipped);
            println!(
                "{}",
                serde_json::to_string(&skipped(&scenario, appliance, &reason))?
            );
        }
    }
    Ok(totals)
}

fn skipped(scenario: &Scenario, appliance: &PhysicalAppliance, reason: &str) -> Outcome {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Outcome {
        scenario: scenario.name.to_owned(),
        board: appliance.name.clone(),
        result: Verdict::Skipped,
        gap_ms: None,
        leak_frames: 0,
        relay_ms: None,
        bound_ms: None,
        reason: reason.to_owned(),
        started: since.as_secs(),
        seconds: 0.0,
    }
}

/// Whether a command can be run there without anybody typing.
fn reach(destination: &str) -> std::result::Result<(), String> {
    let timeout = format!("ConnectTimeout={CONNECT_TIMEOUT_S}");
    let asked = Command::new("ssh")
        .args([
            "-o",
            "BatchMode=yes",
            "-o",
            &timeout,
            "--",
            destination,
            "true",
        ])
        .stdin(Stdio::null())
        .output();
    match asked {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => Err(String::from_utf8_lossy(&done.stderr)
            .lines()
            .last()
            .unwrap_or("ssh failed")
            .trim()
            .to_owned()),
        Err(error) => Err(format!("ssh cannot be started: {error}")),
    }
}
