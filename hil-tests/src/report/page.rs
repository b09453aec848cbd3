//! The page: figures, what failed, the matrix of scenarios and boards, what was skipped and why, then every timeline.
//!
//! Failures are open, the rest folds out. Whoever reads only the first screen knows whether to read on.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use crate::outcome::{Outcome, Report, Totals, Verdict};

use super::scale::{duration_ms, moment_s};
use super::story::{self, Story};
use super::svg::escape;
use super::{picture, style};

/// Up to this many timelines, all are open.
const OPEN_MAX: usize = 3;

/// The whole page.
pub(super) fn render(reports: &[Report], unreadable: &[(PathBuf, String)]) -> String {
    let mut page = String::with_capacity(1 << 20);
    let mut totals = Totals::default();
    for report in reports {
        totals.count(report.outcome.result);
    }
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>Fencepost rig: {totals}</title><style>{}{}{}</style></head><body>\
         <svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\">{}</svg><main>",
        style::COLOURS,
        style::PAGE,
        style::PICTURE,
        style::PATTERNS
    );
    head(&mut page, reports, &totals);
    failures(&mut page, reports, unreadable);
    matrix(&mut page, reports);
    skips(&mut page, reports);
    timelines(&mut page, reports);
    page.push_str("<footer>Times are the rig's own. The relay is the true contacts of the board model, the traffic numbered frames seen on the wire; \
        neither is the agent's word. Made by <code>hil report</code>.</footer></main></body></html>\n");
    page
}

fn head(page: &mut String, reports: &[Report], totals: &Totals) {
    let boards = boards(reports).len();
    let scenarios = scenarios(reports).len();
    let seconds: f64 = reports.iter().map(|report| report.outcome.seconds).sum();
    let started = reports.iter().map(|report| report.outcome.started).min();
    page.push_str("<h1>Fencepost on the rig</h1><p class=\"soft\">");
    let _ = write!(page, "{scenarios} scenarios on {boards} boards");
    if let Some(started) = started.filter(|started| *started > 0) {
        let _ = write!(page, ", begun {}", utc(started));
    }
    let _ = write!(
        page,
        ", {:.0} minutes of rig time</p>",
        (seconds / 60.0).ceil()
    );
    page.push_str("<ul class=\"figures\">");
    let worst = reports.iter().filter_map(|report| report.outcome.gap_ms);
    let worst = worst.max_by(f64::total_cmp);
    let leaks: u64 = reports
        .iter()
        .map(|report| report.outcome.leak_frames)
        .sum();
    let mut figure = |value: String, what: &str| {
        let _ = write!(page, "<li><b>{value}</b>{what}</li>");
    };
    figure(totals.passed.to_string(), "passed");
    figure(totals.failed.to_string(), "failed");
    figure(totals.skipped.to_string(), "skipped");
    figure(leaks.to_string(), "frames leaked");
    if let Some(worst) = worst {
        figure(duration_ms(worst), "longest gap, relink included");
    }
    page.push_str("</ul>");
}

fn failures(page: &mut String, reports: &[Report], unreadable: &[(PathBuf, String)]) {
    let failed: Vec<&Outcome> = outcomes(reports, Verdict::Fail).collect();
    if failed.is_empty() && unreadable.is_empty() {
        return;
    }
    page.push_str("<h2>Failed</h2><div class=\"wide\"><table class=\"reasons\">");
    for outcome in failed {
        let _ = write!(
            page,
            "<tr><td><a href=\"#{}\"><b>{}</b></a></td><td>{}</td><td>{}</td></tr>",
            id(outcome),
            escape(&outcome.scenario),
            escape(&outcome.board),
            escape(&outcome.reason)
        );
    }
    for (file, reason) in unreadable {
        let _ = write!(
            page,
            "<tr><td><b>no result</b></td><td>{}</td><td>{}</td></tr>",
            escape(&file.display().to_string()),
            escape(reason)
        );
    }
    page.push_str("</table></div>");
}

