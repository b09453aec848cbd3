//! The page and the pictures, from reports that try to break them.

use fencepost::board::RelayState;

use super::*;
use crate::outcome::{
    Bound, Gap, Moment, Outcome, Path as Way2, RelayTrack, Since, Timeline, Verdict, Way,
};

fn moment(t_ms: f64, text: &str) -> Moment {
    Moment {
        t_ms,
        text: text.to_owned(),
    }
}

fn report(scenario: &str, board: &str, result: Verdict, reason: &str) -> Report {
    let relay = |t_ms, state| Since { t_ms, state };
    Report {
        outcome: Outcome {
            scenario: scenario.to_owned(),
            board: board.to_owned(),
            result,
            gap_ms: Some(1502.0),
            leak_frames: 0,
            relay_ms: Some(1020.0),
            bound_ms: Some(3000.0),
            reason: reason.to_owned(),
            started: 1_790_000_000,
            seconds: 31.0,
        },
        timeline: Timeline {
            duration_ms: 30_000.0,
            relay: vec![RelayTrack {
                segment: "wan".to_owned(),
                states: vec![
                    relay(0.0, RelayState::Normal),
                    relay(11_016.0, RelayState::Unknown),
                    relay(11_020.0, RelayState::Bypass),
                ],
            }],
            controller_events: vec![moment(11_010.0, "dead-man expired")],
            agent_events: (0..40)
                .map(|index| moment(9000.0 + f64::from(index) * 37.0, "check filter passes"))
                .collect(),
            faults: vec![moment(10_000.0, "agent killed <b>& gone</b>")],
            gaps: vec![Gap {
                from_ms: 11_017.0,
                to_ms: 12_519.0,
                direction: Way::AToB,
            }],
            paths: vec![
                Since {
                    t_ms: 0.0,
                    state: Way2::Host,
                },
                Since {
                    t_ms: 12_519.0,
                    state: Way2::Bypass,
                },
            ],
            machine_events: vec![],
            bounds: vec![Bound {
                from_ms: 10_000.0,
                to_ms: 13_000.0,
                text: "relay at Bypass".to_owned(),
            }],
            log: String::new(),
        },
    }
}

/// Every tag that is opened is closed, in order. Enough of a parser to find a broken page.
fn assert_balanced(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = rest.find('>').expect("a tag that does not end");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if tag.starts_with('!') || tag.ends_with('/') {
            continue;
        }
        let name = tag.split([' ', '\n']).next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(
                open.pop(),
                Some(closed),
                "before: {}",
                &rest[..rest.len().min(80)]
            ),
            None if matches!(name, "meta" | "wbr") => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

#[test]
fn a_picture_alone_is_complete() {
    let text = standalone(&report(
        "agent-killed",
        "reference",
        Verdict::Pass,
        "as wanted",
    ));
    assert_balanced(&text);
    for wanted in [
        "prefers-color-scheme",
        "agent-killed on reference: pass",
        "gap 1,502 ms: ours 3.0 ms + relink 1,499 ms",
        "≤ 3,000 ms: relay at Bypass",
        "agent killed &lt;b&gt;&amp; gone&lt;/b&gt;",
        "dead-man expired",
        "s after the fault",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing");
    }
    assert!(!text.contains("NaN") && !text.contains("inf\""));
}

#[test]
fn an_empty_timeline_can_be_drawn() {
    let mut empty = report(
        "boot-to-normal",
        "reference",
        Verdict::Fail,
        "the rig: no QEMU",
    );
    empty.timeline = Timeline::default();
    let text = standalone(&empty);
    assert_balanced(&text);
    assert!(!text.contains("NaN"));
}

#[test]
fn the_page_shows_every_result_and_every_reason() {
    let folder = tempfile::tempdir().unwrap();
    let reports = [
        report("agent-killed", "reference", Verdict::Pass, "as wanted"),
        report(
            "agent-killed",
            "lanner-gen3/sni40",
            Verdict::Fail,
            "relay at Bypass after 9 s",
        ),
        report(
            "read-back-lies",
            "gpio-monostable",
            Verdict::Skipped,
            "the board has no read-back",
        ),
    ];
    for report in &reports {
        let file = folder.path().join(report.file_name());
        std::fs::write(file, serde_json::to_vec(report).unwrap()).unwrap();
    }
    std::fs::write(folder.path().join("torn.json"), b"{\"outcome\":").unwrap();

    let written = write(folder.path()).unwrap();
    assert_eq!(written.totals.to_string(), "1 passed, 1 failed, 1 skipped");
    assert_eq!(written.unreadable.len(), 1);
    let text = std::fs::read_to_string(&written.page).unwrap();
    assert_balanced(&text);
    for wanted in [
        "the board has no read-back",
        "relay at Bypass after 9 s",
        "torn.json",
        "not run",
        "href=\"#agent-killed--lanner-gen3-sni40\"",
        "id=\"agent-killed--lanner-gen3-sni40\"",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing");
    }
    assert!(
        !text.contains("<script") && !text.contains("src=") && !text.contains("url(http"),
        "not self-contained"
    );
}
