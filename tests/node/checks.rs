//! Checks: what they say, when they are believed, and what a relay move does to them.

use fencepost::board::{CutState, RelayState};
use fencepost::node::policy::{CarrierRole, Commissioning};
use fencepost::node::status::CheckHealth;
use fencepost::node::{Action, Cause, Fact, Verdict};

use crate::bench::{Bench, ms, policy};

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
fn a_port_the_kernel_says_is_dark_fails_on_the_next_reading_of_its_relay() {
    let mut bench = carrier_serving(1_000);
    bench.hold = |action| matches!(action, Action::Read);
    bench.lose_carrier();
    assert_eq!(bench.status().segments[0].wanted, RelayState::Normal);
    bench.hold = |_| false;
    bench.release();
    assert_eq!(bench.relay, RelayState::Bypass, "no second look is needed");
    assert!(bench.recorded(|fact| matches!(fact, Fact::CheckFailed { .. })));
}

#[test]
fn a_reading_asked_for_before_the_port_went_dark_says_nothing_about_it() {
    let mut bench = carrier_serving(1_000);
    bench.hold = |action| matches!(action, Action::Read);
    bench.keep_checking = false;
    bench.run_for(300);
    bench.lose_carrier();
    bench.took.clear();
    bench.release();
    assert_eq!(bench.relay, RelayState::Normal);
    assert!(bench.took.contains(&Action::Read), "it asks anew");
    bench.release();
    assert_eq!(bench.relay, RelayState::Bypass);
}

#[test]
fn a_port_that_is_dark_behind_its_own_relay_has_not_failed() {
    let mut bench = carrier_serving(1_000);
    bench.relay = RelayState::Bypass;
    bench.lose_carrier();
    bench.check(Verdict::Ok);
    bench.run_for(300);
    assert!(bench.recorded(|fact| matches!(fact, Fact::FoundMoved { .. })));
    assert!(!bench.recorded(|fact| matches!(fact, Fact::CheckFailed { .. })));
}

#[test]
fn a_port_that_is_back_has_to_show_it_once_more_than_usual() {
    let mut bench = carrier_serving(1_000);
    bench.stuck = true;
    bench.keep_checking = false;
    bench.lose_carrier();
    let failing = |bench: &Bench| bench.status().checks[0].health == CheckHealth::Failing;
    assert!(failing(&bench));
    bench.check(Verdict::Ok);
    assert!(failing(&bench), "a look taken before it went dark");
    bench.check(Verdict::Ok);
    assert!(!failing(&bench));
}

#[test]
fn a_check_told_to_ride_out_short_losses_goes_by_looks_alone() {
    let mut policy = policy(1_000, Commissioning::Done);
    policy.checks[0].carrier = CarrierRole::InNormalOnly;
    policy.checks[0].fall = 10;
    let mut bench = Bench::with(policy);
    bench.check(Verdict::Ok);
    bench.run_until(ms(5_000), |bench| bench.relay == RelayState::Normal);
    bench.lose_carrier();
    bench.run_for(1_000);
    assert_eq!(bench.relay, RelayState::Normal);
    bench.run_for(2_000);
    assert_eq!(bench.relay, RelayState::Bypass);
}

/// In `Normal`, its own relink over, with two bad looks in a row wanted.
fn carrier_serving(relink_ms: u64) -> Bench {
    let mut policy = policy(1_000, Commissioning::Done);
    policy.checks[0].carrier = CarrierRole::InNormalOnly;
    policy.checks[0].fall = 2;
    policy.segments[0].relink = std::time::Duration::from_millis(relink_ms);
    let mut bench = Bench::with(policy);
    bench.check(Verdict::Ok);
    bench.run_until(ms(5_000), |bench| bench.relay == RelayState::Normal);
    bench.run_for(2 * relink_ms);
    bench
}
