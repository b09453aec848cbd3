//! From a failure to the relay, on one board: the agent killed at any moment of its beat, and a check that fails.
//!
//! A kill counts from just before the signal to the contacts at rest: whatever the board does by itself. A check counts from the moment
//! before its program exits with its verdict, so what the machine takes to notice the exit is included.

use std::path::Path;
use std::time::Duration;

use fencepost::node::Instant;
use serde::{Deserialize, Serialize};

use super::Plan;
use super::numbers::Samples;
use super::subject::{Setting, Subject};
use crate::appliance::model::Model;
use crate::capability::Capability;
use crate::error::Result;

/// How the agent is set for this: as it comes, but for a check that is asked often, so that the measurement does not take hours.
const SETTING: Setting = Setting {
    name: "default",
    dead_man: "",
    check_every_ms: 100,
};

/// What was measured on one board.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Row {
    /// Board of the matrix.
    pub board: String,
    /// Effective dead-man period, milliseconds.
    pub period_ms: Option<f64>,
    /// From the kill to the contacts at rest.
    pub killed: Samples,
    /// Why the kill was not measured.
    pub killed_not: Option<String>,
    /// From the application's failure to the contacts, with a check every 100 ms.
    pub application: Samples,
    /// From the check's verdict to the coil.
    pub check_to_coil: Samples,
    /// From the check's verdict to the contacts at rest.
    pub check_to_contacts: Samples,
    /// Cuts that have no date: the machine was so busy that the check ran into its time-out before it could say anything.
    pub undated: usize,
    /// What stopped the measurement.
    pub broken: Option<String>,
}

/// Measures one board. Errors become part of the row.
pub fn measure(model: &Model, program: &Path, plan: Plan) -> Row {
    let mut row = Row {
        board: model.name.to_owned(),
        ..Row::default()
    };
    if let Err(error) = fill(&mut row, model, program, plan) {
        row.broken = Some(error.to_string());
    }
    row
}

fn fill(row: &mut Row, model: &Model, program: &Path, plan: Plan) -> Result<()> {
    let mut subject = Subject::prepare(model, SETTING, program)?;
    subject.start()?;
    row.period_ms = subject
        .status()
        .filter(|status| status.node.dead_man.arming != fencepost::node::policy::Arming::Absent)
        .map(|status| status.node.dead_man.period.as_secs_f64() * 1000.0);
    for index in 0..plan.check_failures {
        check_fails(row, &subject, index)?;
    }
    let profile = model
        .load()
        .map_err(|error| crate::error::RigError::Input(error.to_string()))?;
    row.killed_not = Capability::FailsWithoutHost.missing(&profile);
    if row.killed_not.is_some() {
        return Ok(());
    }
    for index in 0..plan.kills {
        kill(row, &mut subject, index)?;
    }
    Ok(())
}

fn check_fails(row: &mut Row, subject: &Subject, index: usize) -> Result<()> {
    std::thread::sleep(Duration::from_secs_f64(0.1 * phase(index)));
    subject.hardware.forget();
    let failed = subject.hardware.now();
    subject.verdict("critical")?;
    let seen = subject.hardware.wait_cut();
    if let (Some(seen), Some(from)) = (seen, subject.stamp()) {
        row.application.ms.push(ms(failed, seen.rested));
        row.check_to_coil.ms.push(ms(from, seen.commanded));
        row.check_to_contacts.ms.push(ms(from, seen.rested));
    } else {
        row.undated += 1;
    }
    subject.verdict("ok")?;
    back_to_normal(subject)
}

fn kill(row: &mut Row, subject: &mut Subject, index: usize) -> Result<()> {
    std::thread::sleep(Duration::from_secs_f64(0.3 + 0.25 * phase(index)));
    subject.hardware.forget();
    let from = subject.kill();
    match subject.hardware.wait_cut() {
        Some(seen) => row.killed.ms.push(ms(from, seen.rested)),
        None => row.broken = Some("the relay stayed when the agent was killed".to_owned()),
    }
    subject.start()
}

/// Somewhere in a beat, another place each time: multiples of the golden ratio fill it evenly.
pub(super) fn phase(index: usize) -> f64 {
    ((index + 1) as f64 * 0.618_034).fract()
}

fn back_to_normal(subject: &Subject) -> Result<()> {
    let back = subject
        .hardware
        .wait(|state| state == fencepost::board::RelayState::Normal);
    back.then_some(())
        .ok_or_else(|| crate::error::RigError::Gone {
            what: "the way back to Normal".to_owned(),
            reason: "its check passes again, and the relay stays away".to_owned(),
        })
}

fn ms(from: Instant, to: Instant) -> f64 {
    to.since(from).as_secs_f64() * 1000.0
}
