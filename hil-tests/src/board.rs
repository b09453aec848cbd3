//! One appliance's board as the rig holds it: shared, timed, ticking.
//!
//! The board outlives its host. Whatever serves it (vhost-user, Unix socket) borrows it for one operation at a time,
//! and its timers run on a thread of the rig. A panic inside a chip model is a defect of the rig: the next user of the
//! board goes on with the state it finds, and the scenario sees the panic on the rig's own thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use embedded_hal::i2c::Operation;
use fencepost::node::Instant;
use fencepost::sim::port::{HostPort, I2cFault, LineDirection};

/// How long an adapter waits for a bus that hangs.
const ADAPTER_TIMEOUT: Duration = Duration::from_millis(50);

/// Time since the rig was powered. One clock for all boards of a scenario: wires between them need one time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: std::time::Instant,
}

impl Clock {
    /// Starts at zero.
    pub fn start() -> Self {
        Self {
            start: std::time::Instant::now(),
        }
    }

    /// Now.
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }
}

/// A board, shared by whatever serves it to its host.
#[derive(Clone)]
pub struct Board {
    port: Arc<Mutex<dyn HostPort>>,
    clock: Clock,
    lines: usize,
}

impl Board {
    /// Takes a model. Keep a clone of the `Arc` (unsized or not) to look inside.
    pub fn new(port: Arc<Mutex<dyn HostPort>>, clock: Clock) -> Self {
        let lines = port
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .line_names()
            .len();
        Self { port, clock, lines }
    }

    /// One operation, at one instant, with nobody else in between.
    pub fn with<T>(&self, operate: impl FnOnce(&mut dyn HostPort, Instant) -> T) -> T {
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: the model must never see time go backwards between two users.
        let now = self.clock.now();
        operate(&mut *port, now)
    }

    /// One I2C transaction, with the time it takes: the board's timers run meanwhile.
    pub fn i2c(&self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), I2cFault> {
        std::thread::sleep(self.with(|port, _| port.transaction_delay()));
        let done = self.with(|port, now| port.i2c(now, address, operations));
        if done == Err(I2cFault::Stuck) {
            std::thread::sleep(ADAPTER_TIMEOUT);
        }
        done
    }

    /// How many GPIO lines it has.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// The board's clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Every line floats: the host's GPIO controller was reset or lost power.
    pub fn release_lines(&self) {
        self.with(|port, now| {
            for line in 0..self.lines {
                port.line_direction(now, line, LineDirection::Released);
            }
        });
    }

    /// Lets the board's timers run, once each `period`, until the result is dropped.
    pub fn tick_every(&self, period: Duration) -> Ticker {
        let board = self.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                board.with(|port, now| port.tick(now));
                std::thread::sleep(period);
            }
        });
        Ticker {
            stop,
            thread: Some(thread),
        }
    }
}

/// Keeps a board's timers running; ends with it.
pub struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
