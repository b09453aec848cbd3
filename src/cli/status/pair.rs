//! The pair's part of the screen: roles, right, links, means, and what a takeover would take.

mod nodes;
mod paths;

use std::fmt::Write as _;

use fencepost::control::Vips;
use fencepost::node::Instant;
use fencepost::node::pair::PairStatus;
use fencepost::node::pair::preflight::Fit;
use fencepost::node::pair::status::ServicesStatus;
use fencepost::node::pair::sync::{Roots, SyncStatus};
use fencepost::node::status::Summary;
use fencepost::wire::Role;

use crate::cli::ink::Ink;
use crate::cli::sentence::{self, span};

/// Addresses named on their line; the rest is counted.
const VIPS_NAMED: usize = 2;

/// Both nodes side by side, what is between them, and what a takeover would take.
pub(super) fn render(pair: &PairStatus, vips: Option<&Vips>, now: Instant, ink: Ink) -> String {
    let mut lines = vec![
        ("takeover", takeover(pair, ink)),
        ("right", right(pair, now)),
    ];
    lines.extend(vips.map(|vips| ("vips", addresses(vips))));
    lines.extend(
        pair.services
            .iter()
            .map(|units| ("services", services(units))),
    );
    let kept = pair.sync.iter();
    lines.extend(kept.map(|kept| ("sync", sync(kept, now))));
    lines.push(("preflight", preflight(pair, ink)));
    let mut text = nodes::render(pair, now, ink);
    text.push('\n');
    for (name, line) in lines {
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "{name:<13} {line}");
    }
    text.push('\n');
    text.push_str(&paths::links(pair, now, ink));
    if !pair.means.is_empty() {
        text.push('\n');
        text.push_str(&paths::means(pair, now, ink));
    }
    text
}

fn ago(at: Instant, now: Instant) -> String {
    format!("{} ago", span(now.since(at)))
}

fn right(pair: &PairStatus, now: Instant) -> String {
    let proof = pair.proof.as_deref().unwrap_or("none");
    match (pair.role, pair.bound, pair.right_until) {
        (Role::Active, true, Some(until)) => {
            format!(
                "{proof}; ends in {} unless the peer acknowledges",
                span(until.since(now))
            )
        }
        (Role::Active, _, _) if pair.pinned => {
            format!("{proof}; lasts while it is pinned: the peer promised not to take over")
        }
        (Role::Active, _, _) => format!("{proof}; lasts while the peer is isolated"),
        _ => "none: this node does not serve".to_owned(),
    }
}

