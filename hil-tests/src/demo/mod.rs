//! `hil demo`: the main job, live. One appliance boots, traffic passes, its agent is killed, the wire stays a wire; then all comes back.
//!
//! What is shown is measured: contacts of the board model, numbered frames on the wire. The same record becomes the picture.

mod paint;
mod screen;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use fencepost::board::RelayState;
use fencepost_hil::appliance::agent::{Signal, UNIT, signal_script};
use fencepost_hil::appliance::model::Model;
use fencepost_hil::appliance::{Appliance, BOOT, Setting};
use fencepost_hil::error::RigError;
use fencepost_hil::guest::Image;
use fencepost_hil::outcome::{Outcome, Report, Verdict};
use fencepost_hil::report;
use fencepost_hil::trial::{LATE, Measured, Trial};

use screen::{Agent, Screen};

/// Nobody starts it again but we.
const FOR_GOOD: &str = "[Service]\nRestart=no\n";
/// The unit that cuts when the agent fails would be faster than the dead-man; what is shown is that nobody is needed. (`OnFailure=` is a
/// dependency, which no drop-in can take away.)
const NO_FAIL_SAFE: &str = "systemctl mask --runtime --quiet fencepost-failsafe.service";
/// Time to look at something.
const LOOK: Duration = Duration::from_secs(3);
/// How often calm is waited for.
const CALM_TRIES: usize = 10;
/// When it does not come.
const TOO_BUSY: &str = "this machine is too busy for an emulated appliance: its checks run late and the agent cuts before it is killed; \
    end other work (builds, other guests) and try again";
/// For the way back to Normal.
const BACK: Duration = Duration::from_secs(90);

/// Shows it, and leaves picture and page in `folder`.
pub(crate) fn run(folder: &Path, relink: Duration) -> Result<()> {
    let begun = std::time::Instant::now();
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    println!("\n  Fencepost: one appliance, its agent killed, the wire stays a wire.\n");
    let image = Image::prepare(&mut |what| println!("  {what}"))?;
    let model = Model::named("reference").context("no board `reference`")?;
    let mut appliance = Appliance::new(
        model,
        image,
        Setting {
            relink,
            keep: false,
        },
    )?;
    let screen = Screen::start(appliance.watch());
    screen.tell(
        "power on: stock Debian kernel, GPIO, I2C and watchdog as on the real board",
        Agent::Absent,
    );
    appliance.boot_fresh()?;
    screen.tell(
        "the machine is up; the agent arms the dead-man and proves the data path",
        Agent::Works,
    );
    appliance.shell(NO_FAIL_SAFE)?;
    appliance.drop_in(UNIT, FOR_GOOD)?;
    appliance.wait_rest(BACK)?;
    screen.tell("at rest: traffic passes through the host", Agent::Works);
    calm(&mut appliance, &screen)?;
    let mut trial = Trial::begin(&mut appliance)?;
    let told = perform(&mut trial, &screen);
    let measured = trial.end(told.is_err());
    screen.end();
    let report = write_down(&told, measured, begun.elapsed(), folder)?;
    told?;
    paint::figures(&report);
    let shown = |name: &str| println!("             {}", folder.join(name).display());
    println!("  see");
    shown(report::PAGE);
    shown("timeline.svg");
    println!("\n  {:.0} s in all.\n", begun.elapsed().as_secs_f64());
    Ok(())
}

fn perform(trial: &mut Trial<'_>, screen: &Screen) -> Result<()> {
    let period = trial.period().context("this board has no dead-man")?;
    std::thread::sleep(LOOK);
    ensure!(trial.appliance.relay(0) == RelayState::Normal, "{TOO_BUSY}");
    trial.strike_in_guest("agent killed (SIGKILL)", &signal_script(Signal::Kill))?;
    screen.tell(
        "AGENT KILLED (SIGKILL), its fail-safe unit off: only the dead-man is left",
        Agent::Killed,
    );
    trial.expect_relays(
        RelayState::Bypass,
        period + LATE,
        "the dead-man is not kicked",
    )?;
    ensure!(!trial.relay_took().is_zero(), "{TOO_BUSY}");
    trial.expect_expiry_in_time()?;
    let took = trial.relay_took().as_secs_f64() * 1000.0;
    screen.tell(
        &format!("Bypass, {took:.0} ms after the kill: the wire is a wire; its links come back"),
        Agent::Killed,
    );
    trial.saw(format!(
        "the relay was in Bypass {took:.0} ms after the agent was killed"
    ));
    std::thread::sleep(trial.appliance.relink() + LOOK / 2);
    trial.may_return();
    trial.note("agent started again");
    screen.tell(
        "the agent is started again: it finds Bypass, arms, proves, and waits its dwell",
        Agent::Starts,
    );
    start_again(trial, screen)?;
    screen.is(Agent::Works);
    trial.expect_rest(BACK)?;
    screen.tell("Normal again", Agent::Works);
    trial.saw("after it was started again the appliance came back to Normal by itself");
    std::thread::sleep(LOOK);
    Ok(())
}

/// Waits until nothing has moved for a while: on a busy machine a check may run into its time-out, and the agent rightly cuts.
fn calm(appliance: &mut Appliance, screen: &Screen) -> Result<()> {
    for _ in 0..CALM_TRIES {
        appliance.begin();
        let since = appliance.now();
        std::thread::sleep(LOOK);
        if appliance.relay(0) == RelayState::Normal && appliance.moves_since(since).is_empty() {
            return Ok(());
        }
        screen.tell(
            "this machine is busy: a check ran late and the agent cut; waiting for it to calm down",
            Agent::Works,
        );
        appliance.wait_rest(BACK)?;
    }
    bail!("{TOO_BUSY}")
}

/// Starts the agent. A machine so slow that its watchdog is faster resets, boots, and starts it by itself: that is the product, too.
fn start_again(trial: &mut Trial<'_>, screen: &Screen) -> Result<()> {
    match trial.appliance.shell(&format!("systemctl start {UNIT}")) {
        Ok(_) => Ok(()),
        Err(RigError::Restarted { .. } | RigError::Gone { .. }) => {
            screen.tell(
                "too slow: the machine's watchdog has reset it; it boots and starts the agent",
                Agent::Absent,
            );
            Ok(trial.appliance.wait_boot(BOOT)?)
        }
        Err(error) => Err(error.into()),
    }
}

fn write_down(
    told: &Result<()>,
    measured: Measured,
    took: Duration,
    folder: &Path,
) -> Result<Report> {
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let leaks = measured.leaks.frames();
    let failed = told.is_err() || leaks > 0;
    let report = Report {
        outcome: Outcome {
            scenario: "demo".to_owned(),
            board: "reference".to_owned(),
            result: if failed { Verdict::Fail } else { Verdict::Pass },
            gap_ms: Some(measured.gap_ms),
            leak_frames: leaks,
            relay_ms: measured.relay.map(ms),
            bound_ms: measured.bound.map(ms),
            reason: match told {
                Ok(()) => measured.seen,
                Err(error) => format!("{error:#}"),
            },
            started: now.as_secs().saturating_sub(took.as_secs()),
            seconds: took.as_secs_f64(),
        },
        timeline: measured.timeline,
    };
    let file = folder.join(report.file_name());
    std::fs::write(&file, serde_json::to_vec(&report)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    std::fs::write(folder.join("timeline.svg"), report::standalone(&report))
        .context("cannot write the picture")?;
    report::write(folder)?;
    Ok(report)
}
