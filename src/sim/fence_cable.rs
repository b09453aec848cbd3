//! The fence cable between two boards: four wires, each a level that arrives a moment later.
//!
//! What if it breaks? A broken wire reads idle at the far end: no order arrives and no acknowledge, so a
//! fence over it is never confirmed.

use core::time::Duration;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::board::{FenceSignals, VirtualBoard};
use crate::node::Instant;

/// Level changes under way in one direction; more than this within one delay and the oldest merge.
const UNDER_WAY_MAX: usize = 64;

/// State of one direction of the cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// Carries levels.
    #[default]
    Whole,
    /// Reads idle at the far end.
    Broken,
}

#[derive(Debug, Default)]
struct Direction {
    wire: Wire,
    sent: FenceSignals,
    under_way: VecDeque<(Instant, FenceSignals)>,
    arrived: FenceSignals,
}

/// Both directions.
#[derive(Debug)]
pub struct FenceCable {
    delay: Duration,
    directions: [Direction; 2],
}

impl FenceCable {
    /// A whole cable; every level arrives after `delay`.
    pub fn new(delay: Duration) -> Self {
        Self {
            delay,
            directions: [Direction::default(), Direction::default()],
        }
    }

    /// Breaks or mends the wires that leave one board.
    pub fn set_wire(&mut self, from: usize, wire: Wire) {
        if let Some(direction) = self.directions.get_mut(from) {
            direction.wire = wire;
        }
    }

    /// Takes the levels both boards show and gives them those that have arrived.
    pub fn carry(&mut self, now: Instant, boards: [&mut VirtualBoard; 2]) {
        let [a, b] = boards;
        let [there, back] = &mut self.directions;
        there.carry(now, self.delay, a.fence_out(), b);
        back.carry(now, self.delay, b.fence_out(), a);
    }

    /// When the next level arrives.
    pub fn deadline(&self) -> Option<Instant> {
        let next = |direction: &Direction| direction.under_way.front().map(|(due, _)| *due);
        self.directions.iter().filter_map(next).min()
    }
}

impl Direction {
    fn carry(
        &mut self,
        now: Instant,
        delay: Duration,
        shown: FenceSignals,
        receiver: &mut VirtualBoard,
    ) {
        if shown != self.sent {
            self.sent = shown;
            if self.under_way.len() == UNDER_WAY_MAX {
                self.under_way.pop_front();
            }
            self.under_way.push_back((now + delay, shown));
        }
        while let Some((due, signals)) = self.under_way.front().copied()
            && due <= now
        {
            self.under_way.pop_front();
            self.arrived = signals;
        }
        let arrived = match self.wire {
            Wire::Whole => self.arrived,
            Wire::Broken => FenceSignals::default(),
        };
        receiver.set_fence_in(now, arrived);
    }
}

#[cfg(test)]
mod tests {
    use fencepost_firmware::wire::{Request, write_block};
    use fencepost_firmware::{Command, Proof, Rank, SegmentMask, Strapping};

    use embedded_hal::i2c::Operation;

    use super::*;
    use crate::board::RelayState::{Bypass, Normal};
    use crate::board::catalogue;
    use crate::sim::chips::Power;
    use crate::sim::port::HostPort;
    use crate::sim::wiring::Options;

    const DELAY: Duration = Duration::from_micros(300);

    const fn ms(at: u64) -> Instant {
        Instant::from_millis(at)
    }

    fn board(rank: Rank, seed: u64) -> VirtualBoard {
        let profile = catalogue::load(&[], "reference").unwrap();
        let strapping = Strapping::series(2).unwrap().with_rank(rank);
        let options = Options {
            seed,
            strapping: Some(strapping),
            ..Options::default()
        };
        VirtualBoard::for_board(&profile, options)
    }

    fn pair() -> [VirtualBoard; 2] {
        [board(Rank::Preferred, 1), board(Rank::Ordinary, 2)]
    }

