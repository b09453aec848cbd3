//! The kernel's device handles, one per target address, and its error numbers in our words.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use i2cdev::linux::{LinuxI2CDevice, LinuxI2CError};
use nix::errno::Errno;

use super::SYSFS;
use crate::board::bus::BusError;

/// Handles to the targets of one adapter, opened at their first use.
pub(super) struct Targets {
    device: PathBuf,
    open: BTreeMap<u8, LinuxI2CDevice>,
}

/// What the kernel says went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KernelError {
    /// The target's handle could not be had.
    Claim(Errno),
    /// The transfer failed.
    Transfer(Errno),
    /// The transfer ended early, without an error.
    Short {
        /// Messages carried out.
        done: u32,
        /// Messages given.
        of: usize,
    },
}

impl Targets {
    pub(super) fn new(device: &Path) -> Self {
        Self {
            device: device.to_owned(),
            open: BTreeMap::new(),
        }
    }

    /// The target's handle. The kernel refuses one for an address that a driver of its own holds.
    pub(super) fn claim(&mut self, address: u8) -> Result<&mut LinuxI2CDevice, KernelError> {
        use std::collections::btree_map::Entry;
        match self.open.entry(address) {
            Entry::Occupied(handle) => Ok(handle.into_mut()),
            Entry::Vacant(free) => {
                let handle = LinuxI2CDevice::new(&self.device, address.into())
                    .map_err(|error| KernelError::Claim(errno(&error)))?;
                Ok(free.insert(handle))
            }
        }
    }
}

pub(super) fn errno(error: &LinuxI2CError) -> Errno {
    match error {
        LinuxI2CError::Errno(number) => Errno::from_raw(*number),
        LinuxI2CError::Io(error) => Errno::from_raw(error.raw_os_error().unwrap_or(0)),
    }
}

impl KernelError {
    /// In our words; `adapter` and `transaction` as an operator knows them.
    pub(super) fn explain(self, adapter: &str, address: u8, transaction: &str) -> BusError {
        let text = |words: &str| BusError::Io {
            what: format!("{transaction} at 0x{address:02x} on {adapter}"),
            error: words.to_owned(),
        };
        let owned = || (adapter.to_owned(), transaction.to_owned());
        match self {
            Self::Claim(Errno::EBUSY) => BusError::Busy {
                what: format!("address 0x{address:02x} on {adapter}"),
                holder: holder(adapter, address),
            },
            Self::Claim(error) => BusError::Io {
                what: format!("opening 0x{address:02x} on {adapter}"),
                error: error.desc().to_owned(),
            },
            // Kernel documentation, i2c/fault-codes: the numbers adapters use for the same things.
            Self::Transfer(Errno::ENXIO | Errno::EREMOTEIO | Errno::ENODEV) => {
                let (adapter, transaction) = owned();
                BusError::Nack {
                    adapter,
                    address,
                    transaction,
                }
            }
            // A target that says no makes some adapters stop without an error (virtio reports only how many
            // messages went through). Taken for a success, such a read would return zeroes.
            Self::Short { done, of } => {
                let (adapter, transaction) = owned();
                BusError::Nack {
                    adapter,
                    address,
                    transaction: format!("{transaction}, {done} of {of} messages carried out"),
                }
            }
            Self::Transfer(Errno::ETIMEDOUT | Errno::EBUSY) => {
                let (adapter, transaction) = owned();
                BusError::Timeout {
                    adapter,
                    address,
                    transaction,
                }
            }
            Self::Transfer(Errno::EBADMSG) => {
                let (adapter, transaction) = owned();
                BusError::Pec {
                    adapter,
                    address,
                    transaction,
                }
            }
            Self::Transfer(Errno::EOPNOTSUPP) => {
                let (adapter, transaction) = owned();
                BusError::Unsupported {
                    adapter,
                    transaction,
                    offers: "less than it announced".to_owned(),
                }
            }
            Self::Transfer(Errno::EAGAIN) => text("arbitration lost to another master of the bus"),
            Self::Transfer(error) => text(error.desc()),
        }
    }
}

/// The kernel driver that holds an address, from sysfs; `adapter` ends in its node, as `… (i2c-3)`.
fn holder(adapter: &str, address: u8) -> String {
    let number = adapter
        .rsplit_once("(i2c-")
        .and_then(|(_, tail)| tail.strip_suffix(')'))
        .unwrap_or_default();
    let link = Path::new(SYSFS)
        .join(format!("{number}-{address:04x}"))
        .join("driver");
    let driver = fs::read_link(link)
        .ok()
        .and_then(|target| Some(target.file_name()?.to_string_lossy().into_owned()));
    match driver {
        Some(driver) => format!(
            "the kernel driver {driver}; unbind or blacklist it, the agent never takes an address by force"
        ),
        None => {
            "a kernel driver; unbind or blacklist it, the agent never takes an address by force"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(error: KernelError) -> BusError {
        error.explain("SMBus I801 adapter at f000 (i2c-3)", 0x37, "read word data")
    }

    #[test]
    fn a_short_transfer_is_no_success() {
        let error = explained(KernelError::Short { done: 0, of: 2 });
        assert_eq!(
            error.to_string(),
            "no acknowledge from 0x37 on SMBus I801 adapter at f000 (i2c-3) (read word data, 0 of 2 messages \
             carried out)"
        );
    }

    #[test]
    fn error_numbers_keep_their_meaning() {
        let transfer = |number| explained(KernelError::Transfer(number));
        assert!(matches!(transfer(Errno::ENXIO), BusError::Nack { .. }));
        assert!(matches!(transfer(Errno::EREMOTEIO), BusError::Nack { .. }));
        assert!(matches!(
            transfer(Errno::ETIMEDOUT),
            BusError::Timeout { .. }
        ));
        assert!(matches!(transfer(Errno::EBADMSG), BusError::Pec { .. }));
        assert!(matches!(
            transfer(Errno::EOPNOTSUPP),
            BusError::Unsupported { .. }
        ));
        assert!(matches!(transfer(Errno::EAGAIN), BusError::Io { .. }));
        assert!(matches!(transfer(Errno::EIO), BusError::Io { .. }));
    }

    #[test]
    fn a_held_address_is_explained_not_forced() {
        let error = explained(KernelError::Claim(Errno::EBUSY));
        assert!(matches!(error, BusError::Busy { .. }));
        assert!(
            error
                .to_string()
                .contains("never takes an address by force"),
            "{error}"
        );
    }
}
