//! The status for people: light, segments, what stands behind them, checks, alarms.

use std::fmt::Write;

use fencepost::agent::stats::LoopStats;
use fencepost::control::{AgentStatus, HistoryHealth};
use fencepost::io::realtime::Grant;
use fencepost::node::event::{Standing, Verdict};
use fencepost::node::policy::{Arming, CheckSeverity, Commissioning};
use fencepost::node::status::{
    CheckHealth, CheckStatus, SegmentMode, SegmentStatus, Status, Summary, WatchdogStatus,
};
use fencepost::node::{Instant, Record};

use super::{Freshness, pair};
use crate::cli::ink::Ink;
use crate::cli::sentence::{self, span};
use crate::cli::table::Table;

/// Longest output of a check shown, in characters; all of it is in `--json`.
const SAID_MAX: usize = 60;

/// All of it. `now` is on the agent's clock.
pub(super) fn render(status: &AgentStatus, now: Instant, freshness: Freshness, ink: Ink) -> String {
    let node = &status.node;
    let mut text = head(status, freshness, ink);
    text.push('\n');
    if let Some(part) = &node.pair {
        // First: at three in the morning the question is who serves, and whether the other could.
        text.push_str(&pair::render(part, status.vips.as_ref(), now, ink));
        text.push('\n');
    }
    text.push_str(&segments(node, ink));
    text.push('\n');
    text.push_str(&behind(status, now));
    if !node.checks.is_empty() {
        text.push('\n');
        text.push_str(&checks(node, now, ink));
    }
    if !node.alarms.is_empty() {
        text.push('\n');
        text.push_str(&alarms(&node.alarms, now, ink));
    }
    text
}

fn head(status: &AgentStatus, freshness: Freshness, ink: Ink) -> String {
    let node = &status.node;
    let (light, word) = match (freshness, node.summary) {
        (Freshness::Stale(_), _) => (Summary::Red, "STALE"),
        (Freshness::Fresh, Summary::Green) => (Summary::Green, "GREEN"),
        (Freshness::Fresh, Summary::Yellow) => (Summary::Yellow, "YELLOW"),
        (Freshness::Fresh, Summary::Red) => (Summary::Red, "RED"),
    };
    let part = node.pair.as_ref();
    let part = part.map_or(String::new(), |pair| format!(", {:?}", pair.role));
    let title = format!("fencepost {} on {}{part}", status.version, status.board);
    let mut text = format!("{}  {}\n", ink.bold(&ink.light(light, word)), title);
    if let Freshness::Stale(age) = freshness {
        let old = span(age);
        // Writing to a string does not fail.
        let _infallible = writeln!(
            text,
            "  everything below is {old} old: the control loop of process {} does not turn",
            status.pid
        );
    }
    for reason in &node.reasons {
        let _infallible = writeln!(text, "  {reason}");
    }
    if node.reasons.is_empty() && freshness == Freshness::Fresh {
        text.push_str("  every segment is where it should be and could fail open this moment\n");
    }
    text
}

fn segments(node: &Status, ink: Ink) -> String {
    let mut table = Table::new(&[
        "SEGMENT",
        "STATE",
        "READ FROM",
        "WANTED",
        "MODE",
        "FAILS TO",
        "MOVES",
        "WHY",
    ]);
    for segment in &node.segments {
        table.row(vec![
            segment.name.clone(),
            segment.state.to_string(),
            sentence::evidence(segment.evidence).to_owned(),
            segment.wanted.to_string(),
            mode(&segment.mode),
            segment.fail.to_string(),
            segment.moves.to_string(),
            why(segment),
        ]);
    }
    table.render(ink)
}

fn mode(mode: &SegmentMode) -> String {
    match mode {
        SegmentMode::Auto => "auto".to_owned(),
        SegmentMode::Forced { by } => format!("forced by {by}"),
        SegmentMode::Maintenance => "maintenance".to_owned(),
        SegmentMode::Disarmed => "disarmed".to_owned(),
    }
}

fn why(segment: &SegmentStatus) -> String {
    match segment.dwell_left {
        Some(left) if !left.is_zero() => format!("{}, {} left", segment.cause, span(left)),
        _ => segment.cause.to_string(),
    }
}

/// What stands behind the segments.
fn behind(status: &AgentStatus, now: Instant) -> String {
    let node = &status.node;
    let mut lines = vec![
        ("controller", controller(node)),
        ("dead-man", dead_man(node, now)),
        (
            "watchdog",
            node.watchdog
                .as_ref()
                .map_or("not kept".to_owned(), |it| watchdog(it, now)),
        ),
        ("wiring", wiring(node.commissioning).to_owned()),
        ("control loop", control_loop(&status.control_loop)),
        ("ledger", ledger(node, &status.history)),
    ];
    let order = |standing: &Standing| format!("by {}: {}", standing.by, standing.reason);
    lines.extend(
        node.maintenance
            .as_ref()
            .map(|standing| ("maintenance", order(standing))),
    );
    lines.extend(
        node.disarmed
            .as_ref()
            .map(|standing| ("disarmed", order(standing))),
    );
    lines
        .into_iter()
        .fold(String::new(), |mut text, (name, line)| {
            let _infallible = writeln!(text, "{name:<13} {line}");
            text
        })
}

