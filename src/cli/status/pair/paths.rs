//! What is between the two nodes: links that carry heartbeats, means that cut.

use std::time::Duration;

use fencepost::node::Instant;
use fencepost::node::pair::policy::MeansKind;
use fencepost::node::pair::status::{LinkStatus, MeansStatus};
use fencepost::node::pair::{LinkMeasure, PairStatus};
use fencepost::node::status::Summary;

use super::ago;
use crate::cli::ink::Ink;
use crate::cli::sentence::span;
use crate::cli::table::Table;

/// Of a number that was not measured.
const UNMEASURED: &str = "-";

/// A row for each link.
pub(super) fn links(pair: &PairStatus, now: Instant, ink: Ink) -> String {
    let mut table = Table::new(&["LINK", "HEARD", "LOSS", "ROUND TRIP", "LONGEST", "REMARK"]);
    for link in &pair.links {
        let trip = |trip: Option<Duration>| trip.map_or(UNMEASURED.to_owned(), span);
        table.row(vec![
            link.name.clone(),
            link.heard_at.map_or("never".to_owned(), |at| ago(at, now)),
            loss(&link.measure, ink),
            trip(link.measure.round_trip),
            trip(link.measure.round_trip_max),
            remark(link, ink),
        ]);
    }
    table.render(ink)
}

/// A row for each means.
pub(super) fn means(pair: &PairStatus, now: Instant, ink: Ink) -> String {
    let mut table = Table::new(&["MEANS", "KIND", "LAST PROVEN", "REMARK"]);
    for means in &pair.means {
        let fault = means.fault.as_ref();
        table.row(vec![
            means.name.clone(),
            kind(means.kind).to_owned(),
            proven(means, pair.talking, now),
            fault.map_or(String::new(), |fault| {
                ink.light(Summary::Red, &format!("FAULT: {fault}"))
            }),
        ]);
    }
    table.render(ink)
}

fn proven(means: &MeansStatus, talking: bool, now: Instant) -> String {
    if means.kind == MeansKind::PeerAgent {
        return if talking {
            "the peer is heard"
        } else {
            "NOT: the peer is not heard"
        }
        .to_owned();
    }
    means
        .proven_at
        .map_or("NOT YET".to_owned(), |at| ago(at, now))
}

/// In the configuration's words.
const fn kind(kind: MeansKind) -> &'static str {
    match kind {
        MeansKind::FenceWire => "fence-wire",
        MeansKind::OwnRelay => "own-relay",
        MeansKind::PeerController => "peer-controller",
        MeansKind::PeerAgent => "peer-agent",
        MeansKind::External => "external",
    }
}

/// The share of the peer's last messages that did not come over it, in percent.
fn loss(measure: &LinkMeasure, ink: Ink) -> String {
    if measure.of == 0 {
        return UNMEASURED.to_owned();
    }
    let per_mille = u64::from(measure.missing) * 1_000 / u64::from(measure.of);
    let (whole, tenths) = (per_mille / 10, per_mille % 10);
    match (measure.missing, tenths) {
        (0, _) => "0 %".to_owned(),
        (_, 0) => ink.light(Summary::Yellow, &format!("{whole} %")),
        _ => ink.light(Summary::Yellow, &format!("{whole}.{tenths} %")),
    }
}

fn remark(link: &LinkStatus, ink: Ink) -> String {
    if let Some(fault) = &link.measure.fault {
        return ink.light(Summary::Red, &format!("FAULT: {fault}"));
    }
    match link.refused {
        0 => String::new(),
        1 => "refused by the peer's kernel once".to_owned(),
        count => format!("refused by the peer's kernel {count} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_in_percent_and_nothing_heard_is_no_loss_of_nothing() {
        let said = |missing, of| {
            let measure = LinkMeasure {
                missing,
                of,
                ..LinkMeasure::default()
            };
            loss(&measure, Ink::Plain)
        };
        assert_eq!(said(0, 0), "-");
        assert_eq!(said(0, 128), "0 %");
        assert_eq!(said(1, 128), "0.7 %");
        assert_eq!(said(64, 128), "50 %");
        assert_eq!(said(128, 128), "100 %");
    }
}
