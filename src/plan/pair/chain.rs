//! The inequalities between heartbeat, suspicion, fence, lease, dead-man and addresses.
//!
//! The Active's instants count from *sending* the last heartbeat that was acknowledged, the Backup's from *receiving*
//! the last one; receipt is never before sending, so no clocks are compared.

use core::time::Duration;

use super::super::chain::{at_most, ms, side};
use super::super::{Inequality, LATENESS_ALLOWED, RESTART_BOUND, Side, TURN, Verdict};
use super::Given;
use crate::config::pair::DRIFT_PER_MILLE;
use crate::node::pair::policy::LeasePolicy;

/// The controller counts in these.
const TICK: Duration = Duration::from_millis(1);
/// The kernel counts an address's life in these.
const KERNEL_SECOND: Duration = Duration::from_secs(1);

pub(super) fn chain(given: &Given) -> Vec<Inequality> {
    let mut chain = suspicion(given);
    chain.push(precedence(given));
    chain.push(boot_hold(given));
    chain.push(probes(given));
    if let Some(lease) = &given.lease {
        chain.extend(right(given, lease));
        chain.extend(lease_proof(given, lease));
        chain.extend(kicks(given, lease));
    }
    chain.extend(restart(given));
    chain
}

/// Td > k·h + jitter + worst lateness of the one who sends. Own lateness is not counted: the node's clock of silence
/// does not run while the node does not.
fn suspicion(given: &Given) -> Vec<Inequality> {
    let (beat, after) = (given.timing.heartbeat_every, given.timing.suspect_after);
    let limit = || side(after, "suspicion (suspect_after_ms)");
    vec![
        at_most(
            sum(&[
                (beat * 2, "2 heartbeat intervals, one lost"),
                (LATENESS_ALLOWED, "lateness of the sender"),
                (TURN, "turn"),
            ]),
            limit(),
            Verdict::Fails,
            "one lost heartbeat on a busy machine fences a healthy peer; raise suspect_after_ms, or take a slower profile",
        ),
        at_most(
            sum(&[
                (beat * 4, "4 heartbeat intervals, three lost"),
                (TURN, "turn"),
            ]),
            limit(),
            Verdict::Warns,
            "three lost heartbeats fence a healthy peer; raise suspect_after_ms",
        ),
    ]
}

/// Where both are deaf at once the Active's fence must be done before the Backup's begins.
fn precedence(given: &Given) -> Inequality {
    at_most(
        sum(&[
            (
                given.timing.heartbeat_every,
                "heard last up to a heartbeat later",
            ),
            (TURN, "turn"),
            (given.command, "latch and relay"),
        ]),
        side(given.timing.active_lead, "the Active's lead"),
        Verdict::Fails,
        "where both go deaf at once both fence, and the winner must relink; raise heartbeat_ms, or take a slower profile",
    )
}

fn boot_hold(given: &Given) -> Inequality {
    at_most(
        sum(&[
            (given.timing.suspect_after, "suspicion"),
            (given.timing.active_lead, "the Active's lead"),
        ]),
        side(given.timing.boot_hold, "boot hold (boot_hold_ms)"),
        Verdict::Fails,
        "a node that has just started fences a peer it had no time to hear; raise boot_hold_ms",
    )
}

fn probes(given: &Given) -> Inequality {
    at_most(
        sum(&[
            (given.timing.probe_every * 2, "2 looks at a means, one lost"),
            (given.command, "bus"),
            (LATENESS_ALLOWED, "lateness"),
        ]),
        side(
            given.timing.probe_stale_after,
            "a means not proven for so long has failed",
        ),
        Verdict::Fails,
        "a means that works counts as failed when it is needed; raise heartbeat_ms",
    )
}

/// An Active whose peer died has fenced it, or has let go, before its own right ends.
fn right(given: &Given, lease: &LeasePolicy) -> Vec<Inequality> {
    let timing = &given.timing;
    let silence = timing
        .suspect_after
        .max(timing.restart_grace + timing.heartbeat_every);
    let steps = [
        (timing.heartbeat_every, "until acknowledged"),
        (silence, "suspicion or restart grace"),
        (given.means, "every means in a row"),
        (TURN + LATENESS_ALLOWED, "turn and lateness"),
        (lease.drop_lead, "to drop the addresses"),
    ];
    vec![
        at_most(
            sum(&steps),
            side(lease.right, "the Active's right (L)"),
            Verdict::Fails,
            "an Active whose Backup dies loses its own right before it has fenced it: the death of one takes both down",
        ),
        at_most(
            sum(&[
                (LATENESS_ALLOWED, "lateness"),
                (TURN, "turn"),
                (given.vips, "taking all virtual addresses away"),
            ]),
            side(
                lease.drop_lead,
                "the addresses are dropped this long before the right ends",
            ),
            Verdict::Warns,
            "the dead-man opens the relay while addresses are still there; safe, and the links go down for it",
        ),
    ]
}

