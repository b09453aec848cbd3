//! The inequalities between kick, dead-man, restart and watchdog.

use core::time::Duration;

use super::{
    Inequality, LATENESS_ALLOWED, RESTART_BOUND, Side, Verdict, command, has_dead_man,
    has_watchdog, settle,
};
use crate::board::profile::ControllerSpec;
use crate::config::Site;

pub(super) fn chain(site: &Site) -> Vec<Inequality> {
    let mut chain = Vec::new();
    if has_dead_man(site) {
        chain.extend(kicks(site));
        chain.push(restart(site));
    }
    if has_dead_man(site) && has_watchdog(site) {
        chain.push(watchdog(site));
    }
    chain
}

fn kicks(site: &Site) -> [Inequality; 3] {
    let (kick, period) = (site.timing.kick_every, site.timing.period);
    // The longest job that can stand before a kick: a relay command with its settling. A wave is no job: cutting
    // is merely not making the next edge.
    let job = match site.board.controller {
        ControllerSpec::PulseTrain { .. } => settle(site),
        _ => command(site).time,
    };
    let late = LATENESS_ALLOWED + job;
    let late_made_of = format!(
        "{} lateness + {} a relay command in the way",
        ms(LATENESS_ALLOWED),
        ms(job)
    );
    let whole = || side(period, "dead-man period");
    [
        at_most(
            side(kick, "kick interval"),
            side(
                period / 2,
                format!("half the dead-man period of {}", ms(period)),
            ),
            Verdict::Fails,
            "one kick too late trips the relay",
        ),
        at_most(
            side(
                kick + late,
                format!("{} kick interval + {late_made_of}", ms(kick)),
            ),
            whole(),
            Verdict::Fails,
            "an ordinary busy turn trips the relay; raise period_ms",
        ),
        at_most(
            side(
                kick * 2 + late,
                format!("2 x {} kick interval + {late_made_of}", ms(kick)),
            ),
            whole(),
            Verdict::Warns,
            "a single kick lost on the bus trips the relay; lower kick_every_ms or raise period_ms",
        ),
    ]
}

fn restart(site: &Site) -> Inequality {
    let (kick, period) = (site.timing.kick_every, site.timing.period);
    at_most(
        side(
            kick + RESTART_BOUND,
            format!(
                "{} since the last kick + {} restart of the agent",
                ms(kick),
                ms(RESTART_BOUND)
            ),
        ),
        side(period, "dead-man period"),
        Verdict::Warns,
        "restarting or upgrading the agent moves the relays and costs a renegotiation",
    )
}

fn watchdog(site: &Site) -> Inequality {
    let (period, settle) = (site.timing.period, settle(site));
    at_most(
        side(
            period + settle,
            format!("{} dead-man period + {} settling", ms(period), ms(settle)),
        ),
        side(site.config.watchdog.timeout, "watchdog timeout"),
        Verdict::Fails,
        "the machine is reset while its relays still lead the wire into it; raise [watchdog] timeout_s",
    )
}

pub(super) fn at_most(
    left: Side,
    right: Side,
    verdict_if_not: Verdict,
    otherwise: &str,
) -> Inequality {
    Inequality {
        verdict: if left.time <= right.time {
            Verdict::Holds
        } else {
            verdict_if_not
        },
        left,
        right,
        otherwise: otherwise.to_owned(),
    }
}

pub(super) fn side(time: Duration, made_of: impl Into<String>) -> Side {
    Side {
        time,
        made_of: made_of.into(),
    }
}

/// `12.5 ms`, `1000 ms`
pub(super) fn ms(time: Duration) -> String {
    let micros = time.as_micros();
    if micros.is_multiple_of(1_000) {
        format!("{} ms", micros / 1_000)
    } else {
        format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
    }
}
