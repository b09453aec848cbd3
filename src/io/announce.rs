//! Telling the neighbours where the vips are: frames onto the wire, once per call.
//!
//! Sent through a packet socket of the calling thread: when a call is back, the frames are in the driver's queue or were
//! refused, and nothing is under way. When to call is in [`schedule`], what is sent in [`frames`].
//!
//! What if a frame is not sent (queue full, carrier lost)? It is counted; the next one of the burst does it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socket};

pub mod frames;
pub mod schedule;

use super::netlink::{Interface, Vip};
use super::sys;
use frames::{Forwarding, Mac};

/// What became of announcing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announced {
    /// Frames handed to a driver.
    pub sent: usize,
    /// Frames that were not.
    pub unsent: usize,
    /// The first reason.
    pub error: Option<String>,
}

impl Announced {
    fn add(&mut self, vip: &Vip, sent: Result<(), io::Error>) {
        match sent {
            Ok(()) => self.sent += 1,
            Err(error) => {
                self.unsent += 1;
                self.error
                    .get_or_insert_with(|| format!("{}: {error}", vip.interface));
            }
        }
    }
}

/// Announces vips. One socket per interface, made anew when the interface is.
#[derive(Default)]
pub struct Announcer {
    ports: BTreeMap<String, Port>,
}

struct Port {
    index: u32,
    mac: Mac,
    forwarding: Forwarding,
    socket: OwnedFd,
}

impl Announcer {
    /// Announce each of these once; `interface` finds an interface by name, and is asked once per interface.
    pub fn announce(
        &mut self,
        vips: &[Vip],
        mut interface: impl FnMut(&str) -> io::Result<Interface>,
    ) -> Announced {
        let mut announced = Announced::default();
        let mut asked: BTreeMap<&str, io::Result<()>> = BTreeMap::new();
        for vip in vips {
            let name = vip.interface.as_str();
            let known = asked
                .entry(name)
                .or_insert_with(|| interface(name).and_then(|it| self.open(name, &it)));
            let port = match (known, self.ports.get(name)) {
                (Ok(()), Some(port)) => port,
                (Err(error), _) => {
                    announced.add(vip, Err(io::Error::new(error.kind(), error.to_string())));
                    continue;
                }
                (Ok(()), None) => continue,
            };
            frames::announce(vip.address, port.mac, port.forwarding, |frame| {
                announced.add(vip, port.send(frame));
            });
        }
        announced
    }

    fn open(&mut self, name: &str, interface: &Interface) -> io::Result<()> {
        let Some(mac) = interface.mac else {
            self.ports.remove(name);
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "no Ethernet interface",
            ));
        };
        let forwarding = forwarding(name);
        if let Some(port) = self.ports.get_mut(name)
            && port.index == interface.index
        {
            (port.mac, port.forwarding) = (mac, forwarding);
            return Ok(());
        }
        self.ports.remove(name);
        let socket = sending_socket(interface.index)?;
        let port = Port {
            index: interface.index,
            mac,
            forwarding,
            socket,
        };
        self.ports.insert(name.to_owned(), port);
        Ok(())
    }
}

impl Port {
    fn send(&self, frame: &[u8]) -> io::Result<()> {
        match send(self.socket.as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT) {
            Ok(_) => Ok(()),
            Err(Errno::ENOBUFS | Errno::EAGAIN) => Err(io::Error::other("its queue is full")),
            Err(error) => Err(error.into()),
        }
    }
}

/// Protocol 0: it hears nothing, so nothing of the traffic is copied for it.
fn sending_socket(index: u32) -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )?;
    nix::sys::socket::bind(socket.as_raw_fd(), &sys::packet_address(index, 0)?)?;
    Ok(socket)
}

/// As the kernel has it, per interface. Unreadable without IPv6: then no advertisement is sent either.
fn forwarding(name: &str) -> Forwarding {
    let path = format!("/proc/sys/net/ipv6/conf/{name}/forwarding");
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim() != "0" => Forwarding::Router,
        _ => Forwarding::Host,
    }
}