fn controller(node: &Status) -> String {
    let who = node
        .identity
        .as_ref()
        .map_or("not opened yet".to_owned(), |identity| {
            let firmware = identity
                .firmware
                .as_ref()
                .map_or(String::new(), |it| format!(" {it}"));
            let id = identity
                .unique_id
                .as_ref()
                .map_or(String::new(), |it| format!(", id {it}"));
            format!("{}{firmware}{id}", identity.model)
        });
    node.controller_fault
        .as_ref()
        .map_or(who.clone(), |fault| format!("LOST: {fault} ({who})"))
}

fn dead_man(node: &Status, now: Instant) -> String {
    let dead_man = &node.dead_man;
    let reads = sentence::dead_man(dead_man.reading);
    match dead_man.arming {
        Arming::Absent => {
            "this board has none: the watchdog is what stands behind a hung host".to_owned()
        }
        Arming::Inherent => format!("pulse train, {}", kicked(dead_man.kicked_at, now)),
        Arming::Required if dead_man.verified => {
            format!("{reads}; verified, {}", kicked(dead_man.kicked_at, now))
        }
        Arming::Required => format!("NOT VERIFIED, reads {reads}"),
    }
}

fn kicked(at: Option<Instant>, now: Instant) -> String {
    at.map_or("not kicked yet".to_owned(), |at| {
        format!("kicked {} ago", span(now.since(at)))
    })
}

fn watchdog(watchdog: &WatchdogStatus, now: Instant) -> String {
    let facts = watchdog
        .facts
        .as_ref()
        .map_or("not open".to_owned(), |facts| {
            let reset = if facts.reset_by_watchdog == Some(true) {
                ", caused the last reset"
            } else {
                ""
            };
            format!("{}, {}{reset}", facts.identity, span(facts.timeout))
        });
    let fed = watchdog
        .kept_at
        .map_or("no keepalive yet".to_owned(), |at| {
            format!("keepalive {} ago", span(now.since(at)))
        });
    match &watchdog.fault {
        Some(fault) => format!("FAULT: {fault}"),
        None => format!("{facts}; {fed}"),
    }
}

const fn wiring(commissioning: Commissioning) -> &'static str {
    match commissioning {
        Commissioning::Done => "commissioned",
        Commissioning::Waived => "NOT COMMISSIONED, waived with --uncommissioned",
        Commissioning::Missing => "NOT COMMISSIONED: nothing goes to Normal",
    }
}

fn control_loop(stats: &LoopStats) -> String {
    let late = std::time::Duration::from_micros(stats.worst_late_us);
    let rights = match (&stats.realtime, &stats.memory) {
        (Grant::Granted, Grant::Granted) => "real time, memory locked".to_owned(),
        (realtime, memory) => format!(
            "{}; {}",
            grant("real time", "granted", realtime),
            grant("memory", "locked", memory)
        ),
    };
    format!(
        "worst {} late in {} deadlines; {rights}",
        span(late),
        stats.deadlines
    )
}

fn grant(what: &str, granted: &str, grant: &Grant) -> String {
    match grant {
        Grant::Granted => format!("{what} {granted}"),
        Grant::Refused(reason) => format!("{what} NOT {granted}: {reason}"),
        Grant::NotAsked => format!("{what} not asked for"),
    }
}

fn ledger(node: &Status, history: &HistoryHealth) -> String {
    let history = match history {
        HistoryHealth::Writing => "history is written".to_owned(),
        HistoryHealth::WritingWithLoss { lost } => {
            format!("history is written, {lost} entries lost")
        }
        HistoryHealth::Failing { error, held, lost } => {
            format!("HISTORY FAILS: {error}; {held} held, {lost} lost")
        }
    };
    match &node.ledger_fault {
        Some(fault) => format!("FAILS: {fault}; {history}"),
        None => format!("orders are saved; {history}"),
    }
}

fn checks(node: &Status, now: Instant, ink: Ink) -> String {
    let mut table = Table::new(&["CHECK", "SEVERITY", "HEALTH", "LAST", "AGE", "SAID"]);
    for check in &node.checks {
        table.row(vec![
            check.name.clone(),
            severity(check.severity).to_owned(),
            health(check.health).to_owned(),
            check.verdict.map_or("-", verdict).to_owned(),
            check
                .reported_at
                .map_or("-".to_owned(), |at| span(now.since(at))),
            said(check),
        ]);
    }
    table.render(ink)
}

