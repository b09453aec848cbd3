//! Relays: moved by us, moved by others, not moved at all; and what is read and recorded of that.

use std::time::Duration;

use fencepost::board::controller::{Evidence, Fault, Moved, SegmentReading};
use fencepost::board::{CutState, RelayState};
use fencepost::node::policy::{Arming, Commissioning, ReadBackPolicy, SegmentPolicy};
use fencepost::node::{Action, Cause, Event, Fact, Verdict};

use crate::bench::{Bench, ms, policy};

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
fn a_close_limit_is_told_once_however_often_checks_come_and_go() {
    let mut policy = policy(1_000, Commissioning::Done);
    policy.segments[0].closes_per_hour_max = 1;
    let mut bench = Bench::with(policy);
    for _ in 0..4 {
        bench.check(Verdict::Ok);
        bench.run_for(2_000);
        bench.check(Verdict::Critical);
        bench.run_for(500);
    }
    let told = |fact: &&Fact| matches!(fact, Fact::CloseLimit { .. });
    assert_eq!(bench.facts.iter().filter(told).count(), 1);
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

#[test]
fn a_cut_that_is_owed_is_ordered_until_it_is_seen_whatever_the_dwell_says() {
    let mut policy = policy(60_000, Commissioning::Done);
    policy.segments[0].dwell = Duration::from_millis(600);
    let mut bench = Bench::with(policy);
    bench.check(Verdict::Ok);
    bench.run_until(ms(5_000), |bench| bench.relay == RelayState::Normal);
    bench.relay = RelayState::Bypass;
    bench.run_for(270);
    // Somebody puts it back before the dwell is over: it serves, and nobody has proven that it may.
    bench.relay = RelayState::Normal;
    bench.stuck = true;
    bench.run_for(1_000);
    assert_eq!(bench.status().segments[0].wanted, RelayState::Bypass);
    bench.stuck = false;
    bench.run_for(11_000);
    let moved = |fact: &&Fact| matches!(fact, Fact::Cut { .. } | Fact::Closed { .. });
    let moved: Vec<_> = bench.facts.iter().filter(moved).collect();
    assert!(
        matches!(
            moved.as_slice(),
            [.., Fact::Cut { .. }, Fact::Closed { .. }]
        ),
        "{moved:?}"
    );
}

#[test]
fn tries_given_up_do_not_delay_the_next_cut() {
    let mut bench = Bench::serving();
    bench.bus_dead = true;
    // The dead-man fires and nothing can be read or cut: tries are given up for a while.
    bench.run_for(3_000);
    bench.check(Verdict::Critical);
    bench.bus_dead = false;
    bench.run_until(ms(60_000), |bench| {
        bench.status().segments[0].state == RelayState::Bypass
    });
    // It was seen cut. Somebody closes it.
    bench.relay = RelayState::Normal;
    bench.run_for(300);
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

fn is_close(action: &Action) -> bool {
    matches!(action, Action::Close { .. })
}

#[test]
fn a_cut_does_not_wait_for_a_close_under_way() {
    let mut bench = Bench::started();
    bench.hold = |action| matches!(action, Action::Close { .. });
    bench.check(Verdict::Ok);
    bench.run_until(ms(5_000), |bench| bench.took.iter().any(is_close));
    bench.took.clear();
    // It still reads cut, and the close will be carried out.
    bench.check(Verdict::Critical);
    assert!(bench.took.iter().any(is_cut), "{:?}", bench.took);
}

#[test]
fn a_cut_needs_no_reading_that_still_counts() {
    let mut bench = Bench::serving();
    bench.hold = |action| matches!(action, Action::Read);
    bench.run_for(2_500);
    assert_eq!(bench.status().segments[0].state, RelayState::Unknown);
    bench.took.clear();
    bench.check(Verdict::Critical);
    assert!(bench.took.iter().any(is_cut), "{:?}", bench.took);
}

#[test]
fn where_nothing_can_be_read_a_cut_is_acknowledged_before_the_first_close() {
    let mut policy = policy(1_000, Commissioning::Done);
    policy.segments[0].read_back = ReadBackPolicy::Impossible;
    let mut bench = Bench::with(policy);
    bench.hold = is_cut;
    bench.restart_agent();
    bench.check(Verdict::Ok);
    bench.run_for(3_000);
    let refused = Fault::Refused {
        what: "cut".into(),
        reason: "drill".into(),
    };
    bench.hold = |_| false;
    bench.took.clear();
    bench.give(Event::SegmentCut {
        segment: 0,
        state: CutState::Bypass,
        outcome: Err(refused),
    });
    bench.run_for(11_000);
    assert_eq!(bench.relay, RelayState::Normal, "it never served");
    let first = bench
        .took
        .iter()
        .find(|took| is_cut(took) || is_close(took));
    assert!(first.is_some_and(is_cut), "{first:?}");
}

fn is_cut(action: &Action) -> bool {
    matches!(action, Action::Cut { .. })
}

#[test]
fn of_a_controller_that_cannot_be_read_a_failed_order_is_told_until_one_succeeds() {
    let mut policy = policy(1_000, Commissioning::Done);
    policy.segments[0].read_back = ReadBackPolicy::Impossible;
    policy.dead_man.arming = Arming::Absent;
    let mut bench = Bench::with(policy);
    bench.check(Verdict::Ok);
    bench.bus_dead = true;
    bench.run_for(3_000);
    let fault = bench.status().controller_fault;
    assert!(fault.is_some(), "looks that touch nothing cleared it");
    assert!(bench.recorded(|fact| matches!(fact, Fact::ControllerLost { .. })));
    bench.bus_dead = false;
    bench.run_for(30_000);
    assert_eq!(bench.relay, RelayState::Normal);
    assert_eq!(bench.status().controller_fault, None);
    let lost = |fact: &&Fact| matches!(fact, Fact::ControllerLost { .. });
    assert_eq!(
        bench.facts.iter().filter(lost).count(),
        1,
        "told again and again"
    );
}

#[test]
fn a_reading_that_leaves_a_segment_out_is_no_reading() {
    let mut bench = Bench::with(policy(1_000, Commissioning::Done));
    bench.check(Verdict::Ok);
    bench.run_for(3_000);
    assert_eq!(bench.status().controller_fault, None);
    bench.reads_short = true;
    bench.run_for(3_000);
    let fault = bench.status().controller_fault;
    assert_eq!(
        fault.as_deref(),
        Some("a reading of all segments: expected 1, got 0")
    );
    assert_eq!(bench.status().segments[0].state, RelayState::Unknown);
}
