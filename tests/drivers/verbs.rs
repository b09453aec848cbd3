//! Every verb of a driver on a board that is well.

use std::collections::BTreeSet;
use std::time::Duration;

use fencepost::board::catalogue;
use fencepost::board::controller::{
    ArmProof, CutState, DeadManReading, Evidence, Fault, RelayState,
};
use fencepost::board::profile::OnRelease;
use fencepost::sim::{Options, VirtualBoard};

use crate::bench::{Kept, each, readable};
use crate::virtual_host::Host;

#[test]
fn opening_identifying_and_reading_move_and_change_nothing() {
    each(|mut bench| {
        bench.host.with(|board, _| drop(board.take_log()));
        bench.driver.identify().unwrap();
        bench.assert_honest();
        bench.host.pass(Duration::from_secs(1));
        bench.assert_honest();
        assert_eq!(bench.operations(), 0, "{}", bench.board.id);
        let log = bench.host.with(|board, _| board.take_log());
        assert!(log.is_empty(), "{}: {log:?}", bench.board.id);
    });
}

#[test]
fn arming_closing_and_kicking_keep_every_segment_in_normal() {
    each(|mut bench| {
        bench.serve();
        let operations = bench.operations();
        let span = bench.period * 5;
        bench.live(span);
        let seen = bench.assert_honest();
        if readable(&bench) {
            assert!(
                seen.iter().all(|seen| seen.state == RelayState::Normal),
                "{}",
                bench.board.id
            );
        }
        assert_eq!(bench.operations(), operations, "{}", bench.board.id);
    });
}

#[test]
fn arming_says_truly_what_was_proven() {
    each(|mut bench| {
        let armed = bench.driver.arm(bench.period).unwrap();
        let reading = bench.driver.read().unwrap().dead_man;
        match armed.proof {
            ArmProof::ReadBack => {
                assert!(
                    matches!(reading, DeadManReading::Running { .. }),
                    "{}",
                    bench.board.id
                );
                assert_eq!(armed.effective, bench.period);
            }
            ArmProof::WriteOnly => assert_eq!(armed.effective, bench.period),
            ArmProof::Inherent => assert_ne!(reading, DeadManReading::Disarmed),
        }
    });
}

#[test]
fn a_host_that_goes_silent_loses_the_wire_and_gets_it_back_only_by_a_new_close() {
    each(|mut bench| {
        if !bench.guarded() {
            return;
        }
        bench.serve();
        let old = bench.driver.take_ticket().unwrap();
        bench.host.pass(bench.period + Duration::from_millis(100));
        let id = bench.board.id.clone();
        for segment in 0..bench.segments() {
            assert_ne!(bench.truth(segment), RelayState::Normal, "{id}");
        }
        bench.assert_honest();
        let expired = bench.driver.read().unwrap().dead_man;
        assert_eq!(expired, DeadManReading::Expired, "{id}");

        // Nothing that comes late may bring it back.
        let operations = bench.operations();
        assert!(bench.kick().is_err(), "{id}");
        assert!(bench.driver.close(0, old).is_err(), "{id}");
        assert!(
            bench
                .driver
                .take_ticket()
                .and_then(|t| bench.driver.close(0, t))
                .is_err(),
            "{id}"
        );
        bench.driver.arm(bench.period).unwrap();
        bench.kick().unwrap();
        bench.host.pass(Duration::from_millis(50));
        for segment in 0..bench.segments() {
            assert_ne!(bench.truth(segment), RelayState::Normal, "{id}");
        }
        assert_eq!(
            bench.operations(),
            operations,
            "{id}: arming moves no relay"
        );
        bench.serve();
    });
}

#[test]
fn cutting_cuts_and_cutting_again_moves_nothing() {
    each(|mut bench| {
        bench.serve();
        for segment in 0..bench.segments() {
            let state = bench.cut_state(segment);
            let moved = bench.driver.cut(segment, state).unwrap();
            assert!(moved.commanded, "{} {segment}", bench.board.id);
            bench.live(bench.period + Duration::from_millis(50));
            assert_eq!(
                bench.truth(segment),
                state.into(),
                "{} {segment}",
                bench.board.id
            );
        }
        bench.assert_honest();
        let operations = bench.operations();
        for segment in 0..bench.segments() {
            let again = bench.driver.cut(segment, bench.cut_state(segment)).unwrap();
            assert!(!again.commanded || again.after.evidence == Evidence::Nothing);
        }
        assert_eq!(bench.operations(), operations, "{}", bench.board.id);
        bench.driver.disarm().unwrap();
    });
}

#[test]
fn every_state_a_board_has_can_be_reached_and_read() {
    each(|mut bench| {
        for segment in 0..bench.segments() {
            for state in bench.board.segments[segment].run_time.clone() {
                let wanted = match state {
                    RelayState::Bypass => CutState::Bypass,
                    RelayState::Disconnect => CutState::Disconnect,
                    RelayState::Normal | RelayState::Unknown => continue,
                };
                bench.serve();
                bench.driver.cut(segment, wanted).unwrap();
                bench.live(bench.period + Duration::from_millis(50));
                let seen = bench.assert_honest()[segment];
                assert_eq!(bench.truth(segment), state, "{}", bench.board.id);
                if seen.evidence != Evidence::Nothing && bench.guarded() {
                    assert_eq!(seen.state, state, "{}", bench.board.id);
                }
            }
        }
    });
}

#[test]
fn a_restarted_agent_moves_no_relay() {
    each(|mut bench| {
        bench.serve();
        let operations = bench.operations();
        let lines = match bench.board.on_release {
            OnRelease::Holds => Kept::No,
            OnRelease::FallsToRest => Kept::Yes,
        };
        bench.reopen(lines);
        bench.driver.identify().unwrap();
        bench.assert_honest();
        let settings = vec![Default::default(); bench.segments()];
        bench.driver.configure(&settings).unwrap();
        bench.driver.arm(bench.period).unwrap();
        assert_eq!(bench.operations(), operations, "{}", bench.board.id);
        if readable(&bench) {
            let seen = bench.assert_honest();
            assert!(
                seen.iter().all(|seen| seen.state == RelayState::Normal),
                "{}",
                bench.board.id
            );
            bench.live(bench.period * 3);
            assert_eq!(bench.operations(), operations, "{}", bench.board.id);
        }
    });
}

#[test]
fn unused_segments_are_never_touched() {
    for id in [
        "lanner-gen3/mb-8771",
        "caswell-gen2/car-3000",
        "reference",
        "riverbed",
    ] {
        let board = catalogue::load(&[], id).unwrap();
        let host = Host::new(VirtualBoard::for_board(&board, Options::default()), true);
        let used = BTreeSet::from([0]);
        let mut driver = fencepost::board::open::open(&board, &used, &mut host.clone()).unwrap();
        let period = board
            .dead_man
            .periods
            .effective(Duration::from_secs(2))
            .unwrap_or_default();
        driver.arm(period).unwrap();
        let ticket = driver.take_ticket().unwrap();
        assert!(
            matches!(driver.close(1, ticket), Err(Fault::Incapable { .. })),
            "{id}"
        );
        assert!(
            matches!(
                driver.cut(1, CutState::Bypass),
                Err(Fault::Incapable { .. })
            ),
            "{id}"
        );
        let ticket = driver.take_ticket().unwrap();
        driver.close(0, ticket).unwrap();
        host.pass(Duration::from_secs(5));
        let moves = host.with(|board, _| board.relay(1).unwrap().operations());
        assert_eq!(moves, 0, "{id}");
    }
}
