//! One timeline as a picture: the run at a glance, then what matters at close range, lane under lane on one axis.
//!
//! Contract: nothing overlaps and nothing is cut off without an ellipsis; what has no room in the picture (numbers stand for words) is
//! in the story beside it. States are told apart by colour, pattern and name. A hole in the traffic is a hole: nothing is drawn there
//! but its length, what of it was ours and what was links coming back.

use crate::outcome::Report;

use super::lanes::{self, Canvas};
use super::scale::{Scale, duration_ms};
use super::story::{self, Story, Voice};
use super::style;
use super::svg::{Anchor, Svg, fit, text_width, wrap};

/// Width of every picture, in its own pixels.
pub(super) const WIDTH: f64 = 1040.0;
/// Where lanes begin; to the left are their names.
pub(super) const LEFT: f64 = 116.0;
/// Where lanes end.
pub(super) const RIGHT: f64 = WIDTH - 22.0;
/// Most lines of the story in a picture that stands alone.
const STORY_MAX: usize = 28;

/// A picture for the page: patterns and colours are the page's.
pub(super) fn inline(report: &Report, story: &Story) -> String {
    let mut canvas = Canvas::new(0.0);
    body(&mut canvas, report, story);
    let height = canvas.y + 4.0;
    canvas.svg.finish(WIDTH, height, &lanes::label(report), "")
}

/// A picture that stands alone: heading, key and story included.
pub fn standalone(report: &Report) -> String {
    let story = story::read(&report.timeline);
    let mut canvas = Canvas::new(0.0);
    heading(&mut canvas, report);
    body(&mut canvas, report, &story);
    canvas.y += 16.0;
    key(&mut canvas);
    canvas.y += 10.0;
    tell(&mut canvas, &story);
    let height = canvas.y + 16.0;
    let mut framed = Svg::default();
    framed.rect("paper", 0.0, 0.0, WIDTH, height);
    framed.append(canvas.svg);
    let head = format!(
        "<style>{}{}</style>{}",
        style::COLOURS,
        style::PICTURE,
        style::PATTERNS
    );
    let mut text = framed.finish(WIDTH, height, &lanes::label(report), &head);
    text.push('\n');
    text
}

/// The key alone, for the head of the page.
pub(super) fn key_alone() -> String {
    let mut canvas = Canvas::new(4.0);
    key(&mut canvas);
    let height = canvas.y + 2.0;
    canvas.svg.finish(WIDTH, height, "key to the pictures", "")
}

fn heading(canvas: &mut Canvas, report: &Report) {
    let outcome = &report.outcome;
    let title = format!(
        "{} on {}: {}",
        outcome.scenario,
        outcome.board,
        lanes::verdict(outcome.result)
    );
    canvas.svg.text("title", Anchor::Start, 20.0, 32.0, &title);
    let sub = fit(&outcome.reason, 12.5, WIDTH - 40.0);
    canvas.svg.text("sub", Anchor::Start, 20.0, 52.0, &sub);
    canvas.y = 70.0;
}

fn body(canvas: &mut Canvas, report: &Report, story: &Story) {
    let timeline = &report.timeline;
    let end = story::end_ms(timeline);
    let whole = Scale::new(0.0, end, LEFT, RIGHT);
    let scale = match story.close {
        Some((from, to)) => {
            let scale = Scale::new(from, to, LEFT, RIGHT);
            lanes::overview(canvas, timeline, story, &whole, &scale);
            scale
        }
        None => whole,
    };
    let top = canvas.y;
    let under = core::mem::take(&mut canvas.svg);
    lanes::faults(canvas, timeline, &scale);
    let lanes_top = canvas.y;
    lanes::relays(canvas, timeline, &scale);
    lanes::bounds(canvas, timeline, &scale);
    lanes::traffic(canvas, timeline, story, &scale);
    for voice in [Voice::Controller, Voice::Agent, Voice::Machine] {
        lanes::ticks(canvas, story, voice, &scale);
    }
    let bottom = canvas.y;
    let over = core::mem::replace(&mut canvas.svg, under);
    lanes::grid(canvas, story, &scale, lanes_top, bottom);
    lanes::poles(canvas, timeline, &scale, top, bottom);
    canvas.svg.append(over);
    canvas.y = bottom + 24.0;
}

