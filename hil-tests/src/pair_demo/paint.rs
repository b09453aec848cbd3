//! What the live view of a pair looks like. Pure text; colours only where somebody sees them.

use std::time::Duration;

use fencepost::board::RelayState;
use fencepost::wire::Role;
use fencepost_hil::pair::film::Glimpse;
use fencepost_hil::pair::trial::name;
use fencepost_hil::pair::watch::Answered;

use super::screen::{COLUMN, COLUMNS, Node};
use super::{Act, kind};
use crate::live::{AMBER, BOLD, GREEN, Ink, RED, SOFT};

/// Of the two sides, in the client's line.
const SIDES: [(&str, &str); 2] = [("━", "36"), ("═", "35")];

/// Something that was done to the pair.
pub(super) fn deed(ink: Ink, since: Duration, what: &str) -> String {
    format!("  {}  {}", ink.clock(since), ink.tint(BOLD, what))
}

/// What it came to.
pub(super) fn result(ink: Ink, since: Duration, what: &str) -> String {
    format!("  {}    {} {what}", ink.clock(since), ink.tint(GREEN, "=>"))
}

/// A line for everything of a node that is no longer as it was.
pub(super) fn changed(
    ink: Ink,
    since: Duration,
    index: usize,
    before: &Node,
    now: &Node,
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |text: String| {
        lines.push(format!("  {}    {} {text}", ink.clock(since), name(index)));
    };
    if before.relay != now.relay && now.relay != RelayState::Unknown {
        line(format!(
            "relay: {}",
            ink.tint(tint(now.relay), &now.relay.to_string())
        ));
    }
    let role = |node: &Node| node.said.as_ref().map(|said| (said.role, said.epoch));
    if role(before) != role(now) {
        match &now.said {
            None => line(ink.tint(RED, "says nothing")),
            Some(said) => {
                let because = match &said.proof {
                    Some(proof) => format!(", because {}", kind(Some(proof))),
                    None => String::new(),
                };
                line(format!("is {}{because}", role_of(ink, said)));
            }
        }
    }
    lines
}

/// Both nodes, and what the client got lately.
pub(super) fn block(ink: Ink, nodes: &[Node; 2], client: &[Answered]) -> String {
    let mut text = "\n".to_owned();
    for (index, node) in nodes.iter().enumerate() {
        let said = node.said.as_ref();
        let role = said.map_or_else(|| ink.tint(RED, "says nothing"), |said| role_of(ink, said));
        let could = match said {
            Some(said) if said.role != Role::Active && said.ready => "would take over",
            Some(said) if said.role != Role::Active => "would not take over now",
            _ => "",
        };
        text += &format!(
            "    {:<10} {} {:<11} {role}  {}\n",
            name(index),
            ink.tint(tint(node.relay), contacts(node.relay)),
            node.relay.to_string(),
            ink.tint(SOFT, could),
        );
    }
    let room = " ".repeat(COLUMNS.saturating_sub(client.len()));
    let line: String = client.iter().map(|one| glyph(ink, *one)).collect();
    let last = client.last().map_or(String::new(), |one| word(*one));
    let span = COLUMN.as_secs_f64() * COLUMNS as f64;
    let [(first, _), (second, _)] = SIDES;
    let key =
        format!("{span:.0} s, asked each ms: {first} primary {second} secondary ╍ gaps · nobody");
    text += &format!(
        "\n    client     {room}{line} {last}\n               {}\n",
        ink.tint(SOFT, &key)
    );
    text
}

fn role_of(ink: Ink, said: &Glimpse) -> String {
    let colour = match said.role {
        Role::Active => GREEN,
        Role::Fault => RED,
        Role::Init => AMBER,
        Role::Backup => SOFT,
    };
    ink.tint(colour, &format!("{:?}, epoch {}", said.role, said.epoch))
}

fn contacts(relay: RelayState) -> &'static str {
    match relay {
        RelayState::Normal => "━━┓host┏━━",
        RelayState::Bypass => "━━━━━━━━━━",
        RelayState::Disconnect | RelayState::Unknown => "━╸      ╺━",
    }
}

