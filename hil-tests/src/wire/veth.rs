//! The cable into a network namespace: a veth pair, our end read and written raw.
//!
//! For the native tier, which has no guest. The pair is made by the rig and goes with it. Needs the right to make links and raw
//! sockets (root, or root of a user namespace).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::sync::Arc;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvfrom, send,
    setsockopt, socket, sockopt::ReceiveTimeout,
};
use nix::sys::time::TimeVal;

use super::{FRAME_MAX, PATIENCE, Port};
use crate::command::output;
use crate::error::{AtPath, Result, RigError};

/// `sll_pkttype` of a frame that this host sent: what comes back of our own kernel's chatter.
const PACKET_OUTGOING: u8 = 4;

/// A veth pair and our end of it.
pub struct Veth {
    ours: String,
    socket: OwnedFd,
}

impl Veth {
    /// Makes a pair: `inside` in the namespace `namespace` (of `ip netns`), `ours` here. Both up, with carrier.
    pub fn create(ours: &str, namespace: &str, inside: &str) -> Result<Arc<Self>> {
        let ip = |words: &[&str]| output(Command::new("ip").args(words)).map(drop);
        ip(&[
            "link", "add", ours, "type", "veth", "peer", "name", inside, "netns", namespace,
        ])?;
        let made = Made(ours);
        // Our end must not speak: no IPv6 address, no neighbour discovery.
        ip(&["link", "set", ours, "addrgenmode", "none", "up"])?;
        ip(&["-n", namespace, "link", "set", inside, "up"])?;
        // The kernel leaves checksums to a card that is not there; raw frames would carry them unfinished.
        output(Command::new("ip").args([
            "netns", "exec", namespace, "ethtool", "-K", inside, "tx", "off", "tso", "off", "gso",
            "off",
        ]))?;
        let socket = open(ours)?;
        std::mem::forget(made);
        Ok(Arc::new(Self {
            ours: ours.to_owned(),
            socket,
        }))
    }

    /// Carrier of the end inside the namespace.
    pub fn set_link(&self, up: bool) -> Result<()> {
        let state = if up { "up" } else { "down" };
        output(Command::new("ip").args(["link", "set", &self.ours, state])).map(drop)
    }
}

/// Removes a pair that was not finished.
struct Made<'a>(&'a str);

impl Drop for Made<'_> {
    fn drop(&mut self) {
        let _ = output(Command::new("ip").args(["link", "del", self.0]));
    }
}

impl Drop for Veth {
    fn drop(&mut self) {
        drop(Made(&self.ours));
    }
}

/// A raw socket on one interface.
fn open(interface: &str) -> Result<OwnedFd> {
    let raw = || -> nix::Result<Option<OwnedFd>> {
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::EthAll,
        )?;
        // The only safe way to a link address is to be given one; the kernel's list has ours.
        let link = getifaddrs()?.filter(|entry| entry.interface_name == interface);
        let Some(link) = link
            .filter_map(|entry| entry.address)
            .find_map(|address| address.as_link_addr().copied())
        else {
            return Ok(None);
        };
        bind(socket.as_raw_fd(), &link)?;
        let patience = TimeVal::new(0, PATIENCE.subsec_micros().into());
        setsockopt(&socket, ReceiveTimeout, &patience)?;
        Ok(Some(socket))
    };
    let opened = raw()
        .map_err(io::Error::from)
        .at("cannot open a raw socket on", interface)?;
    opened.ok_or_else(|| RigError::Input(format!("no interface {interface} in this namespace")))
}

impl Port for Veth {
    fn send(&self, frame: &[u8]) {
        let _ = send(self.socket.as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT);
    }

    fn receive(&self, buffer: &mut [u8; FRAME_MAX]) -> io::Result<Option<usize>> {
        use nix::errno::Errno;
        match recvfrom::<LinkAddr>(self.socket.as_raw_fd(), buffer) {
            Ok((_, Some(from))) if from.pkttype() == PACKET_OUTGOING => Ok(None),
            Ok((length, _)) => Ok(Some(length)),
            // Down is a state of the wire, not its end: the relay moved.
            Err(Errno::ENETDOWN | Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
