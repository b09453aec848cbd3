//! The other means than the wire, step by step: what each proves, what it must not, and what trying again costs.

use core::time::Duration;

use super::appliance::Host;
use super::directed_tests::settled;
use super::mishaps::Mishap;
use super::scenario::Setup;
use super::world::{Due, Minute, World};
use crate::node::event::{Actor, Stop};
use crate::node::pair::drill::TestVerdict;
use crate::node::pair::guard::{Guard, switch_off};
use crate::node::pair::{PairAction, PairCommand, PairEvent, PairStatus};
use crate::node::{Action, Event};
use crate::wire::{Envelope, FenceAnswer, FenceOrder, FenceOutcome, Message, Role};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn befall(world: &mut World, mishap: Mishap) {
    world.put(Duration::ZERO, Due::Mishap(mishap));
}

pub(super) fn status(world: &World, node: usize) -> PairStatus {
    let appliance = &world.nodes[node];
    let agent = appliance.agent.as_ref().unwrap();
    agent
        .node
        .status(appliance.clock.at(world.now))
        .pair
        .unwrap()
}

/// What `node` wants from now on.
fn wanted(world: &mut World, node: usize, span: Duration) -> Vec<(Duration, Action)> {
    world.minutes = Some(Vec::new());
    let from = world.now;
    world.run_for(span);
    assert_eq!(world.ledger.broken, None);
    let minutes = world.minutes.take().unwrap();
    let mine = minutes.into_iter().filter_map(|(at, minute)| match minute {
        Minute::Wanted(who, action) if who == node => Some((at.since(from), action)),
        _ => None,
    });
    mine.collect()
}

fn of_pair(actions: &[(Duration, Action)]) -> impl Iterator<Item = (Duration, &PairAction)> {
    actions.iter().filter_map(|(at, action)| match action {
        Action::Pair(action) => Some((*at, &**action)),
        _ => None,
    })
}

fn fences(actions: &[(Duration, Action)]) -> Vec<Duration> {
    of_pair(actions)
        .filter(|(_, action)| matches!(action, PairAction::Fence { .. }))
        .map(|(at, _)| at)
        .collect()
}

fn no_heartbeats(world: &mut World) {
    for link in 0..2 {
        befall(world, Mishap::Link { link, cut: true });
    }
}

// ---- the peer's agent

/// The newest message `node` sent: the next one's counter follows it.
fn last_counter(world: &mut World, node: usize) -> u64 {
    let actions = wanted(world, node, ms(30));
    of_pair(&actions)
        .filter_map(|(_, action)| match action {
            PairAction::Send { counter, .. } => Some(*counter),
            _ => None,
        })
        .max()
        .unwrap()
}

/// Tells node 0 an order of node 1's.
fn order(world: &mut World, epoch: u64) {
    let counter = last_counter(world, 1) + 1;
    let boot = world.nodes[1].agent.as_ref().unwrap().boot;
    let heard = PairEvent::Heard {
        link: 0,
        envelope: Envelope { boot, counter },
        message: Message::FenceOrder(FenceOrder { nonce: 9, epoch }),
    };
    let life = world.nodes[0].life;
    let event = Box::new(Event::Pair(Box::new(heard)));
    let node = 0;
    world.put(Duration::ZERO, Due::Deliver { node, life, event });
}

#[test]
fn an_order_is_obeyed_in_its_turn_and_answered_once_it_is_true() {
    let mut world = settled(Setup::plain());
    let epoch = status(&world, 0).epoch + 1;
    order(&mut world, epoch);
    let actions = wanted(&mut world, 0, ms(300));
    let drop = of_pair(&actions).find(|(_, action)| matches!(action, PairAction::DropVips { .. }));
    let cut = actions
        .iter()
        .find(|(_, action)| matches!(action, Action::Cut { .. }));
    assert_eq!(drop.unwrap().0, Duration::ZERO, "addresses");
    assert_eq!(cut.unwrap().0, Duration::ZERO, "relays");
    let read = of_pair(&actions).find(|(_, action)| matches!(action, PairAction::ReadVips { .. }));
    let answer = FenceAnswer {
        nonce: 9,
        outcome: FenceOutcome::Cut,
    };
    let answered = of_pair(&actions).find(|(_, action)| {
        matches!(action, PairAction::Send { message: Message::FenceAnswer(given), .. } if *given == answer)
    });
    let answered = answered.unwrap().0;
    assert!(answered > read.unwrap().0, "answered before it was read");
    let beside_active = status(&world, 1).role == Role::Active;
    let closed = world.nodes[0].board.all_closed();
    assert!(!closed || beside_active, "closed behind its answer");
    // Nobody took over by it: the pair settles by itself.
    world.run_for(ms(4_000));
    assert!(world.recovered().is_ok(), "{:?}", world.recovered());
}

