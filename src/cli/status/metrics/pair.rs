//! The pair in numbers. What is not known is not written: zero would be a lie.

use std::time::Duration;

use fencepost::node::Instant;
use fencepost::node::pair::status::LinkStatus;
use fencepost::node::pair::{LinkMeasure, PairStatus};
use fencepost::node::policy::Commissioning;
use fencepost::wire::{Role, Text};

use super::{Page, sync};

pub(super) fn render(page: &mut Page, pair: &PairStatus, now: Instant) {
    page.family("fencepost_pair_role", "gauge", "1 for this node's role.");
    for role in [Role::Init, Role::Backup, Role::Active, Role::Fault] {
        let name = format!("{role:?}").to_lowercase();
        let is = u8::from(pair.role == role);
        page.sample("fencepost_pair_role", &[("role", &name)], is);
    }
    page.gauge("fencepost_pair_epoch", "Highest epoch known.", pair.epoch);
    let flags = [
        (
            "fencepost_pair_talking",
            "Whether both directions to the peer work.",
            pair.talking,
        ),
        (
            "fencepost_pair_quarantined",
            "Whether it was fenced or crashed and has not joined since.",
            pair.quarantined,
        ),
        (
            "fencepost_pair_peer_off",
            "Whether this node took the peer's power and has not heard it since.",
            pair.peer_off,
        ),
        (
            "fencepost_pair_would_take_over",
            "Whether it would take over now.",
            pair.refusals.is_empty(),
        ),
        (
            "fencepost_pair_would_take_over_if_peer_died",
            "Whether it would take over if the peer died now.",
            pair.if_peer_died.is_empty(),
        ),
    ];
    for (name, help, value) in flags {
        page.gauge(name, help, u8::from(value));
    }
    links(page, pair, now);
    means(page, pair, now);
    peer(page, pair);
    if let Some(kept) = &pair.sync {
        sync::render(page, kept, now);
    }
    page.counter(
        "fencepost_pair_fence_orders_refused_total",
        "Authentic orders to cut itself that were not obeyed.",
        pair.fence_orders_refused,
    );
    page.counter(
        "fencepost_pair_stale_messages_total",
        "Messages dropped as old or repeated.",
        pair.stale_messages,
    );
}

/// A sample for each link of which the number is known.
fn of_links(
    page: &mut Page,
    pair: &PairStatus,
    name: &str,
    say: impl Fn(&LinkStatus) -> Option<f64>,
) {
    for link in &pair.links {
        if let Some(value) = say(link) {
            page.sample(name, &[("link", &link.name)], value);
        }
    }
}

fn links(page: &mut Page, pair: &PairStatus, now: Instant) {
    let seconds = |span: Duration| span.as_secs_f64();
    let name = "fencepost_pair_link_heard_age_seconds";
    page.family(name, "gauge", "Since the peer was last heard over it.");
    of_links(page, pair, name, |link| {
        link.heard_at.map(|at| seconds(now.since(at)))
    });
    let name = "fencepost_pair_link_up";
    page.family(name, "gauge", "Whether it can be used at this end.");
    of_links(page, pair, name, |link| {
        Some(if link.measure.fault.is_none() {
            1.0
        } else {
            0.0
        })
    });
    let name = "fencepost_pair_link_loss_ratio";
    let help =
        "Share of the peer's last 128 messages, sent over every link, that did not come over it.";
    page.family(name, "gauge", help);
    of_links(page, pair, name, |link| {
        let LinkMeasure { missing, of, .. } = link.measure;
        (of > 0).then(|| f64::from(missing) / f64::from(of))
    });
    let name = "fencepost_pair_link_round_trip_seconds";
    let help = "To the peer and back, without the time it took to answer, averaged.";
    page.family(name, "gauge", help);
    of_links(page, pair, name, |link| {
        link.measure.round_trip.map(seconds)
    });
    let name = "fencepost_pair_link_round_trip_max_seconds";
    page.family(name, "gauge", "The longest since the agent started.");
    of_links(page, pair, name, |link| {
        link.measure.round_trip_max.map(seconds)
    });
    let name = "fencepost_pair_link_frames_heard_total";
    page.family(
        name,
        "counter",
        "Authentic frames of the peer heard over it.",
    );
    for link in &pair.links {
        page.sample(name, &[("link", &link.name)], link.measure.heard);
    }
}

fn means(page: &mut Page, pair: &PairStatus, now: Instant) {
    let name = "fencepost_pair_means_proven_age_seconds";
    page.family(name, "gauge", "Since it was last proven to work.");
    for means in &pair.means {
        if let Some(at) = means.proven_at {
            let age = now.since(at).as_secs_f64();
            page.sample(name, &[("means", &means.name)], age);
        }
    }
    let name = "fencepost_pair_means_fault";
    page.family(name, "gauge", "1 if it is known not to work.");
    for means in &pair.means {
        let fault = u8::from(means.fault.is_some());
        page.sample(name, &[("means", &means.name)], fault);
    }
}

/// What the peer told; nothing of it is written while it is not told.
fn peer(page: &mut Page, pair: &PairStatus) {
    let Some(peer) = &pair.peer else { return };
    if let Some(told) = &peer.introduction {
        let name = "fencepost_pair_peer_info";
        page.family(name, "gauge", "The peer, as it introduced itself.");
        let [major, minor, patch] = peer.versions.software;
        let version = format!("{major}.{minor}.{patch}");
        let firmware = told.firmware.as_ref().map_or("", Text::as_str);
        let labels = [
            ("host", told.host.as_str()),
            ("version", &version),
            ("firmware", firmware),
        ];
        page.sample(name, &labels, 1);
        page.gauge(
            "fencepost_pair_peer_commissioned",
            "Whether the wiring of its board was proven.",
            u8::from(told.commissioning == Commissioning::Done),
        );
    }
    if let Some(ahead_ms) = peer.clock_ahead_ms {
        let name = "fencepost_pair_peer_clock_ahead_seconds";
        let ahead = span_of(ahead_ms);
        page.gauge(name, "By how much its wall clock is ahead.", ahead);
    }
}

/// Signed milliseconds in seconds.
fn span_of(ms: i64) -> f64 {
    let span = Duration::from_millis(ms.unsigned_abs()).as_secs_f64();
    if ms < 0 { -span } else { span }
}