/// E/(1+ρ) ≥ L/(1−ρ) + R + one tick; and past what a stuck relay's kernel can still answer for.
fn lease_proof(given: &Given, lease: &LeasePolicy) -> Vec<Inequality> {
    let slow = lease.right * 1_000 / (1_000 - DRIFT_PER_MILLE);
    let fast = lease.wait * 1_000 / (1_000 + DRIFT_PER_MILLE);
    let drift = format!("clocks {DRIFT_PER_MILLE} in 1000 apart");
    vec![
        at_most(
            sum(&[
                (
                    slow,
                    &format!("the Active's right of {} by a slow clock", ms(lease.right)),
                ),
                (given.settle, "the relay opens"),
                (TICK, "tick of its controller"),
            ]),
            side(
                fast,
                format!(
                    "the Backup's wait (E) of {} by a fast clock, {drift}",
                    ms(lease.wait)
                ),
            ),
            Verdict::Fails,
            "the Backup takes over by the lease while the Active may still serve: two owners",
        ),
        at_most(
            sum(&[
                (
                    given.vip_lifetime,
                    "life of the virtual addresses in a dead agent's kernel",
                ),
                (KERNEL_SECOND, "its granularity"),
            ]),
            side(
                lease.doubt,
                "further wait after a fence that nobody acknowledged",
            ),
            Verdict::Fails,
            "a relay that sticks lets the peer's kernel answer on while this node serves: two owners",
        ),
    ]
}

/// A bound Active kicks no further than its right: the next kick must come before that.
fn kicks(given: &Given, lease: &LeasePolicy) -> Vec<Inequality> {
    let beat = given.timing.heartbeat_every;
    let since = (beat * 2, "age of the newest acknowledgement");
    let limit = || side(lease.right, "the Active's right (L)");
    vec![
        at_most(
            sum(&[
                since,
                (given.kick_every, "kick interval"),
                (LATENESS_ALLOWED, "lateness"),
                (given.command, "a relay command in the way"),
            ]),
            limit(),
            Verdict::Fails,
            "the Active's own dead-man opens its relays between two kicks; lower [dead_man] kick_every_ms",
        ),
        at_most(
            sum(&[
                since,
                (given.kick_every, "kick interval"),
                (RESTART_BOUND, "restart of the agent"),
            ]),
            limit(),
            Verdict::Warns,
            "restarting the Active's agent lets its right end: its relays open; lower [dead_man] kick_every_ms",
        ),
    ]
}

/// A supervised agent comes back to what it left.
fn restart(given: &Given) -> Vec<Inequality> {
    let grace = given.timing.restart_grace;
    let renewed = || (given.timing.refresh_every, "since the last renewal");
    let life = || {
        side(
            given.vip_lifetime,
            "life of the virtual addresses (vip_lifetime_s)",
        )
    };
    vec![
        at_most(
            side(RESTART_BOUND, "restart of the agent"),
            side(
                grace.max(given.timing.suspect_after),
                "the peer waits (restart_grace_ms)",
            ),
            Verdict::Warns,
            "a restart of the Active's agent is taken for its death: a failover; raise restart_grace_ms",
        ),
        at_most(
            sum(&[renewed(), (RESTART_BOUND, "restart of the agent")]),
            life(),
            Verdict::Fails,
            "the kernel takes the addresses of an Active that is only restarting; raise vip_lifetime_s",
        ),
        at_most(
            sum(&[renewed(), (grace, "restart grace")]),
            life(),
            Verdict::Warns,
            "the kernel has taken a dead Active's addresses while the Backup still waits for it; raise vip_lifetime_s",
        ),
    ]
}

/// A side that names its parts.
fn sum(parts: &[(Duration, &str)]) -> Side {
    let words: Vec<String> = parts
        .iter()
        .map(|(time, what)| format!("{} {what}", ms(*time)))
        .collect();
    side(parts.iter().map(|(time, _)| *time).sum(), words.join(" + "))
}
