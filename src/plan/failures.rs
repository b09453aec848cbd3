//! For each class of failure: what moves the relay, and by when.

use core::time::Duration;

use super::chain::{ms, side};
use super::{
    Bound, Failure, SegmentPlan, Setting, Side, TURN, command, falls_on_reset, has_dead_man,
    has_watchdog, settle,
};
use crate::board::profile::Kept;
use crate::config::{Check, CheckKind, PeriodKnown, Site};
use crate::node::policy::CheckSeverity;

pub(super) fn failures(site: &Site, segments: &[SegmentPlan]) -> Vec<Failure> {
    let mut list = checks(site, segments);
    list.push(Failure {
        what: "orderly stop, shutdown, operator's order".to_owned(),
        bound: within(fails(segments), commanded(site), &commanded_made_of(site)),
    });
    for what in [
        "agent killed and not restarted",
        "agent or control loop hung",
        "bus or controller lost to the host",
        "kernel panic or hang",
    ] {
        list.push(Failure {
            what: what.to_owned(),
            bound: host_silent(site, segments, what),
        });
    }
    list.push(Failure {
        what: "power cut".to_owned(),
        bound: power_cut(site, segments),
    });
    list
}

fn commanded(site: &Site) -> Duration {
    TURN + command(site).time
}

fn commanded_made_of(site: &Site) -> String {
    format!("{} turn + {}", ms(TURN), command(site).made_of)
}

/// One line for carrier, one for each other check that can fail a segment, one for checkers that hang.
fn checks(site: &Site, segments: &[SegmentPlan]) -> Vec<Failure> {
    let failing = site.config.checks.iter();
    let failing = failing.filter(|check| check.severity == CheckSeverity::Failover);
    let (carrier, others): (Vec<&Check>, Vec<&Check>) = failing
        .clone()
        .partition(|check| matches!(check.kind, CheckKind::Carrier { .. }));
    let carrier = slowest(carrier.into_iter());
    let carrier = carrier.map(|side| ("carrier lost on a port".to_owned(), side));
    let others = others.into_iter();
    let others = others.map(|check| (format!("check `{}` fails", check.name), noticed(check)));
    let stale = failing.map(Check::stale_after).max();
    let stale = stale.map(|time| {
        let made_of = format!("{} without any verdict", ms(time));
        ("a checker hangs or dies".to_owned(), side(time, made_of))
    });
    let all = carrier.into_iter().chain(others).chain(stale);
    all.map(|(what, noticed)| Failure {
        what,
        bound: within(
            fails(segments),
            noticed.time + commanded(site),
            &format!("{} + {}", noticed.made_of, commanded_made_of(site)),
        ),
    })
    .collect()
}

/// When a port without carrier is noticed, if anything watches for it.
pub(super) fn carrier_noticed(site: &Site) -> Option<Side> {
    let failing = site.config.checks.iter();
    let failing = failing.filter(|check| check.severity == CheckSeverity::Failover);
    slowest(failing.filter(|check| matches!(check.kind, CheckKind::Carrier { .. })))
}

fn slowest<'a>(checks: impl Iterator<Item = &'a Check>) -> Option<Side> {
    checks.map(noticed).max_by_key(|side| side.time)
}

/// From the failure, right after a good verdict, to the last bad one in a row.
fn noticed(check: &Check) -> Side {
    let (interval, timeout) = (check.interval, check.timeout);
    if matches!(check.kind, CheckKind::Carrier { .. }) {
        // The kernel answers at once.
        let made_of = format!("{} x {} interval", check.fall, ms(interval));
        return side(interval * check.fall, made_of);
    }
    // A round that times out also delays the next one, if it takes longer than the interval.
    let round = interval.max(timeout);
    let rounds = check.fall - 1;
    let made_of = if timeout <= interval {
        format!(
            "{} x {} interval + {} timeout",
            check.fall,
            ms(interval),
            ms(timeout)
        )
    } else {
        format!(
            "{} interval + {} x {} timeout",
            ms(interval),
            check.fall,
            ms(timeout)
        )
    };
    side(interval + round * rounds + timeout, made_of)
}

/// The host says nothing any more: the dead-man, or failing that a reset.
fn host_silent(site: &Site, segments: &[SegmentPlan], what: &str) -> Bound {
    let settle = settle(site);
    if has_dead_man(site) {
        let period = site.timing.period;
        let known = match site.timing.known {
            PeriodKnown::Assumed => " (assumed, not measured)",
            PeriodKnown::Measured => " (measured)",
            PeriodKnown::Stated | PeriodKnown::Absent => "",
        };
        let made_of = format!(
            "{} dead-man period{known} + {} settling",
            ms(period),
            ms(settle)
        );
        let states = words(segments.iter().map(|segment| &segment.expiry));
        return within(states, period + settle, &made_of);
    }
    if !has_watchdog(site) {
        return open("nothing notices: neither dead-man nor watchdog");
    }
    let timeout = site.config.watchdog.timeout;
    if what.starts_with("bus or controller") {
        return open(
            "the host cannot move the relays and nothing else does; it tells, and resets the machine only if the \
             bus keeps a thread stuck",
        );
    }
    if falls_on_reset(site) {
        let made_of = format!("{} watchdog timeout + {} settling", ms(timeout), ms(settle));
        let states = words(segments.iter().map(|segment| &segment.power_up));
        return within(states, timeout + settle, &made_of);
    }
    open(&format!(
        "no dead-man: the watchdog resets the machine after {}, and the relays stay where they are until the agent is \
         back",
        ms(timeout)
    ))
}

fn power_cut(site: &Site, segments: &[SegmentPlan]) -> Bound {
    let off: Vec<&Setting> = segments.iter().map(|segment| &segment.power_off).collect();
    if off.iter().any(|setting| setting.kept == Kept::Stays) {
        return open("a latching relay stays where it was: from Normal, both ports go dark");
    }
    if off.iter().any(|setting| setting.kept == Kept::Unknown) {
        return open(
            "no public source says what the relays do without power; commissioning should try it",
        );
    }
    let made_of = format!("{} release and settling", ms(settle(site)));
    within(words(off.into_iter()), settle(site), &made_of)
}

fn within(state: String, time: Duration, made_of: &str) -> Bound {
    Bound::Within {
        state,
        side: side(time, made_of),
    }
}

fn open(why: &str) -> Bound {
    Bound::Open {
        why: why.to_owned(),
    }
}

fn fails(segments: &[SegmentPlan]) -> String {
    distinct(segments.iter().map(|segment| segment.fail.to_string()))
}

fn words<'a>(settings: impl Iterator<Item = &'a Setting>) -> String {
    distinct(settings.flat_map(|setting| setting.states.iter().map(ToString::to_string)))
}

fn distinct(words: impl Iterator<Item = String>) -> String {
    let words: std::collections::BTreeSet<String> = words.collect();
    words.into_iter().collect::<Vec<_>>().join(" or ")
}
