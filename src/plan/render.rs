//! The plan as plain text.

use core::fmt::Write as _;

use super::chain::ms;
use super::{Bound, Inequality, Plan, RELINK, SegmentPlan, Setting, Verdict, pair, sync};
use crate::board::profile::{Kept, PortRef, ReadBack};
use crate::config::{PeriodKnown, WatchdogMode};

pub(super) fn render(plan: &Plan) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(plan, &mut text);
    text
}

fn write(plan: &Plan, out: &mut String) -> core::fmt::Result {
    writeln!(out, "board     {} ({})", plan.board, plan.title)?;
    writeln!(out, "facts     confidence {}", word(&plan.confidence))?;
    writeln!(out, "topology  {}", word(&plan.topology))?;
    dead_man(plan, out)?;
    for segment in &plan.segments {
        write_segment(segment, out)?;
    }
    if !plan.chain.is_empty() {
        writeln!(out, "\ntiming")?;
    }
    inequalities(&plan.chain, out)?;
    failures(plan, out)?;
    if let Some(pair) = &plan.pair {
        pair::render::write(pair, plan.topology, out)?;
    }
    if let Some(settings) = &plan.sync {
        sync::write(settings, out)?;
    }
    sentences("warnings", &plan.warnings, out)?;
    sentences("REFUSED", &plan.refusals, out)?;
    let result = if plan.refusals.is_empty() {
        "holds"
    } else {
        "refused"
    };
    writeln!(out, "\nresult    {result}")
}

fn failures(plan: &Plan, out: &mut String) -> core::fmt::Result {
    if plan.failures.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nfrom failure to relay, at worst")?;
    for failure in &plan.failures {
        match &failure.bound {
            Bound::Within { state, side } => {
                writeln!(
                    out,
                    "  {:<42} {state} within {}",
                    failure.what,
                    ms(side.time)
                )?;
                writeln!(out, "  {:<42} = {}", "", side.made_of)?;
            }
            Bound::Open { why } => {
                writeln!(out, "  {:<42} no bound", failure.what)?;
                writeln!(out, "  {:<42} {why}", "")?;
            }
        }
    }
    writeln!(
        out,
        "  Then copper links renegotiate for {} to {} s. That is physics; spanning tree on the neighbours' ports adds to it.",
        RELINK.0.as_secs(),
        RELINK.1.as_secs()
    )
}

pub(super) fn inequalities(chain: &[Inequality], out: &mut String) -> core::fmt::Result {
    for inequality in chain {
        let (left, right) = (&inequality.left, &inequality.right);
        let (sign, verdict) = match inequality.verdict {
            Verdict::Holds => ("<=", "holds"),
            Verdict::Warns => ("> ", "warns"),
            Verdict::Fails => ("> ", "FAILS"),
        };
        writeln!(
            out,
            "  {verdict}  {:>9} {sign} {:>9}",
            ms(left.time),
            ms(right.time)
        )?;
        writeln!(out, "         {} {sign} {}", left.made_of, right.made_of)?;
    }
    Ok(())
}

fn dead_man(plan: &Plan, out: &mut String) -> core::fmt::Result {
    let known = match plan.timing.known {
        PeriodKnown::Stated => "",
        PeriodKnown::Measured => ", measured",
        PeriodKnown::Assumed => ", assumed and not measured",
        PeriodKnown::Absent => {
            writeln!(out, "dead-man  none")?;
            return watchdog(plan, out);
        }
    };
    let (period, kick) = (ms(plan.timing.period), ms(plan.timing.kick_every));
    writeln!(out, "dead-man  period {period}{known}; a kick every {kick}")?;
    watchdog(plan, out)
}

fn watchdog(plan: &Plan, out: &mut String) -> core::fmt::Result {
    match plan.watchdog {
        (WatchdogMode::Off, _) => writeln!(out, "watchdog  off"),
        (WatchdogMode::Device, timeout) => {
            writeln!(
                out,
                "watchdog  fed by the agent; resets after {} (as asked; the device may round)",
                ms(timeout)
            )
        }
        (WatchdogMode::Systemd, timeout) => {
            writeln!(
                out,
                "watchdog  fed by systemd; resets after {}",
                ms(timeout)
            )
        }
    }
}

fn write_segment(segment: &SegmentPlan, out: &mut String) -> core::fmt::Result {
    let ports: Vec<&str> = segment
        .ports
        .iter()
        .map(|port| match port {
            PortRef::Pci(name) | PortRef::Interface(name) => name.as_str(),
        })
        .collect();
    writeln!(
        out,
        "\nsegment {} (the board's {}; {}), fails to {}",
        segment.name,
        segment.at,
        ports.join(" and "),
        segment.fail
    )?;
    let states: Vec<String> = segment.run_time.iter().map(ToString::to_string).collect();
    let evidence = match segment.read_back {
        ReadBack::Contacts => "read back from the relay's contacts",
        ReadBack::Register => "read back from a status register",
        ReadBack::Drive => "only the coil's drive can be read",
        ReadBack::Nothing => "nothing can be read back",
    };
    writeln!(out, "  run-time   {:<28} {evidence}", states.join(", "))?;
    setting("power-up", &segment.power_up, out)?;
    setting("power-off", &segment.power_off, out)?;
    setting("expiry", &segment.expiry, out)?;
    writeln!(
        out,
        "  Normal     after {} of green checks, at most {} times an hour",
        ms(segment.dwell),
        segment.closes_per_hour_max
    )
}

fn setting(key: &str, setting: &Setting, out: &mut String) -> core::fmt::Result {
    let states: Vec<String> = setting.states.iter().map(ToString::to_string).collect();
    let (states, kept) = match setting.kept {
        Kept::Wired if states.is_empty() => ("-".to_owned(), "there is no dead-man"),
        Kept::Wired => (states.join(", "), "wired"),
        Kept::Strapped => (states.join(", "), "strapped on the controller"),
        Kept::Volatile => (states.join(", "), "set by us at each start, volatile"),
        Kept::NonVolatile => (states.join(", "), "set by us, non-volatile"),
        Kept::Stays => (states.join(" or "), "stays where the relay was"),
        Kept::Unknown => ("Unknown".to_owned(), "in no public source"),
    };
    writeln!(out, "  {key:<10} {states:<28} {kept}")
}

fn sentences(title: &str, list: &[String], out: &mut String) -> core::fmt::Result {
    if list.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    for sentence in list {
        writeln!(out, "  - {sentence}")?;
    }
    Ok(())
}

/// A word as it is written in files.
fn word(value: &impl core::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}
