//! SMBus transactions through the kernel, for adapters that do not speak plain I2C.
//!
//! Which transactions there are differs between chipsets and kernels. A missing one is refused here with its name,
//! before the kernel gives an error number that says nothing.

use i2cdev::core::I2CDevice;
use i2cdev::linux::{LinuxI2CDevice, LinuxI2CError};

use super::Adapter;
use super::lock::FileLock;
use super::target::{KernelError, Targets, errno};
use crate::board::bus::{BusError, Pec, SmBus};
use crate::board::plain_i2c::{BusLock, block_count};
use crate::io::sys::I2cFunctions;

/// An SMBus controller.
pub(super) struct Transactions {
    targets: Targets,
    functions: I2cFunctions,
    lock: FileLock,
    name: String,
}

impl Transactions {
    pub(super) fn new(adapter: Adapter, functions: I2cFunctions, lock: FileLock) -> Self {
        let name = adapter.to_string();
        Self {
            targets: Targets::new(&adapter.device),
            functions,
            lock,
            name,
        }
    }

    fn run<T>(
        &mut self,
        address: u8,
        (needed, what): (I2cFunctions, &str),
        pec: Pec,
        transaction: impl FnOnce(&mut LinuxI2CDevice) -> Result<T, LinuxI2CError>,
    ) -> Result<T, BusError> {
        self.check(needed, what)?;
        if pec == Pec::Checked {
            self.check(
                I2cFunctions::PEC,
                &format!("{what} with a packet error code"),
            )?;
        }
        let outcome = self.targets.claim(address).and_then(|target| {
            let transfer = |error: LinuxI2CError| KernelError::Transfer(errno(&error));
            target
                .set_smbus_pec(pec == Pec::Checked)
                .map_err(transfer)?;
            transaction(target).map_err(transfer)
        });
        outcome.map_err(|error| error.explain(&self.name, address, what))
    }

    fn check(&self, needed: I2cFunctions, what: &str) -> Result<(), BusError> {
        if self.functions.offers(needed) {
            return Ok(());
        }
        Err(BusError::Unsupported {
            adapter: self.name.clone(),
            transaction: what.to_owned(),
            offers: self.functions.describe(),
        })
    }
}

impl SmBus for Transactions {
    fn adapter(&self) -> &str {
        &self.name
    }

    fn send_byte(&mut self, address: u8, value: u8) -> Result<(), BusError> {
        let what = (I2cFunctions::WRITE_BYTE, "send byte");
        self.run(address, what, Pec::None, |target| {
            target.smbus_write_byte(value)
        })
    }

    fn receive_byte(&mut self, address: u8) -> Result<u8, BusError> {
        let what = (I2cFunctions::READ_BYTE, "receive byte");
        self.run(address, what, Pec::None, LinuxI2CDevice::smbus_read_byte)
    }

    fn write_byte_data(&mut self, address: u8, command: u8, value: u8) -> Result<(), BusError> {
        let what = (I2cFunctions::WRITE_BYTE_DATA, "write byte data");
        self.run(address, what, Pec::None, |target| {
            target.smbus_write_byte_data(command, value)
        })
    }

    fn read_byte_data(&mut self, address: u8, command: u8) -> Result<u8, BusError> {
        let what = (I2cFunctions::READ_BYTE_DATA, "read byte data");
        self.run(address, what, Pec::None, |target| {
            target.smbus_read_byte_data(command)
        })
    }

    fn read_word_data(&mut self, address: u8, command: u8) -> Result<u16, BusError> {
        let what = (I2cFunctions::READ_WORD_DATA, "read word data");
        self.run(address, what, Pec::None, |target| {
            target.smbus_read_word_data(command)
        })
    }

    fn write_word_data(&mut self, address: u8, command: u8, value: u16) -> Result<(), BusError> {
        let what = (I2cFunctions::WRITE_WORD_DATA, "write word data");
        self.run(address, what, Pec::None, |target| {
            target.smbus_write_word_data(command, value)
        })
    }

    fn block_write(
        &mut self,
        address: u8,
        command: u8,
        data: &[u8],
        pec: Pec,
    ) -> Result<(), BusError> {
        // The crate would cut a longer block off in silence.
        block_count(&self.name, data)?;
        let what = (I2cFunctions::WRITE_BLOCK_DATA, "block write");
        self.run(address, what, pec, |target| {
            target.smbus_write_block_data(command, data)
        })
    }

    fn block_read(&mut self, address: u8, command: u8, pec: Pec) -> Result<Vec<u8>, BusError> {
        let what = (I2cFunctions::READ_BLOCK_DATA, "block read");
        self.run(address, what, pec, |target| {
            target.smbus_read_block_data(command)
        })
    }

    fn lock(&mut self) -> Result<(), BusError> {
        self.lock.lock()
    }

    fn unlock(&mut self) {
        self.lock.unlock();
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_missing_transaction_is_named_with_what_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let adapter = Adapter {
            device: PathBuf::from("/dev/null"),
            node: "i2c-0".to_owned(),
            name: "SMBus stub driver".to_owned(),
        };
        let lock = FileLock::new(dir.path(), &adapter).unwrap();
        let functions = I2cFunctions(
            I2cFunctions::READ_BYTE_DATA.0
                | I2cFunctions::WRITE_BYTE_DATA.0
                | I2cFunctions::WRITE_BLOCK_DATA.0,
        );
        let mut bus = Transactions::new(adapter, functions, lock);
        let error = bus.read_word_data(0x37, 0x12).unwrap_err();
        assert_eq!(
            error.to_string(),
            "SMBus stub driver (i2c-0) cannot do read word data; it offers: read byte data, write byte data, \
             block write"
        );
        let error = bus.block_write(0x42, 0x10, &[1], Pec::Checked).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("block write with a packet error code"),
            "{error}"
        );
    }
}
