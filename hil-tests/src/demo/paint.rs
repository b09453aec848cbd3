//! What the live view and the figures look like. Pure text; colours only where somebody sees them.

use std::time::Duration;

use fencepost::board::RelayState;
use fencepost_firmware::TimerState;
use fencepost_hil::appliance::watch::DeadMan;
use fencepost_hil::outcome::Report;
use fencepost_hil::report;

use super::screen::{Agent, COLUMN, COLUMNS, Passed};
use crate::live::{AMBER, BOLD, GREEN, Ink, RED, SOFT};

/// Cells of the dead-man's bar.
const BAR: usize = 24;

/// A line of the demo's own.
pub(super) fn event(ink: Ink, since: Duration, what: &str) -> String {
    let loud = what
        .chars()
        .take_while(|c| !c.is_whitespace())
        .all(|c| c.is_ascii_uppercase());
    let text = if loud {
        ink.tint(RED, what)
    } else {
        what.to_owned()
    };
    format!("  {}  {text}", ink.clock(since))
}

/// A line of the relay's.
pub(super) fn moved(ink: Ink, since: Duration, state: RelayState) -> String {
    let text = format!("relay: {state}");
    format!("  {}  {}", ink.clock(since), ink.tint(colour(state), &text))
}

fn colour(state: RelayState) -> &'static str {
    match state {
        RelayState::Normal => GREEN,
        RelayState::Bypass => AMBER,
        RelayState::Disconnect => RED,
        RelayState::Unknown => SOFT,
    }
}

/// The block: wire and relay, dead-man, agent, traffic.
pub(super) fn block(
    ink: Ink,
    state: RelayState,
    agent: Agent,
    dead_man: Option<DeadMan>,
    traffic: &[Passed],
) -> String {
    let [wire, legs] = match state {
        RelayState::Normal => ["━━━━━━━┓  ┏━━━━━━━", "┃  ┃"],
        RelayState::Bypass => ["━━━━━━━━━━━━━━━━━━", "    "],
        RelayState::Disconnect | RelayState::Unknown => ["━━━━━━╸    ╺━━━━━━", "    "],
    };
    let (wire, legs) = (ink.tint(colour(state), wire), ink.tint(colour(state), legs));
    let name = ink.tint(BOLD, &format!("{state}"));
    let means = match state {
        RelayState::Normal => "through the host",
        RelayState::Bypass => "a plain wire",
        RelayState::Disconnect => "both links down",
        RelayState::Unknown => "contacts moving",
    };
    let host = match agent {
        Agent::Absent => ink.tint(SOFT, "┆host┆"),
        Agent::Works | Agent::Starts => "┃host┃".to_owned(),
        Agent::Killed => ink.tint(RED, "┃host┃"),
    };
    let agent = match agent {
        Agent::Absent => ink.tint(SOFT, "not there yet"),
        Agent::Works => ink.tint(GREEN, "works"),
        Agent::Killed => ink.tint(RED, "killed"),
        Agent::Starts => ink.tint(AMBER, "starting"),
    };
    let timer = timer(ink, dead_man);
    let line = traffic_line(ink, traffic);
    let span = COLUMN.as_secs_f64() * COLUMNS as f64;
    let rate = rate(ink, traffic);
    format!(
        "\n    net A {wire} net B     relay     {name}: {means}\n                 {legs}                  dead-man  {timer}\n                \
         {host}                 agent     {agent}\n\n    traffic {line} {rate}\n            {}\n",
        ink.tint(
            SOFT,
            &format!("the last {span:.0} s, a numbered frame each millisecond, and fewer back")
        )
    )
}

fn timer(ink: Ink, dead_man: Option<DeadMan>) -> String {
    let Some(DeadMan {
        state,
        left,
        window,
    }) = dead_man
    else {
        return ink.tint(SOFT, "does not tell");
    };
    match state {
        TimerState::Disarmed => ink.tint(SOFT, "not armed"),
        TimerState::Expired => ink.tint(RED, "EXPIRED: it cut by itself"),
        TimerState::Running => {
            let share = left.as_secs_f64() / window.as_secs_f64().max(0.001);
            let full = (0..BAR)
                .filter(|cell| (*cell as f64) < share * BAR as f64)
                .count();
            let bar = format!("{}{}", "█".repeat(full), "░".repeat(BAR - full));
            let colour = if share < 0.35 { RED } else { GREEN };
            format!(
                "{} {:.1} s left",
                ink.tint(colour, &bar),
                left.as_secs_f64()
            )
        }
    }
}

