//! What came of a scenario on a board: the runner's line, and the timeline a picture is drawn from.
//!
//! Contract: a scenario that did not run is `Skipped` with the sentence that says which capability the board lacks; a scenario the rig
//! itself could not carry out is `Fail`, because nothing was proven. All times are milliseconds of rig time since the scenario began
//! (its first stimulus comes later: the bench is first brought to rest); what the guest reported has been aligned to it.

use fencepost::board::RelayState;
use serde::{Deserialize, Serialize};

/// How a scenario ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything it asserts was seen.
    Pass,
    /// Something it asserts was not seen, or the rig could not carry it out.
    Fail,
    /// The board, by what it declares, cannot do what the scenario is about.
    Skipped,
}

/// One scenario on one board: one JSON line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Name, as `agent-killed`.
    pub scenario: String,
    /// Board, as `reference`.
    pub board: String,
    /// How it ended.
    pub result: Verdict,
    /// Longest time in which nothing came through the wire, over both directions, milliseconds. `None`: no traffic was measured.
    pub gap_ms: Option<f64>,
    /// Frames that passed the host while its relay should have been away, and frames lost while it should have been a settled wire.
    pub leak_frames: u64,
    /// From the stimulus to the contacts at rest in their new place, milliseconds. `None`: none should move.
    pub relay_ms: Option<f64>,
    /// What `relay_ms` may be, milliseconds.
    pub bound_ms: Option<f64>,
    /// What failed, or why it was skipped; for a pass, what was seen, in a sentence.
    pub reason: String,
    /// Wall-clock start, seconds since 1970. For people.
    pub started: u64,
    /// How long it took, seconds; booting and coming to rest included.
    pub seconds: f64,
}

/// A state of something from a moment on, until the next entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Since<T> {
    /// From when, milliseconds.
    pub t_ms: f64,
    /// What.
    pub state: T,
}

/// Something that happened at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// When, milliseconds.
    pub t_ms: f64,
    /// What, in a few words.
    pub text: String,
}

/// One segment's true relay over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RelayTrack {
    /// Name in the configuration.
    pub segment: String,
    /// True contacts, from the board model, not from anybody's report. The first entry is at the start.
    pub states: Vec<Since<RelayState>>,
}

/// Which way frames were going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From net A to net B.
    AToB,
    /// From net B to net A.
    BToA,
}

/// A hole in the traffic: no frame sent in it came.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// First lost frame, milliseconds.
    pub from_ms: f64,
    /// First frame that came again, milliseconds.
    pub to_ms: f64,
    /// Which way.
    pub direction: Way,
}

/// How frames passed the appliance from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// Through the host.
    Host,
    /// Through the bypass.
    Bypass,
}

/// A bound that was asserted, to be drawn as a limit after its stimulus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Where it counts from, milliseconds.
    pub from_ms: f64,
    /// Where it ends, milliseconds.
    pub to_ms: f64,
    /// What must have happened by then.
    pub text: String,
}

/// Everything that happened, for a picture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// How long it covers, milliseconds.
    pub duration_ms: f64,
    /// Each segment's true relay.
    pub relay: Vec<RelayTrack>,
    /// What the controller did: relay orders, dead-man expiries, power, resets (from the board model).
    pub controller_events: Vec<Moment>,
    /// The agent's own record, as `fencepost events --json` in the guest, aligned to rig time.
    pub agent_events: Vec<Moment>,
    /// What the rig did to it.
    pub faults: Vec<Moment>,
    /// Holes in the traffic of a millisecond or more.
    pub gaps: Vec<Gap>,
    /// Which way the frames from net A to net B took.
    pub paths: Vec<Since<Path>>,
    /// Resets, watchdog, pause and power of the machine, and when it was up again.
    pub machine_events: Vec<Moment>,
    /// Limits that were asserted.
    pub bounds: Vec<Bound>,
    /// The last of the machine's console and the agent's journal; kept for failures only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log: String,
}

/// What `--report DIR/<scenario>-<board>.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The runner's line.
    pub outcome: Outcome,
    /// The picture's data.
    pub timeline: Timeline,
}

impl Report {
    /// Its file's name below the report's folder: profile names may hold a slash.
    pub fn file_name(&self) -> String {
        format!(
            "{}-{}.json",
            self.outcome.scenario,
            self.outcome.board.replace('/', "-")
        )
    }
}

/// Counts of a run, as its last line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Scenarios that passed.
    pub passed: usize,
    /// Scenarios that failed.
    pub failed: usize,
    /// Scenarios that were skipped; never counted as passed.
    pub skipped: usize,
}

impl Totals {
    /// Counts one more.
    pub fn count(&mut self, result: Verdict) {
        match result {
            Verdict::Pass => self.passed += 1,
            Verdict::Fail => self.failed += 1,
            Verdict::Skipped => self.skipped += 1,
        }
    }
}

impl core::fmt::Display for Totals {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_exact() {
        let mut totals = Totals::default();
        for result in [Verdict::Pass, Verdict::Skipped, Verdict::Pass] {
            totals.count(result);
        }
        assert_eq!(totals.to_string(), "2 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn a_line_has_the_promised_fields() {
        let outcome = Outcome {
            scenario: "agent-killed".into(),
            board: "lanner-gen3/sni40".into(),
            result: Verdict::Pass,
            gap_ms: Some(3120.0),
            leak_frames: 0,
            relay_ms: Some(2990.5),
            bound_ms: Some(6000.0),
            reason: "Bypass".into(),
            started: 1,
            seconds: 2.0,
        };
        let line = serde_json::to_value(&outcome).unwrap();
        for field in [
            "scenario",
            "board",
            "result",
            "gap_ms",
            "leak_frames",
            "relay_ms",
            "bound_ms",
            "reason",
            "started",
            "seconds",
        ] {
            assert!(line.get(field).is_some(), "{field} is missing: {line}");
        }
        assert_eq!(line["result"], "pass");
        let report = Report {
            outcome,
            timeline: Timeline::default(),
        };
        assert_eq!(report.file_name(), "agent-killed-lanner-gen3-sni40.json");
        let back: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        assert_eq!(back, report);
    }
}
