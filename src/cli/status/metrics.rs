//! The status in Prometheus' text format, for the node exporter's textfile collector.
//!
//! Without an agent only `fencepost_up 0` is written: old values must not look current.

mod pair;
mod sync;

use std::fmt::{Display, Write as _};
use std::fs;
use std::io::Write;
use std::path::Path;

use fencepost::agent::stats::LATE_CLASSES_US;
use fencepost::board::RelayState;
use fencepost::control::{AgentStatus, HistoryHealth};
use fencepost::io::realtime::Grant;
use fencepost::node::status::{CheckHealth, Summary};

use super::Freshness;
use crate::cli::Global;
use crate::cli::exit::{Exit, Failure};

const STATES: [RelayState; 4] = [
    RelayState::Normal,
    RelayState::Bypass,
    RelayState::Disconnect,
    RelayState::Unknown,
];

pub(super) fn run(global: &Global, output: Option<&Path>) -> Result<Exit, Failure> {
    let (text, told) = match super::fetch(global) {
        Ok(status) => (render(&status, super::freshness(&status)), Ok(Exit::Done)),
        Err(error) => (down(), Err(Failure::from(error))),
    };
    match output {
        None => std::io::stdout().write_all(text.as_bytes())?,
        Some(path) => replace(path, &text).map_err(|error| {
            Failure::failed(format!("{} cannot be written: {error}", path.display()))
        })?,
    }
    told
}

/// The collector must never read half a file.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // It reads `*.prom` only.
    let temporary = path.with_extension("prom.new");
    fs::write(&temporary, text)?;
    fs::rename(&temporary, path)
}

