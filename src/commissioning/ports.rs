//! Carrier of the ports, from sysfs: state, and how often it was lost, so that a short loss is not missed.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::board::profile::PortRef;

const NET: &str = "/sys/class/net";

/// One port's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Carrier, now.
    pub carrier: bool,
    /// How often carrier was lost since the interface exists.
    pub losses: u64,
}

/// The machine's network ports.
#[derive(Debug, Clone)]
pub struct Ports {
    net: PathBuf,
}

impl Default for Ports {
    fn default() -> Self {
        Self { net: NET.into() }
    }
}

impl Ports {
    /// The ports under another root than `/sys/class/net`.
    pub fn at(net: &Path) -> Self {
        Self {
            net: net.to_owned(),
        }
    }

    /// One port, as it is now.
    ///
    /// # Errors
    /// A sentence: it is not there, or switched off.
    pub fn link(&self, port: &PortRef) -> Result<Link, String> {
        let name = self.interface(port)?;
        let read = |file: &str| fs::read_to_string(self.net.join(&name).join(file));
        let carrier = read("carrier").map_err(|error| match error.raw_os_error() {
            // The kernel does not tell while the interface is administratively down.
            Some(errno) if errno == Errno::EINVAL as i32 => {
                format!("{name} is switched off: run `ip link set {name} up`")
            }
            _ => format!("carrier of {name} cannot be read: {error}"),
        })?;
        let losses = read("carrier_down_count").map_err(|error| error.to_string());
        let losses = losses.and_then(|text| text.trim().parse().map_err(|_| text));
        Ok(Link {
            carrier: carrier.trim() == "1",
            losses: losses.map_err(|error| {
                format!("carrier losses of {name} are not counted by its driver: {error}")
            })?,
        })
    }

    fn interface(&self, port: &PortRef) -> Result<String, String> {
        let path = match port {
            PortRef::Interface(name) => return Ok(name.clone()),
            PortRef::Pci(path) => path,
        };
        let entries = fs::read_dir(&self.net)
            .map_err(|error| format!("{} cannot be read: {error}", self.net.display()))?;
        entries
            .filter_map(Result::ok)
            .find(|entry| {
                fs::canonicalize(entry.path().join("device"))
                    .is_ok_and(|device| device.ends_with(path))
            })
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .ok_or_else(|| format!("no interface at PCI {path}: card or driver missing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_by_name_and_by_place() {
        let root = tempfile::tempdir().unwrap();
        let device = root.path().join("devices/pci0000:00/0000:03:00.0");
        let eth = root.path().join("net/eth1");
        fs::create_dir_all(&device).unwrap();
        fs::create_dir_all(&eth).unwrap();
        std::os::unix::fs::symlink(&device, eth.join("device")).unwrap();
        fs::write(eth.join("carrier"), "1\n").unwrap();
        fs::write(eth.join("carrier_down_count"), "7\n").unwrap();
        let ports = Ports::at(&root.path().join("net"));
        let wanted = Ok(Link {
            carrier: true,
            losses: 7,
        });
        assert_eq!(ports.link(&PortRef::Interface("eth1".to_owned())), wanted);
        assert_eq!(ports.link(&PortRef::Pci("0000:03:00.0".to_owned())), wanted);
        let missing = ports.link(&PortRef::Pci("0000:04:00.0".to_owned()));
        assert!(missing.unwrap_err().contains("card or driver missing"));
    }
}
