//! An I2C multiplexer of the PCA9546/9548 kind: one control register, one bit per downstream channel.
//!
//! Facts: the vendor's mux tables write one channel byte by SMBus *send byte*; every byte in them is one
//! bit. Several bits open several channels at once, and then two equal addresses answer together: a real
//! hazard, so it is modelled. After power-up no channel is open.

use crate::node::Instant;
use crate::sim::port::I2cFault;

/// The muxes and channel bytes that must be set, in order, to reach a part.
pub type Path = Vec<(u8, u8)>;

/// One multiplexer and where it sits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct I2cMux {
    /// Way to the mux itself; empty on the root bus.
    pub path: Path,
    /// 7-bit address.
    pub address: u8,
    selected: u8,
}

impl I2cMux {
    /// A mux with all channels closed.
    pub fn new(path: Path, address: u8) -> Self {
        Self {
            path,
            address,
            selected: 0,
        }
    }

    /// Channels open now.
    pub fn selected(&self) -> u8 {
        self.selected
    }

    /// Whether every channel of `channels` is open.
    pub fn opens(&self, channels: u8) -> bool {
        self.selected & channels == channels
    }

    /// The last byte of a write is the control register; an empty write is a probe.
    ///
    /// # Errors
    /// None: a mux acknowledges everything. The type is that of every target.
    pub fn write(&mut self, _now: Instant, bytes: &[u8]) -> Result<(), I2cFault> {
        if let Some(channels) = bytes.last() {
            self.selected = *channels;
        }
        Ok(())
    }

    /// Every byte read is the control register.
    pub fn read(&self, out: &mut [u8]) {
        out.fill(self.selected);
    }

    /// Power came back: all channels closed.
    pub fn reset(&mut self) {
        self.selected = 0;
    }
}