fn down() -> String {
    let mut page = Page::default();
    page.gauge(
        "fencepost_up",
        "Whether the agent answers and its control loop turns.",
        0,
    );
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _infallible = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let _infallible = writeln!(self.0, "{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.sample(name, &[], value);
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn render(status: &AgentStatus, freshness: Freshness) -> String {
    let mut page = Page::default();
    let up = u8::from(freshness == Freshness::Fresh);
    page.gauge(
        "fencepost_up",
        "Whether the agent answers and its control loop turns.",
        up,
    );
    page.family("fencepost_info", "gauge", "The agent and its board.");
    page.sample(
        "fencepost_info",
        &[("version", &status.version), ("board", &status.board)],
        1,
    );
    let light = match status.node.summary {
        Summary::Green => 0,
        Summary::Yellow => 1,
        Summary::Red => 2,
    };
    page.gauge(
        "fencepost_summary",
        "Traffic light: 0 green, 1 yellow, 2 red.",
        light,
    );
    segments(&mut page, status);
    behind(&mut page, status);
    if let Some(part) = &status.node.pair {
        pair::render(&mut page, part, status.node.at);
    }
    checks(&mut page, status);
    control_loop(&mut page, status);
    page.0
}

fn segments(page: &mut Page, status: &AgentStatus) {
    let segments = &status.node.segments;
    page.family(
        "fencepost_segment_state",
        "gauge",
        "1 for the state the relay was last read in.",
    );
    for segment in segments {
        for state in STATES {
            let labels = [
                ("segment", segment.name.as_str()),
                ("state", &state.to_string()),
            ];
            page.sample(
                "fencepost_segment_state",
                &labels,
                u8::from(segment.state == state),
            );
        }
    }
    page.family(
        "fencepost_segment_as_wanted",
        "gauge",
        "Whether it is where the agent wants it.",
    );
    for segment in segments {
        let as_wanted = u8::from(segment.state == segment.wanted);
        page.sample(
            "fencepost_segment_as_wanted",
            &[("segment", &segment.name)],
            as_wanted,
        );
    }
    page.family(
        "fencepost_segment_moves_total",
        "counter",
        "Moves since the agent started.",
    );
    for segment in segments {
        page.sample(
            "fencepost_segment_moves_total",
            &[("segment", &segment.name)],
            segment.moves,
        );
    }
    page.family(
        "fencepost_segment_closes_last_hour",
        "gauge",
        "Closes in the last hour.",
    );
    for segment in segments {
        let name = "fencepost_segment_closes_last_hour";
        page.sample(
            name,
            &[("segment", &segment.name)],
            segment.closes_last_hour,
        );
    }
}

fn behind(page: &mut Page, status: &AgentStatus) {
    let node = &status.node;
    let verified = u8::from(node.dead_man.verified);
    page.gauge(
        "fencepost_dead_man_verified",
        "Whether arming it was verified.",
        verified,
    );
    let period = node.dead_man.period.as_secs_f64();
    page.gauge(
        "fencepost_dead_man_period_seconds",
        "Its effective period.",
        period,
    );
    let lost = u8::from(node.controller_fault.is_some());
    page.gauge(
        "fencepost_controller_lost",
        "Whether the controller does not answer.",
        lost,
    );
    if let Some(watchdog) = &node.watchdog {
        let ok = u8::from(watchdog.fault.is_none() && watchdog.facts.is_some());
        page.gauge(
            "fencepost_watchdog_ok",
            "Whether the watchdog is open and fed.",
            ok,
        );
    }
    let modes = [
        (
            "fencepost_maintenance",
            "Whether maintenance is on.",
            node.maintenance.is_some(),
        ),
        (
            "fencepost_disarmed",
            "Whether dead-man and watchdog are unused.",
            node.disarmed.is_some(),
        ),
        (
            "fencepost_ledger_failing",
            "Whether orders cannot be saved.",
            node.ledger_fault.is_some(),
        ),
    ];
    for (name, help, value) in modes {
        page.gauge(name, help, u8::from(value));
    }
    page.gauge(
        "fencepost_alarms",
        "Alarms nobody acknowledged.",
        node.alarms.len(),
    );
    let lost = match status.history {
        HistoryHealth::Writing => 0,
        HistoryHealth::WritingWithLoss { lost } | HistoryHealth::Failing { lost, .. } => lost,
    };
    page.counter(
        "fencepost_history_lost_total",
        "Events lost because they could not be written.",
        lost,
    );
}

fn checks(page: &mut Page, status: &AgentStatus) {
    if status.node.checks.is_empty() {
        return;
    }
    page.family(
        "fencepost_check_passing",
        "gauge",
        "Whether the check passes.",
    );
    for check in &status.node.checks {
        let passing = u8::from(check.health == CheckHealth::Passing);
        page.sample(
            "fencepost_check_passing",
            &[("check", &check.name)],
            passing,
        );
    }
}

fn control_loop(page: &mut Page, status: &AgentStatus) {
    let stats = &status.control_loop;
    let refused = |grant: &Grant| u8::from(matches!(grant, Grant::Refused(_)));
    let realtime = refused(&stats.realtime);
    page.gauge(
        "fencepost_realtime_refused",
        "Whether real-time scheduling was refused.",
        realtime,
    );
    let memory = refused(&stats.memory);
    page.gauge(
        "fencepost_memory_lock_refused",
        "Whether locking memory was refused.",
        memory,
    );
    let worst = seconds(stats.worst_late_us);
    page.gauge(
        "fencepost_loop_worst_late_seconds",
        "Worst lateness since the start.",
        worst,
    );
    page.counter(
        "fencepost_loop_turns_total",
        "Turns of the control loop.",
        stats.turns,
    );

    // `_count` and the last bucket agree; the sum of all lateness is not kept, so this is a gauge family by
    // bound instead of a histogram.
    let name = "fencepost_loop_deadlines_late_total";
    page.family(
        name,
        "counter",
        "Deadlines acted on no later than `le` seconds (cumulative).",
    );
    let mut so_far = 0;
    let bounds = LATE_CLASSES_US
        .iter()
        .map(|bound| seconds(*bound).to_string());
    let bounds = bounds.chain(["+Inf".to_owned()]);
    for (count, bound) in stats.late_counts.iter().zip(bounds) {
        so_far += count;
        page.sample(name, &[("le", &bound)], so_far);
    }
}

fn seconds(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use fencepost::node::pair::LinkMeasure;

    use super::*;
    use crate::cli::status::sample;

    #[test]
    fn values_of_a_healthy_appliance() {
        let text = render(&sample::healthy(), Freshness::Fresh);
        for line in [
            "fencepost_up 1",
            "fencepost_info{version=\"0.1.0\",board=\"reference\"} 1",
            "fencepost_summary 0",
            "fencepost_segment_state{segment=\"lan\",state=\"Normal\"} 1",
            "fencepost_segment_state{segment=\"lan\",state=\"Bypass\"} 0",
            "fencepost_segment_moves_total{segment=\"wan\"} 1",
            "fencepost_dead_man_period_seconds 1",
            "fencepost_check_passing{check=\"carrier-lan\"} 1",
            "fencepost_loop_worst_late_seconds 0.0013",
            "fencepost_loop_deadlines_late_total{le=\"0.0001\"} 12000",
            "fencepost_loop_deadlines_late_total{le=\"+Inf\"} 12345",
        ] {
            assert!(
                text.lines().any(|it| it == line),
                "missing `{line}` in\n{text}"
            );
        }
    }

    #[test]
    fn every_sample_belongs_to_a_family_declared_once() {
        let trouble = [sample::in_trouble(), sample::pair_in_trouble()];
        for status in trouble {
            declared_once(&render(&status, Freshness::Fresh));
        }
    }

    fn declared_once(text: &str) {
        let mut families = BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let name = rest.split(' ').next().unwrap();
                assert!(families.insert(name), "{name} is declared twice");
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                assert!(families.contains(name), "{name} is not declared");
            }
        }
    }

    #[test]
    fn values_of_a_backup() {
        let mut status = sample::healthy();
        status.node.pair = Some(sample::backup());
        let text = render(&status, Freshness::Fresh);
        for line in [
            "fencepost_pair_role{role=\"backup\"} 1",
            "fencepost_pair_role{role=\"active\"} 0",
            "fencepost_pair_epoch 7",
            "fencepost_pair_would_take_over 0",
            "fencepost_pair_link_heard_age_seconds{link=\"cable\"} 0.004",
            "fencepost_pair_means_proven_age_seconds{means=\"fence-wire\"} 0.12",
            "fencepost_pair_would_take_over_if_peer_died 1",
            "fencepost_pair_link_up{link=\"lan\"} 1",
            "fencepost_pair_link_loss_ratio{link=\"cable\"} 0",
            "fencepost_pair_link_loss_ratio{link=\"lan\"} 0.046875",
            "fencepost_pair_link_round_trip_seconds{link=\"cable\"} 0.00018",
            "fencepost_pair_link_round_trip_max_seconds{link=\"lan\"} 0.002",
            "fencepost_pair_link_frames_heard_total{link=\"lan\"} 5990",
            "fencepost_pair_peer_info{host=\"gate-a\",version=\"0.1.0\",firmware=\"1.0.0\"} 1",
            "fencepost_pair_peer_commissioned 1",
            "fencepost_pair_peer_clock_ahead_seconds -0.012",
        ] {
            assert!(
                text.lines().any(|it| it == line),
                "missing `{line}` in\n{text}"
            );
        }
    }

    /// Zero would look like a clock that agrees, a link that loses nothing and a board that nobody commissioned.
    #[test]
    fn what_is_not_known_is_not_written() {
        let mut status = sample::half_of_a_pair();
        if let Some(pair) = &mut status.node.pair {
            pair.links[0].measure = LinkMeasure::default();
            if let Some(peer) = &mut pair.peer {
                (peer.introduction, peer.clock_ahead_ms) = (None, None);
            }
        }
        let text = render(&status, Freshness::Fresh);
        for absent in [
            "peer_info",
            "peer_commissioned",
            "clock_ahead",
            "loss_ratio{link=\"cable\"}",
            "round_trip_seconds{link=\"cable\"}",
        ] {
            assert!(!text.contains(absent), "{absent}");
        }
        assert!(text.contains("loss_ratio{link=\"lan\"}"));
    }

    #[test]
    fn a_loop_that_hangs_is_down() {
        let text = render(
            &sample::healthy(),
            Freshness::Stale(Duration::from_secs(70)),
        );
        assert!(text.contains("fencepost_up 0"), "{text}");
        assert!(down().contains("fencepost_up 0"));
    }

    #[test]
    fn labels_cannot_break_out() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }

    #[test]
    fn the_file_is_replaced_as_a_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fencepost.prom");
        replace(&path, "one").unwrap();
        replace(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
