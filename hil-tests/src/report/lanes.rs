//! The lanes of a picture, each drawn at the canvas' next free place, each moving that place down by its own height.

use fencepost::board::RelayState;

use crate::outcome::{Path, Report, Timeline, Verdict, Way};

use super::labels::{self, Place, Wish};
use super::picture::{LEFT, RIGHT};
use super::scale::{Scale, axis_s, duration_ms, moment_s};
use super::story::{self, Hole, Story, Told, Voice};
use super::svg::{Anchor, Svg, fit, text_width};

/// Height of a relay's band.
const BAND: f64 = 24.0;
/// Height of a row of words.
const ROW: f64 = 18.0;
/// Height of a bracket with its words.
const BOUND: f64 = 27.0;
/// Thickness of one direction's traffic.
const LINE: f64 = 5.0;
/// Height of a row of the story.
pub(super) const STORY_ROW: f64 = 17.0;
/// Where the story's words begin in their column.
pub(super) const STORY_INDENT: f64 = 86.0;
/// Most rows of flags, bounds, and hole lengths.
const ROWS_MAX: usize = 4;
/// Most holes with words; the others are only seen, and listed in the data.
const HOLES_MAX: usize = 8;

/// Paper, and the next free height on it.
pub(super) struct Canvas {
    pub(super) svg: Svg,
    pub(super) y: f64,
}

impl Canvas {
    pub(super) fn new(y: f64) -> Self {
        Self {
            svg: Svg::default(),
            y,
        }
    }

    fn name(&mut self, text: &str, y: f64) {
        let text = fit(text, 12.0, LEFT - 26.0);
        self.svg.text("name", Anchor::End, LEFT - 12.0, y, &text);
    }

    /// Words on something that is not paper.
    fn on(&mut self, class: &str, x: f64, y: f64, text: &str, size: f64) {
        let width = text_width(text, size) + 6.0;
        self.svg
            .rect("halo", x - 3.0, y - size * 0.92, width, size * 1.22);
        self.svg.text(class, Anchor::Start, x, y, text);
    }
}

/// A sentence for those who cannot see the picture.
pub(super) fn label(report: &Report) -> String {
    let outcome = &report.outcome;
    format!(
        "{} on {}: {}. {}",
        outcome.scenario,
        outcome.board,
        verdict(outcome.result),
        outcome.reason
    )
}

pub(super) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Skipped => "skipped",
    }
}

pub(super) const fn state(state: RelayState) -> (&'static str, &'static str) {
    match state {
        RelayState::Normal => ("normal", "Normal"),
        RelayState::Bypass => ("bypass", "Bypass"),
        RelayState::Disconnect => ("disconnect", "Disconnect"),
        RelayState::Unknown => ("unknown", "Unknown"),
    }
}

/// The whole run, small, with what the close view shows marked in it.
pub(super) fn overview(
    canvas: &mut Canvas,
    timeline: &Timeline,
    story: &Story,
    whole: &Scale,
    close: &Scale,
) {
    let top = canvas.y + 8.0;
    let bands = timeline.relay.len().max(1) as f64;
    let bottom = top + bands * 11.0 + 7.0;
    let (from, to) = (whole.x(close.from_ms), whole.x(close.to_ms));
    let (from, to) = (from.min(to - 3.0), to);
    canvas
        .svg
        .rect("focus", from, top - 4.0, to - from, bottom - top + 8.0);
    for (index, track) in timeline.relay.iter().enumerate() {
        let y = top + index as f64 * 11.0;
        for (start, end, now) in story::stretches(&track.states, whole.from_ms, whole.to_ms) {
            let (x, right) = (whole.x(start), whole.x(end));
            canvas.svg.rect(state(now).0, x, y, right - x, 9.0);
        }
    }
    let y = bottom - 5.0;
    canvas.svg.rect("host", LEFT, y, RIGHT - LEFT, 3.0);
    for hole in &story.holes {
        let (x, right) = (whole.x(hole.from_ms), whole.x(hole.to_ms));
        if right - x >= 0.3 {
            canvas.svg.rect("paper", x, y, right - x, 3.0);
        }
    }
    for fault in &timeline.faults {
        let x = whole.x(fault.t_ms);
        let flag = [(x, top - 1.0), (x - 4.0, top - 8.0), (x + 4.0, top - 8.0)];
        canvas.svg.path("flag", &flag, true);
    }
    canvas.name("whole run", top + 8.0);
    let length = format!("{:.1} s", whole.span_ms() / 1000.0);
    canvas
        .svg
        .text("soft", Anchor::End, LEFT - 12.0, top + 21.0, &length);
    let under = bottom + 4.0;
    let funnel = under + 16.0;
    canvas.svg.path(
        "focusline",
        &[(from, top - 4.0), (from, under), (LEFT, funnel)],
        false,
    );
    canvas.svg.path(
        "focusline",
        &[(to, top - 4.0), (to, under), (RIGHT, funnel)],
        false,
    );
    canvas.y = funnel + 4.0;
}

