//! The agent's own life, and what its end and the controller's do to the wire.

use fencepost::board::RelayState;
use fencepost::node::{Action, Event, Fact, Stop, Verdict};

use crate::bench::{Bench, ms};

#[test]
fn boots_in_the_one_safe_order() {
    let mut bench = Bench::started();
    bench.check(Verdict::Ok);
    bench.run_until(ms(3_000), |bench| bench.relay == RelayState::Normal);

    let order: Vec<_> = bench.took.iter().filter_map(Bench::milestone).collect();
    assert_eq!(
        order,
        ["open", "arm", "configure", "ticket", "remember", "close"]
    );
    assert!(
        bench.now >= ms(1_000),
        "the dwell was not kept: {}",
        bench.now
    );
}

#[test]
fn a_restart_moves_no_relay() {
    let mut bench = Bench::serving();
    let moves = bench.moves;
    bench.restart_agent();
    bench.run_for(3_000);
    assert_eq!((bench.relay, bench.moves), (RelayState::Normal, moves));
}

#[test]
fn after_an_expiry_the_path_is_proven_anew() {
    let mut bench = Bench::serving();
    bench.sleep(5_000);
    assert_eq!(bench.relay, RelayState::Bypass, "the dead-man did not fire");
    let woke = bench.now;
    bench.run_until(ms(60_000), |bench| bench.relay == RelayState::Normal);
    assert!(
        bench.now.since(woke).as_millis() >= 1_000,
        "no dwell after an expiry"
    );
    assert!(bench.recorded(|fact| *fact == Fact::DeadManExpired));
}

#[test]
fn an_ordered_stop_cuts_then_disarms_then_ends() {
    let mut bench = Bench::serving();
    bench.took.clear();
    bench.give(Event::StopRequested {
        stop: Stop::Ordered,
    });
    let order: Vec<_> = bench.took.iter().filter_map(Bench::milestone).collect();
    assert_eq!(
        order,
        ["cut", "remember", "disarm", "release watchdog", "exit"]
    );
}

#[test]
fn a_handover_touches_nothing() {
    let mut bench = Bench::serving();
    bench.took.clear();
    bench.give(Event::StopRequested {
        stop: Stop::Handover,
    });
    let order: Vec<_> = bench.took.iter().filter_map(Bench::milestone).collect();
    assert_eq!(order, ["exit"]);
    assert_eq!(bench.relay, RelayState::Normal);
}

#[test]
fn a_ticket_that_comes_after_the_path_failed_is_not_used_in_a_handover_either() {
    let mut bench = Bench::started();
    bench.hold = |action| matches!(action, Action::TakeTicket { .. });
    bench.check(Verdict::Ok);
    let asked = |took: &Action| matches!(took, Action::TakeTicket { .. });
    bench.run_until(ms(5_000), |bench| bench.took.iter().any(asked));
    assert!(bench.took.iter().any(asked), "no ticket was asked for");
    bench.give(Event::StopRequested {
        stop: Stop::Handover,
    });
    for _ in 0..5 {
        bench.check(Verdict::Critical);
    }
    bench.release();
    let closed = |took: &Action| matches!(took, Action::Close { .. });
    assert!(!bench.took.iter().any(closed), "{:?}", bench.took);
    assert_eq!(bench.relay, RelayState::Bypass);
}

#[test]
fn a_lost_controller_makes_the_state_unknown_and_comes_back_proven() {
    let mut bench = Bench::serving();
    bench.bus_dead = true;
    bench.run_for(500);
    let status = bench.status();
    assert_eq!(status.segments[0].state, RelayState::Unknown);
    assert!(status.controller_fault.is_some());
    bench.run_for(5_000);
    assert_eq!(bench.relay, RelayState::Bypass, "the dead-man did not fire");
    bench.bus_dead = false;
    bench.run_for(10_000);
    assert_eq!(bench.relay, RelayState::Normal);
}

#[test]
fn a_short_nack_burst_moves_nothing() {
    let mut bench = Bench::serving();
    let moves = bench.moves;
    bench.bus_dead = true;
    bench.run_for(300);
    bench.bus_dead = false;
    bench.run_for(3_000);
    assert_eq!((bench.relay, bench.moves), (RelayState::Normal, moves));
}

#[test]
fn a_handover_does_not_kick_for_a_relay_that_does_not_obey() {
    let mut bench = Bench::with_period(60_000);
    bench.check(Verdict::Ok);
    bench.run_until(ms(3_000), |bench| bench.relay == RelayState::Normal);
    bench.stuck = true;
    bench.check(Verdict::Critical);
    bench.run_for(1_000);
    bench.took.clear();
    bench.give(Event::StopRequested {
        stop: Stop::Handover,
    });
    let kicked = |action: &Action| matches!(action, Action::Kick { .. });
    assert!(!bench.took.iter().any(kicked), "{:?}", bench.took);
}

#[test]
fn a_dead_man_that_was_armed_and_never_kicked_is_not_trusted_past_its_period() {
    let mut bench = Bench::started();
    bench.hold = |action| matches!(action, Action::Kick { .. });
    bench.restart_agent();
    assert!(bench.status().dead_man.verified);
    bench.hold = |action| {
        matches!(
            action,
            Action::Kick { .. } | Action::Read | Action::Arm { .. }
        )
    };
    bench.run_for(2_000);
    assert!(!bench.status().dead_man.verified);
}

#[test]
fn a_relay_found_moved_makes_the_dead_man_be_armed_again() {
    // The controller may have restarted; not every one can say so.
    let mut bench = Bench::serving();
    bench.relay = RelayState::Bypass;
    bench.took.clear();
    bench.run_for(600);
    let arms = |action: &Action| matches!(action, Action::Arm { .. });
    assert!(bench.took.iter().any(arms));
}

#[test]
fn a_kick_that_may_have_woken_a_fired_dead_man_proves_nothing() {
    let mut bench = Bench::serving();
    bench.hold = |action| matches!(action, Action::Kick { .. });
    bench.took.clear();
    bench.run_for(400);
    assert!(bench.took.iter().any(is_kick));
    bench.sleep(2_000);
    assert_eq!(bench.relay, RelayState::Bypass, "the dead-man did not fire");
    bench.wake_dead_man();
    assert_eq!(bench.relay, RelayState::Bypass, "served without a proof");
    let woke = bench.now;
    bench.run_until(ms(60_000), |bench| bench.relay == RelayState::Normal);
    assert!(bench.now.since(woke).as_millis() >= 1_000, "no dwell");
}

fn is_kick(action: &Action) -> bool {
    matches!(action, Action::Kick { .. })
}
