//! A bus and lines that answer anything, and every shipped board's driver upon them.
//!
//! Contract judged: whatever comes back, no driver panics, talks without end or waits without end; a reading has one
//! entry per segment and never says `Normal` with nothing behind it; a ticket nobody gave out closes nothing on a
//! vendor board; and where the reply marker is all the integrity there is (Lanner), no `Normal` without one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use embedded_hal::delay::DelayNs;
use fencepost::board::bus::{BusError, Clock, Lines, Pec, SmBus};
use fencepost::board::controller::{
    CutState, Evidence, Moved, RelayState, SegmentReading, SegmentSettings, Ticket,
};
use fencepost::board::profile::{AdapterRef, Board, ControllerSpec, LineRef};
use fencepost::board::{Controller, Wiring, open};
use fencepost::node::Instant;

use crate::feed::Feed;
use crate::text::BOARDS;

/// Most transactions and line operations one verb may take. The largest board, with every retry, needs a third.
const OPERATIONS_MAX: u32 = 20_000;
/// Longest one verb may wait, of simulated time.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// Lanner's run-time mask, and the mark of its answer.
const RUN_TIME: u8 = 0x12;

/// One board, chosen by the first byte; then verbs until the bytes are used up. How often a state was believed.
pub fn replies(bytes: &[u8]) -> u32 {
    let mut feed = Feed::new(bytes);
    let board = &BOARDS[feed.below(BOARDS.len())];
    let used: BTreeSet<usize> = (0..board.segments.len()).collect();
    let world = World::new(bytes.get(1..).unwrap_or_default());
    let mut wiring = AnyWiring(world.clone());
    let Ok(controller) = open(board, &used, &mut wiring) else {
        return 0;
    };
    let mut bench = Bench {
        board,
        controller,
        world,
        given: BTreeSet::new(),
    };
    while !bench.world.lock().is_empty() {
        bench.verb();
    }
    let believed = bench.world.lock().believed;
    believed
}

struct Bench<'a> {
    board: &'a Board,
    controller: Box<dyn Controller>,
    world: World,
    given: BTreeSet<u32>,
}

impl Bench<'_> {
    fn verb(&mut self) {
        let (verb, argument) = {
            let mut world = self.world.lock();
            world.begin();
            (world.byte() % 9, world.byte())
        };
        let segment = usize::from(argument) % self.board.segments.len();
        let controller = &mut self.controller;
        match verb {
            0 => drop(controller.identify()),
            1 => {
                if let Ok(reading) = controller.read() {
                    assert_eq!(reading.segments.len(), self.board.segments.len());
                    reading.segments.iter().for_each(|it| self.believable(*it));
                }
            }
            2 => {
                let settings = SegmentSettings {
                    power_up: Some(cut_state(argument)),
                    power_off: Some(cut_state(argument >> 1)),
                    expiry: Some(cut_state(argument >> 2)),
                };
                let _fault = controller.configure(&vec![settings; self.board.segments.len()]);
            }
            3 => drop(controller.arm(Duration::from_millis(u64::from(argument) * 100))),
            4 => {
                let ahead = Duration::from_millis(u64::from(argument) * 20);
                let until = self.world.lock().now + ahead;
                let _fault = controller.kick(until);
            }
            5 => drop(controller.disarm()),
            6 => {
                if let Ok(Ticket(number)) = controller.take_ticket() {
                    self.given.insert(number);
                }
            }
            7 => {
                let invented = argument >= 128;
                let latest = self.given.last().copied().unwrap_or(0);
                let ticket = latest.wrapping_add(u32::from(invented));
                let moved = controller.close(segment, Ticket(ticket));
                let own = matches!(self.board.controller, ControllerSpec::Reference { .. });
                // The reference controller judges tickets itself; here it says anything.
                if !own && !self.given.contains(&ticket) {
                    assert!(moved.is_err(), "closed with an invented ticket");
                }
                self.moved(moved.ok());
            }
            _ => {
                let moved = controller.cut(segment, cut_state(argument >> 7));
                self.moved(moved.ok());
            }
        }
    }

    fn moved(&self, moved: Option<Moved>) {
        if let Some(moved) = moved {
            self.believable(moved.after);
        }
    }

    fn believable(&self, reading: SegmentReading) {
        if reading.state == RelayState::Unknown {
            return;
        }
        assert_ne!(reading.evidence, Evidence::Nothing, "{reading:?}");
        self.world.lock().believed += 1;
        let lanner = matches!(self.board.controller, ControllerSpec::LannerGen3 { .. });
        if lanner && reading.state == RelayState::Normal {
            assert!(self.world.lock().marked, "Normal without the marker");
        }
    }
}

/// Everything the driver can touch. Shared, because buses, lines and clocks are separate objects to it.
#[derive(Clone)]
struct World(Arc<Mutex<State>>);

struct State {
    bytes: Vec<u8>,
    at: usize,
    now: Instant,
    begun: Instant,
    operations: u32,
    /// A marked answer about the run-time mask came within this verb.
    marked: bool,
    believed: u32,
}

