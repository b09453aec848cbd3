//! The peer: a shell loop as appliances' vendors ship them, on a board of its own.
//!
//! The script is ours, written after what such scripts do: a loop that sleeps, runs the check, and calls a command-line tool to kick the
//! board's timer or to move the relay, one process each. It is no vendor's text and no vendor's product, and it is given a fair board: the
//! timer is set to three rounds of the loop, the shortest that survives one slow round.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use fencepost::board::{RelayState, catalogue};
use serde::{Deserialize, Serialize};

use super::failures::phase;
use super::numbers::Samples;
use super::process::{self, Cost};
use super::subject::Hardware;
use crate::error::{AtPath, Result, RigError};

/// The board: one module on the mainboard, without muxes, as the vendor's own tool addresses it.
const BOARD: &str = "lanner-gen3/sni40";
/// The loop. `$1` board's socket, `$2` seconds between rounds, `$3` timer in seconds, `$4` verdict file, `$5` stamp, `$6` tool.
const SCRIPT: &str = r#"
set_register() { "$tool" i2cset "$board" 0x37 "$1" "$2"; }
board=$1 every=$2 timer=$3 verdict=$4 stamp=$5 tool=$6 state=bypass
set_register 0x21 0x01; set_register 0x22 "$timer"
while true; do
    if "$tool" verdict "$verdict" "$stamp"; then
        set_register 0x24 0x00
        [ "$state" = normal ] || { set_register 0x12 0x00; state=normal; }
    else
        [ "$state" = bypass ] || { set_register 0x12 0x01; state=bypass; }
        set_register 0x24 0x00
    fi
    sleep "$every"
done
"#;

/// What was measured of one setting of the loop.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Row {
    /// Seconds between rounds.
    pub every_s: u64,
    /// Board's timer, seconds.
    pub timer_s: u64,
    /// From the moment the application fails to the contacts: half a round on average, for the loop looks only once in each.
    pub application: Samples,
    /// From the check's verdict to the contacts.
    pub verdict: Samples,
    /// From the kill of the loop to the contacts.
    pub killed: Samples,
    /// What it cost while it had nothing to do.
    pub cost: Option<Cost>,
    /// What stopped the measurement.
    pub broken: Option<String>,
}

/// Loops under way.
pub struct Peers {
    threads: Vec<JoinHandle<Row>>,
}

/// Starts a loop of 5 s and one of 1 s, each on its board.
pub fn start(failures: usize) -> Peers {
    let run = |every_s: u64| {
        std::thread::spawn(move || {
            let mut row = Row {
                every_s,
                timer_s: 3 * every_s,
                ..Row::default()
            };
            if let Err(error) = fill(&mut row, failures) {
                row.broken = Some(error.to_string());
            }
            row
        })
    };
    Peers {
        threads: [5, 1].map(run).into(),
    }
}

impl Peers {
    /// Waits for them.
    pub fn finish(self) -> Vec<Row> {
        let joined = self.threads.into_iter().map(JoinHandle::join);
        joined.filter_map(std::result::Result::ok).collect()
    }
}

/// The loop as a process; ends with its owner.
struct Loop(Child);

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(folder: &Path, row: &Row) -> Result<Loop> {
    let own = std::env::current_exe().at("cannot find", "our own program")?;
    let child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "bash", "-c", SCRIPT, "loop"])
        .arg(folder.join("board"))
        .args([row.every_s.to_string(), row.timer_s.to_string()])
        .args([folder.join("verdict"), folder.join("stamp"), own])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .at("cannot start", "bash")?;
    Ok(Loop(child))
}

fn fill(row: &mut Row, failures: usize) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("hil-")
        .tempdir()
        .at("cannot make", "a folder for the peer")?;
    let profile =
        catalogue::load(&[], BOARD).map_err(|error| RigError::Input(error.to_string()))?;
    let hardware = Hardware::serve(&profile, vec![0], &folder.path().join("board"))?;
    let verdict = |text: &str| -> Result<()> {
        let _ = std::fs::remove_file(folder.path().join("stamp"));
        std::fs::write(folder.path().join("verdict"), text).at("cannot write", folder.path())
    };
    verdict("ok")?;
    let mut running = spawn(folder.path(), row)?;
    normal(&hardware)?;
    let (pid, span_s) = (running.0.id(), row.every_s as f64 * 2.0);
    let before = process::processor_s(pid).unwrap_or_default();
    std::thread::sleep(Duration::from_secs_f64(span_s));
    row.cost = process::cost(pid, before, span_s);
    for index in 0..failures {
        // Applications do not fail in step with the loop.
        std::thread::sleep(Duration::from_secs_f64(phase(index) * row.every_s as f64));
        hardware.forget();
        let failed = hardware.now();
        verdict("critical")?;
        let seen = hardware
            .wait_cut()
            .ok_or_else(|| stays("its check fails"))?;
        let since = |from: fencepost::node::Instant| seen.rested.since(from).as_secs_f64() * 1000.0;
        row.application.ms.push(since(failed));
        let stamp = std::fs::read_to_string(folder.path().join("stamp")).ok();
        if let Some(nanos) = stamp.and_then(|text| text.trim().parse().ok()) {
            row.verdict
                .ms
                .push(since(hardware.at(Duration::from_nanos(nanos))));
        }
        verdict("ok")?;
        normal(&hardware)?;
    }
    for index in 0..failures.div_ceil(2) {
        std::thread::sleep(Duration::from_secs_f64(
            0.2 + phase(index) * row.every_s as f64,
        ));
        hardware.forget();
        let from = hardware.now();
        drop(running);
        let seen = hardware
            .wait_cut()
            .ok_or_else(|| stays("its loop is killed"))?;
        row.killed
            .ms
            .push(seen.rested.since(from).as_secs_f64() * 1000.0);
        running = spawn(folder.path(), row)?;
        normal(&hardware)?;
    }
    Ok(())
}

fn normal(hardware: &Hardware) -> Result<()> {
    hardware
        .wait(|state| state == RelayState::Normal)
        .then_some(())
        .ok_or_else(|| RigError::Gone {
            what: "the peer's way to Normal".to_owned(),
            reason: "its relay stays away".to_owned(),
        })
}

fn stays(why: &str) -> RigError {
    RigError::Gone {
        what: "the peer's cut".to_owned(),
        reason: format!("its relay stays in Normal although {why}"),
    }
}
