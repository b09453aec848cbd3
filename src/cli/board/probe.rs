//! `fencepost board probe`: what answers on the bus, and what it says, without moving anything.

use clap::Args;
use fencepost::board::controller::{Controller, Identity, Latch, Reading};
use fencepost::config::Site;
use fencepost::control::{AgentStatus, Answer, Request};
use fencepost::io::lock::{self, LockError};
use serde::Serialize;

use crate::cli::exit::{Exit, Failure};
use crate::cli::ink::Ink;
use crate::cli::sentence;
use crate::cli::table::Table;
use crate::cli::{Global, agent_link, hardware, places};

/// Ask the controller who it is and where its relays are; moves nothing
///
/// While an agent runs only it may touch the hardware; then this shows what the agent read last.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// The `board probe --json` interface.
#[derive(Serialize)]
struct Probed {
    board: String,
    /// Who was asked: `controller` or `agent`.
    asked: &'static str,
    identity: Option<Identity>,
    reading: Option<Reading>,
    /// From the agent: its own words.
    segments: Vec<Row>,
    dead_man: String,
    latch: Option<Latch>,
}

#[derive(Serialize)]
struct Row {
    segment: String,
    state: String,
    read_from: &'static str,
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let site = places::site(global)?;
    let probed = match lock::take(&hardware::lock_path(&site)) {
        Ok(_lock) => {
            let mut controller = hardware::open(&site)
                .map_err(|fault| Failure::failed(format!("board {}: {fault}", site.board.id)))?;
            ask_controller(&site, controller.as_mut())?
        }
        Err(LockError::Held { .. }) => ask_agent(global)?,
        Err(error) => return Err(error.into()),
    };
    if options.json {
        println!("{}", serde_json::to_string(&probed)?);
    } else {
        print!("{}", render(&probed));
    }
    Ok(Exit::Done)
}

fn ask_controller(site: &Site, controller: &mut dyn Controller) -> Result<Probed, Failure> {
    let told = |fault| Failure::failed(format!("board {}: {fault}", site.board.id));
    let identity = controller.identify().map_err(told)?;
    let reading = controller.read().map_err(told)?;
    let segments = site.config.segments.iter().zip(&reading.segments);
    Ok(Probed {
        board: site.board.id.clone(),
        asked: "controller",
        identity: Some(identity),
        segments: segments
            .map(|(segment, read)| Row {
                segment: segment.name.clone(),
                state: read.state.to_string(),
                read_from: sentence::evidence(read.evidence),
            })
            .collect(),
        dead_man: sentence::dead_man(reading.dead_man),
        latch: Some(reading.latch),
        reading: Some(reading),
    })
}

fn ask_agent(global: &Global) -> Result<Probed, Failure> {
    match agent_link::connect(global)?.ask(Request::Status)? {
        Answer::Status(status) => Ok(from_agent(*status)),
        other => Err(agent_link::foreign(&agent_link::socket(global), &other).into()),
    }
}

fn from_agent(status: AgentStatus) -> Probed {
    let node = status.node;
    Probed {
        board: status.board,
        asked: "agent",
        identity: node.identity,
        segments: node
            .segments
            .into_iter()
            .map(|segment| Row {
                segment: segment.name,
                state: segment.state.to_string(),
                read_from: sentence::evidence(segment.evidence),
            })
            .collect(),
        dead_man: sentence::dead_man(node.dead_man.reading),
        latch: None,
        reading: None,
    }
}

fn render(probed: &Probed) -> String {
    let who = probed
        .identity
        .as_ref()
        .map_or("not opened".to_owned(), |identity| {
            let firmware = identity
                .firmware
                .as_ref()
                .map_or(String::new(), |it| format!(", firmware {it}"));
            let id = identity
                .unique_id
                .as_ref()
                .map_or(String::new(), |it| format!(", id {it}"));
            format!("{}{firmware}{id}", identity.model)
        });
    let mut text = format!(
        "board       {}\nasked       the {}\ncontroller  {who}\ndead-man    {}\n",
        probed.board, probed.asked, probed.dead_man
    );
    let latch = match probed.latch {
        Some(Latch::Clear) => "fence latch clear\n",
        Some(Latch::Latched) => "fence latch SET: held cut from outside\n",
        Some(Latch::Absent) | None => "",
    };
    text.push_str(latch);
    text.push('\n');
    let mut table = Table::new(&["SEGMENT", "STATE", "READ FROM"]);
    for row in &probed.segments {
        table.row(vec![
            row.segment.clone(),
            row.state.clone(),
            row.read_from.to_owned(),
        ]);
    }
    text.push_str(&table.render(Ink::for_stdout()));
    text
}
