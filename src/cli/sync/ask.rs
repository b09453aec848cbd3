//! Asking the sync service to do something, and showing what comes of it.

use std::io::{IsTerminal, Write};
use std::path::Path;

use fencepost_sync::category_id::CategoryId;
use fencepost_sync::client::Client;
use fencepost_sync::control::{Answer, Report, Request};
use fencepost_sync::diff::Difference;
use fencepost_sync::session::State;

use super::status;
use crate::cli::exit::{Exit, Failure};

/// Back to the start of the line, and clear it.
const REWRITE: &str = "\r\x1b[K";

/// Ask for what is told step by step, and end as it ends.
pub(super) fn progress(socket: &Path, request: Request) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    let mut shown = false;
    let asked = Client::connect(socket)?.ask(request, |answer| match answer {
        Answer::Progress(report) => shown |= show(&report),
        Answer::Status(report) => {
            clear(&mut shown);
            if !report
                .categories
                .iter()
                .all(|one| matches!(one.state, State::InSync { .. }))
            {
                exit = Exit::Failed;
            }
            print!("{}", status::render(&report));
        }
        Answer::Done(done) => {
            clear(&mut shown);
            println!("{done}");
        }
        Answer::Differences { .. } | Answer::History(_) | Answer::Ran { .. } => {}
    });
    clear(&mut shown);
    asked?;
    Ok(exit)
}

/// On a terminal, one line that is written anew.
fn show(report: &Report) -> bool {
    let mut out = std::io::stderr().lock();
    if !out.is_terminal() {
        return false;
    }
    let all = report.categories.len();
    let done = report
        .categories
        .iter()
        .filter(|one| matches!(one.state, State::InSync { .. }));
    let left: u64 = report
        .categories
        .iter()
        .map(|one| match one.state {
            State::Syncing { bytes_left, .. } => bytes_left,
            _ => 0,
        })
        .sum();
    let done = done.count();
    let bar: String = (0..20)
        .map(|at| if at * all < done * 20 { '#' } else { '.' })
        .collect();
    // What cannot be shown is not worth ending for.
    let _unseen = write!(
        out,
        "{REWRITE}[{bar}] {done} of {all} in sync, {} to go",
        status::size(left)
    );
    let _unseen = out.flush();
    true
}

fn clear(shown: &mut bool) {
    if std::mem::take(shown) {
        eprint!("{REWRITE}");
    }
}

/// Show what differs.
pub(super) fn differences(
    socket: &Path,
    category: Option<CategoryId>,
    full: bool,
) -> Result<Exit, Failure> {
    let mut differ = 0;
    let mut shown = false;
    let request = Request::Diff { category, full };
    let asked = Client::connect(socket)?.ask(request, |answer| match answer {
        Answer::Progress(report) => shown |= show(&report),
        Answer::Differences {
            category,
            differences,
            count,
            ..
        } => {
            clear(&mut shown);
            differ += count;
            for item in &differences {
                println!("{category}  {:<8}  {}", word(item.difference), item.path);
            }
            if count > differences.len() {
                println!("{category}  and {} more", count - differences.len());
            }
        }
        _ => {}
    });
    clear(&mut shown);
    asked?;
    if differ == 0 {
        println!("nothing differs");
        return Ok(Exit::Done);
    }
    Ok(Exit::Failed)
}

const fn word(difference: Difference) -> &'static str {
    match difference {
        Difference::Added => "added",
        Difference::Removed => "removed",
        Difference::Kind => "kind",
        Difference::Content => "content",
        Difference::Metadata => "metadata",
        Difference::Time => "time",
    }
}

/// List generations, newest first.
pub(super) fn history(socket: &Path, category: CategoryId) -> Result<Exit, Failure> {
    let request = Request::History { category };
    Client::connect(socket)?.ask(request, |answer| {
        if let Answer::History(generations) = answer {
            println!("GENERATION  EPOCH  PATHS  COMMITTED (UNIX TIME)  ROOT");
            for one in generations {
                let root: String = one.root.chars().take(12).collect();
                println!(
                    "{:>10}  {:>5}  {:>5}  {:>21}  {root}",
                    one.number, one.epoch, one.changes, one.at
                );
            }
        }
    })?;
    Ok(Exit::Done)
}