/// Red flags with their words.
pub(super) fn faults(canvas: &mut Canvas, timeline: &Timeline, scale: &Scale) {
    let shown: Vec<_> = timeline
        .faults
        .iter()
        .filter(|fault| scale.shows(fault.t_ms))
        .collect();
    if shown.is_empty() {
        canvas.y += 6.0;
        return;
    }
    let texts: Vec<String> = shown
        .iter()
        .map(|fault| fit(&fault.text, 12.0, 330.0))
        .collect();
    let wishes: Vec<Wish> = shown
        .iter()
        .zip(&texts)
        .map(|(fault, text)| {
            let width = text_width(text, 12.0) + 16.0;
            Wish {
                middle: scale.x(fault.t_ms) + width / 2.0 - 1.0,
                width,
            }
        })
        .collect();
    let places = labels::pack(&wishes, LEFT, RIGHT, ROWS_MAX);
    let used = labels::rows(&places);
    let mute = usize::from(places.iter().any(Option::is_none));
    let top = canvas.y + 4.0;
    for ((fault, text), place) in shown.iter().zip(&texts).zip(&places) {
        let x = scale.x(fault.t_ms);
        // A flag whose words found no room stands in a row of flags; the story has the words.
        let row = place.map_or(used, |place| place.row);
        let y = top + row as f64 * ROW;
        if let Some(Place { left, .. }) = place {
            canvas.on("fault", left + 13.0, y + 12.5, text, 12.0);
        }
        let flag = [(x, y + 3.0), (x + 10.0, y + 8.0), (x, y + 13.0)];
        canvas
            .svg
            .titled(&fault.text, |svg| svg.path("flag", &flag, true));
    }
    canvas.name("faults", top + 12.5);
    canvas.y = top + (used + mute) as f64 * ROW + 6.0;
}

/// One band per segment.
pub(super) fn relays(canvas: &mut Canvas, timeline: &Timeline, scale: &Scale) {
    for track in &timeline.relay {
        let y = canvas.y;
        canvas.name(&track.segment, y + 16.0);
        canvas.svg.rect("lane", LEFT, y, RIGHT - LEFT, BAND);
        for (start, end, now) in story::stretches(&track.states, scale.from_ms, scale.to_ms) {
            let (class, name) = state(now);
            let (x, right) = (scale.x(start), scale.x(end));
            // A contact in flight takes milliseconds: seen, even where it is narrower than a pixel.
            let width = (right - x).max(1.5);
            let title = format!("{}: {name} for {}", track.segment, duration_ms(end - start));
            canvas
                .svg
                .titled(&title, |svg| svg.rect(class, x, y, width, BAND));
            if width > text_width(name, 12.0) + 18.0 {
                canvas.on("band", x + 9.0, y + 16.5, name, 12.0);
            }
        }
        canvas.y += BAND + 6.0;
    }
}

/// A bracket that opens downwards.
pub(super) fn bracket(from: f64, to: f64, y: f64) -> [(f64, f64); 4] {
    [(from, y + 7.0), (from, y), (to, y), (to, y + 7.0)]
}

/// What was asserted, as brackets.
pub(super) fn bounds(canvas: &mut Canvas, timeline: &Timeline, scale: &Scale) {
    let shown: Vec<_> = timeline
        .bounds
        .iter()
        .filter(|bound| bound.to_ms >= scale.from_ms && bound.from_ms <= scale.to_ms)
        .collect();
    if shown.is_empty() {
        return;
    }
    let texts: Vec<String> = shown
        .iter()
        .map(|bound| {
            let length = duration_ms(bound.to_ms - bound.from_ms);
            fit(&format!("≤ {length}: {}", bound.text), 11.5, 520.0)
        })
        .collect();
    let wishes: Vec<Wish> = shown
        .iter()
        .zip(&texts)
        .map(|(bound, text)| {
            let (from, to) = (scale.x(bound.from_ms), scale.x(bound.to_ms));
            let width = (to - from).max(text_width(text, 11.5) + 14.0);
            Wish {
                middle: from + width / 2.0,
                width,
            }
        })
        .collect();
    let places = labels::pack(&wishes, LEFT, RIGHT, ROWS_MAX);
    let top = canvas.y;
    canvas.name("bound", top + 16.0);
    for ((bound, text), place) in shown.iter().zip(&texts).zip(&places) {
        let Some(Place { left, row }) = place else {
            continue;
        };
        let y = top + *row as f64 * BOUND + 3.0;
        let (from, to) = (scale.x(bound.from_ms), scale.x(bound.to_ms));
        canvas.svg.path("bound", &bracket(from, to, y), false);
        let x = left.max(from.min(RIGHT - text_width(text, 11.5) - 8.0)) + 7.0;
        canvas.on("boundtext", x, y + 17.0, text, 11.5);
    }
    canvas.y = top + labels::rows(&places) as f64 * BOUND + 4.0;
}

