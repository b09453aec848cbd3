//! Scripted buses, lines and clocks for the drivers' own tests.
//!
//! A script is the exact list of transactions a driver must do, with their answers. Any other transaction, and
//! any that is missing, fails the test: "no write" is then a proof and not an omission.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use embedded_hal::delay::DelayNs;

use super::bus::{BusError, Clock, Lines, Pec, SmBus};
use crate::node::Instant;

/// One expected transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Transaction {
    Send(u8, u8),
    Receive(u8),
    Write(u8, u8, u8),
    Read(u8, u8),
    Word(u8, u8),
    WordWrite(u8, u8, u16),
    BlockWrite(u8, u8, Vec<u8>, Pec),
    BlockRead(u8, u8, Pec),
}

type Answer = Result<Vec<u8>, BusError>;

#[derive(Debug, Default)]
struct State {
    expected: VecDeque<(Transaction, Answer)>,
    done: usize,
    locked: bool,
    times_locked: usize,
}

/// The list, shared between the test and the bus it handed to a driver.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn bus(&self) -> Box<dyn SmBus> {
        Box::new(ScriptBus(self.clone()))
    }

    pub(crate) fn send(&self, address: u8, value: u8) -> &Self {
        self.expect(Transaction::Send(address, value), Ok(vec![]))
    }

    pub(crate) fn receive(&self, address: u8, answer: u8) -> &Self {
        self.expect(Transaction::Receive(address), Ok(vec![answer]))
    }

    pub(crate) fn write(&self, address: u8, command: u8, value: u8) -> &Self {
        self.expect(Transaction::Write(address, command, value), Ok(vec![]))
    }

    pub(crate) fn write_nack(&self, address: u8, command: u8, value: u8) -> &Self {
        self.expect(
            Transaction::Write(address, command, value),
            Err(nack(address)),
        )
    }

    pub(crate) fn read(&self, address: u8, command: u8, answer: u8) -> &Self {
        self.expect(Transaction::Read(address, command), Ok(vec![answer]))
    }

    pub(crate) fn read_nack(&self, address: u8, command: u8) -> &Self {
        self.read_fails(address, command, nack(address))
    }

    pub(crate) fn read_fails(&self, address: u8, command: u8, error: BusError) -> &Self {
        self.expect(Transaction::Read(address, command), Err(error))
    }

    pub(crate) fn word(&self, address: u8, command: u8, low: u8, high: u8) -> &Self {
        self.expect(Transaction::Word(address, command), Ok(vec![low, high]))
    }

    pub(crate) fn word_nack(&self, address: u8, command: u8) -> &Self {
        self.expect(Transaction::Word(address, command), Err(nack(address)))
    }

    pub(crate) fn block(&self, address: u8, command: u8, data: &[u8]) -> &Self {
        let transaction = Transaction::BlockWrite(address, command, data.to_vec(), Pec::None);
        self.expect(transaction, Ok(vec![]))
    }

    pub(crate) fn block_fails(
        &self,
        address: u8,
        command: u8,
        data: &[u8],
        error: BusError,
    ) -> &Self {
        let transaction = Transaction::BlockWrite(address, command, data.to_vec(), Pec::None);
        self.expect(transaction, Err(error))
    }

    pub(crate) fn unsupported(&self, transaction: &str) -> BusError {
        BusError::Unsupported {
            adapter: "script".to_owned(),
            transaction: transaction.to_owned(),
            offers: "send byte".to_owned(),
        }
    }

    /// Every expected transaction was done.
    #[track_caller]
    pub(crate) fn assert_done(&self) {
        let state = self.0.lock().unwrap();
        assert!(state.expected.is_empty(), "not done: {:?}", state.expected);
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.0.lock().unwrap().locked
    }

    pub(crate) fn times_locked(&self) -> usize {
        self.0.lock().unwrap().times_locked
    }

    fn expect(&self, transaction: Transaction, answer: Answer) -> &Self {
        self.0
            .lock()
            .unwrap()
            .expected
            .push_back((transaction, answer));
        self
    }

    fn answer(&self, got: &Transaction) -> Answer {
        let mut state = self.0.lock().unwrap();
        let number = state.done;
        state.done += 1;
        assert!(
            state.locked,
            "transaction {number} outside the bus lock: {got:?}"
        );
        let (expected, answer) = state
            .expected
            .pop_front()
            .unwrap_or_else(|| panic!("transaction {number} was not expected: {got:?}"));
        assert_eq!(*got, expected, "transaction {number}");
        answer
    }
}

fn nack(address: u8) -> BusError {
    BusError::Nack {
        adapter: "script".to_owned(),
        address,
        transaction: "scripted".to_owned(),
    }
}

struct ScriptBus(Script);

