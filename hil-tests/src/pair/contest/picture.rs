//! One picture: for each fault, how long nobody answered and for how long two did, system by system. Logarithmic: a blink and a
//! minute must both be seen. Pure.

use std::fmt::Write as _;

use super::{Cell, FAULTS, System, Table};
use crate::measure::numbers::Samples;

const WIDTH: f64 = 980.0;
const LEFT: f64 = 210.0;
const RIGHT: f64 = 930.0;
const ROW: f64 = 22.0;
const HEAD: f64 = 96.0;
const TITLE: f64 = 34.0;
/// The axis begins here, milliseconds: less cannot be measured.
const LEAST_MS: f64 = 1.0;
const MOST_MS: f64 = 10_000.0;

/// The picture as SVG that stands alone.
pub fn draw(table: &Table) -> String {
    let rows: usize = table.cells.len();
    #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
    let height = HEAD + rows as f64 * ROW + FAULTS.len() as f64 * TITLE + 24.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"20\" y=\"30\" font-size=\"18\" font-weight=\"600\" fill=\"#1a1a1a\">Outage per fault: Fencepost and keepalived on the same bed</text>\n\
         <text x=\"20\" y=\"50\" fill=\"#555\">median of {} runs, a line to the worst; milliseconds, logarithmic</text>\n",
        table.rounds
    );
    legend(&mut text);
    let mut y = HEAD;
    for fault in FAULTS {
        // Writing to a string does not fail.
        let _infallible = writeln!(
            text,
            "<text x=\"20\" y=\"{:.0}\" font-weight=\"600\" fill=\"#1a1a1a\">{fault}</text>",
            y + 20.0
        );
        y += TITLE - 6.0;
        let cells: Vec<&Cell> = table
            .cells
            .iter()
            .filter(|cell| cell.fault == fault)
            .collect();
        grid(&mut text, y, cells.len());
        for cell in cells {
            row(&mut text, y, cell);
            y += ROW;
        }
        y += 6.0;
    }
    text.push_str("</svg>\n");
    text
}

fn legend(text: &mut String) {
    let entries = [
        (20.0, OURS, "nobody answers, Fencepost"),
        (230.0, THEIRS, "nobody answers, keepalived"),
        (450.0, BOTH, "two nodes answer at once"),
    ];
    for (x, colour, what) in entries {
        let _infallible = writeln!(
            text,
            "<rect x=\"{x}\" y=\"64\" width=\"14\" height=\"12\" rx=\"2\" fill=\"{colour}\"/><text x=\"{}\" y=\"75\" fill=\"#333\">{what}</text>",
            x + 20.0
        );
    }
}

const OURS: &str = "#1f6f8b";
const THEIRS: &str = "#9aa5ad";
const BOTH: &str = "#c0392b";

fn at(ms: f64) -> f64 {
    let share = (ms.clamp(LEAST_MS, MOST_MS) / LEAST_MS).log10() / (MOST_MS / LEAST_MS).log10();
    LEFT + share * (RIGHT - LEFT)
}

fn grid(text: &mut String, top: f64, rows: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
    let bottom = top + rows as f64 * ROW;
    for (ms, name) in [
        (1.0, "1"),
        (10.0, "10"),
        (100.0, "100"),
        (1_000.0, "1 s"),
        (10_000.0, "10 s"),
    ] {
        let x = at(ms);
        let _infallible = writeln!(
            text,
            "<line x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"#e3e6e8\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"10\" text-anchor=\"middle\" fill=\"#888\">{name}</text>",
            top - 3.0
        );
    }
}

fn row(text: &mut String, y: f64, cell: &Cell) {
    let ours = matches!(cell.system, System::Fencepost(_));
    let colour = if ours { OURS } else { THEIRS };
    let _infallible = writeln!(
        text,
        "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#333\">{}</text>",
        LEFT - 10.0,
        y + 14.0,
        cell.system
    );
    bar(text, y + 3.0, &cell.outage_ms, colour);
    bar(text, y + 11.0, &cell.dual_ms, BOTH);
    if !cell.failed.is_empty() {
        let _infallible = writeln!(
            text,
            "<text x=\"{RIGHT}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"11\" fill=\"{BOTH}\">{} runs failed</text>",
            y + 14.0,
            cell.failed.len()
        );
    }
}

/// Nothing at all is drawn as nothing.
fn bar(text: &mut String, y: f64, samples: &Samples, colour: &str) {
    let (Some(median), Some(worst)) = (samples.median(), samples.worst()) else {
        return;
    };
    if worst < LEAST_MS {
        return;
    }
    let (to, line) = (at(median), at(worst));
    let _infallible = writeln!(
        text,
        "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"7\" rx=\"1.5\" fill=\"{colour}\"/>\
         <line x1=\"{to:.1}\" y1=\"{mid:.1}\" x2=\"{line:.1}\" y2=\"{mid:.1}\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"9.5\" fill=\"{colour}\">{median:.0}</text>",
        to - LEFT,
        line + 4.0,
        y + 7.0,
        mid = y + 3.5
    );
}

#[cfg(test)]
mod tests {
    use super::super::{FAULTS, SYSTEMS};
    use super::*;

    #[test]
    fn every_system_has_a_row_and_nothing_is_drawn_as_nothing() {
        let mut cells = Vec::new();
        for fault in FAULTS {
            cells.extend(SYSTEMS.map(|system| Cell {
                system,
                fault,
                outage_ms: Samples { ms: vec![5.0, 9.0] },
                dual_ms: Samples { ms: vec![0.0, 0.0] },
                rig_gap_ms: Samples { ms: vec![1.0] },
                failed: Vec::new(),
            }));
        }
        let picture = draw(&Table { rounds: 2, cells });
        assert_eq!(picture.matches("fencepost fast").count(), FAULTS.len());
        let bars = picture.matches("height=\"7\"").count();
        assert_eq!(bars, FAULTS.len() * SYSTEMS.len(), "outages only");
    }

    #[test]
    fn the_axis_is_logarithmic_and_ends() {
        assert!((at(1.0) - LEFT).abs() < 1e-9);
        assert!((at(1e9) - RIGHT).abs() < 1e-9);
        let step = at(10.0) - at(1.0);
        assert!((at(100.0) - at(10.0) - step).abs() < 1e-9);
    }
}