/// What node 0 answers to the order, and after which time.
fn fence_answers(world: &mut World, span: Duration) -> Vec<(Duration, FenceOutcome)> {
    let actions = wanted(world, 0, span);
    of_pair(&actions)
        .filter_map(|(at, action)| match action {
            PairAction::Send {
                message: Message::FenceAnswer(given),
                ..
            } => Some((at, given.outcome)),
            _ => None,
        })
        .collect()
}

#[test]
fn who_cannot_prove_its_cut_says_so_in_time() {
    let mut world = settled(Setup::plain());
    let stuck = true;
    befall(&mut world, Mishap::Relay { node: 0, stuck });
    let epoch = status(&world, 0).epoch + 1;
    order(&mut world, epoch);
    let answers = fence_answers(&mut world, ms(300));
    let [(at, FenceOutcome::Unproven)] = answers.as_slice() else {
        panic!("{answers:?}")
    };
    // Before the peer would give its agent up.
    assert!((ms(40)..ms(80)).contains(at), "{at:?}");
}

#[test]
fn an_order_of_an_epoch_that_is_over_changes_nothing() {
    let mut world = settled(Setup::plain());
    let epoch = status(&world, 0).epoch - 1;
    order(&mut world, epoch);
    let actions = wanted(&mut world, 0, ms(300));
    assert!(
        of_pair(&actions).all(|(_, action)| !matches!(action, PairAction::DropVips { .. })),
        "obeyed"
    );
    assert_eq!(status(&world, 0).fence_orders_refused, 1);
    assert_eq!(world.recovered(), Ok(0));
}

// ---- programs

fn only_external() -> Setup {
    Setup {
        wire: false,
        external: true,
        lease: false,
        ..Setup::plain()
    }
}

#[test]
fn with_a_broken_cable_power_is_taken_and_a_person_gives_it_back() {
    let mut world = settled(Setup {
        wire: true,
        ..only_external()
    });
    let node = 1;
    befall(
        &mut world,
        Mishap::Cable {
            node,
            intact: false,
        },
    );
    let span = ms(20_000);
    befall(&mut world, Mishap::Pause { node: 0, span });
    let until = world.now + ms(5_000);
    while status(&world, 1).role != Role::Active && world.now < until {
        world.run_for(ms(5));
    }
    let taken = status(&world, 1);
    assert_eq!(world.ledger.broken, None);
    assert_eq!(taken.proof.as_deref(), Some("fenced by external"));
    assert!(taken.peer_off && world.nodes[0].host == Host::Down);
    // Power comes back by a person alone; then it stands beside, and nobody speaks of power any more.
    world.run_for(ms(6_000));
    assert_eq!(world.recovered(), Ok(1));
    assert!(!status(&world, 1).peer_off);
}

/// The program's `status` is about another machine: it says off while the peer is heard, and it goes on saying so when
/// the peer is silent.
fn parted_with_a_liar(guards: &'static [Guard]) -> (Option<String>, World) {
    switch_off(guards);
    let mut world = settled(Setup {
        lying: true,
        ..only_external()
    });
    world.run_for(ms(500));
    no_heartbeats(&mut world);
    world.run_for(ms(4_000));
    switch_off(&[]);
    (world.ledger.broken.take(), world)
}

#[test]
fn a_program_that_lies_is_known_by_what_is_heard_and_not_fired() {
    let (broken, world) = parted_with_a_liar(&[]);
    assert_eq!(broken, None);
    let fault = status(&world, 1).means[0].fault.clone().unwrap();
    assert!(fault.contains("the peer is heard"), "{fault}");
    assert!(world.nodes[0].on_wire(), "the Active lost its service");
    let (broken, _) = parted_with_a_liar(&[Guard::SeesLies]);
    assert!(broken.is_some_and(|what| what.contains("I1")));
}

