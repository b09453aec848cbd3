//! Every driver against an independent model of its controller: both were written from the same facts, by different
//! hands, so where they disagree one of them has read the facts wrongly.
//!
//! What a driver *says* is compared with where the model's contacts *are*. `Unknown` is always allowed; a wrong state
//! never is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeSet;
use std::time::Duration;

use fencepost::board::catalogue;
use fencepost::board::controller::{
    ArmProof, Controller, CutState, DeadManReading, Evidence, Fault, RelayState, SegmentReading,
};
use fencepost::board::profile::{Board, ControllerSpec, DeadManKind, OnRelease};
use fencepost::sim::{BoardFault, Options, RelayFault, VirtualBoard};

#[path = "support/virtual_host.rs"]
mod virtual_host;

use virtual_host::Host;

/// One model of each family, and every profile that is not a family.
const BOARDS: [&str; 9] = [
    "reference",
    "lanner-gen3/sni40",
    "lanner-gen3/mb-8771",
    "lanner-gen3/mb-8865ext",
    "caswell-gen2/car-3000",
    "technexion-tek-imx8mp",
    "gpio-monostable",
    "gpio-latching",
    "riverbed",
];

struct Bench {
    board: Board,
    host: Host,
    driver: Box<dyn Controller>,
    period: Duration,
}

impl Bench {
    fn new(id: &str) -> Self {
        Self::with(id, true)
    }

    fn with(id: &str, blocks: bool) -> Self {
        let board = catalogue::load(&[], id).unwrap();
        let host = Host::new(VirtualBoard::for_board(&board, Options::default()), blocks);
        let driver = open(&board, &host);
        let period = board.dead_man.periods.effective(Duration::from_secs(2));
        Self {
            board,
            host,
            driver,
            period: period.unwrap_or_default(),
        }
    }

    fn segments(&self) -> usize {
        self.board.segments.len()
    }

    fn guarded(&self) -> bool {
        self.board.dead_man.kind != DeadManKind::Absent
    }

    fn on_a_bus(&self) -> bool {
        !matches!(
            self.board.controller,
            ControllerSpec::PulseTrain { .. }
                | ControllerSpec::GpioMonostable { .. }
                | ControllerSpec::GpioLatching { .. }
        )
    }

    /// Where the contacts are.
    fn truth(&self, segment: usize) -> RelayState {
        self.host.with(|board, _| board.segment_state(segment))
    }

    fn operations(&self) -> u64 {
        self.host.with(|board, _| {
            (0..board.segments())
                .filter_map(|segment| board.relay(segment))
                .map(fencepost::sim::Relay::operations)
                .sum()
        })
    }

    fn kick(&mut self) -> Result<(), Fault> {
        let until = self.host.now() + self.period.max(Duration::from_millis(1));
        self.driver.kick(until)
    }

    /// Kicks for `span`, four per period, as the node does.
    fn live(&mut self, span: Duration) {
        let end = self.host.now() + span;
        while self.host.now() < end {
            if self.guarded() {
                self.kick().unwrap();
            }
            self.host
                .pass((self.period / 4).max(Duration::from_millis(50)));
        }
    }

    fn close(&mut self, segment: usize) -> Result<(), Fault> {
        let ticket = self.driver.take_ticket()?;
        self.driver.close(segment, ticket).map(drop)
    }

    /// Armed, and every segment in `Normal`.
    fn serve(&mut self) {
        self.driver.arm(self.period).unwrap();
        for segment in 0..self.segments() {
            if self.guarded() {
                self.kick().unwrap();
            }
            self.close(segment).unwrap();
        }
        self.live(self.period);
        for segment in 0..self.segments() {
            assert_eq!(
                self.truth(segment),
                RelayState::Normal,
                "{} {segment}",
                self.board.id
            );
        }
    }

    /// What the driver says of each segment is true or `Unknown`.
    fn assert_honest(&mut self) -> Vec<SegmentReading> {
        let reading = self.driver.read().unwrap();
        for (segment, seen) in reading.segments.iter().enumerate() {
            let truth = self.truth(segment);
            assert!(
                seen.state == truth || seen.state == RelayState::Unknown,
                "{} segment {segment}: says {}, is {truth}",
                self.board.id,
                seen.state
            );
        }
        reading.segments
    }

    fn cut_state(&self, segment: usize) -> CutState {
        match self.board.segments[segment]
            .run_time
            .contains(&RelayState::Bypass)
        {
            true => CutState::Bypass,
            false => CutState::Disconnect,
        }
    }

    /// The agent's process ends and another one opens the board, its lines having been kept for it or not.
    fn reopen(&mut self, lines: Kept) {
        let again = match lines {
            Kept::Yes => {
                // The store's descriptors: the new driver has the lines before the old one lets go.
                let next = open(&self.board, &self.host);
                std::mem::forget(std::mem::replace(&mut self.driver, next));
                return;
            }
            Kept::No => {
                let nothing: Box<dyn Controller> = open(&self.board, &self.host);
                drop(std::mem::replace(&mut self.driver, nothing));
                open(&self.board, &self.host)
            }
        };
        self.driver = again;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Yes,
    No,
}

fn open(board: &Board, host: &Host) -> Box<dyn Controller> {
    let used: BTreeSet<usize> = (0..board.segments.len()).collect();
    fencepost::board::open::open(board, &used, &mut host.clone()).unwrap()
}

fn each(test: impl Fn(Bench)) {
    for id in BOARDS {
        test(Bench::new(id));
    }
    // The same controller through byte and word transfers only.
    test(Bench::with("reference", false));
}

/// Boards of which something can be read.
fn readable(bench: &Bench) -> bool {
    let mut segments = bench.board.segments.iter();
    segments.all(|segment| segment.read_back != fencepost::board::profile::ReadBack::Nothing)
}

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
