//! Facts and spans of time as a person reads them.

use std::time::Duration;

use fencepost::board::controller::{ArmProof, DeadManReading, Evidence};
use fencepost::node::pair::ServicesWanted;
use fencepost::node::policy::Commissioning;
use fencepost::node::{Fact, Level};

/// A span in the largest unit that keeps it readable.
pub(crate) fn span(span: Duration) -> String {
    let millis = span.as_millis();
    let seconds = span.as_secs();
    match seconds {
        0 if millis == 0 && !span.is_zero() => format!("{} µs", span.as_micros()),
        0 if millis < 10 && !span.subsec_micros().is_multiple_of(1_000) => {
            format!("{:.1} ms", span.as_secs_f64() * 1_000.0)
        }
        0 => format!("{millis} ms"),
        1..=59 if span.subsec_millis() == 0 => format!("{seconds} s"),
        1..=59 => format!("{:.1} s", span.as_secs_f64()),
        60..=3_599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// How loud, in five columns.
pub(crate) const fn level(level: Level) -> &'static str {
    match level {
        Level::Info => "info",
        Level::Warning => "warn",
        Level::Alarm => "ALARM",
    }
}

/// What a relay state was read from.
pub(crate) const fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Contacts => "contacts",
        Evidence::Register => "register",
        Evidence::Drive => "coil drive",
        Evidence::Nothing => "nothing",
    }
}

/// The dead-man, as it reads.
pub(crate) fn dead_man(reading: DeadManReading) -> String {
    match reading {
        DeadManReading::Absent => "absent".to_owned(),
        DeadManReading::Disarmed => "disarmed".to_owned(),
        DeadManReading::Running { period, remaining } => {
            let left = remaining.map_or_else(String::new, |left| format!(", {} left", span(left)));
            format!("running, {}{left}", span(period))
        }
        DeadManReading::Expired => "expired".to_owned(),
        DeadManReading::Unknown => "unknown (the part cannot say)".to_owned(),
    }
}

const fn arm_proof(proof: ArmProof) -> &'static str {
    match proof {
        ArmProof::ReadBack => "read back",
        ArmProof::WriteOnly => "written, this part cannot be read back",
        ArmProof::Inherent => "nothing to arm",
    }
}

/// One fact as one sentence.
pub(crate) fn fact(fact: &Fact) -> String {
    match fact {
        Fact::Started { ledger } => format!("the agent started; ledger: {ledger}"),
        Fact::Adopted {
            segment,
            state,
            evidence: from,
        } => {
            format!(
                "segment {segment} was found in {state} ({}) and left there",
                evidence(*from)
            )
        }
        Fact::DeadManArmed { period, proof } => {
            format!(
                "the dead-man runs with {} ({})",
                span(*period),
                arm_proof(*proof)
            )
        }
        Fact::DeadManExpired => "the dead-man had fired".to_owned(),
        Fact::DeadManLost { reads } => {
            format!("the dead-man was armed and now reads {reads}")
        }
        Fact::Closed {
            segment,
            cause,
            state,
            evidence: from,
        } => {
            format!(
                "segment {segment} to Normal: {cause}; reads {state} ({})",
                evidence(*from)
            )
        }
        Fact::Cut {
            segment,
            state,
            cause,
            read,
            evidence: from,
        } => {
            format!(
                "segment {segment} to {state}: {cause}; reads {read} ({})",
                evidence(*from)
            )
        }
        Fact::FoundMoved {
            segment,
            left,
            found,
        } => {
            format!("segment {segment} was left in {left} and found in {found}")
        }
        Fact::RelayStuck {
            segment,
            wanted,
            read,
        } => {
            format!("segment {segment} does not obey: ordered {wanted}, reads {read}")
        }
        other => of_the_machine(other),
    }
}

/// How the units bound to the role should be, in a word.
pub(super) fn units(wanted: ServicesWanted) -> &'static str {
    match wanted {
        ServicesWanted::Started => "started",
        ServicesWanted::Stopped => "stopped",
    }
}

/// Whether a board's wiring was proven, in words.
pub(super) fn wiring(commissioning: Commissioning) -> &'static str {
    match commissioning {
        Commissioning::Done => "commissioned",
        Commissioning::Waived => "NOT COMMISSIONED, waived with --uncommissioned",
        Commissioning::Missing => "NOT COMMISSIONED",
    }
}

/// On which side of ours a clock is, and by how much.
pub(super) fn clock_side(ahead_ms: i64) -> (&'static str, Duration) {
    let side = if ahead_ms < 0 { "behind" } else { "ahead of" };
    (side, Duration::from_millis(ahead_ms.unsigned_abs()))
}