/// What the patterns mean, in two lines.
fn key(canvas: &mut Canvas) {
    let y = canvas.y;
    let mut x = 20.0;
    canvas.svg.text("soft", Anchor::Start, x, y + 11.0, "relay");
    x += 38.0;
    for (class, name) in [
        ("normal", "Normal: through the host"),
        ("bypass", "Bypass: a plain wire"),
        ("disconnect", "Disconnect: both links down"),
        ("unknown", "Unknown: contacts moving or unreadable"),
    ] {
        canvas.svg.rect(class, x, y, 26.0, 14.0);
        canvas
            .svg
            .text("soft", Anchor::Start, x + 32.0, y + 11.0, name);
        x += 32.0 + text_width(name, 11.0) + 18.0;
    }
    let y = y + 24.0;
    x = 20.0;
    canvas
        .svg
        .text("soft", Anchor::Start, x, y + 11.0, "traffic");
    x += 48.0;
    for (class, name, height) in [
        ("host", "through the host", 5.0),
        ("around", "through the bypass", 5.0),
        ("ours", "none: our own time", 14.0),
        ("relink", "none: links coming back (physics)", 14.0),
    ] {
        canvas
            .svg
            .rect(class, x, y + 7.0 - height / 2.0, 26.0, height);
        canvas
            .svg
            .text("soft", Anchor::Start, x + 32.0, y + 11.0, name);
        x += 32.0 + text_width(name, 11.0) + 18.0;
    }
    canvas
        .svg
        .path("bound", &lanes::bracket(x, x + 26.0, y + 4.0), false);
    canvas
        .svg
        .text("soft", Anchor::Start, x + 32.0, y + 11.0, "asserted bound");
    canvas.y = y + 20.0;
}

/// The story in two columns under a picture that stands alone.
fn tell(canvas: &mut Canvas, story: &Story) {
    let all: Vec<_> = story.told.iter().collect();
    // The close view's story first: what lies outside is told only if there is room.
    let near = |t_ms: f64| {
        story
            .close
            .is_none_or(|(from, to)| (from..=to).contains(&t_ms))
    };
    let mut shown: Vec<_> = all.iter().filter(|line| near(line.t_ms)).collect();
    if all.len() <= STORY_MAX {
        shown = all.iter().collect();
    }
    let hidden = all.len() - shown.len().min(STORY_MAX);
    shown.truncate(STORY_MAX);
    let column = (WIDTH - 60.0) / 2.0;
    let room = column - lanes::STORY_INDENT;
    let broken: Vec<Vec<String>> = shown
        .iter()
        .map(|line| wrap(&line.text, 12.0, room, 3))
        .collect();
    let rows: usize = broken.iter().map(Vec::len).sum();
    let (top, mut row, mut side) = (canvas.y, 0, 0);
    let mut deepest = 0;
    for (line, words) in shown.iter().zip(&broken) {
        if side == 0 && row >= rows.div_ceil(2) {
            (side, row) = (1, 0);
        }
        let x = 20.0 + f64::from(side) * (column + 20.0);
        let y = top + row as f64 * lanes::STORY_ROW + 12.0;
        lanes::told(&mut canvas.svg, line, words, story.zero_ms, x, y);
        row += words.len();
        deepest = deepest.max(row);
    }
    canvas.y = top + deepest as f64 * lanes::STORY_ROW;
    if hidden > 0 {
        let more = format!("and {hidden} more in the run's report");
        canvas
            .svg
            .text("soft", Anchor::Start, 20.0, canvas.y + 12.0, &more);
        canvas.y += 17.0;
    }
}

/// What a run measured, in words.
pub(super) fn figures(report: &Report) -> Vec<String> {
    let outcome = &report.outcome;
    let mut figures = Vec::new();
    if let Some(gap) = outcome.gap_ms {
        figures.push(format!("gap {}", duration_ms(gap)));
    }
    match (outcome.relay_ms, outcome.bound_ms) {
        (Some(relay), Some(bound)) => figures.push(format!(
            "relay {} of {}",
            duration_ms(relay),
            duration_ms(bound)
        )),
        (Some(relay), None) => figures.push(format!("relay {}", duration_ms(relay))),
        (None, _) => {}
    }
    if outcome.leak_frames > 0 {
        figures.push(format!("leak {} frames", outcome.leak_frames));
    }
    figures
}