/// Both directions as lines, broken where nothing came; each hole with its length.
pub(super) fn traffic(canvas: &mut Canvas, timeline: &Timeline, story: &Story, scale: &Scale) {
    let top = canvas.y;
    let height = 2.0 * LINE + 14.0;
    canvas.name("traffic", top + 15.0);
    canvas.svg.rect("lane", LEFT, top, RIGHT - LEFT, height);
    for hole in &story.holes {
        shade(canvas, hole, scale, top, height);
    }
    for (index, way) in [Way::AToB, Way::BToA].into_iter().enumerate() {
        let y = top + 5.0 + index as f64 * (LINE + 4.0);
        let mut gaps: Vec<(f64, f64)> = timeline
            .gaps
            .iter()
            .filter(|gap| gap.direction == way)
            .map(|gap| (gap.from_ms, gap.to_ms))
            .collect();
        gaps.sort_by(|a, b| a.0.total_cmp(&b.0));
        let parts = story::passing(&timeline.paths, &gaps, scale.from_ms, scale.to_ms);
        for (start, end, path) in parts {
            let class = match path {
                Some(Path::Host) => "host",
                Some(Path::Bypass) => "around",
                None => "some",
            };
            let (x, right) = (scale.x(start), scale.x(end));
            canvas.svg.rect(class, x, y, right - x, LINE);
        }
    }
    canvas.y = top + height + 2.0;
    lengths(canvas, story, scale);
    canvas.y += 6.0;
}

fn shade(canvas: &mut Canvas, hole: &Hole, scale: &Scale, y: f64, height: f64) {
    if hole.to_ms < scale.from_ms || hole.from_ms > scale.to_ms {
        return;
    }
    let [from, turn, to] = [hole.from_ms, hole.ours_until_ms, hole.to_ms].map(|t| scale.x(t));
    let (length, parts) = hole_words(hole);
    canvas.svg.titled(&format!("{length}: {parts}"), |svg| {
        svg.rect(
            "ours",
            from,
            y,
            (turn - from).max(if hole.relink_ms() > 0.0 { 0.0 } else { 1.0 }),
            height,
        );
        svg.rect("relink", turn, y, to - turn, height);
    });
}

/// A hole in words: its length, and what it is made of.
fn hole_words(hole: &Hole) -> (String, String) {
    let length = format!("gap {}", duration_ms(hole.length_ms()));
    let parts = if hole.relink_ms() < 0.05 {
        "all ours".to_owned()
    } else {
        format!(
            "ours {} + relink {}",
            duration_ms(hole.ours_ms()),
            duration_ms(hole.relink_ms())
        )
    };
    (length, parts)
}

/// Lengths of the longest holes, under the lane, each with a dimension line.
fn lengths(canvas: &mut Canvas, story: &Story, scale: &Scale) {
    let least = (scale.span_ms() * 0.003).max(4.0);
    let mut shown: Vec<&Hole> = story
        .holes
        .iter()
        .filter(|hole| hole.length_ms() >= least)
        .filter(|hole| hole.to_ms >= scale.from_ms && hole.from_ms <= scale.to_ms)
        .collect();
    shown.sort_by(|a, b| b.length_ms().total_cmp(&a.length_ms()));
    shown.truncate(HOLES_MAX);
    shown.sort_by(|a, b| a.from_ms.total_cmp(&b.from_ms));
    if shown.is_empty() {
        return;
    }
    let texts: Vec<(String, String)> = shown.iter().map(|hole| hole_words(hole)).collect();
    let wishes: Vec<Wish> = shown
        .iter()
        .zip(&texts)
        .map(|(hole, text)| Wish {
            middle: (scale.x(hole.from_ms) + scale.x(hole.to_ms)) / 2.0,
            width: text_width(&text.0, 12.0).max(text_width(&text.1, 11.0)) + 8.0,
        })
        .collect();
    let places = labels::pack(&wishes, LEFT, RIGHT, ROWS_MAX);
    let top = canvas.y;
    for hole in &shown {
        let (from, to) = (scale.x(hole.from_ms), scale.x(hole.to_ms));
        canvas
            .svg
            .line("dim", (from, top + 3.0), (to.max(from + 1.0), top + 3.0));
        for x in [from, to] {
            canvas.svg.line("dim", (x, top), (x, top + 6.0));
        }
    }
    for (((length, parts), wish), place) in texts.iter().zip(&wishes).zip(&places) {
        if let Some(Place { left, row }) = place {
            let y = top + 18.0 + *row as f64 * (ROW + 13.0);
            let middle = left + wish.width / 2.0;
            let start = |text: &str, size: f64| middle - text_width(text, size) / 2.0;
            canvas.on("holetext", start(length, 12.0), y, length, 12.0);
            canvas.on("soft", start(parts, 11.0), y + 14.0, parts, 11.0);
        }
    }
    canvas.y = top + 8.0 + labels::rows(&places) as f64 * (ROW + 13.0);
}

