//! Operators' orders: saved first, refused with a reason, and in force across restarts.

use fencepost::board::RelayState;
use fencepost::node::{Action, Command, Verdict};

use crate::bench::Bench;

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
