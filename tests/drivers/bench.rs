//! A driver on the model of its board, and the means to compare the two.

use std::collections::BTreeSet;
use std::time::Duration;

use fencepost::board::catalogue;
use fencepost::board::controller::{Controller, CutState, Fault, RelayState, SegmentReading};
use fencepost::board::profile::{Board, ControllerSpec, DeadManKind};
use fencepost::sim::{Options, VirtualBoard};

use crate::virtual_host::Host;

/// One model of each family, and every profile that is not a family.
pub(crate) const BOARDS: [&str; 9] = [
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

pub(crate) struct Bench {
    pub(crate) board: Board,
    pub(crate) host: Host,
    pub(crate) driver: Box<dyn Controller>,
    pub(crate) period: Duration,
}

impl Bench {
    pub(crate) fn new(id: &str) -> Self {
        Self::with(id, true)
    }

    pub(crate) fn with(id: &str, blocks: bool) -> Self {
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

    pub(crate) fn segments(&self) -> usize {
        self.board.segments.len()
    }

    pub(crate) fn guarded(&self) -> bool {
        self.board.dead_man.kind != DeadManKind::Absent
    }

    pub(crate) fn on_a_bus(&self) -> bool {
        !matches!(
            self.board.controller,
            ControllerSpec::PulseTrain { .. }
                | ControllerSpec::GpioMonostable { .. }
                | ControllerSpec::GpioLatching { .. }
        )
    }

    /// Where the contacts are.
    pub(crate) fn truth(&self, segment: usize) -> RelayState {
        self.host.with(|board, _| board.segment_state(segment))
    }

    pub(crate) fn operations(&self) -> u64 {
        self.host.with(|board, _| {
            (0..board.segments())
                .filter_map(|segment| board.relay(segment))
                .map(fencepost::sim::Relay::operations)
                .sum()
        })
    }

    pub(crate) fn kick(&mut self) -> Result<(), Fault> {
        let until = self.host.now() + self.period.max(Duration::from_millis(1));
        self.driver.kick(until)
    }

    /// Kicks for `span`, four per period, as the node does.
    pub(crate) fn live(&mut self, span: Duration) {
        let end = self.host.now() + span;
        while self.host.now() < end {
            if self.guarded() {
                self.kick().unwrap();
            }
            self.host
                .pass((self.period / 4).max(Duration::from_millis(50)));
        }
    }

    pub(crate) fn close(&mut self, segment: usize) -> Result<(), Fault> {
        let ticket = self.driver.take_ticket()?;
        self.driver.close(segment, ticket).map(drop)
    }

    /// Armed, and every segment in `Normal`.
    pub(crate) fn serve(&mut self) {
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
    pub(crate) fn assert_honest(&mut self) -> Vec<SegmentReading> {
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

    pub(crate) fn cut_state(&self, segment: usize) -> CutState {
        match self.board.segments[segment]
            .run_time
            .contains(&RelayState::Bypass)
        {
            true => CutState::Bypass,
            false => CutState::Disconnect,
        }
    }

    /// The agent's process ends and another one opens the board, its lines having been kept for it or not.
    pub(crate) fn reopen(&mut self, lines: Kept) {
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
pub(crate) enum Kept {
    Yes,
    No,
}

pub(crate) fn open(board: &Board, host: &Host) -> Box<dyn Controller> {
    let used: BTreeSet<usize> = (0..board.segments.len()).collect();
    fencepost::board::open::open(board, &used, &mut host.clone()).unwrap()
}

pub(crate) fn each(test: impl Fn(Bench)) {
    for id in BOARDS {
        test(Bench::new(id));
    }
    // The same controller through byte and word transfers only.
    test(Bench::with("reference", false));
}

/// Boards of which something can be read.
pub(crate) fn readable(bench: &Bench) -> bool {
    let mut segments = bench.board.segments.iter();
    segments.all(|segment| segment.read_back != fencepost::board::profile::ReadBack::Nothing)
}
