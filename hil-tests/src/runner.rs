//! Runs scenarios on boards: one boot serves many, one line per result, exact last line.
//!
//! Scenarios are shared out to `jobs` threads, each with one appliance at a time. What if an appliance cannot be had? Then every
//! scenario meant for it is a failure that says why: nothing was proven.

mod work;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use fencepost::board::RelayState;

use crate::appliance::model::{MODELS, Model};
use crate::appliance::{Appliance, Setting};
use crate::guest::Image;
use crate::outcome::{Outcome, Report, Timeline, Totals, Verdict};
use crate::scenario::{Aftermath, Scenario};
use crate::trial::Trial;
use work::Work;

/// How often an appliance is brought to rest for one scenario.
const TRIES: usize = 3;

/// What to run, and where results go.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Scenarios by name; none: all.
    pub scenarios: Vec<String>,
    /// Boards by name; none: all.
    pub boards: Vec<String>,
    /// A file for the lines, besides standard output.
    pub json: Option<PathBuf>,
    /// A folder for reports.
    pub report: Option<PathBuf>,
    /// How many appliances at once.
    pub jobs: usize,
    /// Of every appliance.
    pub setting: Setting,
}

/// Where results go.
struct Output {
    totals: Totals,
    lines: Option<std::fs::File>,
    report: Option<PathBuf>,
}

/// Runs the plan. Results are printed as they come.
pub fn run(plan: &Plan) -> Result<Totals> {
    let work = work(plan)?;
    if let Some(folder) = &plan.report {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let lines = plan.json.as_ref().map(|path| {
        std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))
    });
    let output = Mutex::new(Output {
        totals: Totals::default(),
        lines: lines.transpose()?,
        report: plan.report.clone(),
    });
    let image = Image::prepare(&mut |what| eprintln!("hil: {what}"))?;
    let work = Mutex::new(work);
    std::thread::scope(|scope| {
        for _ in 0..plan.jobs.max(1) {
            scope.spawn(|| run_what_waits(&work, &image, &plan.setting, &output));
        }
    });
    Ok(lock(&output).totals)
}

fn work(plan: &Plan) -> Result<Work> {
    let models: Vec<Model> = match plan.boards.as_slice() {
        [] => MODELS.to_vec(),
        names => {
            let known = || MODELS.map(|model| model.name).join(", ");
            let found = names.iter().map(|name| {
                Model::named(name)
                    .with_context(|| format!("no board {name}; there are: {}", known()))
            });
            found.collect::<Result<_>>()?
        }
    };
    for name in &plan.scenarios {
        ensure!(
            Scenario::named(name).is_some(),
            "no scenario {name}: see `hil list`"
        );
    }
    let wanted = |scenario: &Scenario| {
        plan.scenarios.is_empty() || plan.scenarios.iter().any(|name| name == scenario.name)
    };
    let scenarios: Vec<Scenario> = Scenario::all().into_iter().filter(wanted).collect();
    Ok(Work::new(models, &scenarios))
}

/// One thread's part: one appliance at a time, for as long as anything waits.
fn run_what_waits(work: &Mutex<Work>, image: &Image, setting: &Setting, output: &Mutex<Output>) {
    let mut appliance: Option<Appliance> = None;
    let mut place = None;
    while let Some((at, model, scenario)) = { lock(work).next(place) } {
        if place.replace(at) != Some(at) {
            appliance = None;
        }
        let report = run_or_skip(&scenario, model, &mut appliance, image, setting);
        lock(output).tell(&report);
        let spent = match report.outcome.result {
            Verdict::Pass => scenario.aftermath == Aftermath::Rubble,
            Verdict::Fail => true,
            Verdict::Skipped => false,
        };
        if spent {
            appliance = None;
        }
    }
}

