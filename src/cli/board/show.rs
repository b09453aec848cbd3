//! `fencepost board show`: everything known of one board, and where each fact was read.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::Args;
use fencepost::board::Board;
use fencepost::board::catalogue;
use fencepost::board::controller::RelayState;
use fencepost::board::profile::{
    BoardSegment, DeadManKind, Expiry, Kept, OnRelease, Periods, PortRef, ReadBack, SettingSpec,
};

use crate::cli::Global;
use crate::cli::exit::{Exit, Failure};
use crate::cli::ink::Ink;
use crate::cli::places;
use crate::cli::sentence::span;
use crate::cli::table::Table;

/// Show everything known of one board, and where each fact was read
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// As `fencepost board list` names it
    board: String,
    /// One JSON object: the typed profile
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let board = catalogue::load(&places::board_dirs(global), &options.board)?;
    let mut out = std::io::stdout().lock();
    if options.json {
        writeln!(out, "{}", serde_json::to_string(&board)?)?;
    } else {
        out.write_all(render(&board, Ink::for_stdout())?.as_bytes())?;
    }
    Ok(Exit::Done)
}

fn render(board: &Board, ink: Ink) -> Result<String, Failure> {
    let mut text = format!("{}  {}\n\n", ink.bold(&board.id), board.title);
    let mut segments = Table::new(&[
        "SEGMENT",
        "RUN-TIME",
        "POWER-UP",
        "POWER-OFF",
        "EXPIRY",
        "SETTLES",
        "READ FROM",
        "PORTS",
    ]);
    for segment in &board.segments {
        segments.row(row(segment));
    }
    text.push_str(&segments.render(ink));
    // Writing to a string does not fail.
    let _infallible = write!(
        text,
        "\ndead-man     {}\nwhen the agent's descriptors close, {}\n",
        dead_man(board),
        match board.on_release {
            OnRelease::Holds => "the relays hold",
            OnRelease::FallsToRest => "the relays fall to rest",
        }
    );
    let controller = serde_json::to_string_pretty(&board.controller)?;
    let _infallible = write!(text, "\ncontroller   {controller}\n\n");
    let mut facts = Table::new(&["FACTS OF", "CONFIDENCE", "SOURCE"]);
    for fact in &board.facts {
        let confidence = format!("{:?}", fact.confidence).to_lowercase();
        facts.row(vec![fact.table.clone(), confidence, fact.source.clone()]);
    }
    text.push_str(&facts.render(ink));
    Ok(text)
}

fn row(segment: &BoardSegment) -> Vec<String> {
    let read_from = match segment.read_back {
        ReadBack::Contacts => "contacts",
        ReadBack::Register => "register",
        ReadBack::Drive => "coil drive",
        ReadBack::Nothing => "nothing",
    };
    let ports = segment
        .ports
        .as_ref()
        .map_or("the site's".to_owned(), |ports| {
            let names = ports.iter().map(|port| match port {
                PortRef::Pci(name) | PortRef::Interface(name) => name.as_str(),
            });
            names.collect::<Vec<_>>().join(" ")
        });
    vec![
        segment.name.clone(),
        states(&segment.run_time),
        setting(&segment.power_up),
        setting(&segment.power_off),
        setting(&segment.expiry),
        span(segment.settle),
        read_from.to_owned(),
        ports,
    ]
}

fn setting(spec: &SettingSpec) -> String {
    let possible = states(&spec.possible);
    match spec.kept {
        Kept::Wired if possible.is_empty() => "-".to_owned(),
        Kept::Wired => format!("{possible} (wired)"),
        Kept::Strapped => format!("{possible} (strapped)"),
        Kept::Volatile => format!("{possible} (volatile)"),
        Kept::NonVolatile => format!("{possible} (kept)"),
        Kept::Stays => "stays".to_owned(),
        Kept::Unknown => "unknown".to_owned(),
    }
}

fn states(states: &[RelayState]) -> String {
    states
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("/")
}

fn dead_man(board: &Board) -> String {
    let spec = &board.dead_man;
    let kind = match spec.kind {
        DeadManKind::Deadline => "kicked with a deadline",
        DeadManKind::Kick => "kicked",
        DeadManKind::PulseTrain => "every edge of the wave is a kick",
        DeadManKind::Absent => return "none".to_owned(),
    };
    let periods = match &spec.periods {
        Periods::Range { min, max, step } => {
            format!(
                "{} to {} in steps of {}",
                span(*min),
                span(*max),
                span(*step)
            )
        }
        Periods::List(list) => list
            .iter()
            .map(|it| span(*it))
            .collect::<Vec<_>>()
            .join(", "),
        Periods::Fixed(period) => span(*period),
        Periods::Assumed(period) => format!("assumed {}", span(*period)),
        Periods::None => "no period".to_owned(),
    };
    let expiry = match spec.expiry {
        Expiry::Sticky => "stays expired until armed anew",
        Expiry::KickRestores => "the next kick restores Normal",
        Expiry::Unknown => "what a late kick does is not known",
    };
    format!("{kind}; {periods}; {expiry}")
}
