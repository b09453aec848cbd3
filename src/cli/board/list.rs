//! `fencepost board list`: every profile that can be chosen, broken ones too.

use std::io::Write;

use clap::Args;
use fencepost::board::Board;
use fencepost::board::catalogue::{self, Origin};
use serde::Serialize;

use crate::cli::Global;
use crate::cli::exit::{Exit, Failure};
use crate::cli::ink::Ink;
use crate::cli::places;
use crate::cli::table::Table;

/// List the boards that can be named in a configuration
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One JSON object per board and line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    title: &'a str,
    segments: usize,
    confidence: String,
    from: &'a str,
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let mut table = Table::new(&["BOARD", "SEGMENTS", "CONFIDENCE", "FROM", "TITLE"]);
    let mut out = std::io::stdout().lock();
    let mut broken = Vec::new();
    for entry in catalogue::list(&places::board_dirs(global)) {
        let from = match &entry.origin {
            Origin::File(path) => path.display().to_string(),
            Origin::BuiltIn => "built in".to_owned(),
        };
        match &entry.profile {
            Err(error) => broken.push(error.to_string()),
            Ok(profile) => {
                for board in &profile.boards {
                    let listed = listed(board, &from);
                    if options.json {
                        writeln!(out, "{}", serde_json::to_string(&listed)?)?;
                    } else {
                        table.row(row(&listed));
                    }
                }
            }
        }
    }
    if !options.json {
        out.write_all(table.render(Ink::for_stdout()).as_bytes())?;
    }
    if broken.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failure::new(Exit::Configuration, broken.join("\n\n")))
}

fn listed<'a>(board: &'a Board, from: &'a str) -> Listed<'a> {
    Listed {
        id: &board.id,
        title: &board.title,
        segments: board.segments.len(),
        confidence: format!("{:?}", board.confidence).to_lowercase(),
        from,
    }
}

fn row(listed: &Listed<'_>) -> Vec<String> {
    vec![
        listed.id.to_owned(),
        listed.segments.to_string(),
        listed.confidence.clone(),
        listed.from.to_owned(),
        listed.title.to_owned(),
    ]
}
