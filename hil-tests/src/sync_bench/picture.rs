//! One picture: for each case, how long each system took. Logarithmic: a blink and half a minute must both be seen. Pure.

use super::{CASES, Cell, Table};
use crate::report::svg::{Anchor, Svg};

const WIDTH: f64 = 980.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 900.0;
const ROW: f64 = 20.0;
const HEAD: f64 = 92.0;
const TITLE: f64 = 36.0;
/// The axis, milliseconds.
const LEAST_MS: f64 = 1.0;
const MOST_MS: f64 = 30_000.0;
const MARKS: [(f64, &str); 5] = [
    (1.0, "1 ms"),
    (10.0, "10"),
    (100.0, "100"),
    (1_000.0, "1 s"),
    (10_000.0, "10 s"),
];
const STYLE: &str = "<style>
svg.timeline{font-family:system-ui,'DejaVu Sans',sans-serif;font-size:12px;display:block;width:100%;height:auto}
:root{--paper:#fff;--ink:#17202a;--soft:#596673;--rule:#d5dbe1;--ours:#1763b8;--theirs:#9aa5ad;--fault:#c62828}
@media(prefers-color-scheme:dark){:root{--paper:#10151b;--ink:#e8edf2;--soft:#9aa7b4;--rule:#33404d;--ours:#6cb2ff;--theirs:#6c7888;--fault:#ff7b72}}
text{fill:var(--ink)}.paper{fill:var(--paper)}.title{font-size:17px;font-weight:650}.soft{fill:var(--soft);font-size:11px}
.name{font-weight:600}.grid{stroke:var(--rule);stroke-width:1}.ours{fill:var(--ours)}.theirs{fill:var(--theirs)}
.worst{stroke:var(--soft);stroke-width:1.4}.fault{fill:var(--fault)}
</style>";

/// The picture as SVG that stands alone.
pub fn draw(table: &Table) -> String {
    let mut svg = Svg::default();
    let mut body = Svg::default();
    let mut y = HEAD;
    for case in CASES {
        let cells: Vec<&Cell> = table
            .cells
            .iter()
            .filter(|cell| cell.case == case)
            .collect();
        if cells.is_empty() {
            continue;
        }
        body.text("name", Anchor::Start, 20.0, y + 16.0, &case.to_string());
        y += TITLE;
        #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
        let bottom = y + cells.len() as f64 * ROW;
        grid(&mut body, y, bottom);
        for cell in cells {
            row(&mut body, y, cell);
            y += ROW;
        }
        y += 8.0;
    }
    let height = y + 16.0;
    svg.rect("paper", 0.0, 0.0, WIDTH, height);
    let title = "State sync: Fencepost, rsync and lsyncd on the same disk and cable";
    svg.text("title", Anchor::Start, 20.0, 30.0, title);
    let machine = &table.machine;
    let under = format!(
        "Median, a line to the worst; logarithmic. Trees of {} files. {} cores, load average {} to {}.",
        table.files, machine.cores, machine.load[0], machine.load[1]
    );
    svg.text("soft", Anchor::Start, 20.0, 50.0, &under);
    let under = "Fencepost: durable on the Backup, and known to be. The others: seen; durable only with --fsync.";
    svg.text("soft", Anchor::Start, 20.0, 68.0, under);
    svg.append(body);
    svg.finish(WIDTH, height, title, STYLE)
}

fn at(ms: f64) -> f64 {
    let share = (ms.clamp(LEAST_MS, MOST_MS) / LEAST_MS).log10() / (MOST_MS / LEAST_MS).log10();
    LEFT + share * (RIGHT - LEFT)
}

fn grid(svg: &mut Svg, top: f64, bottom: f64) {
    for (ms, name) in MARKS {
        let x = at(ms);
        svg.line("grid", (x, top), (x, bottom));
        svg.text("soft", Anchor::Middle, x, top - 4.0, name);
    }
}

fn row(svg: &mut Svg, y: f64, cell: &Cell) {
    svg.text("", Anchor::End, LEFT - 10.0, y + 14.0, &cell.system);
    let (Some(median), Some(worst)) = (cell.took.median(), cell.took.worst()) else {
        return svg.text("fault", Anchor::Start, LEFT + 4.0, y + 14.0, "failed");
    };
    let class = if cell.system == "fencepost" {
        "ours"
    } else {
        "theirs"
    };
    let (to, line) = (at(median), at(worst));
    svg.rect(class, LEFT, y + 4.0, to - LEFT, 12.0);
    svg.line("worst", (to, y + 10.0), (line, y + 10.0));
    let told = if median < 100.0 {
        format!("{median:.1}")
    } else {
        format!("{median:.0}")
    };
    svg.text("soft", Anchor::Start, line + 5.0, y + 14.0, &told);
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::{Case, Plan};
    use super::*;

    #[test]
    fn every_system_has_a_bar_and_a_failure_is_a_word() {
        let mut table = Table::begin(Plan::QUICK, Path::new("fencepost"));
        for system in ["fencepost", "rsync"] {
            let cell = table.cell(system, Case::Save);
            cell.add(Duration::from_millis(7), 1);
        }
        table.cell("lsyncd, default", Case::Save);
        let picture = draw(&table);
        assert_eq!(picture.matches("class=\"ours\"").count(), 1);
        assert_eq!(picture.matches("class=\"theirs\"").count(), 1);
        assert!(picture.contains(">failed<"));
        assert!(picture.contains(">7.0<"));
    }

    #[test]
    fn the_axis_is_logarithmic_and_ends() {
        assert!((at(1.0) - LEFT).abs() < 1e-9);
        assert!((at(1e9) - RIGHT).abs() < 1e-9);
        let step = at(10.0) - at(1.0);
        assert!((at(100.0) - at(10.0) - step).abs() < 1e-9);
    }
}