impl World {
    fn new(bytes: &[u8]) -> Self {
        Self(Arc::new(Mutex::new(State {
            bytes: bytes.to_vec(),
            at: 0,
            now: Instant::from_millis(1_000),
            begun: Instant::ZERO,
            operations: 0,
            marked: false,
            believed: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One operation of the driver: fails one time in eight, says so in any of the ways there are.
    fn operate<T>(&self, answer: impl FnOnce(&mut State) -> T) -> Result<T, BusError> {
        let mut state = self.lock();
        state.operations += 1;
        assert!(
            state.operations < OPERATIONS_MAX,
            "a verb that does not end"
        );
        state.pass(Duration::from_micros(300));
        let adapter = "any".to_owned();
        let transaction = "any".to_owned();
        let address = 0;
        match state.byte() {
            0xE0..=0xEF => Err(BusError::Nack {
                adapter,
                address,
                transaction,
            }),
            0xF0..=0xF7 => {
                state.pass(Duration::from_millis(35));
                Err(BusError::Timeout {
                    adapter,
                    address,
                    transaction,
                })
            }
            0xF8..=0xFB => Err(BusError::Pec {
                adapter,
                address,
                transaction,
            }),
            0xFC..=0xFF => Err(BusError::Unsupported {
                adapter,
                transaction,
                offers: "nothing".to_owned(),
            }),
            _ => Ok(answer(&mut state)),
        }
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte
    }

    fn begin(&mut self) {
        self.begun = self.now;
        self.operations = 0;
        self.marked = false;
    }

    fn pass(&mut self, span: Duration) {
        self.now += span;
        let waited = self.now.since(self.begun);
        assert!(waited < WAIT_MAX, "a verb that waits without end");
    }
}

struct AnyWiring(World);

impl Wiring for AnyWiring {
    fn smbus(&mut self, _: &AdapterRef) -> Result<Box<dyn SmBus>, BusError> {
        Ok(Box::new(AnyBus(self.0.clone())))
    }

    fn outputs(&mut self, lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError> {
        let names = lines.iter().map(|line| line.name.clone()).collect();
        Ok(Box::new(AnyLines(self.0.clone(), names)))
    }

    fn inputs(&mut self, lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError> {
        self.outputs(lines)
    }

    fn clock(&self) -> Box<dyn Clock> {
        Box::new(AnyClock(self.0.clone()))
    }
}

struct AnyBus(World);

impl SmBus for AnyBus {
    fn adapter(&self) -> &str {
        "any"
    }

    fn send_byte(&mut self, _: u8, _: u8) -> Result<(), BusError> {
        self.0.operate(|_| ())
    }

    fn receive_byte(&mut self, _: u8) -> Result<u8, BusError> {
        self.0.operate(State::byte)
    }

    fn write_byte_data(&mut self, _: u8, _: u8, _: u8) -> Result<(), BusError> {
        self.0.operate(|_| ())
    }

    fn read_byte_data(&mut self, _: u8, _: u8) -> Result<u8, BusError> {
        self.0.operate(State::byte)
    }

    fn read_word_data(&mut self, _: u8, command: u8) -> Result<u16, BusError> {
        self.0.operate(|state| {
            // Mostly what a good part marks, or nothing but retries would ever be seen.
            let choice = state.byte();
            let low = if choice < 0xC0 {
                command | 0x80
            } else {
                choice
            };
            state.marked |= command == RUN_TIME && low == RUN_TIME | 0x80;
            u16::from_le_bytes([low, state.byte()])
        })
    }

    fn write_word_data(&mut self, _: u8, _: u8, _: u16) -> Result<(), BusError> {
        self.0.operate(|_| ())
    }

    fn block_write(&mut self, _: u8, _: u8, _: &[u8], _: Pec) -> Result<(), BusError> {
        self.0.operate(|_| ())
    }

    fn block_read(&mut self, _: u8, _: u8, _: Pec) -> Result<Vec<u8>, BusError> {
        self.0.operate(|state| {
            let count = usize::from(state.byte()) % 33;
            (0..count).map(|_| state.byte()).collect()
        })
    }

    fn lock(&mut self) -> Result<(), BusError> {
        self.0.operate(|_| ())
    }

    fn unlock(&mut self) {}
}

struct AnyLines(World, Vec<String>);

impl Lines for AnyLines {
    fn names(&self) -> &[String] {
        &self.1
    }

    fn set(&mut self, levels: &[bool]) -> Result<(), BusError> {
        assert_eq!(levels.len(), self.1.len(), "levels for other lines");
        self.0.operate(|_| ())
    }

    fn get(&mut self) -> Result<Vec<bool>, BusError> {
        let count = self.1.len();
        self.0
            .operate(|state| (0..count).map(|_| state.byte() & 1 != 0).collect())
    }
}

struct AnyClock(World);

impl DelayNs for AnyClock {
    fn delay_ns(&mut self, nanos: u32) {
        self.0.lock().pass(Duration::from_nanos(u64::from(nanos)));
    }
}

impl Clock for AnyClock {
    fn now(&self) -> Instant {
        self.0.lock().now
    }
}

fn cut_state(bits: u8) -> CutState {
    if bits & 1 == 0 {
        CutState::Bypass
    } else {
        CutState::Disconnect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else the judge would never be asked.
    #[test]
    fn the_corpus_is_believed_on_every_kind_of_board() {
        let mut believed = vec![0; BOARDS.len()];
        for bytes in crate::inputs("driver_replies") {
            let board = Feed::new(&bytes).below(BOARDS.len());
            believed[board] += replies(&bytes);
        }
        for (board, count) in BOARDS.iter().zip(&believed) {
            println!("{}: {count}", board.id);
        }
        assert!(believed.iter().sum::<u32>() > 100, "{believed:?}");
    }
}