#[test]
fn of_two_that_part_the_active_keeps_its_power() {
    let mut world = settled(only_external());
    no_heartbeats(&mut world);
    let until = world.now + ms(1_200);
    while world.now < until && world.nodes[1].host == Host::Up {
        world.run_for(ms(5));
    }
    assert_eq!(world.nodes[1].host, Host::Down);
    assert!(world.nodes[0].on_wire());
}

#[test]
fn a_backup_that_left_in_order_keeps_its_power_and_one_that_crashed_does_not() {
    let mut world = settled(only_external());
    let life = world.nodes[1].life;
    let stop = Event::StopRequested {
        stop: Stop::Ordered,
    };
    let (node, event) = (1, Box::new(stop));
    world.put(Duration::ZERO, Due::Deliver { node, life, event });
    world.run_for(ms(200));
    assert!(world.nodes[1].agent.is_none(), "it did not end");
    let back = ms(60_000);
    befall(&mut world, Mishap::HostDies { node: 1, back });
    assert_eq!(fences(&wanted(&mut world, 0, ms(3_000))), []);

    let mut world = settled(only_external());
    befall(&mut world, Mishap::HostDies { node: 1, back });
    assert_eq!(fences(&wanted(&mut world, 0, ms(3_000))).len(), 1);
}

// ---- the fence test

fn ask_for_test(world: &mut World, node: usize, means: Option<&str>) -> Result<String, String> {
    let actor = Actor {
        uid: 0,
        pid: 1,
        name: "root".to_owned(),
    };
    let command = PairCommand::FenceTest {
        means: means.map(str::to_owned),
        reason: String::new(),
    };
    let requested = PairEvent::Requested {
        request: 5,
        actor,
        command,
    };
    let life = world.nodes[node].life;
    let event = Box::new(Event::Pair(Box::new(requested)));
    world.put(Duration::ZERO, Due::Deliver { node, life, event });
    let actions = wanted(world, node, ms(5));
    let reply = actions.into_iter().find_map(|(_, action)| match action {
        Action::Reply { answer, .. } => Some(answer),
        _ => None,
    });
    reply.unwrap()
}

fn tested(world: &World, node: usize) -> Vec<(String, TestVerdict)> {
    let test = status(world, node).fence_test.unwrap();
    assert!(test.done, "{test:?}");
    let means = test.means.into_iter();
    means.map(|means| (means.name, means.verdict)).collect()
}

#[test]
fn a_backup_that_cannot_prove_its_cut_fails_the_test_by_its_own_word() {
    let mut world = settled(every_means());
    let stuck = true;
    befall(&mut world, Mishap::Relay { node: 1, stuck });
    ask_for_test(&mut world, 0, Some("peer-agent")).unwrap();
    world.run_for(ms(3_000));
    let test = status(&world, 0).fence_test.unwrap();
    let tested = test.means.first().unwrap();
    assert_eq!(tested.verdict, TestVerdict::Failed);
    let remark = tested.remark.clone().unwrap();
    assert!(remark.contains("cannot prove that it is off"), "{remark}");
}

fn every_means() -> Setup {
    Setup {
        peer_agent: true,
        external: true,
        ..Setup::plain()
    }
}

#[test]
fn a_fence_test_cuts_the_backup_by_each_means_and_lets_it_back() {
    let mut world = settled(every_means());
    ask_for_test(&mut world, 0, None).unwrap();
    let until = world.now + ms(3_000);
    let mut cut = 0;
    let mut closed = true;
    while world.now < until {
        world.run_for(ms(1));
        assert!(world.nodes[0].on_wire(), "the Active was touched");
        let closes = world.nodes[1].board.all_closed();
        cut += u32::from(closed && !closes);
        closed = closes;
    }
    assert_eq!(world.ledger.broken, None);
    assert_eq!(cut, 2);
    let found = [
        ("external".to_owned(), TestVerdict::NotTried),
        ("fence-wire".to_owned(), TestVerdict::Passed),
        ("peer-agent".to_owned(), TestVerdict::Passed),
    ];
    assert_eq!(tested(&world, 0), found);
    assert_eq!(world.recovered(), Ok(0));
}

