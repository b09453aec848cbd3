//! I2C and SMBus adapters of the kernel.
//!
//! An adapter is found by a stable link or by its own name, never by number: numbers follow probe order. It is asked
//! what it can do. One that speaks plain I2C is used so, with packet error codes computed by us; a chipset's SMBus
//! controller, which refuses plain messages, through the kernel's SMBus transactions. What it lacks is named
//! when it is needed.
//!
//! An address that a kernel driver holds is refused, never forced: two masters of one chip move relays behind each
//! other's back.
//!
//! What if this dies here? A transaction is carried out whole by the kernel or not at all; the lock file's lock goes
//! with the process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::sys::{self, I2cFunctions};
use crate::board::bus::{BusError, SmBus};
use crate::board::plain_i2c::PlainI2c;
use crate::board::profile::AdapterRef;

mod lock;
mod messages;
mod target;
mod transactions;

use lock::FileLock;
use messages::Messages;
use transactions::Transactions;

/// Longest time one transfer may take. SMBus lets a target stretch the clock for 25 to 35 ms before everybody must
/// let go; past that nothing good comes any more.
const TRANSFER_TIMEOUT: Duration = Duration::from_millis(50);

/// How often the kernel repeats a transfer that lost arbitration. Everything else is repeated, visibly, by the
/// driver.
const ARBITRATION_RETRIES: u8 = 1;

/// Where the kernel lists its adapters.
const SYSFS: &str = "/sys/bus/i2c/devices";

/// Most adapters named in an error text.
const NAMED_MAX: usize = 16;

/// Open an adapter. `lock_dir` holds one lock file per adapter, shared by everything of this agent's family that
/// drives a board.
///
/// # Errors
/// [`BusError::Absent`] if there is none or more than one; [`BusError::Io`] if it cannot be opened.
pub fn open(adapter: &AdapterRef, lock_dir: &Path) -> Result<Box<dyn SmBus>, BusError> {
    let found = find(adapter, Path::new(SYSFS))?;
    let device = fs::File::options()
        .read(true)
        .write(true)
        .open(&found.device)
        .map_err(|error| cannot_open(&found, &error))?;
    let failed = |what: &str, error: &io::Error| BusError::Io {
        what: format!("{what} of {found}"),
        error: error.to_string(),
    };
    let functions = sys::i2c_functions(&device).map_err(|error| failed("functionality", &error))?;
    sys::i2c_set_timeout(&device, TRANSFER_TIMEOUT).map_err(|error| failed("time-out", &error))?;
    sys::i2c_set_retries(&device, ARBITRATION_RETRIES)
        .map_err(|error| failed("retries", &error))?;
    let lock = FileLock::new(lock_dir, &found)?;
    if functions.offers(I2cFunctions::PLAIN) {
        let bus = PlainI2c::new(Messages::new(&found.device), lock, found.to_string());
        return Ok(Box::new(bus.explained_by(messages::explain)));
    }
    Ok(Box::new(Transactions::new(found, functions, lock)))
}

/// An adapter of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Adapter {
    /// Device node.
    device: PathBuf,
    /// The kernel's number for it, as in `i2c-3`. It may be another one after the next boot.
    node: String,
    /// Its own name.
    name: String,
}

impl std::fmt::Display for Adapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.node)
    }
}

fn find(adapter: &AdapterRef, sysfs: &Path) -> Result<Adapter, BusError> {
    let all = adapters(sysfs);
    match adapter {
        AdapterRef::Link(link) => {
            let target = fs::canonicalize(link).map_err(|error| BusError::Absent {
                what: format!("I2C adapter {link} ({error})"),
                advice: format!(
                    "a udev rule makes this link: is the adapter's kernel module loaded, are Fencepost's udev \
                     rules installed and triggered? Adapters here: {}",
                    listed(&all)
                ),
            })?;
            let node = target
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            let known = all
                .into_iter()
                .find(|adapter| Some(&adapter.node) == node.as_ref());
            Ok(Adapter {
                device: target,
                node: node.unwrap_or_default(),
                name: known.map_or_else(|| link.clone(), |known| known.name),
            })
        }
        AdapterRef::Name(pattern) => {
            let (matching, others): (Vec<Adapter>, Vec<Adapter>) = all
                .into_iter()
                .partition(|adapter| matches(pattern, &adapter.name));
            match <[Adapter; 1]>::try_from(matching) {
                Ok([one]) => Ok(one),
                Err(none) if none.is_empty() => Err(BusError::Absent {
                    what: format!("I2C adapter named `{pattern}`"),
                    advice: format!(
                        "is its kernel module loaded (and i2c-dev)? Adapters here: {}",
                        listed(&others)
                    ),
                }),
                Err(many) => Err(BusError::Absent {
                    what: format!("one I2C adapter named `{pattern}`"),
                    advice: format!(
                        "{} have that name; give a longer one or a udev link: {}",
                        many.len(),
                        listed(&many)
                    ),
                }),
            }
        }
    }
}