/// Facts about something other than a relay.
fn of_the_machine(fact: &Fact) -> String {
    match fact {
        Fact::ControllerLost { fault } => format!("the controller is lost: {fault}"),
        Fact::ControllerBack => "the controller answers again".to_owned(),
        Fact::SettingsFailed { fault } => format!("stored settings cannot be set: {fault}"),
        Fact::CheckFailed { check, output } => format!("check {check} fails: {output}"),
        Fact::CheckPassed { check } => format!("check {check} passes"),
        Fact::ModeChanged { mode, by, reason } if reason.is_empty() => format!("{mode}, by {by}"),
        Fact::ModeChanged { mode, by, reason } => format!("{mode}, by {by}: {reason}"),
        Fact::Refused { by, asked, reason } => format!("refused {by} `{asked}`: {reason}"),
        Fact::CloseLimit { segment, per_hour } => {
            format!("segment {segment} reached its limit of {per_hour} closes per hour")
        }
        Fact::HookFailed { role, error } => {
            format!("the program told of role {role:?} failed: {error}")
        }
        Fact::TrackingFailed { error } => {
            format!("connection tracking did not move with the role: {error}")
        }
        Fact::ServicesSet { wanted } => format!("the units of the Active are {}", units(*wanted)),
        Fact::ServicesFailed { wanted, error } => {
            format!(
                "the units of the Active are not {}: {error}",
                units(*wanted)
            )
        }
        Fact::LedgerFailed { error } => format!("the ledger cannot be written: {error}"),
        Fact::LedgerBack => "the ledger can be written again".to_owned(),
        Fact::WatchdogRuns {
            identity,
            timeout,
            caused_reset,
        } => {
            let reset = if *caused_reset == Some(true) {
                "; it caused the last reset"
            } else {
                ""
            };
            format!(
                "the watchdog {identity} runs with {}{reset}",
                span(*timeout)
            )
        }
        Fact::WatchdogFailed { error } => format!("no working watchdog: {error}"),
        Fact::KeepaliveWithheld { reason } => {
            format!("keepalives stop, the machine will be reset: {reason}")
        }
        Fact::Uncommissioned => {
            "segments stay in their fail state: this board is not commissioned".to_owned()
        }
        Fact::Stopping { how } => format!("the agent ends: {how}"),
        Fact::Acknowledged { by, alarms } => format!("{by} acknowledged {alarms} alarms"),
        Fact::RoleChanged { role, epoch, why } => {
            format!("this node is {role:?} now, epoch {epoch}: {why}")
        }
        Fact::ClaimFailed { epoch, why } => format!("takeover in epoch {epoch} given up: {why}"),
        Fact::TakeoverWithheld { why } => {
            format!("takeover withheld, state is not known to be in sync: {why}")
        }
        Fact::PeerFenced { means } => format!("the peer is fenced by {means}"),
        Fact::PeerIntroduced {
            host,
            model,
            firmware,
            commissioning,
        } => {
            let model = model.as_deref().unwrap_or("no controller read yet");
            let firmware = firmware.as_deref().unwrap_or("none told");
            let wiring = wiring(*commissioning);
            format!("the peer is {host}: {model}, firmware {firmware}, {wiring}")
        }
        Fact::ClocksApart { ahead_ms } => {
            let (side, apart) = clock_side(*ahead_ms);
            format!("the peer's clock is {} {side} this one", span(apart))
        }
        Fact::FencedByPeer => "the peer's fence latched this node".to_owned(),
        relay => format!("{relay:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short_at_every_size() {
        let table = [
            (Duration::ZERO, "0 ms"),
            (Duration::from_micros(40), "40 µs"),
            (Duration::from_micros(1_310), "1.3 ms"),
            (Duration::from_millis(999), "999 ms"),
            (Duration::from_secs(1), "1 s"),
            (Duration::from_millis(1_250), "1.2 s"),
            (Duration::from_secs(61), "1 min 1 s"),
            (Duration::from_secs(7_260), "2 h 1 min"),
            (Duration::from_secs(90_000), "1 d 1 h"),
        ];
        for (input, wanted) in table {
            assert_eq!(span(input), wanted);
        }
    }

    #[test]
    fn no_fact_is_told_in_code() {
        let facts = [
            Fact::ControllerBack,
            Fact::DeadManExpired,
            Fact::Uncommissioned,
            Fact::LedgerBack,
            Fact::Stopping {
                how: "ordered".to_owned(),
            },
        ];
        for told in facts.iter().map(fact) {
            assert!(!told.contains('{') && told.contains(' '), "{told}");
        }
    }
}