fn tint(relay: RelayState) -> &'static str {
    match relay {
        RelayState::Normal => GREEN,
        RelayState::Bypass => AMBER,
        RelayState::Disconnect => RED,
        RelayState::Unknown => SOFT,
    }
}

fn glyph(ink: Ink, answered: Answered) -> String {
    let (glyph, colour) = match answered {
        Answered::By(side) => SIDES[side.min(1)],
        Answered::Moving => ("┅", GREEN),
        Answered::Some => ("╍", AMBER),
        Answered::Nothing => ("·", RED),
        Answered::Both => ("█", RED),
        Answered::Unasked => (" ", SOFT),
    };
    ink.tint(colour, glyph)
}

fn word(answered: Answered) -> String {
    match answered {
        Answered::By(side) => name(side).to_owned(),
        Answered::Moving | Answered::Some => "gaps".to_owned(),
        Answered::Nothing => "nobody".to_owned(),
        Answered::Both => "BOTH".to_owned(),
        Answered::Unasked => "rig late".to_owned(),
    }
}

/// What each act came to, at the end.
pub(super) fn table(ink: Ink, acts: &[Act]) -> String {
    let wide = acts
        .iter()
        .map(|act| act.what.chars().count())
        .max()
        .unwrap_or(0);
    let head = format!(
        "  {:wide$}  {:>9}  {:>10}  then served by",
        "what happened", "no answer", "two owners"
    );
    let mut text = format!("{}\n", ink.tint(SOFT, &head));
    for act in acts {
        let gap = format!("{:.0} ms", act.outage_ms);
        let dual = format!("{} ms", act.dual_ms);
        let colour = if act.dual_ms == 0 { GREEN } else { RED };
        text += &format!(
            "  {:wide$}  {}  {}  {}\n",
            act.what,
            ink.tint(BOLD, &format!("{gap:>9}")),
            ink.tint(colour, &format!("{dual:>10}")),
            act.then,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(relay: RelayState, role: Role) -> Node {
        Node {
            relay,
            said: Some(Glimpse {
                role,
                epoch: 4,
                proof: (role == Role::Active).then(|| "fenced by fence-wire".to_owned()),
                ready: role == Role::Backup,
            }),
        }
    }

    #[test]
    fn a_takeover_is_told_line_by_line() {
        let before = node(RelayState::Normal, Role::Backup);
        let active = node(RelayState::Normal, Role::Active);
        let lines = changed(
            Ink::Plain,
            Duration::from_millis(1_200),
            1,
            &before,
            &active,
        );
        assert_eq!(
            lines,
            ["      1.2 s    secondary is Active, epoch 4, because fenced by fence-wire"]
        );
        let dead = Node {
            relay: RelayState::Disconnect,
            said: None,
        };
        let lines = changed(Ink::Plain, Duration::ZERO, 0, &active, &dead);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(changed(Ink::Plain, Duration::ZERO, 0, &dead, &dead).is_empty());
    }

    #[test]
    fn the_block_fits_a_small_terminal_and_never_changes_its_height() {
        let nodes = [
            node(RelayState::Normal, Role::Active),
            node(RelayState::Disconnect, Role::Backup),
        ];
        let full = vec![Answered::By(1); COLUMNS];
        let heights = [&full[..], &[]].map(|client| {
            let block = block(Ink::Live, &nodes, client);
            for line in block.lines() {
                // One that wraps would not be painted over.
                assert!(line.chars().count() < 80, "{line}");
            }
            block.lines().count()
        });
        assert_eq!(heights[0], heights[1]);
    }

    #[test]
    fn two_at_once_are_loud() {
        let act = Act {
            what: "a test".to_owned(),
            outage_ms: 6.4,
            dual_ms: 2,
            then: "primary".to_owned(),
        };
        let text = table(Ink::Coloured, &[act]);
        assert!(text.contains(&format!("\x1b[{RED}m      2 ms")), "{text:?}");
    }
}