fn matrix(page: &mut String, reports: &[Report]) {
    let boards = boards(reports);
    let cells: BTreeMap<(&str, &str), &Outcome> = reports
        .iter()
        .map(|report| &report.outcome)
        .map(|outcome| ((outcome.scenario.as_str(), outcome.board.as_str()), outcome))
        .collect();
    page.push_str("<h2>Every scenario on every board</h2><div class=\"wide\"><table class=\"matrix\"><thead><tr><th>scenario</th>");
    for board in &boards {
        let _ = write!(page, "<th>{}</th>", breakable(board));
    }
    page.push_str("</tr></thead><tbody>");
    for scenario in scenarios(reports) {
        let _ = write!(page, "<tr><th>{}</th>", escape(scenario));
        for board in &boards {
            match cells.get(&(scenario, *board)) {
                Some(outcome) => cell(page, outcome),
                None => page.push_str("<td><span class=\"cell none\">not run</span></td>"),
            }
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></div>");
    page.push_str("<p class=\"soft\">Under each result: from the stimulus to the contacts at rest, or the longest gap where no relay moves. \
        Rest the pointer on a result for its reason; follow it to its timeline.</p>");
}

fn cell(page: &mut String, outcome: &Outcome) {
    let (class, mark, word) = match outcome.result {
        Verdict::Pass => ("pass", "✓", "pass"),
        Verdict::Fail => ("fail", "✗", "fail"),
        Verdict::Skipped => ("skipped", "–", "skipped"),
    };
    let title = escape(&outcome.reason);
    let small = match (outcome.relay_ms, outcome.gap_ms) {
        (Some(relay), _) => format!("<small>relay {}</small>", duration_ms(relay)),
        (None, Some(gap)) => format!("<small>gap {}</small>", duration_ms(gap)),
        (None, None) => String::new(),
    };
    let target = match outcome.result {
        Verdict::Skipped => "skipped".to_owned(),
        Verdict::Pass | Verdict::Fail => id(outcome),
    };
    let _ = write!(
        page,
        "<td><a class=\"cell {class}\" href=\"#{target}\" title=\"{title}\">{mark} {word}{small}</a></td>"
    );
}

/// One line for each reason, with everything it concerns.
fn skips(page: &mut String, reports: &[Report]) {
    let mut reasons: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for outcome in outcomes(reports, Verdict::Skipped) {
        let key = (outcome.reason.as_str(), outcome.scenario.as_str());
        reasons.entry(key).or_default().push(&outcome.board);
    }
    if reasons.is_empty() {
        return;
    }
    page.push_str(
        "<h2 id=\"skipped\">Skipped, and why</h2><div class=\"wide\"><table class=\"reasons\">",
    );
    for ((reason, scenario), boards) in reasons {
        let _ = write!(
            page,
            "<tr><td><b>{}</b></td><td>{}</td><td>{}</td></tr>",
            escape(scenario),
            escape(&boards.join(", ")),
            escape(reason)
        );
    }
    page.push_str("</table></div>");
}

fn timelines(page: &mut String, reports: &[Report]) {
    let drawn: Vec<&Report> = reports
        .iter()
        .filter(|report| report.outcome.result != Verdict::Skipped)
        .collect();
    if drawn.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "<h2>Timelines</h2><div class=\"key\">{}</div>",
        picture::key_alone()
    );
    for scenario in scenarios(reports) {
        let mut of_it = drawn
            .iter()
            .filter(|report| report.outcome.scenario == scenario)
            .peekable();
        if of_it.peek().is_none() {
            continue;
        }
        let _ = write!(page, "<h3>{}</h3>", escape(scenario));
        for report in of_it {
            timeline(page, report, drawn.len() <= OPEN_MAX);
        }
    }
}

fn timeline(page: &mut String, report: &Report, open: bool) {
    let outcome = &report.outcome;
    let failed = outcome.result == Verdict::Fail;
    let open = if open || failed { " open" } else { "" };
    let (class, mark) = match outcome.result {
        Verdict::Pass => ("p", "✓ pass"),
        Verdict::Fail => ("f", "✗ fail"),
        Verdict::Skipped => ("s", "– skip"),
    };
    let figures = picture::figures(report).join(" · ");
    let _ = write!(
        page,
        "<details{open}><summary><span class=\"badge {class}\">{mark}</span><b>{}</b> <span class=\"soft\">{}</span></summary><div id=\"{}\"><p>{}</p>",
        escape(&outcome.board),
        escape(&figures),
        id(outcome),
        escape(&outcome.reason)
    );
    let story = story::read(&report.timeline);
    page.push_str(&picture::inline(report, &story));
    told(page, &story);
    if !report.timeline.log.is_empty() {
        let _ = write!(
            page,
            "<details><summary>The machine's last words</summary><div><pre>{}</pre></div></details>",
            escape(&report.timeline.log)
        );
    }
    page.push_str("</div></details>");
}

fn told(page: &mut String, story: &Story) {
    page.push_str("<ol class=\"story\">");
    for line in &story.told {
        let _ = write!(
            page,
            "<li class=\"{}\"><span class=\"n\">{}</span><span class=\"t\">{}</span><span class=\"x\">{}</span></li>",
            line.voice.name(),
            line.mark(),
            moment_s(line.t_ms - story.zero_ms),
            escape(&line.text)
        );
    }
    page.push_str("</ol>");
}

fn outcomes(reports: &[Report], verdict: Verdict) -> impl Iterator<Item = &Outcome> {
    reports
        .iter()
        .map(|report| &report.outcome)
        .filter(move |outcome| outcome.result == verdict)
}

/// In the order of their files, which is alphabetical; the reference board first.
fn boards(reports: &[Report]) -> Vec<&str> {
    let mut boards: Vec<&str> = reports
        .iter()
        .map(|report| report.outcome.board.as_str())
        .collect();
    boards.sort_by_key(|board| (*board != "reference", *board));
    boards.dedup();
    boards
}

/// In the order they first began: the runner's.
fn scenarios(reports: &[Report]) -> Vec<&str> {
    let mut first: BTreeMap<&str, u64> = BTreeMap::new();
    for report in reports {
        let started = report.outcome.started;
        let entry = first
            .entry(report.outcome.scenario.as_str())
            .or_insert(started);
        *entry = started.min(*entry);
    }
    let mut scenarios: Vec<(&str, u64)> = first.into_iter().collect();
    scenarios.sort_by_key(|(name, started)| (*started, *name));
    scenarios.into_iter().map(|(name, _)| name).collect()
}

/// Where a link finds it.
fn id(outcome: &Outcome) -> String {
    let plain = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect()
    };
    format!("{}--{}", plain(&outcome.scenario), plain(&outcome.board))
}

/// A board's name, which may be broken where it has joints.
fn breakable(board: &str) -> String {
    escape(board).replace('-', "-<wbr>").replace('/', "/<wbr>")
}

/// `2026-03-01 14:05 UTC`, by the civil calendar.
fn utc(seconds: u64) -> String {
    let days = i64::try_from(seconds / 86_400).unwrap_or(0);
    let minutes = seconds % 86_400 / 60;
    // Days to a date, counted in eras of 400 years that begin in March (proleptic Gregorian calendar).
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year}-{month:02}-{day:02} {:02}:{:02} UTC",
        minutes / 60,
        minutes % 60
    )
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn dates_are_right() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(utc(1_767_225_599), "2025-12-31 23:59 UTC");
    }
}