const fn severity(severity: CheckSeverity) -> &'static str {
    match severity {
        CheckSeverity::Failover => "failover",
        CheckSeverity::Notify => "notify",
    }
}

const fn health(health: CheckHealth) -> &'static str {
    match health {
        CheckHealth::Pending => "pending",
        CheckHealth::Passing => "passing",
        CheckHealth::Failing => "FAILING",
        CheckHealth::Silent => "SILENT",
    }
}

const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Critical => "critical",
        Verdict::Unknown => "unknown",
    }
}

/// What a check said comes from programs and from the network: no control character reaches the terminal.
fn said(check: &CheckStatus) -> String {
    let clean = check
        .output
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it });
    let mut text: String = clean.clone().take(SAID_MAX).collect();
    if clean.count() > SAID_MAX {
        text.push('…');
    }
    text
}

fn alarms(alarms: &[Record], now: Instant, ink: Ink) -> String {
    let heading = format!("ALARMS ({}), until `fencepost acknowledge`", alarms.len());
    alarms
        .iter()
        .fold(format!("{}\n", ink.bold(&heading)), |mut text, alarm| {
            let ago = span(now.since(alarm.at));
            let _infallible = writeln!(text, "  {ago} ago: {}", sentence::fact(&alarm.fact));
            text
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::status::sample;

    /// The screens are golden files: regenerate with `FENCEPOST_BLESS=1 cargo test`, and read the difference.
    fn golden(name: &str, text: &str) {
        let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("FENCEPOST_BLESS").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        let wanted = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, wanted, "{path} differs");
    }

    #[test]
    fn a_healthy_appliance() {
        let status = sample::healthy();
        let now = status.node.at + Duration::from_millis(20);
        golden(
            "status-healthy.txt",
            &render(&status, now, Freshness::Fresh, Ink::Plain),
        );
    }

    #[test]
    fn an_appliance_in_trouble() {
        let status = sample::in_trouble();
        let now = status.node.at + Duration::from_secs(90);
        let stale = Freshness::Stale(Duration::from_secs(90));
        golden(
            "status-in-trouble.txt",
            &render(&status, now, stale, Ink::Plain),
        );
    }

    #[test]
    fn a_backup_beside_its_active() {
        let status = sample::half_of_a_pair();
        golden(
            "status-pair.txt",
            &render(&status, sample::AT, Freshness::Fresh, Ink::Plain),
        );
    }

    /// The worst night: the peer silent, a link gone, a means broken, the peer's wiring unproven.
    #[test]
    fn a_pair_in_trouble() {
        let status = sample::pair_in_trouble();
        let text = render(&status, sample::AT, Freshness::Fresh, Ink::Plain);
        golden("status-pair-in-trouble.txt", &text);
    }

    /// The colours move nothing, and what is read first fits a terminal of 80 columns.
    #[test]
    fn the_pair_fits_a_small_terminal_with_and_without_colour() {
        for status in [sample::half_of_a_pair(), sample::pair_in_trouble()] {
            let plain = render(&status, sample::AT, Freshness::Fresh, Ink::Plain);
            let painted = render(&status, sample::AT, Freshness::Fresh, Ink::Colour);
            assert_eq!(without_escapes(&painted), plain);
            let tables = plain.lines().skip_while(|line| !line.contains("THIS NODE"));
            for line in tables.take_while(|line| !line.is_empty()) {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }

    fn without_escapes(text: &str) -> String {
        let mut parts = text.split("\x1b[");
        let mut plain = parts.next().unwrap_or_default().to_owned();
        plain.extend(parts.filter_map(|part| Some(part.split_once('m')?.1)));
        plain
    }

    /// Programs read this: fields may be added, never renamed or taken away (docs/interfaces.md).
    #[test]
    fn the_json_interface() {
        for (name, status) in [
            ("status-healthy.json", sample::healthy()),
            ("status-pair.json", sample::half_of_a_pair()),
            ("status-in-trouble.json", sample::in_trouble()),
        ] {
            let mut text = serde_json::to_string_pretty(&status).unwrap();
            text.push('\n');
            golden(name, &text);
            assert_eq!(serde_json::from_str::<AgentStatus>(&text).unwrap(), status);
        }
    }

    #[test]
    fn colour_goes_to_the_light() {
        let status = sample::healthy();
        let text = render(&status, status.node.at, Freshness::Fresh, Ink::Colour);
        assert!(text.contains("\x1b[32mGREEN"), "{text:?}");
    }

    #[test]
    fn a_check_cannot_paint_the_terminal() {
        let mut status = sample::healthy();
        status.node.checks[0].output = "\x1b[2J\x07fine".to_owned();
        let text = render(&status, status.node.at, Freshness::Fresh, Ink::Plain);
        assert!(!text.contains('\x1b') && !text.contains('\x07'), "{text:?}");
    }
}
