//! The pair's part of the screen: roles, right, links, means, and what a takeover would take.

use std::fmt::Write as _;

use fencepost::node::Instant;
use fencepost::node::pair::PairStatus;
use fencepost::node::pair::policy::MeansKind;
use fencepost::node::pair::preflight::Fit;
use fencepost::node::pair::status::{LinkStatus, MeansStatus, PeerStatus, ServicesStatus};
use fencepost::wire::Role;

use crate::cli::sentence::{self, span};

pub(super) fn render(pair: &PairStatus, now: Instant) -> String {
    let mut lines = vec![
        ("role".to_owned(), role(pair, now)),
        ("right".to_owned(), right(pair, now)),
        ("peer".to_owned(), peer(pair, now)),
    ];
    lines.extend(
        pair.links
            .iter()
            .map(|link| (format!("link {}", link.name), heard(link, now))),
    );
    lines.extend(
        pair.means
            .iter()
            .map(|means| (format!("means {}", means.name), proven(means, now))),
    );
    let units = pair.services.iter();
    lines.extend(units.map(|units| ("services".to_owned(), services(units))));
    lines.push(("preflight".to_owned(), preflight(pair)));
    lines.push(("takeover".to_owned(), takeover(pair)));
    lines
        .into_iter()
        .fold("PAIR\n".to_owned(), |mut text, (name, line)| {
            // Writing to a string does not fail.
            let _infallible = writeln!(text, "{name:<17} {line}");
            text
        })
}

fn ago(at: Instant, now: Instant) -> String {
    format!("{} ago", span(now.since(at)))
}

fn role(pair: &PairStatus, now: Instant) -> String {
    let since = pair
        .active_since
        .map(|at| format!(" for {}", span(now.since(at))));
    let quarantined = if pair.quarantined {
        ", fenced or crashed and not joined since"
    } else {
        ""
    };
    let since = since.unwrap_or_default();
    format!("{:?}{since}, epoch {}{quarantined}", pair.role, pair.epoch)
}

fn right(pair: &PairStatus, now: Instant) -> String {
    let proof = pair.proof.as_deref().unwrap_or("none");
    match (pair.role, pair.bound, pair.right_until) {
        (Role::Active, true, Some(until)) => {
            format!(
                "{proof}; bound, ends in {} unless the peer acknowledges",
                span(until.since(now))
            )
        }
        (Role::Active, _, _) if pair.pinned => {
            format!("{proof}; lasts while it is pinned: the peer promised not to take over")
        }
        (Role::Active, _, _) => format!("{proof}; lasts while the peer is isolated"),
        _ if pair.quiet => "none; no virtual address is here".to_owned(),
        _ => "none; virtual addresses are, or may be, on their way out".to_owned(),
    }
}

fn peer(pair: &PairStatus, now: Instant) -> String {
    let Some(PeerStatus {
        role,
        flags,
        epoch,
        health,
        heard_at,
        versions: _,
    }) = &pair.peer
    else {
        return "never heard".to_owned();
    };
    let heard = heard_at.map_or("never".to_owned(), |at| ago(at, now));
    let both = if pair.talking {
        "both ways"
    } else {
        "NOT both ways"
    };
    let ready = if flags.ready {
        ", ready to take over"
    } else {
        ""
    };
    let latched = if flags.latched {
        ", latched by this node"
    } else {
        ""
    };
    let failing = match health.failing {
        0 => String::new(),
        count => format!(", {count} segments failing"),
    };
    let off = if pair.peer_off {
        "; this node took its power, which stays off until somebody gives it back"
    } else {
        ""
    };
    format!("{role:?} in epoch {epoch}{ready}{latched}{failing}; heard {heard}, {both}{off}")
}

fn heard(link: &LinkStatus, now: Instant) -> String {
    let heard = link.heard_at.map_or("not heard yet".to_owned(), |at| {
        format!("heard {}", ago(at, now))
    });
    match link.refused {
        0 => heard,
        count => format!("{heard}; refused by the peer's kernel {count} times"),
    }
}

fn proven(means: &MeansStatus, now: Instant) -> String {
    if means.kind == MeansKind::PeerAgent {
        return "as long as the peer is heard both ways".to_owned();
    }
    let proven = means.proven_at.map_or("not proven yet".to_owned(), |at| {
        format!("proven {}", ago(at, now))
    });
    match &means.fault {
        None => proven,
        Some(fault) => format!("FAULT: {fault} ({proven})"),
    }
}

/// The worst that was found, and how many more are as bad.
fn preflight(pair: &PairStatus) -> String {
    let of = |fit: Fit| pair.preflight.iter().filter(move |it| it.fit == fit);
    let more = |fit: Fit| match of(fit).count() {
        0 | 1 => String::new(),
        count => format!(", and {} more (`fencepost pair preflight`)", count - 1),
    };
    let worst = |word: &str, fit: Fit| {
        let first = of(fit).next()?;
        Some(format!("{word}{}{}", first.sentence, more(fit)))
    };
    let refused = worst("REFUSED: ", Fit::Refused);
    let said = refused.or_else(|| worst("warning: ", Fit::Warns));
    said.unwrap_or_else(|| {
        let all: Vec<&str> = of(Fit::Good).map(|it| it.sentence.as_str()).collect();
        all.join("; ")
    })
}

fn services(units: &ServicesStatus) -> String {
    let wanted = sentence::units(units.wanted);
    match &units.fault {
        Some(fault) => format!("NOT {wanted}: {fault}"),
        None if units.done => wanted.to_owned(),
        None => format!("being {wanted}"),
    }
}

fn takeover(pair: &PairStatus) -> String {
    match (&pair.claim, pair.refusals.as_slice()) {
        (Some(claim), _) => format!("under way: {claim}"),
        (None, []) => "would take over now".to_owned(),
        (None, [reason]) => format!("no: {reason}"),
        (None, [reason, more @ ..]) => {
            format!(
                "no: {reason}, and {} more (`fencepost explain`)",
                more.len()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use fencepost::node::pair::preflight::Finding;

    use super::*;
    use crate::cli::status::sample;

    #[test]
    fn a_backup() {
        let text = render(&sample::backup(), sample::AT);
        let wanted = "\
PAIR
role              Backup, epoch 7
right             none; no virtual address is here
peer              Active in epoch 7; heard 4 ms ago, both ways
link cable        heard 4 ms ago
link lan          heard 9 ms ago; refused by the peer's kernel 2 times
means fence-wire  proven 120 ms ago
services          stopped
preflight         both run fencepost 0.1.0
takeover          no: the peer serves and is no worse
";
        assert_eq!(text, wanted);
    }

    #[test]
    fn the_worst_of_the_preflight_is_said() {
        let mut pair = sample::backup();
        let find = |fit, sentence: &str| Finding {
            fit,
            sentence: sentence.to_owned(),
        };
        pair.preflight.push(find(Fit::Warns, "older"));
        assert_eq!(preflight(&pair), "warning: older");
        pair.preflight.push(find(Fit::Refused, "other board"));
        pair.preflight.push(find(Fit::Refused, "other times"));
        let said = "REFUSED: other board, and 1 more (`fencepost pair preflight`)";
        assert_eq!(preflight(&pair), said);
    }
}
