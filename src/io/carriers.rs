//! Ports that lose their carrier, told the moment the kernel says so.
//!
//! Carrier checks look ten times a second; this one hears. Only losses are told: that a port is back has to be found by
//! looking, again and again, because it is easily said too soon. The kernel drops notices when nobody reads them and says that
//! it did; then every port is looked at.
//!
//! What if this dies, or never starts? The checks look as before and find it later. The thread ends with the process.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::inbox::Inlet;
use super::netlink::carrier::{LinkNotice, LinkNotices};
use super::netlink::{Addresses, Carrier};
use super::realtime::{self, Priority};
use crate::board::profile::PortRef;
use crate::config::{Check, CheckKind};
use crate::node::Event;

/// Most notices read in one turn.
const NOTICES_PER_TURN_MAX: usize = 64;
/// Stack of the thread in bytes. Locked into memory as a whole, so it is kept small.
const STACK_BYTES: usize = 512 * 1024;
const NET: &str = "/sys/class/net";

/// Start to listen for the ports of carrier checks; `None` if there are none. It works in the network namespace of the
/// caller.
///
/// # Errors
/// No socket or no thread.
pub fn start(
    checks: &[Check],
    inlet: Inlet,
    priority: Priority,
) -> io::Result<Option<JoinHandle<()>>> {
    let ports = checks
        .iter()
        .enumerate()
        .filter_map(|(check, spec)| match &spec.kind {
            CheckKind::Carrier { port } => Some(Port::new(check, port.clone())),
            _ => None,
        });
    let mut listener = Listener {
        ports: ports.collect(),
        notices: LinkNotices::open()?,
        inlet,
    };
    if listener.ports.is_empty() {
        return Ok(None);
    }
    let thread = std::thread::Builder::new()
        .name("fp-carriers".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            realtime::prepare_this_thread("carriers", priority);
            listener.look(Telling::Nothing);
            while listener.wait() {
                listener.hear();
            }
            tracing::error!(
                "changes of carrier are not heard any more; checks find them by looking"
            );
        })?;
    Ok(Some(thread))
}

struct Listener {
    ports: Vec<Port>,
    notices: LinkNotices,
    inlet: Inlet,
}

/// The port of one check.
struct Port {
    check: usize,
    port: PortRef,
    /// The interface that it was, when it was last seen.
    name: Option<String>,
    carrier: Option<Carrier>,
}

/// What to do with a port that is found dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// Nothing: it was so before.
    Nothing,
    /// Tell, unless it was known.
    Losses,
}

impl Listener {
    /// Until there is something to read; `false` if there never will be.
    fn wait(&self) -> bool {
        let mut sources = [PollFd::new(self.notices.as_fd(), PollFlags::POLLIN)];
        match poll(&mut sources, PollTimeout::NONE) {
            // An error is one of the socket's own (lost notices): reading tells it.
            Ok(_) | Err(Errno::EINTR) => true,
            Err(_) => false,
        }
    }

    fn hear(&mut self) {
        let (ports, inlet) = (&mut self.ports, &self.inlet);
        let mut look_anew = false;
        self.notices
            .read(NOTICES_PER_TURN_MAX, |notice| match notice {
                LinkNotice::LookAnew => look_anew = true,
                LinkNotice::Carrier { interface, carrier } => {
                    for port in ports.iter_mut() {
                        if port.is(&interface) {
                            port.found(carrier, Telling::Losses, inlet);
                        }
                    }
                }
            });
        if look_anew {
            self.look(Telling::Losses);
        }
    }

    /// How every port is now.
    fn look(&mut self, telling: Telling) {
        let Ok(mut kernel) = Addresses::open() else {
            return;
        };
        for port in &mut self.ports {
            let Some(name) = port.find() else {
                continue;
            };
            let interface = kernel.interface(&name);
            let carrier = interface.map_or(Carrier::Down, |interface| interface.carrier);
            port.found(carrier, telling, &self.inlet);
        }
    }
}

impl Port {
    fn new(check: usize, port: PortRef) -> Self {
        Self {
            check,
            port,
            name: None,
            carrier: None,
        }
    }

    /// Its interface's name now; the last one if it is gone.
    fn find(&mut self) -> Option<String> {
        match &self.port {
            PortRef::Interface(name) => return Some(name.clone()),
            PortRef::Pci(path) => {
                let entries = fs::read_dir(NET).into_iter().flatten();
                let mut names = entries.filter_map(|entry| {
                    Some(entry.ok()?.file_name().to_string_lossy().into_owned())
                });
                let found = names.find(|name| sits_at(name, path));
                self.name = found.or_else(|| self.name.take());
            }
        }
        self.name.clone()
    }

    fn is(&mut self, interface: &str) -> bool {
        match &self.port {
            PortRef::Interface(name) => name == interface,
            PortRef::Pci(path) => {
                // An interface that has gone sits nowhere any more.
                let known = self.name.as_deref() == Some(interface);
                let here = sits_at(interface, path);
                if here && !known {
                    self.name = Some(interface.to_owned());
                }
                here || known && !Path::new(NET).join(interface).exists()
            }
        }
    }

    fn found(&mut self, carrier: Carrier, telling: Telling, inlet: &Inlet) {
        let before = self.carrier.replace(carrier);
        let lost = carrier == Carrier::Down && before != Some(Carrier::Down);
        if !lost || telling == Telling::Nothing {
            return;
        }
        let name = match &self.port {
            PortRef::Interface(name) => name,
            PortRef::Pci(path) => self.name.as_ref().unwrap_or(path),
        };
        let event = Event::CarrierLost {
            check: self.check,
            output: format!("{name} lost its carrier, says the kernel"),
        };
        if inlet.tell(event).is_err() {
            tracing::warn!("that {name} lost its carrier was not taken: the agent is behind");
        }
    }
}

/// Whether this interface's device is at this PCI path.
fn sits_at(interface: &str, path: &str) -> bool {
    let device = Path::new(NET).join(interface).join("device");
    fs::canonicalize(device).is_ok_and(|device| device.ends_with(path))
}