fn run_or_skip(
    scenario: &Scenario,
    model: Model,
    appliance: &mut Option<Appliance>,
    image: &Image,
    setting: &Setting,
) -> Report {
    let clock = Started::now();
    let without_timeline = |verdict, reason| Report {
        outcome: clock.outcome(scenario, &model, verdict, reason),
        timeline: Timeline::default(),
    };
    let skipped = match model.load() {
        Ok(board) => scenario.skipped_on(&board),
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = skipped {
        return without_timeline(Verdict::Skipped, reason);
    }
    let run = AssertUnwindSafe(|| run_one(scenario, model, appliance, image, setting, &clock));
    catch_unwind(run).unwrap_or_else(|_| {
        let reason =
            "the rig itself failed in this scenario: see its panic on standard error".to_owned();
        without_timeline(Verdict::Fail, reason)
    })
}

fn run_one(
    scenario: &Scenario,
    model: Model,
    appliance: &mut Option<Appliance>,
    image: &Image,
    setting: &Setting,
    clock: &Started,
) -> Report {
    let failed = |reason: String| Report {
        outcome: clock.outcome(scenario, &model, Verdict::Fail, reason),
        timeline: Timeline::default(),
    };
    let taken = match appliance.take() {
        Some(appliance) => Ok(appliance),
        None => Appliance::new(model, image.clone(), setting.clone()),
    };
    let bench = match taken {
        Ok(bench) => appliance.insert(bench),
        Err(error) => return failed(format!("no appliance: {error}")),
    };
    // Emulation may trip a check between the two: then it has to come to rest once more.
    for _ in 0..TRIES {
        if let Err(error) = bench.settle_normal() {
            return failed(format!("not begun: {error}"));
        }
        if bench
            .relays()
            .iter()
            .all(|relay| *relay == RelayState::Normal)
        {
            break;
        }
    }
    let mut trial = match Trial::begin(bench) {
        Ok(trial) => trial,
        Err(error) => return failed(format!("not begun: {error:#}")),
    };
    let done = (scenario.run)(&mut trial);
    let measured = trial.end(done.is_err());
    let mut reasons: Vec<String> = Vec::new();
    if let Err(error) = &done {
        reasons.push(format!("{error:#}"));
    }
    if measured.leaks.frames() > 0 {
        reasons.push(format!(
            "leak: {} frames passed the host while its relay should have been away, {} were lost on what should have been a wire",
            measured.leaks.through_host, measured.leaks.lost_on_wire
        ));
    }
    let result = if reasons.is_empty() {
        Verdict::Pass
    } else {
        Verdict::Fail
    };
    let reason = if reasons.is_empty() {
        measured.seen.clone()
    } else {
        reasons.join("; ")
    };
    let millis = |duration: std::time::Duration| (duration.as_secs_f64() * 10_000.0).round() / 10.0;
    let outcome = Outcome {
        gap_ms: Some((measured.gap_ms * 10.0).round() / 10.0),
        leak_frames: measured.leaks.frames(),
        relay_ms: measured.relay.map(millis),
        bound_ms: measured.bound.map(millis),
        ..clock.outcome(scenario, &model, result, reason)
    };
    Report {
        outcome,
        timeline: measured.timeline,
    }
}

/// When something began, on both clocks people ask about.
struct Started {
    at: Instant,
    seconds_since_1970: u64,
}

impl Started {
    fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            at: Instant::now(),
            seconds_since_1970: since.as_secs(),
        }
    }

    fn outcome(
        &self,
        scenario: &Scenario,
        model: &Model,
        result: Verdict,
        reason: String,
    ) -> Outcome {
        Outcome {
            scenario: scenario.name.to_owned(),
            board: model.name.to_owned(),
            result,
            gap_ms: None,
            leak_frames: 0,
            relay_ms: None,
            bound_ms: None,
            reason,
            started: self.seconds_since_1970,
            seconds: (self.at.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        }
    }
}

impl Output {
    fn tell(&mut self, report: &Report) {
        let outcome = &report.outcome;
        self.totals.count(outcome.result);
        let line = serde_json::to_string(outcome).unwrap_or_default();
        println!("{line}");
        let _ = std::io::stdout().flush();
        if let Some(file) = &mut self.lines
            && let Err(error) = writeln!(file, "{line}")
        {
            eprintln!("hil: a result cannot be written: {error}");
        }
        let Some(folder) = &self.report else {
            return;
        };
        let path = folder.join(report.file_name());
        let written = serde_json::to_vec(report)
            .map_err(std::io::Error::from)
            .and_then(|bytes| std::fs::write(&path, bytes));
        if let Err(error) = written {
            eprintln!("hil: {} cannot be written: {error}", path.display());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
