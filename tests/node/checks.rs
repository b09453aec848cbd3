//! Checks: what they say, when they are believed, and what a relay move does to them.

use fencepost::board::{CutState, RelayState};
use fencepost::node::policy::{CarrierRole, Commissioning};
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
