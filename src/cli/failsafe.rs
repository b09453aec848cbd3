//! `fencepost failsafe`: the agent cannot be kept running, so put every segment into its fail state without it.
//!
//! For boards whose relays hold when the agent dies and whose dead-man is missing or long. Holds the agent's lock
//! while it works, so it cannot race with an agent. Commissioning and the plan's refusals are not asked: cutting
//! needs no right.
//!
//! What if this fails too? The dead-man or the watchdog, whichever the board has.

use clap::Args;
use fencepost::board::RelayState;
use fencepost::board::controller::{Controller, Moved};
use fencepost::config::Site;
use fencepost::io::lock;

use super::exit::{Exit, Failure};
use super::{Global, hardware, places};

/// How often each segment is tried; the drivers retry by themselves within each try.
const TRIES: u32 = 3;

/// Put every segment into its fail state while no agent runs
///
/// Used by the unit when the agent has failed for good. Refuses while an agent runs: then use `fencepost
/// maintenance on`.
#[derive(Debug, Args)]
pub(crate) struct Options {}

pub(crate) fn run(global: &Global, _options: &Options) -> Result<Exit, Failure> {
    let site = places::site(global)?;
    let _lock = lock::take(&hardware::lock_path(&site))?;
    let mut controller = hardware::open(&site)
        .map_err(|fault| Failure::failed(format!("board {}: {fault}", site.board.id)))?;
    let mut all = true;
    for (index, segment) in site.config.segments.iter().enumerate() {
        match cut(controller.as_mut(), &site, index) {
            Ok(moved) => {
                let read = match moved.after.state {
                    RelayState::Unknown => "acknowledged, cannot be read".to_owned(),
                    state => format!("reads {state}"),
                };
                println!("segment {}: {} ordered, {read}", segment.name, segment.fail);
            }
            Err(sentence) => {
                all = false;
                eprintln!(
                    "fencepost: segment {}: {} failed: {sentence}",
                    segment.name, segment.fail
                );
            }
        }
    }
    Ok(if all { Exit::Done } else { Exit::Failed })
}

fn cut(controller: &mut dyn Controller, site: &Site, index: usize) -> Result<Moved, String> {
    let fail = site.config.segments[index].fail;
    let mut sentence = String::new();
    for _ in 0..TRIES {
        match controller.cut(index, fail) {
            Ok(moved) => return Ok(moved),
            Err(fault) => sentence = fault.to_string(),
        }
    }
    Err(sentence)
}