/// Every adapter, in the kernel's order.
fn adapters(sysfs: &Path) -> Vec<Adapter> {
    let Ok(entries) = fs::read_dir(sysfs) else {
        return Vec::new();
    };
    let mut all: Vec<Adapter> = entries
        .filter_map(|entry| {
            let node = entry.ok()?.file_name().into_string().ok()?;
            // Devices, as `3-0037`, are listed beside the adapters.
            node.strip_prefix("i2c-")?.parse::<u32>().ok()?;
            let name = fs::read_to_string(sysfs.join(&node).join("name")).ok()?;
            let device = Path::new("/dev").join(&node);
            Some(Adapter {
                device,
                node,
                name: name.trim_end().to_owned(),
            })
        })
        .collect();
    all.sort_by(|one, other| (one.node.len(), &one.node).cmp(&(other.node.len(), &other.node)));
    all
}

/// `*` at the end matches any tail.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(head) => name.starts_with(head),
        None => name == pattern,
    }
}

fn listed(adapters: &[Adapter]) -> String {
    if adapters.is_empty() {
        return "none (is the i2c-dev module loaded?)".to_owned();
    }
    let mut names: Vec<String> = adapters
        .iter()
        .take(NAMED_MAX)
        .map(|adapter| format!("`{adapter}`"))
        .collect();
    if adapters.len() > NAMED_MAX {
        names.push(format!("and {} more", adapters.len() - NAMED_MAX));
    }
    names.join(", ")
}

fn cannot_open(adapter: &Adapter, error: &io::Error) -> BusError {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => "; the agent needs the group that owns it",
        io::ErrorKind::NotFound => "; load the i2c-dev module",
        _ => "",
    };
    BusError::Io {
        what: format!("opening {} of {adapter}", adapter.device.display()),
        error: format!("{error}{advice}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sysfs(names: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (node, name) in names {
            fs::create_dir(dir.path().join(node)).unwrap();
            fs::write(dir.path().join(node).join("name"), format!("{name}\n")).unwrap();
        }
        dir
    }

    fn by_name(pattern: &str, sysfs: &Path) -> Result<Adapter, BusError> {
        find(&AdapterRef::Name(pattern.to_owned()), sysfs)
    }

    #[test]
    fn an_adapter_is_found_by_name_or_by_its_beginning() {
        let sysfs = sysfs(&[
            ("i2c-0", "Synopsys DesignWare I2C adapter"),
            ("i2c-10", "SMBus I801 adapter at f000"),
            ("10-0037", "lanner"),
        ]);
        let found = by_name("SMBus I801 adapter at *", sysfs.path()).unwrap();
        assert_eq!(found.device, Path::new("/dev/i2c-10"));
        assert_eq!(found.to_string(), "SMBus I801 adapter at f000 (i2c-10)");
        assert_eq!(
            by_name("SMBus I801 adapter at f000", sysfs.path()),
            Ok(found)
        );
    }

    #[test]
    fn none_and_many_are_refused_with_what_is_there() {
        let sysfs = sysfs(&[
            ("i2c-1", "SMBus PIIX4 adapter port 2 at 0b00"),
            ("i2c-0", "SMBus PIIX4 adapter port 0 at 0b00"),
        ]);
        let none = by_name("SMBus I801*", sysfs.path()).unwrap_err();
        assert_eq!(
            none.to_string(),
            "I2C adapter named `SMBus I801*` not found; is its kernel module loaded (and i2c-dev)? Adapters \
             here: `SMBus PIIX4 adapter port 0 at 0b00 (i2c-0)`, `SMBus PIIX4 adapter port 2 at 0b00 (i2c-1)`"
        );
        let many = by_name("SMBus PIIX4*", sysfs.path())
            .unwrap_err()
            .to_string();
        assert!(many.contains("2 have that name"), "{many}");
        let empty = by_name("x", Path::new("/nonexistent"))
            .unwrap_err()
            .to_string();
        assert!(
            empty.contains("none (is the i2c-dev module loaded?)"),
            "{empty}"
        );
    }

    #[test]
    fn a_link_is_followed_and_a_missing_one_explained() {
        let sysfs = sysfs(&[("i2c-7", "SMBus I801 adapter at f000")]);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("i2c-7"), "").unwrap();
        let link = dir.path().join("smbus");
        std::os::unix::fs::symlink("i2c-7", &link).unwrap();
        let found = find(&AdapterRef::Link(link.display().to_string()), sysfs.path()).unwrap();
        assert_eq!(found.name, "SMBus I801 adapter at f000");
        assert_eq!(found.node, "i2c-7");

        let missing = AdapterRef::Link("/nonexistent/smbus".to_owned());
        let error = find(&missing, sysfs.path()).unwrap_err().to_string();
        assert!(error.contains("udev rules"), "{error}");
        assert!(
            error.contains("`SMBus I801 adapter at f000 (i2c-7)`"),
            "{error}"
        );
    }

    #[test]
    fn opening_what_is_no_adapter_fails_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("smbus");
        fs::write(&file, "").unwrap();
        let link = AdapterRef::Link(file.display().to_string());
        let error = open(&link, dir.path()).map(drop).unwrap_err();
        assert!(
            error.to_string().starts_with("functionality of "),
            "{error}"
        );
    }
}
