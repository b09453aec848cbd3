//! The node by itself: events in, actions out, time as an argument.

mod bench;

use std::time::Duration;

use bench::{Bench, ms, policy};
use fencepost::board::controller::{Evidence, Fault, Moved, SegmentReading};
use fencepost::board::{CutState, RelayState};
use fencepost::node::policy::{CarrierRole, Commissioning, SegmentPolicy};
use fencepost::node::{Action, Cause, Command, Event, Fact, Stop, Verdict};

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
fn a_segment_without_a_green_check_stays_cut() {
    let mut bench = Bench::started();
    bench.check(Verdict::Critical);
    bench.run(ms(5_000));
    assert_eq!(bench.relay, RelayState::Bypass);

    bench.check(Verdict::Unknown);
    bench.run(ms(9_000));
    assert_eq!(bench.relay, RelayState::Bypass);
}

#[test]
fn a_failing_check_cuts_within_its_own_turn() {
    let mut bench = Bench::serving();
    bench.took.clear();
    bench.check(Verdict::Critical);
    assert!(bench.took.contains(&Action::Cut {
        segment: 0,
        state: CutState::Bypass
    }));
    assert_eq!(bench.relay, RelayState::Bypass);
}

#[test]
fn a_silent_check_is_no_evidence_of_health() {
    let mut bench = Bench::serving();
    bench.keep_checking = false;
    bench.run_for(3_000);
    assert_eq!(bench.relay, RelayState::Bypass);
    assert_eq!(
        bench.status().segments[0].cause,
        Cause::CheckSilent("web".into())
    );
}

