//! The few shapes a picture needs, as SVG text; every word escaped, every number short.
//!
//! Colours and weights come from classes (`style.rs`), so that one picture serves light and dark.

use std::fmt::Write;

/// Shapes in the order they are painted.
#[derive(Default)]
pub(crate) struct Svg {
    body: String,
}

/// Where a text's anchor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Width of a text at `size` pixels, on the safe side for the usual sans-serif faces.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    let wide = |c: char| match c {
        'i' | 'l' | 'j' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | '(' | ')' | '/' => 0.36,
        'm' | 'w' | 'M' | 'W' | '—' | '→' | '⚑' => 0.95,
        c if c.is_ascii_uppercase() => 0.72,
        _ => 0.62,
    };
    text.chars().map(wide).sum::<f64>() * size
}

/// `text`, shortened with an ellipsis until it is no wider than `width`.
pub(crate) fn fit(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        let mut next = kept.clone();
        next.push(c);
        if text_width(&next, size) + 0.62 * size > width {
            break;
        }
        kept = next;
    }
    format!("{}…", kept.trim_end())
}

/// `text` broken between words into lines no wider than `width`; what `lines_max` lines cannot hold ends in an ellipsis.
pub(crate) fn wrap(text: &str, size: f64, width: f64, lines_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines.len() >= lines_max;
        let Some(line) = lines.last_mut() else {
            continue;
        };
        let longer = format!("{line} {word}");
        if line.is_empty() {
            word.clone_into(line);
        } else if full || text_width(&longer, size) <= width {
            *line = longer;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.iter().map(|line| fit(line, size, width)).collect()
}

/// Text safe inside XML and HTML, attributes included. Control characters, which XML forbids, become spaces.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c if c.is_control() && c != '\n' => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

impl Svg {
    pub(crate) fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        let width = width.max(0.0);
        let _ = write!(
            self.body,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        );
    }

    pub(crate) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let _ = write!(
            self.body,
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    pub(crate) fn path(&mut self, class: &str, points: &[(f64, f64)], closed: bool) {
        let mut d = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let verb = if index == 0 { 'M' } else { 'L' };
            let _ = write!(d, "{verb}{x:.1} {y:.1}");
        }
        if closed {
            d.push('Z');
        }
        let _ = write!(self.body, "<path class=\"{class}\" d=\"{d}\"/>");
    }

    pub(crate) fn text(&mut self, class: &str, anchor: Anchor, x: f64, y: f64, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let _ = write!(
            self.body,
            "<text class=\"{class}\"{anchor} x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
            escape(text)
        );
    }

    /// Shapes drawn by `inside` share a text shown when the pointer rests on them.
    pub(crate) fn titled(&mut self, title: &str, inside: impl FnOnce(&mut Self)) {
        let _ = write!(self.body, "<g><title>{}</title>", escape(title));
        inside(self);
        self.body.push_str("</g>");
    }

    /// Paints another's shapes on top.
    pub(crate) fn append(&mut self, other: Self) {
        self.body.push_str(&other.body);
    }

    /// Everything, in its frame.
    pub(crate) fn finish(self, width: f64, height: f64, label: &str, head: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"timeline\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             role=\"img\" aria-label=\"{}\">{head}{}</svg>",
            escape(label),
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_shortened_and_escaped() {
        assert_eq!(fit("short", 12.0, 200.0), "short");
        let cut = fit(
            "a sentence that is much too long for its place",
            12.0,
            100.0,
        );
        assert!(
            cut.ends_with('…') && text_width(&cut, 12.0) <= 100.0,
            "{cut}"
        );
        let lines = wrap("one two three four five", 10.0, 60.0, 3);
        assert!(
            lines.iter().all(|line| text_width(line, 10.0) <= 60.0),
            "{lines:?}"
        );
        assert_eq!(lines.join(" "), "one two three four five");
        assert_eq!(wrap("one two three four five", 10.0, 60.0, 1).len(), 1);
        assert_eq!(escape("<a & \"b\">\u{7}"), "&lt;a &amp; &quot;b&quot;&gt; ");
    }
}
