//! A pair's film as one picture: a lane for who answered, two for each node, and what was done above them. Pure.

use std::fmt::Write as _;

use fencepost::board::RelayState;
use fencepost::wire::Role;

use super::{Film, Owner, Seen};
use crate::outcome::Since;

const WIDTH: f64 = 1100.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 1080.0;
const HEAD: f64 = 60.0;
/// Rows for what was done; words of one row do not touch.
const NOTES: usize = 5;
const NOTE: f64 = 16.0;
const LANE: f64 = 26.0;
/// A letter's width, about.
const LETTER: f64 = 6.2;

/// The picture as SVG that stands alone.
pub fn draw(film: &Film) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
    let top = HEAD + NOTES as f64 * NOTE + 10.0;
    let height = top + 5.0 * (LANE + 8.0) + 60.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"20\" y=\"28\" font-size=\"17\" font-weight=\"600\" fill=\"#1a1a1a\">Two appliances, one address: who answered, and why nobody else could</text>\n\
         <text x=\"20\" y=\"46\" fill=\"#555\">asked each millisecond, each node separately; relays as the boards had them, roles as the agents said them</text>\n"
    );
    let scale = Scale {
        duration_ms: film.duration_ms.max(1.0),
    };
    notes(&mut text, film, &scale, top);
    let mut y = top;
    lane(&mut text, &scale, y, "answers", &film.owners, owner);
    for (index, name) in ["primary", "secondary"].into_iter().enumerate() {
        y += LANE + 8.0;
        lane(
            &mut text,
            &scale,
            y,
            &format!("{name} role"),
            &film.lanes[index].roles,
            role,
        );
        y += LANE + 8.0;
        lane(
            &mut text,
            &scale,
            y,
            &format!("{name} relay"),
            &film.lanes[index].relay,
            relay,
        );
    }
    axis(&mut text, &scale, y + LANE + 6.0);
    text.push_str("</svg>\n");
    text
}

struct Scale {
    duration_ms: f64,
}

impl Scale {
    fn at(&self, ms: f64) -> f64 {
        LEFT + (ms / self.duration_ms).clamp(0.0, 1.0) * (RIGHT - LEFT)
    }
}

fn owner(owner: Owner) -> (&'static str, &'static str) {
    match owner {
        Owner::Nobody => ("#ffffff", "nobody"),
        Owner::Primary => ("#1f6f8b", "primary"),
        Owner::Secondary => ("#6a8d3a", "secondary"),
        Owner::Both => ("#c0392b", "BOTH"),
    }
}

fn role(seen: Seen) -> (&'static str, &'static str) {
    match seen {
        Seen::Silent => ("#eeeeee", "no answer"),
        Seen::Role(Role::Active) => ("#2d7d46", "Active"),
        Seen::Role(Role::Backup) => ("#b9d3c1", "Backup"),
        Seen::Role(Role::Fault) => ("#d98c3f", "Fault"),
        Seen::Role(Role::Init) => ("#dddddd", "Init"),
    }
}

fn relay(state: RelayState) -> (&'static str, &'static str) {
    match state {
        RelayState::Normal => ("#4a6fa5", "Normal"),
        RelayState::Bypass => ("#c9a227", "Bypass"),
        RelayState::Disconnect => ("#3b3b3b", "Disconnect"),
        RelayState::Unknown => ("#a33ea1", "Unknown"),
    }
}

fn lane<T: Copy>(
    text: &mut String,
    scale: &Scale,
    y: f64,
    name: &str,
    states: &[Since<T>],
    look: fn(T) -> (&'static str, &'static str),
) {
    // Writing to a string does not fail.
    let _infallible = writeln!(
        text,
        "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#333\">{name}</text>\
         <rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{LANE}\" fill=\"none\" stroke=\"#ccc\"/>",
        LEFT - 10.0,
        y + LANE * 0.65,
        RIGHT - LEFT
    );
    let ends = states.iter().skip(1).map(|since| since.t_ms);
    let ends = ends.chain([scale.duration_ms]);
    for (since, end) in states.iter().zip(ends) {
        let (colour, word) = look(since.state);
        let (from, to) = (scale.at(since.t_ms), scale.at(end));
        let wide = (to - from).max(0.8);
        let _infallible = writeln!(
            text,
            "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{LANE}\" fill=\"{colour}\"/>"
        );
        #[expect(clippy::cast_precision_loss, reason = "the length of a word")]
        let room = word.len() as f64 * LETTER + 8.0;
        if wide > room && colour != "#ffffff" {
            let ink = if matches!(colour, "#eeeeee" | "#dddddd" | "#b9d3c1") {
                "#333"
            } else {
                "#fff"
            };
            let _infallible = writeln!(
                text,
                "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{ink}\">{word}</text>",
                from + 4.0,
                y + LANE * 0.65
            );
        }
    }
}

/// What was done: a line down through all lanes, its words in the first row with room.
fn notes(text: &mut String, film: &Film, scale: &Scale, top: f64) {
    let mut ends = [f64::NEG_INFINITY; NOTES];
    // Above all lines, so that none strikes a word out.
    let mut words = String::new();
    let bottom = top + 5.0 * (LANE + 8.0);
    for moment in &film.moments {
        let x = scale.at(moment.t_ms);
        #[expect(clippy::cast_precision_loss, reason = "the length of a sentence")]
        let width = moment.text.len() as f64 * LETTER;
        let left = x.min(RIGHT - width);
        let Some(row) = ends.iter().position(|end| *end + 12.0 <= left) else {
            continue;
        };
        ends[row] = left + width;
        #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
        let y = HEAD + row as f64 * NOTE + 12.0;
        let said = moment.text.replace('&', "&amp;").replace('<', "&lt;");
        let _infallible = writeln!(
            text,
            "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"#c0392b\" stroke-dasharray=\"2 3\"/>",
            y + 3.0
        );
        let _infallible = writeln!(
            words,
            "<text x=\"{left:.1}\" y=\"{y:.1}\" font-size=\"11.5\" fill=\"#8b2b20\" stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\">{said}</text>"
        );
    }
    text.push_str(&words);
}

fn axis(text: &mut String, scale: &Scale, y: f64) {
    let step = if scale.duration_ms > 20_000.0 {
        5_000.0
    } else {
        1_000.0
    };
    let mut at = 0.0;
    while at <= scale.duration_ms {
        let x = scale.at(at);
        let _infallible = writeln!(
            text,
            "<line x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"#888\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"11\" text-anchor=\"middle\" fill=\"#666\">{:.0} s</text>",
            y + 5.0,
            y + 18.0,
            at / 1000.0
        );
        at += step;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Lane;
    use super::*;
    use crate::outcome::Moment;

    #[test]
    fn two_owners_are_red_and_words_do_not_touch() {
        let since = |t_ms, state| Since { t_ms, state };
        let film = Film {
            duration_ms: 10_000.0,
            lanes: [Lane::default(), Lane::default()],
            owners: vec![since(0.0, Owner::Primary), since(5_000.0, Owner::Both)],
            moments: (0..3)
                .map(|at| Moment {
                    t_ms: f64::from(at) * 100.0,
                    text: "a long story about a cable".to_owned(),
                })
                .collect(),
        };
        let picture = draw(&film);
        assert!(picture.contains(owner(Owner::Both).0));
        for row in 0..3_u32 {
            let y = HEAD + f64::from(row) * NOTE + 12.0;
            assert_eq!(
                picture
                    .matches(&format!("y=\"{y:.1}\" font-size=\"11.5\""))
                    .count(),
                1
            );
        }
    }
}
