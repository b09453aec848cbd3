//! Buses, relays and read-backs that fail: said truly, survived where they can be, never taken for a move.

use std::time::Duration;

use fencepost::board::controller::{Fault, RelayState};
use fencepost::sim::{BoardFault, RelayFault, VirtualBoard};

use crate::bench::{Bench, each, readable};

#[test]
fn a_burst_of_two_nacks_is_survived_in_every_verb() {
    each(|mut bench| {
        if !bench.on_a_bus() {
            return;
        }
        let burst = |bench: &Bench| {
            let fault = BoardFault::NackBurst { transactions: 2 };
            bench
                .host
                .with(|board, now| board.inject(now, fault))
                .unwrap();
        };
        burst(&bench);
        bench.driver.read().unwrap();
        burst(&bench);
        bench.driver.arm(bench.period).unwrap();
        let ticket = bench.driver.take_ticket().unwrap();
        burst(&bench);
        bench.driver.close(0, ticket).unwrap();
        assert_eq!(bench.truth(0), RelayState::Normal, "{}", bench.board.id);
        burst(&bench);
        bench.kick().unwrap();
        burst(&bench);
        bench.driver.cut(0, bench.cut_state(0)).unwrap();
        bench.host.pass(Duration::from_millis(50));
        assert_ne!(bench.truth(0), RelayState::Normal, "{}", bench.board.id);
    });
}

#[test]
fn a_stuck_bus_is_reported_within_a_bounded_time() {
    each(|mut bench| {
        if !bench.on_a_bus() || !readable(&bench) {
            return;
        }
        let inject = |board: &mut VirtualBoard, now| board.inject(now, BoardFault::BusStuck);
        bench.host.with(inject).unwrap();
        let begun = bench.host.now();
        assert!(
            matches!(bench.driver.read(), Err(Fault::Bus(_))),
            "{}",
            bench.board.id
        );
        let took = bench.host.now().since(begun);
        assert!(
            took < Duration::from_millis(200),
            "{}: {took:?}",
            bench.board.id
        );
    });
}

#[test]
fn a_relay_that_sticks_in_normal_is_never_reported_as_cut_by_contacts() {
    each(|mut bench| {
        bench.serve();
        let fault = BoardFault::Relay {
            segment: 0,
            fault: RelayFault::Stuck,
        };
        bench
            .host
            .with(|board, now| board.inject(now, fault))
            .unwrap();
        let outcome = bench.driver.cut(0, bench.cut_state(0));
        let by_contacts =
            bench.board.segments[0].read_back == fencepost::board::profile::ReadBack::Contacts;
        if by_contacts {
            assert!(
                matches!(
                    outcome,
                    Err(Fault::NotMoved {
                        read: RelayState::Normal,
                        ..
                    })
                ),
                "{}: {outcome:?}",
                bench.board.id
            );
        }
    });
}

#[test]
fn a_read_back_that_lies_is_not_taken_for_a_move() {
    each(|mut bench| {
        let shows = bench.cut_state(0).into();
        let fault = BoardFault::ReadBackLies { segment: 0, shows };
        if bench
            .host
            .with(|board, now| board.inject(now, fault))
            .is_err()
        {
            return;
        }
        bench.driver.arm(bench.period).unwrap();
        let outcome = bench.close(0);
        assert!(
            matches!(outcome, Err(Fault::NotMoved { .. })),
            "{}: {outcome:?}",
            bench.board.id
        );
    });
}

#[test]
fn a_flipped_bit_is_found_where_the_part_offers_a_check() {
    for (id, blocks) in [("reference", true), ("reference", false)] {
        let mut bench = Bench::with(id, blocks);
        bench.serve();
        for bit in 0..16 {
            let fault = BoardFault::FlipBit { replies: 1, bit };
            bench
                .host
                .with(|board, now| board.inject(now, fault))
                .unwrap();
            bench.assert_honest();
            bench.kick().unwrap();
        }
    }
    // Lanner: the marker byte only.
    let mut bench = Bench::new("lanner-gen3/sni40");
    bench.serve();
    for bit in 0..8 {
        let fault = BoardFault::FlipBit { replies: 1, bit };
        bench
            .host
            .with(|board, now| board.inject(now, fault))
            .unwrap();
        bench.assert_honest();
        bench.kick().unwrap();
    }
}

#[test]
fn a_state_changed_behind_our_back_is_seen() {
    each(|mut bench| {
        bench.serve();
        let state = bench.cut_state(0).into();
        let fault = BoardFault::ExternalWrite { segment: 0, state };
        if bench
            .host
            .with(|board, now| board.inject(now, fault))
            .is_err()
        {
            return;
        }
        bench.host.pass(Duration::from_millis(50));
        let seen = bench.assert_honest();
        if readable(&bench) {
            assert_eq!(seen[0].state, state, "{}", bench.board.id);
        }
    });
}
