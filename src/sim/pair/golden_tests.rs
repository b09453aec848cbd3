//! Recorded minutes: what one node was told and what it wanted, in order, readable without Rust.
//!
//! `FENCEPOST_BLESS=1 cargo test --lib golden_tests` writes them anew; a person reads them before they are kept.

use core::time::Duration;
use std::fmt::Write as _;
use std::path::Path;

use super::mishaps::Mishap;
use super::mutant::Mutant;
use super::narrate;
use super::scenario::Setup;
use super::world::{Due, Minute, World};
use crate::node::event::Actor;
use crate::node::pair::sync::{CategoryNews, SyncState};
use crate::node::pair::{PairCommand, PairEvent, SyncNews, SyncPolicy};
use crate::sim::dice::Dice;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/pair")
        .join(name);
    if std::env::var_os("FENCEPOST_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let recorded = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; FENCEPOST_BLESS=1 writes it", path.display()));
    assert!(
        recorded == text,
        "{} differs\n--- now\n{text}",
        path.display()
    );
}

/// The minutes of `node` from now on, as lines. Looks that say nothing new are left out.
fn minutes(world: &mut World, node: usize, span: Duration, title: &str) -> String {
    world.minutes = Some(Vec::new());
    let from = world.now;
    world.run_for(span);
    assert_eq!(world.ledger.broken, None);
    let mut text = format!("{title}\n\n");
    let mut last_told = String::new();
    for (at, minute) in world.minutes.take().unwrap_or_default() {
        let elapsed = at.since(from).as_millis();
        match minute {
            Minute::Told(who, event) if who == node => {
                let Some(line) = narrate::event(&event).filter(|line| *line != last_told) else {
                    continue;
                };
                writeln!(text, "{elapsed:>5} ms  {line}").unwrap();
                last_told = line;
            }
            Minute::Wanted(who, action) if who == node => {
                if let Some(line) = narrate::action(&action) {
                    writeln!(text, "{elapsed:>5} ms      -> {line}").unwrap();
                }
            }
            _ => {}
        }
    }
    text
}

fn settled(setup: Setup) -> World {
    let mut world = World::new(setup, Mutant::Faithful, Dice::new(7));
    world.host_up(0);
    world.run_for(ms(1_500));
    world.host_up(1);
    world.run_for(ms(2_000));
    assert_eq!(world.recovered(), Ok(0));
    world
}

fn befall(world: &mut World, mishap: Mishap) {
    world.put(Duration::ZERO, Due::Mishap(mishap));
}

#[test]
fn takeover() {
    let mut world = settled(Setup::plain());
    befall(
        &mut world,
        Mishap::PowerCut {
            node: 0,
            back: ms(60_000),
        },
    );
    let title = "Takeover, parallel and hot: the Active loses power at 0 ms. What the Backup is told, and -> wants.";
    let text = minutes(&mut world, 1, ms(400), title);
    golden("takeover.txt", &text);
}

#[test]
fn takeover_cold() {
    let topology = crate::node::pair::policy::Topology::PARALLEL_COLD;
    let mut world = settled(Setup {
        topology,
        ..Setup::plain()
    });
    befall(
        &mut world,
        Mishap::PowerCut {
            node: 0,
            back: ms(60_000),
        },
    );
    let title = "Takeover, parallel and cold: the Active loses power at 0 ms. What the Backup is told, and -> wants.";
    let text = minutes(&mut world, 1, ms(400), title);
    golden("takeover-cold.txt", &text);
}

#[test]
fn switchover() {
    let mut world = settled(Setup::plain());
    world.order_switchover(0);
    let mut other = world.clone();
    let title = "Switchover, ordered on the Active. What the Active is told, and -> wants.";
    let mut text = minutes(&mut world, 0, ms(250), title);
    let title = "\nThe same, as the Backup sees it.";
    text += &minutes(&mut other, 1, ms(250), title);
    golden("switchover.txt", &text);
}

#[test]
fn cold_start() {
    let mut world = World::new(Setup::plain(), Mutant::Faithful, Dice::new(3));
    world.host_up(0);
    world.host_up(1);
    let mut other = world.clone();
    let title = "Cold start: both nodes boot at once, for the first time. What the preferred one is told, and -> wants.";
    let mut text = minutes(&mut world, 0, ms(1_200), title);
    let title = "\nThe same, as the other sees it: it was first to be ready, and nobody serves.";
    text += &minutes(&mut other, 1, ms(1_200), title);
    assert_eq!(world.recovered(), Ok(1));
    golden("cold-start.txt", &text);
}

#[test]
fn refused_fence() {
    let mut world = settled(Setup {
        lease: false,
        ..Setup::plain()
    });
    befall(
        &mut world,
        Mishap::Cable {
            node: 1,
            intact: false,
        },
    );
    befall(
        &mut world,
        Mishap::Pause {
            node: 0,
            span: ms(60_000),
        },
    );
    let title = "Refused fence: the Active stands still with its kernel answering, the Backup's fence cable is broken \
                 and there is no lease. What the Backup is told, and -> wants.";
    let text = minutes(&mut world, 1, ms(700), title);
    assert!(!world.nodes[1].on_wire());
    golden("refused-fence.txt", &text);
}

/// What one node's sync service says of the only category.
fn sync_says(world: &mut World, node: usize, root: u8, state: SyncState) {
    let news = SyncNews {
        roots: vec![[root; 32]],
        categories: vec![CategoryNews {
            name: "vpn".to_owned(),
            slot: 0,
            state,
        }],
    };
    world.tell_later(node, PairEvent::SyncTold { outcome: Ok(news) });
    world.run_for(ms(50));
}

#[test]
fn a_takeover_that_waits_for_sync() {
    let required = ["vpn".to_owned()].into();
    let mut world = settled(Setup {
        sync: Some(SyncPolicy { required }),
        ..Setup::plain()
    });
    let verified_ms_ago = 0;
    sync_says(&mut world, 1, 1, SyncState::InSync { verified_ms_ago });
    sync_says(&mut world, 0, 2, SyncState::Unknown);
    let back = Duration::from_secs(600);
    befall(&mut world, Mishap::PowerCut { node: 0, back });
    let title = "Takeover that waits for sync: the Active saved something, said so, and loses power at 0 ms before it was \
                 here. What the Backup is told, and -> wants.";
    let mut text = minutes(&mut world, 1, ms(700), title);
    assert!(!world.nodes[1].on_wire());
    let command = PairCommand::ConfirmPeerDead {
        reason: "the cable is in my hand".to_owned(),
    };
    let actor = Actor {
        uid: 0,
        pid: 1,
        name: "anna".to_owned(),
    };
    let asked = PairEvent::Requested {
        request: 1,
        actor,
        command,
    };
    world.tell_later(1, asked);
    let title = "\nA person says that the peer is off the wire.";
    text += &minutes(&mut world, 1, ms(100), title);
    assert!(world.nodes[1].on_wire());
    golden("withheld-by-sync.txt", &text);
}