impl SmBus for ScriptBus {
    fn adapter(&self) -> &str {
        "script"
    }

    fn send_byte(&mut self, address: u8, value: u8) -> Result<(), BusError> {
        self.0.answer(&Transaction::Send(address, value)).map(drop)
    }

    fn receive_byte(&mut self, address: u8) -> Result<u8, BusError> {
        self.0
            .answer(&Transaction::Receive(address))
            .map(|bytes| bytes[0])
    }

    fn write_byte_data(&mut self, address: u8, command: u8, value: u8) -> Result<(), BusError> {
        self.0
            .answer(&Transaction::Write(address, command, value))
            .map(drop)
    }

    fn read_byte_data(&mut self, address: u8, command: u8) -> Result<u8, BusError> {
        self.0
            .answer(&Transaction::Read(address, command))
            .map(|bytes| bytes[0])
    }

    fn read_word_data(&mut self, address: u8, command: u8) -> Result<u16, BusError> {
        let bytes = self.0.answer(&Transaction::Word(address, command))?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn write_word_data(&mut self, address: u8, command: u8, value: u16) -> Result<(), BusError> {
        let transaction = Transaction::WordWrite(address, command, value);
        self.0.answer(&transaction).map(drop)
    }

    fn block_write(
        &mut self,
        address: u8,
        command: u8,
        data: &[u8],
        pec: Pec,
    ) -> Result<(), BusError> {
        let transaction = Transaction::BlockWrite(address, command, data.to_vec(), pec);
        self.0.answer(&transaction).map(drop)
    }

    fn block_read(&mut self, address: u8, command: u8, pec: Pec) -> Result<Vec<u8>, BusError> {
        self.0
            .answer(&Transaction::BlockRead(address, command, pec))
    }

    fn lock(&mut self) -> Result<(), BusError> {
        let mut state = self.0.0.lock().unwrap();
        assert!(!state.locked, "locked twice");
        state.locked = true;
        state.times_locked += 1;
        Ok(())
    }

    fn unlock(&mut self) {
        self.0.0.lock().unwrap().locked = false;
    }
}

/// Time that moves only when somebody waits or the test says so.
#[derive(Debug, Clone)]
pub(crate) struct ScriptClock(Arc<Mutex<Instant>>);

impl ScriptClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::from_millis(10_000))))
    }

    pub(crate) fn boxed(&self) -> Box<dyn Clock> {
        Box::new(self.clone())
    }

    pub(crate) fn advance(&self, span: Duration) {
        *self.0.lock().unwrap() += span;
    }
}

impl DelayNs for ScriptClock {
    fn delay_ns(&mut self, ns: u32) {
        self.advance(Duration::from_nanos(u64::from(ns)));
    }
}

impl Clock for ScriptClock {
    fn now(&self) -> Instant {
        *self.0.lock().unwrap()
    }
}

/// A group of lines whose levels the test sees and sets, with a record of every change a driver made.
#[derive(Debug, Clone)]
pub(crate) struct ScriptLines {
    names: Vec<String>,
    state: Arc<Mutex<LineState>>,
}

#[derive(Debug)]
struct LineState {
    levels: Vec<bool>,
    written: Vec<Vec<bool>>,
    fails: bool,
}

impl ScriptLines {
    pub(crate) fn new(levels: &[bool]) -> Self {
        let names = (0..levels.len())
            .map(|line| format!("line{line}"))
            .collect();
        let state = LineState {
            levels: levels.to_vec(),
            written: vec![],
            fails: false,
        };
        Self {
            names,
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(crate) fn boxed(&self) -> Box<dyn Lines> {
        Box::new(self.clone())
    }

    /// What the wiring behind the lines does, as on an input.
    pub(crate) fn turn(&self, line: usize, level: bool) {
        self.state.lock().unwrap().levels[line] = level;
    }

    pub(crate) fn fail(&self) {
        self.state.lock().unwrap().fails = true;
    }

    pub(crate) fn levels(&self) -> Vec<bool> {
        self.state.lock().unwrap().levels.clone()
    }

    /// Every set so far, in order.
    pub(crate) fn written(&self) -> Vec<Vec<bool>> {
        self.state.lock().unwrap().written.clone()
    }
}

impl Lines for ScriptLines {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn set(&mut self, levels: &[bool]) -> Result<(), BusError> {
        let mut state = self.state.lock().unwrap();
        if state.fails {
            let what = "set lines".to_owned();
            return Err(BusError::Io {
                what,
                error: "scripted".to_owned(),
            });
        }
        state.levels = levels.to_vec();
        state.written.push(levels.to_vec());
        Ok(())
    }

    fn get(&mut self) -> Result<Vec<bool>, BusError> {
        Ok(self.levels())
    }
}
