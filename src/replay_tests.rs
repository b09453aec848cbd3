//! Recordings that are whole, cut short, and not recordings at all.

use crate::node::policy::{Arming, Commissioning, DeadManPolicy};
use crate::node::{Event, Saved};

use super::*;

fn recording(rest: &[Line]) -> Vec<u8> {
    let policy = Policy {
        pair: None,
        segments: Vec::new(),
        checks: Vec::new(),
        dead_man: DeadManPolicy {
            arming: Arming::Absent,
            period: std::time::Duration::from_secs(1),
            kick_every: std::time::Duration::from_millis(300),
        },
        watchdog: None,
        read_every: std::time::Duration::from_secs(1),
        commissioning: Commissioning::Done,
    };
    let begin = Line::Begin {
        version: "1".to_owned(),
        time: "2026-01-01T00:00:00.000Z".to_owned(),
        now: Instant::from_millis(1_000),
        policy: Box::new(policy),
    };
    let mut text = Vec::new();
    for line in std::iter::once(&begin).chain(rest) {
        serde_json::to_writer(&mut text, line).unwrap();
        text.push(b'\n');
    }
    text
}

fn started() -> Line {
    let event = Event::Started {
        saved: Saved::Nothing,
        left: std::collections::BTreeMap::new(),
    };
    Line::Event {
        now: Instant::from_millis(1_500),
        event,
    }
}

#[test]
fn the_real_node_asks_for_the_same_again() {
    let timeout = Line::Timeout {
        now: Instant::from_millis(9_000),
    };
    let bytes = recording(&[started(), timeout]);
    let mut first = Vec::new();
    let replayed = replay(&bytes[..], &mut first).unwrap();
    assert_eq!((replayed.events, replayed.timeouts), (1, 1));
    assert_eq!(replayed.cut_short, None);
    let text = String::from_utf8(first.clone()).unwrap();
    assert!(text.contains("0.500000 {\"started\""), "{text}");
    assert!(text.contains("-> \"open\""), "{text}");
    let mut second = Vec::new();
    assert_eq!(replay(&bytes[..], &mut second).unwrap(), replayed);
    assert_eq!(first, second);
}

#[test]
fn a_recording_cut_short_says_so() {
    let bytes = recording(&[
        started(),
        Line::End {
            reason: "limit".to_owned(),
        },
        started(),
    ]);
    let replayed = replay(&bytes[..], std::io::sink()).unwrap();
    assert_eq!(replayed.cut_short.as_deref(), Some("limit"));
    assert_eq!(replayed.events, 1);
}

#[test]
fn half_a_line_is_where_the_agent_died() {
    let mut bytes = recording(&[started(), started()]);
    bytes.truncate(bytes.len() - 5);
    assert_eq!(replay(&bytes[..], std::io::sink()).unwrap().events, 1);
}

#[test]
fn something_else_is_refused_with_its_line() {
    for text in [&b""[..], b"\n", b"hello\n", b"{\"timeout\":{\"now\":1}}\n"] {
        let error = replay(text, std::io::sink()).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error:#}");
    }
    let mut bytes = recording(&[started()]);
    bytes.extend_from_slice(b"{\"event\":{\"now\":1,\"event\":\"no_such_event\"}}\n");
    let error = replay(&bytes[..], std::io::sink()).unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error:#}");
}
