//! Both nodes side by side: what each one is, as far as it is known here.
//!
//! What the peer said last is shown with its age: a node that fell silent is not what it was.

use std::time::Duration;

use fencepost::node::Instant;
use fencepost::node::pair::PairStatus;
use fencepost::node::pair::status::PeerStatus;
use fencepost::node::policy::Commissioning;
use fencepost::node::status::Summary;
use fencepost::wire::{Flags, HealthSummary, Introduction, Role, Versions};

use super::ago;
use crate::cli::ink::Ink;
use crate::cli::sentence::{clock_side, span};
use crate::cli::table::Table;

/// Widest a cell may be, in characters: both nodes fit in 80.
const CELL_MAX: usize = 31;
/// Words of a peer that are older than this say so in the heading.
const OLD_AFTER: Duration = Duration::from_secs(2);
/// Of what nobody told.
const UNTOLD: &str = "not told";

pub(super) fn render(pair: &PairStatus, now: Instant, ink: Ink) -> String {
    let mut table = Table::new(&["", "THIS NODE", &heading(pair, now)]);
    let rows = rows(pair, now);
    for (name, own, peers) in rows {
        let paint = |cell: String| paint(ink, name, clipped(&cell));
        table.row(vec![name.to_owned(), paint(own), paint(peers)]);
    }
    table.render(ink)
}

fn heading(pair: &PairStatus, now: Instant) -> String {
    let heard = pair.peer.as_ref().and_then(|peer| peer.heard_at);
    match heard.map(|at| now.since(at)) {
        None => "THE PEER: NEVER HEARD".to_owned(),
        Some(age) if age > OLD_AFTER => format!("THE PEER, {} AGO", span(age)),
        Some(_) => "THE PEER".to_owned(),
    }
}