fn traffic_line(ink: Ink, traffic: &[Passed]) -> String {
    let mut text = " ".repeat(COLUMNS.saturating_sub(traffic.len()));
    let mut rest = traffic;
    while let Some(first) = rest.first().copied() {
        let run = rest.iter().take_while(|passed| **passed == first).count();
        let (glyph, colour) = match first {
            Passed::Host => ("━", GREEN),
            Passed::Bypass => ("┅", AMBER),
            Passed::Some => ("╍", RED),
            Passed::Nothing => ("·", RED),
            Passed::Unsent => (" ", SOFT),
        };
        text += &ink.tint(colour, &glyph.repeat(run));
        rest = &rest[run..];
    }
    text
}

fn rate(ink: Ink, traffic: &[Passed]) -> String {
    match traffic.last() {
        Some(Passed::Host) => ink.tint(GREEN, "host"),
        Some(Passed::Bypass) => ink.tint(AMBER, "bypass"),
        Some(Passed::Some) => ink.tint(RED, "losing"),
        Some(Passed::Nothing) => ink.tint(RED, "nothing"),
        Some(Passed::Unsent) => ink.tint(SOFT, "rig late"),
        None => String::new(),
    }
}

/// What was measured, at the end.
pub(super) fn figures(measured: &Report) {
    let ink = Ink::of(std::io::IsTerminal::is_terminal(&std::io::stdout()));
    let outcome = &measured.outcome;
    if let (Some(relay), Some(bound)) = (outcome.relay_ms, outcome.bound_ms) {
        println!(
            "  kill to relay   {}   (asserted: at most {bound:.0} ms)",
            ink.tint(BOLD, &format!("{relay:6.0} ms"))
        );
    }
    let fault = |index: usize| measured.timeline.faults.get(index).map(|fault| fault.t_ms);
    let (kill, restart) = (fault(0).unwrap_or(0.0), fault(1).unwrap_or(f64::INFINITY));
    if let Some(gap) = report::gap_between(&measured.timeline, kill, restart) {
        let whole = gap.whole_ms.max(1.0);
        let bar = |ms: f64| {
            "█".repeat(
                (0..40)
                    .filter(|cell| (f64::from(*cell)) < ms / whole * 40.0)
                    .count(),
            )
        };
        println!(
            "  traffic gap     {}",
            ink.tint(BOLD, &format!("{:6.0} ms", gap.whole_ms))
        );
        println!(
            "    ours          {:6.0} ms  {}",
            gap.ours_ms,
            ink.tint(RED, &bar(gap.ours_ms))
        );
        println!(
            "    relink        {:6.0} ms  {}  links renegotiate: physics",
            gap.relink_ms,
            ink.tint(SOFT, &bar(gap.relink_ms))
        );
    }
    println!("  frames leaked   {:6}", outcome.leak_frames);
    println!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_plain_without_colours_and_never_wider_than_a_terminal() {
        let traffic = [[Passed::Host; 30], [Passed::Nothing; 30]].concat();
        let dead_man = DeadMan {
            state: TimerState::Running,
            left: Duration::from_millis(1_500),
            window: Duration::from_secs(2),
        };
        for state in [
            RelayState::Normal,
            RelayState::Bypass,
            RelayState::Disconnect,
            RelayState::Unknown,
        ] {
            let text = block(Ink::Live, state, Agent::Works, Some(dead_man), &traffic);
            assert!(!text.contains('\x1b'));
            assert_eq!(text.lines().count(), 7);
            for line in text.lines() {
                assert!(line.chars().count() <= 84, "{line}");
            }
        }
    }

    #[test]
    fn what_is_loud_is_red() {
        assert!(event(Ink::Coloured, Duration::ZERO, "AGENT KILLED").contains(RED));
        assert!(!event(Ink::Coloured, Duration::ZERO, "Normal again").contains(RED));
    }
}
