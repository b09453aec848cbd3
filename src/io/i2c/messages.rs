//! Plain I2C messages through the kernel, as an `embedded_hal` bus.
//!
//! `linux_embedded_hal::I2cdev` is the same over the same handles, but it drops the number of messages the kernel says
//! were carried out. Adapters that stop at a missing acknowledge without an error number (virtio does) would then
//! have every failed read answered by zeroes, and zero is a valid register value. Hence this one, which counts.

use std::path::Path;

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use i2cdev::core::{I2CMessage, I2CTransfer};
use i2cdev::linux::LinuxI2CMessage;
use nix::errno::Errno;

use super::target::{KernelError, Targets, errno};
use crate::board::bus::BusError;

/// An adapter that speaks plain I2C.
pub(super) struct Messages {
    targets: Targets,
}

impl Messages {
    pub(super) fn new(device: &Path) -> Self {
        Self {
            targets: Targets::new(device),
        }
    }
}

/// For [`crate::board::plain_i2c::PlainI2c::explained_by`].
pub(super) fn explain(
    error: &KernelError,
    adapter: &str,
    address: u8,
    transaction: &str,
) -> BusError {
    error.explain(adapter, address, transaction)
}

impl embedded_hal::i2c::Error for KernelError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Transfer(Errno::ENXIO | Errno::EREMOTEIO) | Self::Short { .. } => {
                ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown)
            }
            Self::Transfer(Errno::EAGAIN) => ErrorKind::ArbitrationLoss,
            Self::Transfer(Errno::ETIMEDOUT | Errno::EBUSY | Errno::EIO) => ErrorKind::Bus,
            Self::Claim(_) | Self::Transfer(_) => ErrorKind::Other,
        }
    }
}

impl ErrorType for Messages {
    type Error = KernelError;
}

impl I2c for Messages {
    /// Callers give alternating writes and reads; see [`crate::board::plain_i2c`].
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), KernelError> {
        let target = self.targets.claim(address)?;
        let mut messages: Vec<LinuxI2CMessage<'_>> = operations
            .iter_mut()
            .map(|operation| match operation {
                Operation::Write(bytes) => LinuxI2CMessage::write(bytes),
                Operation::Read(bytes) => LinuxI2CMessage::read(bytes),
            })
            .collect();
        let of = messages.len();
        let done = target
            .transfer(&mut messages)
            .map_err(|error| KernelError::Transfer(errno(&error)))?;
        if usize::try_from(done) == Ok(of) {
            return Ok(());
        }
        Err(KernelError::Short { done, of })
    }
}