    /// Orders go over the bus, as a host's do.
    fn order(board: &mut VirtualBoard, now: Instant, command: Command) {
        let request = Request {
            sequence: 1,
            command,
        };
        let address = fencepost_firmware::wire::ADDRESS;
        let frame = write_block(address, request.register(), &request.encode());
        board
            .i2c(now, address, &mut [Operation::Write(frame.as_slice())])
            .unwrap();
    }

    fn arm(board: &mut VirtualBoard, now: Instant) -> u32 {
        board.tick(now);
        let machine = board.firmware().unwrap();
        let command = Command::Arm {
            session: machine.session(),
            segments: SegmentMask(0b11),
            window_ms: 60_000,
            deadline: machine.now() + 60_000,
        };
        order(board, now, command);
        board.firmware().unwrap().session()
    }

    fn close(board: &mut VirtualBoard, now: Instant) {
        arm(board, now);
        order(board, now, Command::TakeTicket);
        let ticket = {
            use fencepost_firmware::wire::{Register, parse_block};
            let address = fencepost_firmware::wire::ADDRESS;
            let mut raw = [0; 34];
            let select = [Register::Result.code()];
            let operations = &mut [Operation::Write(&select), Operation::Read(&mut raw)];
            board.i2c(now, address, operations).unwrap();
            parse_block(address, Register::Result, &raw).unwrap();
            u32::from_le_bytes([raw[5], raw[6], raw[7], raw[8]])
        };
        let segments = SegmentMask(0b11);
        let proof = Proof::Solo;
        let command = Command::Close {
            ticket,
            proof,
            segments,
        };
        order(board, now, command);
    }

    fn run(cable: &mut FenceCable, boards: &mut [VirtualBoard; 2], from: u64, to: u64) {
        for tenth in from * 10..=to * 10 {
            let now = Instant::from_nanos(tenth * 100_000);
            let [a, b] = boards;
            a.tick(now);
            b.tick(now);
            cable.carry(now, [a, b]);
        }
    }

    fn fence(boards: &mut [VirtualBoard; 2], at: u64) {
        let session = arm(&mut boards[0], ms(at));
        let read_at = boards[0].firmware().unwrap().now();
        order(&mut boards[0], ms(at), Command::Fence { session, read_at });
    }

    #[test]
    fn an_order_opens_the_peer_and_the_acknowledge_comes_back_after_both_delays() {
        let mut cable = FenceCable::new(DELAY);
        let mut boards = pair();
        close(&mut boards[1], ms(100));
        run(&mut cable, &mut boards, 100, 200);
        assert_eq!(boards[1].segment_state(0), Normal);
        fence(&mut boards, 200);
        run(&mut cable, &mut boards, 200, 204);
        assert!(!boards[0].firmware().unwrap().peer_ack().is_asserted());
        run(&mut cable, &mut boards, 205, 210);
        assert_eq!(boards[1].segment_state(0), Bypass);
        assert!(boards[0].firmware().unwrap().peer_ack().is_asserted());
    }

    #[test]
    fn a_broken_wire_confirms_nothing() {
        for broken in [0, 1] {
            let mut cable = FenceCable::new(DELAY);
            let mut boards = pair();
            cable.set_wire(broken, Wire::Broken);
            close(&mut boards[1], ms(100));
            fence(&mut boards, 200);
            run(&mut cable, &mut boards, 200, 300);
            assert!(!boards[0].firmware().unwrap().peer_ack().is_asserted());
            let expected = if broken == 0 { Normal } else { Bypass };
            assert_eq!(boards[1].segment_state(0), expected);
        }
    }

    #[test]
    fn a_peer_without_power_acknowledges_by_its_passive_circuit() {
        let mut cable = FenceCable::new(DELAY);
        let mut boards = pair();
        boards[1].power(ms(100), Power::Off);
        fence(&mut boards, 200);
        run(&mut cable, &mut boards, 200, 210);
        assert!(boards[0].firmware().unwrap().peer_ack().is_asserted());
    }
}