/// Events of one voice, numbered; the story has their words.
pub(super) fn ticks(canvas: &mut Canvas, story: &Story, voice: Voice, scale: &Scale) {
    let shown: Vec<&Told> = story
        .told
        .iter()
        .filter(|line| line.voice == voice && scale.shows(line.t_ms))
        .collect();
    if shown.is_empty() {
        return;
    }
    let marks: Vec<f64> = shown.iter().map(|line| scale.x(line.t_ms)).collect();
    let words = |first: usize, last: usize| match last - first {
        0 => shown[first].mark(),
        _ => format!("{}–{}", shown[first].mark(), shown[last].number),
    };
    let groups = labels::group(&marks, |first, last| text_width(&words(first, last), 10.5));
    let top = canvas.y;
    let base = top + 20.0;
    canvas.name(voice.name(), top + 19.0);
    canvas.svg.line("base", (LEFT, base), (RIGHT, base));
    for (line, x) in shown.iter().zip(&marks) {
        let title = format!("{} {}", moment_s(line.t_ms - story.zero_ms), line.text);
        let class = voice.name();
        canvas.svg.titled(&title, |svg| match voice {
            Voice::Controller => {
                let tip = [
                    (*x, base - 5.0),
                    (x + 4.0, base),
                    (*x, base + 5.0),
                    (x - 4.0, base),
                ];
                svg.path(class, &tip, true);
            }
            Voice::Agent | Voice::Fault => svg.rect(class, x - 1.2, base - 6.0, 2.4, 12.0),
            Voice::Machine => svg.rect(class, x - 3.5, base - 3.5, 7.0, 7.0),
        });
    }
    for group in groups {
        let text = words(group.first, group.last);
        let half = text_width(&text, 10.5) / 2.0;
        let x = group.middle.clamp(LEFT + half, RIGHT - half);
        canvas.on("number", x - half, top + 10.0, &text, 10.5);
    }
    canvas.y = top + 30.0;
}

/// Round moments, behind everything, and their numbers below.
pub(super) fn grid(canvas: &mut Canvas, story: &Story, scale: &Scale, top: f64, bottom: f64) {
    let (step, marks) = scale.marks(story.zero_ms);
    for mark in marks {
        let x = scale.x(mark);
        canvas.svg.line("grid", (x, top), (x, bottom));
        let text = axis_s(mark - story.zero_ms, step);
        let half = text_width(&text, 11.0) / 2.0;
        let x = x.clamp(LEFT - 6.0 + half, RIGHT + 8.0 - half);
        canvas
            .svg
            .text("axis", Anchor::Middle, x, bottom + 14.0, &text);
    }
    let unit = if story.zero_is_fault {
        "s after the fault"
    } else {
        "s"
    };
    canvas
        .svg
        .text("axis", Anchor::End, LEFT - 12.0, bottom + 14.0, unit);
}

/// Where each fault came, through all lanes.
pub(super) fn poles(
    canvas: &mut Canvas,
    timeline: &Timeline,
    scale: &Scale,
    top: f64,
    bottom: f64,
) {
    for fault in timeline.faults.iter().filter(|it| scale.shows(it.t_ms)) {
        let x = scale.x(fault.t_ms);
        canvas.svg.line("pole", (x, top + 8.0), (x, bottom));
    }
}

/// One line of the story, broken into `words`, at a place.
pub(super) fn told(svg: &mut Svg, line: &Told, words: &[String], zero_ms: f64, x: f64, y: f64) {
    svg.text(line.voice.name(), Anchor::End, x + 24.0, y, &line.mark());
    let moment = moment_s(line.t_ms - zero_ms);
    svg.text("soft", Anchor::End, x + 78.0, y, &moment);
    let class = if line.voice == Voice::Fault {
        "fault"
    } else {
        "words"
    };
    for (row, text) in words.iter().enumerate() {
        svg.text(
            class,
            Anchor::Start,
            x + STORY_INDENT,
            y + row as f64 * STORY_ROW,
            text,
        );
    }
}
