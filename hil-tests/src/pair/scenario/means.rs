//! Other means than the fence wire: a program that takes power, and the test of all of them.

use std::time::{Duration, Instant};

use fencepost::control::Request;
use fencepost::node::pair::PairCommand;
use fencepost::node::pair::drill::{FenceTest, TestVerdict};
use fencepost::sim::fence_cable::Wire;

use super::{Told, demand, demand_stays};
use crate::error::{Result, RigError};
use crate::pair::Cabling;
use crate::pair::trial::{Trial, name, other};

/// For anything that is to happen here. Far above what it should take.
const LONG: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// Before all others, where there is a fence cable.
const WIRE: &str = "\n[[means]]\nkind = \"fence-wire\"\n";
/// All other kinds, in their usual order; power is taken soon, or the lease would be over first.
const OTHERS: &str = r#"
[[means]]
kind = "peer-agent"
[[means]]
kind = "external"
name = "socket"
program = "@power@"
primary = { plug = "1" }
secondary = { plug = "2" }
timeout_ms = 5000
probe_every_ms = 1000
hold_back_ms = 200
"#;

/// What a scenario's sites have besides.
pub(in crate::pair) fn tables(scenario: &str, cabling: Cabling) -> String {
    match scenario {
        _ if !cabling.has_relays() => OTHERS.to_owned(),
        "power-taken" | "fence-test" => format!("{WIRE}{OTHERS}"),
        "synced" => super::synced::TABLES.to_owned(),
        _ => String::new(),
    }
}

pub(super) fn power_taken(trial: &mut Trial) -> Result<Told> {
    trial.note("the fence cable is broken");
    trial.bed.fence_wire(0, Wire::Broken);
    trial.bed.fence_wire(1, Wire::Broken);
    let old = trial.stand_ready()?;
    let from = trial.bed.now();
    trial.note(&format!("{}: it is put to sleep", name(old)));
    trial.hosts[old].freeze()?;
    let until = Instant::now() + LONG;
    while !trial.hosts[other(old)].wants_power_off() {
        demand(Instant::now() < until, || {
            "nobody wanted its power gone".to_owned()
        })?;
        trial.pass(POLL);
    }
    trial.note(&format!("{} loses its power", name(old)));
    trial.power_off(old)?;
    trial.hosts[other(old)].tell_power(true)?;
    let status = trial.wait_serves(other(old))?;
    trial.pass(trial.pace.settle);
    let span = trial.since(from);
    let proof = status.proof.unwrap_or_default();
    demand(proof == "fenced by socket", || {
        format!("taken over, {proof}")
    })?;
    let told = trial.hosts[other(old)].pair();
    demand(told.is_some_and(|pair| pair.peer_off), || {
        "it does not say whose power it took".to_owned()
    })?;
    trial.note("somebody switches it on again");
    trial.power_on(old)?;
    trial.hosts[other(old)].tell_power(false)?;
    trial.start(old)?;
    demand_stays(trial, old)?;
    Ok(Told {
        outage_ms: Some(span.seen.outage_ms),
        text: format!("taken over, {proof}; switched on again, it stood by"),
    })
}

pub(super) fn fence_test(trial: &mut Trial) -> Result<Told> {
    let serving = trial.stand_ready()?;
    let from = trial.bed.now();
    let command = PairCommand::FenceTest {
        means: None,
        reason: "trial".to_owned(),
    };
    let refused = trial.hosts[other(serving)].ask(Request::Pair {
        command: command.clone(),
    });
    demand(refused.is_err(), || "the Backup tested".to_owned())?;
    trial.order(serving, Request::Pair { command })?;
    let test = ended(trial, serving)?;
    trial.note(&format!("{test:?}"));
    let verdict = |named: &str| {
        let found = test.means.iter().find(|means| means.name == named);
        found.map(|means| means.verdict)
    };
    let good = test.ended_early.is_none()
        && verdict("fence-wire") == Some(TestVerdict::Passed)
        && verdict("peer-agent") == Some(TestVerdict::Passed)
        && verdict("socket") == Some(TestVerdict::NotTried);
    demand(good, || format!("{test:?}"))?;
    let again = trial.wait_stands()?;
    demand(again == serving, || "the vip moved".to_owned())?;
    let span = trial.since(from);
    let times: Vec<String> = (test.means.iter())
        .filter_map(|means| Some(format!("{} in {} ms", means.name, means.confirmed_ms?)))
        .collect();
    Ok(Told {
        outage_ms: Some(span.seen.outage_ms),
        text: format!("the Backup was cut by {}, and came back", times.join(", ")),
    })
}

/// The test under way, once it has ended.
fn ended(trial: &mut Trial, serving: usize) -> Result<FenceTest> {
    let mut found = None;
    trial.wait("the end of the fence test", |trial| {
        let pair = trial.hosts[serving].pair();
        found = pair.and_then(|pair| pair.fence_test);
        found.as_ref().is_some_and(|test| test.done)
    })?;
    found.ok_or_else(|| RigError::Input("no fence test".to_owned()))
}
