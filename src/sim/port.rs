//! The seam between a host and a modelled board: one I2C bus and some GPIO lines.
//!
//! The rig serves it to a guest kernel over vhost-user, to a native agent over a Unix socket, and the
//! simulator calls it directly, so that one model of each chip serves every layer of proof.

use core::time::Duration;

use embedded_hal::i2c::Operation;
use serde::{Deserialize, Serialize};

use crate::node::Instant;

/// One appliance's board as its host sees it.
pub trait HostPort: Send {
    /// One I2C transaction, START to STOP, to a 7-bit address.
    ///
    /// # Errors
    /// What the adapter would report: nobody answered, or the bus hung until the adapter gave up.
    fn i2c(
        &mut self,
        now: Instant,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), I2cFault>;

    /// Names of the GPIO lines, in offset order.
    fn line_names(&self) -> Vec<String>;

    /// The host requested or released a line. `Released` leaves it floating: the wiring decides.
    fn line_direction(&mut self, now: Instant, line: usize, direction: LineDirection);

    /// The host drives a line it holds as output.
    fn line_set(&mut self, now: Instant, line: usize, level: bool);

    /// The level a host reads on a line.
    fn line_get(&mut self, now: Instant, line: usize) -> bool;

    /// Time has passed; timers on the board run without their host.
    fn tick(&mut self, now: Instant);

    /// How long each transaction takes on top. Whoever serves the board waits it out without holding the board:
    /// its timers go on meanwhile.
    fn transaction_delay(&self) -> Duration {
        Duration::ZERO
    }
}

/// What an I2C adapter reports when a transaction fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum I2cFault {
    /// Nobody acknowledged the address or a byte.
    #[error("no acknowledge")]
    Nack,
    /// SDA or SCL is held low; the adapter gave up after its own time-out.
    #[error("bus stuck, the adapter timed out")]
    Stuck,
}

/// What a host does with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineDirection {
    /// Nobody holds it; it floats.
    Released,
    /// Held as input.
    Input,
    /// Held as output.
    Output,
}
