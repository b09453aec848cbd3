//! `fencepost sync status`: how far the backup is like this node, for people and programs.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use fencepost_sync::client::Client;
use fencepost_sync::control::{Answer, Report, Request};
use fencepost_sync::session::{CategoryStatus, Standing, State};

use super::nagios;
use crate::cli::exit::{Exit, Failure};
use crate::cli::sentence::span;

/// Show how far the backup is like this node
///
/// Exit code 0 means that the service answered, whatever it said; monitoring uses --nagios.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One JSON object (docs/interfaces.md)
    #[arg(long, conflicts_with = "nagios")]
    json: bool,
    /// One line and the exit code of a Nagios plugin: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN
    #[arg(long)]
    nagios: bool,
}

pub(super) fn run(socket: &Path, options: &Options) -> Result<Exit, Failure> {
    if options.nagios {
        return Ok(nagios::run(fetch(socket)));
    }
    let report = fetch(socket)?;
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", render(&report));
    }
    Ok(Exit::Done)
}

fn fetch(socket: &Path) -> Result<Report, Failure> {
    let mut report = None;
    Client::connect(socket)?.ask(Request::Status, |answer| {
        if let Answer::Status(status) = answer {
            report = Some(status);
        }
    })?;
    report.ok_or_else(|| Failure::failed("the sync service told no status"))
}

/// For people.
pub(super) fn render(report: &Report) -> String {
    let standing = match report.standing {
        Standing::Active { epoch } => format!("Active, epoch {}", epoch.0),
        Standing::Backup { epoch } => format!("Backup, epoch {}", epoch.0),
        Standing::Unknown => "role unknown: nothing is sent or taken".to_owned(),
    };
    let peer = match (&report.peer, &report.trouble) {
        (Some(peer), _) => format!("connected with {peer}"),
        (None, Some(why)) => format!("not connected: {why}"),
        (None, None) => "not connected".to_owned(),
    };
    let mut text = format!("SYNC  {standing}; {peer}\n");
    let width = report
        .categories
        .iter()
        .map(|one| one.id.as_str().len())
        .max()
        .unwrap_or(0);
    for one in &report.categories {
        // Writing to a string does not fail.
        let _infallible = writeln!(
            text,
            "{:<width$}  {}  ({} entries, {}{})",
            one.id.as_str(),
            sentence(one),
            one.entries,
            size(one.bytes),
            one.generation
                .map_or_else(String::new, |number| format!(", generation {number}")),
        );
    }
    for note in &report.notes {
        let _infallible = writeln!(text, "note: {note}");
    }
    text
}

pub(super) fn sentence(one: &CategoryStatus) -> String {
    let ms = |ms: u64| span(Duration::from_millis(ms));
    match &one.state {
        State::InSync { verified_ms_ago } => {
            format!("in sync, verified {} ago", ms(*verified_ms_ago))
        }
        State::Syncing { lag_ms, bytes_left } => {
            format!(
                "syncing, {} behind, {} to go",
                ms(*lag_ms),
                size(*bytes_left)
            )
        }
        State::OutOfSync { details, .. } => format!("OUT OF SYNC: {details}"),
        State::Unknown { for_ms } => format!("unknown for {}", ms(*for_ms)),
    }
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut whole, mut tenths, mut unit) = (bytes / 1024, bytes % 1024 * 10 / 1024, 0);
    while whole >= 1024 && unit + 1 < UNITS.len() {
        (tenths, whole) = (whole % 1024 * 10 / 1024, whole / 1024);
        unit += 1;
    }
    format!("{whole}.{tenths} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use fencepost_sync::category_id::CategoryId;
    use fencepost_sync::lineage::Epoch;
    use fencepost_sync::session::Reason;

    use super::*;

    fn status(state: State) -> CategoryStatus {
        let Ok(id) = CategoryId::new("firewall") else {
            panic!("a name");
        };
        CategoryStatus {
            id,
            state,
            entries: 12,
            bytes: 4300,
            generation: Some(17),
            root: None,
        }
    }

    #[test]
    fn people_see_what_is_known() {
        let mut report = Report {
            standing: Standing::Active { epoch: Epoch(7) },
            peer: Some("192.0.2.2:7695".to_owned()),
            categories: vec![
                status(State::InSync {
                    verified_ms_ago: 2000,
                }),
                status(State::OutOfSync {
                    reason: Reason::RejectedByValidation,
                    details: "rejected by validation: line 7".to_owned(),
                }),
            ],
            ..Report::default()
        };
        let text = render(&report);
        assert!(
            text.starts_with("SYNC  Active, epoch 7; connected with 192.0.2.2:7695\n"),
            "{text}"
        );
        assert!(text.contains("firewall  in sync, verified 2"), "{text}");
        assert!(
            text.contains("OUT OF SYNC: rejected by validation: line 7"),
            "{text}"
        );
        assert!(
            text.contains("(12 entries, 4.1 KiB, generation 17)"),
            "{text}"
        );
        report.peer = None;
        report.trouble = Some("refused".to_owned());
        assert!(render(&report).contains("not connected: refused"));
    }

    #[test]
    fn sizes_are_readable() {
        let sizes = [0, 1023, 1024, 1536, 3 << 20, 5 << 30].map(size);
        assert_eq!(
            sizes,
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "3.0 MiB", "5.0 GiB"]
        );
    }
}