fn addresses(vips: &Vips) -> String {
    let named = &vips.first[..vips.first.len().min(VIPS_NAMED)];
    match vips.count - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The worst that was found, and how many more are as bad.
fn preflight(pair: &PairStatus, ink: Ink) -> String {
    let of = |fit: Fit| pair.preflight.iter().filter(move |it| it.fit == fit);
    let more = |fit: Fit| match of(fit).count() {
        0 | 1 => String::new(),
        count => format!(", and {} more (`fencepost pair preflight`)", count - 1),
    };
    let worst = |word: &str, light: Summary, fit: Fit| {
        let first = of(fit).next()?;
        let word = ink.light(light, word);
        Some(format!("{word}: {}{}", first.sentence, more(fit)))
    };
    let refused = worst("REFUSED", Summary::Red, Fit::Refused);
    let said = refused.or_else(|| worst("warning", Summary::Yellow, Fit::Warns));
    said.unwrap_or_else(|| format!("ok: {} comparisons, nothing differs", of(Fit::Good).count()))
}

fn services(units: &ServicesStatus) -> String {
    let wanted = sentence::units(units.wanted);
    match &units.fault {
        Some(fault) => format!("NOT {wanted}: {fault}"),
        None if units.done => wanted.to_owned(),
        None => format!("being {wanted}"),
    }
}

fn sync(kept: &SyncStatus, now: Instant) -> String {
    let roots = match kept.roots {
        Roots::Equal => "both nodes hold the same",
        Roots::Differ => "the nodes DIFFER (`fencepost sync status`)",
        Roots::Unknown => "unknown whether both hold the same",
    };
    let fault = kept.fault.iter().map(|fault| {
        let since = kept
            .told_at
            .map_or(String::new(), |at| format!(" since {}", ago(at, now)));
        format!("; no answer{since}: {fault}")
    });
    let waits = (kept.withholds.first())
        .map(|_| "; a takeover would wait for it (`fencepost explain`)".to_owned());
    fault
        .chain(waits)
        .fold(roots.to_owned(), |text, more| text + &more)
}

/// What the death of one would come to.
fn takeover(pair: &PairStatus, ink: Ink) -> String {
    if let Some(claim) = &pair.claim {
        return format!("under way: {claim}");
    }
    let (yes, no) = (
        ink.light(Summary::Green, "yes"),
        ink.light(Summary::Red, "NO"),
    );
    if pair.role == Role::Active {
        let ready = pair.peer.as_ref().map(|peer| peer.flags.ready);
        return match ready.filter(|_| pair.talking) {
            Some(true) => format!("if this node died the peer would take over: {yes}, it says"),
            Some(false) => format!(
                "if this node died the peer would take over: {no} (`fencepost explain` there)"
            ),
            None => format!("if this node died the peer would take over: {no}, it is not heard"),
        };
    }
    let why = match pair.if_peer_died.as_slice() {
        [] => return format!("if the peer died this node would take over: {yes}"),
        [reason] => reason.to_string(),
        [reason, more @ ..] => {
            format!("{reason}, and {} more (`fencepost explain`)", more.len())
        }
    };
    format!("if the peer died this node would take over: {no}, {why}")
}

#[cfg(test)]
mod tests {
    use fencepost::node::pair::Refusal;
    use fencepost::node::pair::preflight::Finding;

    use super::*;
    use crate::cli::status::sample;

    #[test]
    fn what_is_known_of_sync_is_one_line() {
        let mut kept = SyncStatus {
            roots: Roots::Equal,
            ..SyncStatus::default()
        };
        assert_eq!(sync(&kept, sample::AT), "both nodes hold the same");
        kept.roots = Roots::Unknown;
        kept.fault = Some("nobody answers".to_owned());
        kept.told_at = Some(sample::AT);
        kept.withholds = vec!["vpn: never compared".to_owned()];
        let said = "unknown whether both hold the same; no answer since 0 ms ago: nobody answers; a takeover would wait \
                    for it (`fencepost explain`)";
        assert_eq!(sync(&kept, sample::AT), said);
        let pair = PairStatus {
            sync: Some(kept),
            ..sample::backup()
        };
        assert!(render(&pair, None, sample::AT, Ink::Plain).contains("\nsync          unknown"));
    }

    #[test]
    fn the_worst_of_the_preflight_is_said() {
        let mut pair = sample::backup();
        let find = |fit, sentence: &str| Finding {
            fit,
            sentence: sentence.to_owned(),
        };
        let said = |pair: &PairStatus| preflight(pair, Ink::Plain);
        assert_eq!(said(&pair), "ok: 1 comparisons, nothing differs");
        pair.preflight.push(find(Fit::Warns, "older"));
        assert_eq!(said(&pair), "warning: older");
        pair.preflight.push(find(Fit::Refused, "other board"));
        pair.preflight.push(find(Fit::Refused, "other times"));
        assert_eq!(
            said(&pair),
            "REFUSED: other board, and 1 more (`fencepost pair preflight`)"
        );
    }

    #[test]
    fn what_a_death_would_come_to_is_said_from_both_sides() {
        let said = |pair: &PairStatus| takeover(pair, Ink::Plain);
        let mut pair = sample::backup();
        assert!(said(&pair).ends_with(": yes"));
        pair.if_peer_died = vec![Refusal::Quarantined];
        assert!(said(&pair).contains("NO, this node was fenced or crashed"));
        pair.if_peer_died.push(Refusal::NotQuiet);
        assert!(said(&pair).ends_with("and 1 more (`fencepost explain`)"));
        pair.role = Role::Active;
        assert!(said(&pair).contains("the peer would take over: NO ("));
        if let Some(peer) = &mut pair.peer {
            peer.flags.ready = true;
        }
        assert!(said(&pair).ends_with("yes, it says"));
        // What it said before it fell silent is no promise.
        pair.talking = false;
        assert!(said(&pair).ends_with("NO, it is not heard"));
    }

    #[test]
    fn thousands_of_addresses_are_one_line() {
        let first: Vec<String> = (1..=16)
            .map(|n| format!("192.0.2.{n}/24 on lan0"))
            .collect();
        let mut vips = Vips { count: 1, first };
        vips.first.truncate(1);
        assert_eq!(addresses(&vips), "192.0.2.1/24 on lan0");
        vips.count = 1_000;
        assert_eq!(addresses(&vips), "192.0.2.1/24 on lan0 and 999 more");
    }
}