type Row = (&'static str, String, String);

fn rows(pair: &PairStatus, now: Instant) -> Vec<Row> {
    let peer = pair.peer.as_ref();
    let of_peer = |say: &dyn Fn(&PeerStatus) -> String| peer.map_or("-".to_owned(), say);
    let told = peer.and_then(|peer| peer.introduction.as_ref());
    let own = pair.introduction.as_ref();
    let mut rows = vec![
        ("host", host(own), told_or(peer, host(told))),
        (
            "role",
            role(pair.role, pair.active_since, now),
            of_peer(&|peer| role(peer.role, None, now)),
        ),
        (
            "health",
            health(pair.health),
            of_peer(&|peer| health(peer.health)),
        ),
        (
            "can take over",
            can(pair.role, pair.if_peer_died.is_empty()),
            of_peer(&|peer| can(peer.role, peer.flags.ready)),
        ),
        (
            "vips",
            held(pair.role == Role::Active, pair.quiet),
            of_peer(&|peer| held(peer.role == Role::Active, !peer.flags.serving)),
        ),
        (
            "epoch",
            pair.epoch.to_string(),
            of_peer(&|peer| peer.epoch.to_string()),
        ),
        (
            "fencepost",
            version(&pair.versions),
            of_peer(&|peer| version(&peer.versions)),
        ),
        ("firmware", firmware(own), told_or(peer, firmware(told))),
        ("wiring", proven(own), told_or(peer, proven(told))),
        ("clock", "-".to_owned(), of_peer(&clock)),
        (
            "heard",
            "-".to_owned(),
            of_peer(&|peer| heard(peer, pair.talking, now)),
        ),
    ];
    let own_state = state(pair.flags, pair.quarantined, "the peer");
    let peers = peer.map(|peer| state(peer.flags, peer.flags.quarantined, "this node"));
    let mut peers = peers.unwrap_or_default();
    if pair.peer_off {
        peers.insert(0, "powered off by this node".to_owned());
    }
    if !own_state.is_empty() || !peers.is_empty() {
        rows.insert(2, ("state", joined(&own_state), joined(&peers)));
    }
    rows
}

fn told_or(peer: Option<&PeerStatus>, said: String) -> String {
    if peer.is_some() { said } else { "-".to_owned() }
}

fn joined(words: &[String]) -> String {
    if words.is_empty() {
        return "-".to_owned();
    }
    words.join(", ")
}

fn host(told: Option<&Introduction>) -> String {
    told.map_or(UNTOLD.to_owned(), |told| told.host.to_string())
}

fn firmware(told: Option<&Introduction>) -> String {
    told.map_or(UNTOLD.to_owned(), |told| {
        let said = told.firmware.as_ref();
        said.map_or("none".to_owned(), ToString::to_string)
    })
}

fn proven(told: Option<&Introduction>) -> String {
    let said = told.map(|told| match told.commissioning {
        Commissioning::Done => "commissioned",
        Commissioning::Waived => "NOT COMMISSIONED (waived)",
        Commissioning::Missing => "NOT COMMISSIONED",
    });
    said.unwrap_or(UNTOLD).to_owned()
}

fn role(role: Role, since: Option<Instant>, now: Instant) -> String {
    let since = since.map(|at| format!(" for {}", span(now.since(at))));
    format!("{role:?}{}", since.unwrap_or_default())
}

fn health(health: HealthSummary) -> String {
    match health.failing {
        0 => "no failover check fails".to_owned(),
        1 => "1 SEGMENT FAILS its checks".to_owned(),
        count => format!("{count} SEGMENTS FAIL their checks"),
    }
}

fn can(role: Role, could: bool) -> String {
    match (role, could) {
        (Role::Active, _) => "serves".to_owned(),
        (_, true) => "yes".to_owned(),
        (_, false) => "NO".to_owned(),
    }
}

fn held(active: bool, quiet: bool) -> String {
    match (active, quiet) {
        (true, _) => "held".to_owned(),
        (false, true) => "none here".to_owned(),
        (false, false) => "MAY STILL ANSWER".to_owned(),
    }
}

fn version(versions: &Versions) -> String {
    let [major, minor, patch] = versions.software;
    format!("{major}.{minor}.{patch}")
}

fn clock(peer: &PeerStatus) -> String {
    peer.clock_ahead_ms.map_or(UNTOLD.to_owned(), |ahead_ms| {
        let (side, apart) = clock_side(ahead_ms);
        format!("{} {side} ours", span(apart))
    })
}

fn heard(peer: &PeerStatus, talking: bool, now: Instant) -> String {
    let both = if talking {
        "both ways"
    } else {
        "NOT both ways"
    };
    let when = peer.heard_at.map_or("never".to_owned(), |at| ago(at, now));
    format!("{when}, {both}")
}

/// What is unusual; `other` is whom it concerns.
fn state(flags: Flags, quarantined: bool, other: &str) -> Vec<String> {
    let words = [
        (flags.maintenance, "maintenance".to_owned()),
        (flags.latched, format!("latched by {other}")),
        (flags.holds, format!("fences {other}")),
        (quarantined, "quarantined".to_owned()),
        (flags.leaving, "leaving".to_owned()),
        (flags.yielding, "wants to hand over".to_owned()),
    ];
    let said = words.into_iter().filter(|(so, _)| *so);
    said.map(|(_, word)| word).collect()
}

fn clipped(cell: &str) -> String {
    if cell.chars().count() <= CELL_MAX {
        return cell.to_owned();
    }
    let kept: String = cell.chars().take(CELL_MAX - 1).collect();
    format!("{kept}…")
}

/// Colour for what an eye looks for first.
fn paint(ink: Ink, name: &str, cell: String) -> String {
    let light = match (name, cell.as_str()) {
        ("role", cell) if cell.starts_with("Active") => Some(Summary::Green),
        ("role", "Fault") => Some(Summary::Red),
        ("can take over", "yes") => Some(Summary::Green),
        (_, cell)
            if cell.chars().filter(char::is_ascii_uppercase).count() > 1 && name != "host" =>
        {
            Some(Summary::Red)
        }
        ("state", cell) if cell != "-" => Some(Summary::Yellow),
        _ => None,
    };
    light.map_or(cell.clone(), |light| ink.light(light, &cell))
}