#[test]
fn our_own_sleep_is_not_the_checks_silence() {
    // A dead-man far longer than the sleep: nothing expired, so nothing may move.
    let mut bench = Bench::with_period(60_000);
    bench.check(Verdict::Ok);
    bench.run_until(ms(3_000), |bench| bench.relay == RelayState::Normal);
    let moves = bench.moves;
    bench.sleep(10_000);
    bench.run_for(1_000);
    assert_eq!((bench.relay, bench.moves), (RelayState::Normal, moves));
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
fn a_slow_start_is_not_the_checks_silence() {
    // Longer than any check may be silent, shorter than the dead-man: nobody could have been heard meanwhile.
    let mut bench = Bench::with_period(60_000);
    bench.check(Verdict::Ok);
    bench.run_until(ms(3_000), |bench| bench.relay == RelayState::Normal);
    let moves = bench.moves;
    bench.restart_agent_slowly(10_000);
    bench.run_for(1_000);
    assert_eq!((bench.relay, bench.moves), (RelayState::Normal, moves));
    assert!(!bench.recorded(|fact| matches!(fact, Fact::CheckFailed { .. })));
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
fn a_relay_that_does_not_obey_stops_the_kicks() {
    let mut bench = Bench::serving();
    bench.stuck = true;
    bench.check(Verdict::Critical);
    bench.keep_checking = false;
    bench.run_for(2_000);
    assert!(bench.recorded(|fact| matches!(fact, Fact::RelayStuck { .. })));
    let kicked = bench.kicks;
    bench.run_for(2_000);
    assert_eq!(
        bench.kicks, kicked,
        "a relay that should be cut and is not was kicked for"
    );
    assert_eq!(bench.status().segments[0].state, RelayState::Normal);
}

#[test]
fn orders_are_saved_before_they_are_applied() {
    let mut bench = Bench::serving();
    bench.took.clear();
    bench.order(Command::Bypass {
        segment: "wan".into(),
        state: Some(RelayState::Bypass),
    });
    let order: Vec<_> = bench.took.iter().filter_map(Bench::milestone).collect();
    let save = order.iter().position(|step| *step == "persist");
    let cut = order.iter().position(|step| *step == "cut");
    assert!(save.is_some() && save < cut, "{order:?}");
    assert_eq!(bench.relay, RelayState::Bypass);

    bench.restart_agent();
    bench.run_for(3_000);
    assert_eq!(
        bench.relay,
        RelayState::Bypass,
        "a forced state did not survive a restart"
    );
}

#[test]
fn with_a_full_disk_cutting_still_works_and_closing_does_not() {
    let mut bench = Bench::serving();
    bench.disk_full = true;
    bench.order(Command::Bypass {
        segment: "wan".into(),
        state: Some(RelayState::Bypass),
    });
    assert_eq!(bench.relay, RelayState::Bypass);
    assert!(bench.answer().is_ok_and(|text| text.contains("NOT saved")));

    bench.order(Command::Bypass {
        segment: "wan".into(),
        state: None,
    });
    bench.run_for(3_000);
    assert!(bench.answer().is_err());
    assert_eq!(bench.relay, RelayState::Bypass);
    assert!(bench.status().ledger_fault.is_some());
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
fn closes_are_limited_and_the_limit_is_told() {
    let mut bench = Bench::serving();
    for _ in 0..20 {
        bench.check(Verdict::Critical);
        bench.check(Verdict::Ok);
        bench.run_for(2_000);
    }
    assert_eq!(bench.relay, RelayState::Bypass);
    assert_eq!(bench.status().segments[0].closes_last_hour, 6);
    assert!(bench.recorded(|fact| matches!(fact, Fact::CloseLimit { .. })));
    bench.run_for(3_700_000);
    assert_eq!(bench.relay, RelayState::Normal, "the limit never ended");
}

#[test]
fn an_uncommissioned_board_is_never_closed() {
    let mut bench = Bench::uncommissioned();
    bench.check(Verdict::Ok);
    bench.run_for(5_000);
    assert_eq!(bench.relay, RelayState::Bypass);
    bench.order(Command::Bypass {
        segment: "wan".into(),
        state: Some(RelayState::Normal),
    });
    assert!(bench.answer().is_err());
    bench.run_for(5_000);
    assert_eq!(bench.relay, RelayState::Bypass);
}

#[test]
fn a_relay_moved_behind_our_back_is_told_and_proven_anew() {
    let mut bench = Bench::serving();
    bench.relay = RelayState::Bypass;
    bench.run_for(600);
    assert!(bench.recorded(|fact| matches!(fact, Fact::FoundMoved { .. })));
    assert_eq!(
        bench.relay,
        RelayState::Bypass,
        "closed again without a dwell"
    );
    bench.run_for(3_000);
    assert_eq!(bench.relay, RelayState::Normal);
}

#[test]
fn a_relay_moved_behind_our_back_is_told_even_if_a_cut_comes_before_the_next_reading() {
    let mut bench = Bench::serving();
    bench.relay = RelayState::Bypass;
    bench.check(Verdict::Critical);
    assert!(bench.recorded(|fact| matches!(
        fact,
        Fact::FoundMoved {
            left: RelayState::Normal,
            found: RelayState::Bypass,
            ..
        }
    )));
}

#[test]
fn links_that_negotiate_anew_after_a_move_are_no_failure() {
    let mut bench = Bench::with_carrier(CarrierRole::Always, 3_000);
    bench.check(Verdict::Ok);
    bench.run_until(ms(5_000), |bench| bench.relay == RelayState::Normal);
    bench.check(Verdict::Critical);
    bench.run_for(2_000);
    assert_eq!(bench.relay, RelayState::Normal, "cut for its own relink");
    bench.run_for(2_000);
    assert_eq!(
        bench.relay,
        RelayState::Bypass,
        "still dark after the relink"
    );
}

#[test]
fn ports_that_are_dark_while_cut_are_judged_only_after_the_close() {
    let mut bench = Bench::with_carrier(CarrierRole::InNormalOnly, 1_000);
    bench.check(Verdict::Critical);
    bench.run_until(ms(9_000), |bench| bench.relay == RelayState::Normal);
    assert_eq!(
        bench.relay,
        RelayState::Normal,
        "waited for a carrier that cannot come"
    );
    bench.check(Verdict::Ok);
    bench.run_for(5_000);
    assert_eq!((bench.relay, bench.moves), (RelayState::Normal, 1));
    bench.check(Verdict::Critical);
    assert_eq!(
        bench.relay,
        RelayState::Bypass,
        "a lost carrier is a failure in Normal"
    );
}

#[test]
fn an_order_that_cannot_be_saved_takes_none_behind_it_along() {
    let mut bench = Bench::serving();
    bench.hold = |action| matches!(action, Action::Persist { .. });
    let reason = || "drill".to_owned();
    bench.order(Command::Bypass {
        segment: "wan".into(),
        state: None,
    });
    bench.order(Command::Maintenance {
        on: true,
        reason: reason(),
    });
    bench.order(Command::Disarm {
        on: true,
        reason: reason(),
    });
    // The first fails, so what waits is built anew; then the disk works again.
    bench.disk_full = true;
    bench.release();
    bench.disk_full = false;
    bench.release();
    bench.release();
    let saved = bench.saved();
    assert!(saved.maintenance.is_some(), "{saved:?}");
    assert!(saved.disarmed.is_some(), "{saved:?}");
    assert!(bench.status().maintenance.is_some());
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
fn a_move_is_recorded_with_the_cause_it_was_decided_for() {
    let mut bench = Bench::started();
    bench.hold = |action| matches!(action, Action::Close { .. });
    bench.check(Verdict::Ok);
    bench.run_until(ms(5_000), |bench| bench.took.iter().any(is_close));
    bench.check(Verdict::Critical);
    bench.release();
    let proven = |fact: &Fact| {
        matches!(
            fact,
            Fact::Closed {
                cause: Cause::PathProven,
                ..
            }
        )
    };
    assert!(bench.recorded(proven), "{:?}", bench.facts);
}

fn is_close(action: &Action) -> bool {
    matches!(action, Action::Close { .. })
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
fn segments_that_are_ready_together_close_one_after_the_other() {
    // A controller has one ticket out at a time: a newer one voids the one before.
    let mut policy = policy(1_000, Commissioning::Done);
    policy.segments.push(SegmentPolicy {
        name: "lan".into(),
        ..policy.segments[0].clone()
    });
    policy.checks.clear();
    let mut bench = Bench::with(policy);
    bench.hold = |action| matches!(action, Action::TakeTicket { .. } | Action::Close { .. });
    bench.run(ms(5_000));
    let asked = |action: &&Action| matches!(action, Action::TakeTicket { .. });
    assert_eq!(bench.took.iter().filter(asked).count(), 1);

    bench.release();
    bench.run_for(1_000);
    let closing = "not while the first is closing";
    assert_eq!(bench.took.iter().filter(asked).count(), 1, "{closing}");
    let refused = Fault::Refused {
        what: "close".into(),
        reason: "drill".into(),
    };
    bench.give(Event::SegmentClosed {
        segment: 0,
        outcome: Err(refused),
    });
    let asked = bench.took.iter().rfind(asked);
    assert_eq!(asked, Some(&Action::TakeTicket { segment: 1 }));
}

#[test]
fn a_reading_too_old_to_kick_on_is_too_old_to_show() {
    let mut bench = Bench::serving();
    bench.hold = |action| matches!(action, Action::Read);
    bench.run_for(1_500);
    assert_eq!(bench.status().segments[0].state, RelayState::Normal);
    // Three readings and one dead-man period of silence: 1,750 ms.
    bench.run_for(750);
    assert_eq!(bench.status().segments[0].state, RelayState::Unknown);
    bench.hold = |_| false;
    bench.release();
    assert_eq!(bench.status().segments[0].state, RelayState::Normal);
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
fn a_check_that_speaks_again_is_believed_only_once_it_has_risen() {
    let mut policy = policy(60_000, Commissioning::Done);
    (policy.checks[0].rise, policy.checks[0].fall) = (3, 3);
    let mut bench = Bench::with(policy);
    bench.check(Verdict::Ok);
    bench.run_until(ms(5_000), |bench| bench.relay == RelayState::Normal);
    bench.stuck = true;
    bench.keep_checking = false;
    bench.run_for(3_000);
    assert_eq!(bench.status().segments[0].wanted, RelayState::Bypass);

    bench.check(Verdict::Critical);
    assert_eq!(bench.status().segments[0].wanted, RelayState::Bypass);
    bench.check(Verdict::Ok);
    assert_eq!(bench.status().segments[0].wanted, RelayState::Bypass);
}

#[test]
fn what_a_late_answer_says_ages_like_a_reading() {
    let mut bench = Bench::started();
    bench.hold = |action| matches!(action, Action::Close { .. });
    bench.check(Verdict::Ok);
    bench.run_until(ms(5_000), |bench| bench.took.iter().any(is_close));
    // Nothing is read from here on, and the right of the last kick lapses; then the close is answered.
    bench.hold = |action| matches!(action, Action::Kick { .. } | Action::Read);
    bench.run_for(3_000);
    bench.relay = RelayState::Normal;
    let after = SegmentReading {
        state: RelayState::Normal,
        evidence: Evidence::Contacts,
    };
    let moved = Moved {
        before: RelayState::Bypass,
        after,
        commanded: true,
    };
    bench.give(Event::SegmentClosed {
        segment: 0,
        outcome: Ok(moved),
    });
    assert_eq!(bench.status().segments[0].state, RelayState::Normal);
    bench.run_for(3_000);
    assert_eq!(bench.status().segments[0].state, RelayState::Unknown);
}

#[test]
fn a_close_limit_does_not_hide_a_relay_that_does_not_obey() {
    let mut policy = policy(60_000, Commissioning::Done);
    policy.segments[0].closes_per_hour_max = 1;
    policy.segments[0].dwell = Duration::from_millis(150);
    let mut bench = Bench::with(policy);
    bench.check(Verdict::Ok);
    bench.run_until(ms(5_000), |bench| bench.relay == RelayState::Normal);
    // It moved away and back behind our back, so it must be cut and proven; it does not obey.
    bench.relay = RelayState::Bypass;
    bench.run_for(300);
    bench.relay = RelayState::Normal;
    bench.stuck = true;
    bench.hold = |action| matches!(action, Action::Cut { .. });
    bench.run_for(300);
    // The dwell ends while the cut is under way. That must not begin the tries anew.
    for _ in 0..3 {
        bench.run_for(200);
        bench.release();
    }
    bench.run_for(500);
    assert!(
        bench.recorded(|fact| matches!(fact, Fact::RelayStuck { .. })),
        "{:?}",
        bench.facts
    );
}
