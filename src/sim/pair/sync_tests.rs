//! A takeover that waits for state in sync: withheld with a reason, overridden by a person, never in the way of anything else.

use core::time::Duration;

use super::directed_tests::settled;
use super::mishaps::Mishap;
use super::scenario::Setup;
use super::world::{Due, Minute, World};
use crate::node::event::Actor;
use crate::node::pair::sync::{CategoryNews, SyncState};
use crate::node::pair::{PairCommand, PairEvent, PairStatus, Refusal, SyncNews, SyncPolicy};
use crate::node::{Action, Fact};

const ONE: [u8; 32] = [1; 32];
const TWO: [u8; 32] = [2; 32];

/// Longer than any of these worlds.
const NEVER: Duration = Duration::from_secs(600);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn setup() -> Setup {
    Setup {
        sync: Some(SyncPolicy {
            required: ["vpn".to_owned()].into(),
        }),
        ..Setup::plain()
    }
}

fn tell(world: &mut World, node: usize, root: [u8; 32], state: SyncState) {
    let news = SyncNews {
        roots: vec![root],
        categories: vec![CategoryNews {
            name: "vpn".to_owned(),
            slot: 0,
            state,
        }],
    };
    let event = PairEvent::SyncTold { outcome: Ok(news) };
    world.tell_later(node, event);
    world.run_for(ms(50));
}

fn in_sync() -> SyncState {
    SyncState::InSync { verified_ms_ago: 0 }
}

fn power_fails(world: &mut World) {
    world.put(
        Duration::ZERO,
        Due::Mishap(Mishap::PowerCut {
            node: 0,
            back: NEVER,
        }),
    );
    world.run_for(ms(3_000));
    assert_eq!(world.ledger.broken, None);
}

fn status(world: &World) -> PairStatus {
    let appliance = &world.nodes[1];
    let agent = appliance.agent.as_ref().unwrap();
    let status = agent.node.status(appliance.clock.at(world.now));
    status.pair.unwrap()
}

fn refusals(world: &World) -> Vec<Refusal> {
    status(world).refusals
}

fn withheld(world: &mut World) -> Vec<String> {
    let minutes = world.minutes.take().unwrap_or_default();
    minutes
        .into_iter()
        .filter_map(|(_, minute)| match minute {
            Minute::Wanted(1, Action::Record(record)) => match record.fact {
                Fact::TakeoverWithheld { why } => Some(why),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

#[test]
fn a_backup_in_sync_takes_over_as_ever() {
    let mut world = settled(setup());
    tell(&mut world, 0, ONE, in_sync());
    tell(&mut world, 1, ONE, in_sync());
    power_fails(&mut world);
    assert!(world.nodes[1].on_wire(), "{:?}", refusals(&world));
}

#[test]
fn a_backup_without_the_last_change_waits_and_says_why_once() {
    let mut world = settled(setup());
    tell(&mut world, 1, ONE, in_sync());
    tell(&mut world, 0, TWO, SyncState::Unknown);
    let why = "vpn: the peer announced a newer state than is here".to_owned();
    let beforehand = status(&world).if_peer_died;
    assert_eq!(beforehand, [Refusal::NotInSync(vec![why.clone()])]);
    world.minutes = Some(Vec::new());
    power_fails(&mut world);
    assert!(!world.nodes[1].on_wire());
    assert_eq!(refusals(&world), [Refusal::NotInSync(vec![why.clone()])]);
    assert_eq!(withheld(&mut world), [why]);
    // The transfer had ended; the news of it had not come.
    tell(&mut world, 1, TWO, SyncState::Unknown);
    world.run_for(ms(2_000));
    assert!(world.nodes[1].on_wire(), "{:?}", refusals(&world));
}

#[test]
fn a_person_may_take_over_all_the_same() {
    let mut world = settled(setup());
    power_fails(&mut world);
    assert!(!world.nodes[1].on_wire());
    let command = PairCommand::ConfirmPeerDead {
        reason: "cable pulled".to_owned(),
    };
    let actor = Actor {
        uid: 0,
        pid: 1,
        name: "anna".to_owned(),
    };
    let request = 1;
    let event = PairEvent::Requested {
        request,
        actor,
        command,
    };
    world.tell_later(1, event);
    world.run_for(ms(500));
    assert_eq!(world.ledger.broken, None);
    assert!(world.nodes[1].on_wire(), "{:?}", refusals(&world));
}

#[test]
fn without_the_policy_nobody_asks() {
    let mut world = settled(Setup::plain());
    tell(&mut world, 0, TWO, in_sync());
    power_fails(&mut world);
    assert!(world.nodes[1].on_wire(), "{:?}", refusals(&world));
}

#[test]
fn who_served_last_needs_nobodys_data() {
    let mut world = settled(setup());
    world.put(
        Duration::ZERO,
        Due::Mishap(Mishap::PowerCut {
            node: 1,
            back: NEVER,
        }),
    );
    world.run_for(ms(500));
    let back = ms(200);
    world.put(
        Duration::ZERO,
        Due::Mishap(Mishap::PowerCut { node: 0, back }),
    );
    world.run_for(ms(5_000));
    assert_eq!(world.ledger.broken, None);
    assert!(world.nodes[0].on_wire());
}