#[test]
fn a_fence_test_finds_the_broken_cable_before_it_is_needed() {
    let mut world = settled(every_means());
    let node = 0;
    befall(
        &mut world,
        Mishap::Cable {
            node,
            intact: false,
        },
    );
    ask_for_test(&mut world, 0, Some("fence-wire")).unwrap();
    world.run_for(ms(2_000));
    assert_eq!(
        tested(&world, 0),
        [("fence-wire".to_owned(), TestVerdict::Failed)]
    );
    assert_eq!(world.recovered(), Ok(0));
}

#[test]
fn power_is_tried_by_name_only() {
    let mut world = settled(every_means());
    ask_for_test(&mut world, 0, Some("external")).unwrap();
    world.run_for(ms(150));
    let until = world.now + ms(4_000);
    while world.now < until && !status(&world, 0).fence_test.unwrap().done {
        world.run_for(ms(5));
    }
    let taken = [("external".to_owned(), TestVerdict::PowerTaken)];
    assert_eq!(tested(&world, 0), taken);
    assert!(status(&world, 0).peer_off && world.nodes[0].on_wire());
}

#[test]
fn who_could_cut_the_only_one_that_serves_is_refused() {
    let mut world = settled(every_means());
    let backup = ask_for_test(&mut world, 1, None).unwrap_err();
    assert!(backup.contains("this node does not serve"), "{backup}");
    let unknown = ask_for_test(&mut world, 0, Some("bmc")).unwrap_err();
    let names = "there is no means `bmc`; there are: fence-wire, peer-agent, external";
    assert_eq!(unknown, names);
    ask_for_test(&mut world, 0, None).unwrap();
    let twice = ask_for_test(&mut world, 0, None).unwrap_err();
    assert!(twice.contains("under way already"), "{twice}");
    let back = ms(60_000);
    befall(&mut world, Mishap::HostDies { node: 1, back });
    world.run_for(ms(2_000));
    let alone = ask_for_test(&mut world, 0, None).unwrap_err();
    assert!(
        alone.contains("there is no Backup that stands ready"),
        "{alone}"
    );
}

// ---- trying again

/// A dead peer, a broken cable, no lease: nothing will work until something changes.
fn hopeless() -> World {
    let mut world = settled(Setup {
        lease: false,
        ..Setup::plain()
    });
    for node in 0..2 {
        befall(
            &mut world,
            Mishap::Cable {
                node,
                intact: false,
            },
        );
    }
    let span = ms(600_000);
    befall(&mut world, Mishap::Pause { node: 0, span });
    world
}

#[test]
fn what_cannot_succeed_is_tried_ever_more_rarely_and_costs_the_disk_nothing() {
    let mut world = hopeless();
    let actions = wanted(&mut world, 1, ms(60_000));
    let at = fences(&actions);
    assert!((8..=16).contains(&at.len()), "{at:?}");
    let last = at[at.len() - 1] - at[at.len() - 2];
    assert!(last > ms(9_000) && last < ms(11_000), "{last:?}");
    let saves = of_pair(&actions)
        .filter(|(_, action)| matches!(action, PairAction::Persist { .. }))
        .count();
    assert!(saves <= 2, "{saves} saves");
}

#[test]
fn any_news_makes_it_try_again_soon() {
    let mut world = hopeless();
    world.run_for(ms(40_000));
    for node in 0..2 {
        befall(&mut world, Mishap::Cable { node, intact: true });
    }
    // The same technician touched the heartbeat cable too.
    befall(&mut world, Mishap::Link { link: 0, cut: true });
    let carrier = PairEvent::LinkCarrier {
        link: 0,
        carrier: crate::node::pair::Carrier::Down,
    };
    let (node, life) = (1, world.nodes[1].life);
    let event = Box::new(Event::Pair(Box::new(carrier)));
    world.put(ms(1), Due::Deliver { node, life, event });
    world.run_for(ms(500));
    assert_eq!(world.ledger.broken, None);
    assert!(world.nodes[1].on_wire(), "{:?}", status(&world, 1));
}
