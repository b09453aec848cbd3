//! One heartbeat link's socket: UDP, connected to the peer, tied to its interface.
//!
//! Connected, so that the kernel passes over what comes from anywhere else, and reports a refused port: the peer's
//! machine lives, its agent does not. What if the socket cannot be had (no interface, no address, no route yet) or breaks?
//! The link is down, says why, and is tried again now and then.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, connect,
    recv, send, setsockopt, socket, sockopt,
};

/// Class selector 6, network control: as routing protocols. In front of bulk data where switches care.
const TRAFFIC_CLASS: i32 = 48 << 2;
/// The highest that needs no rights (`TC_PRIO_INTERACTIVE`): ahead of everything in our own queues.
const PRIORITY: i32 = 6;
/// Much more than arrives between two looks; a flood beyond it is dropped by the kernel.
const RECEIVE_BYTES: usize = 64 * 1024;

/// Where a link runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSpec {
    /// Name in configuration, status and events; the same on both nodes.
    pub name: String,
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's.
    pub peer: SocketAddr,
    /// The interface it must run over, whatever the routes say.
    pub interface: Option<String>,
}

/// An open socket.
#[derive(Debug)]
pub(super) struct Port {
    socket: OwnedFd,
}

/// What came of sending or receiving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing there, or no room at this moment.
    NotNow,
    /// The peer's machine says that nobody listens.
    Refused,
    /// The socket is of no use any more.
    Broken(String),
}

impl Port {
    pub(super) fn open(spec: &LinkSpec) -> io::Result<Self> {
        let family = match spec.local {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        let socket = socket(
            family,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::Udp,
        )?;
        if let Some(interface) = &spec.interface {
            setsockopt(&socket, sockopt::BindToDevice, &OsString::from(interface))?;
        }
        // A class that cannot be set costs precedence and nothing else.
        let _precedence = match spec.local {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4Tos, &TRAFFIC_CLASS),
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6TClass, &TRAFFIC_CLASS),
        };
        let _precedence = setsockopt(&socket, sockopt::Priority, &PRIORITY);
        let _smaller = setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BYTES);
        let interface = spec.interface.as_deref();
        bind(socket.as_raw_fd(), &scoped(spec.local, interface)?)?;
        connect(socket.as_raw_fd(), &scoped(spec.peer, interface)?)?;
        Ok(Self { socket })
    }

    pub(super) fn send(&self, frame: &[u8]) -> Result<(), Trouble> {
        match send(self.socket.as_raw_fd(), frame, MsgFlags::empty()) {
            Ok(_) => Ok(()),
            Err(error) => Err(trouble(error)),
        }
    }

    /// One datagram; what is longer than the buffer is cut and will be refused.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Result<usize, Trouble> {
        recv(self.socket.as_raw_fd(), buffer, MsgFlags::empty()).map_err(trouble)
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A link-local address means something on its interface only; the kernel wants the number that it has now.
fn scoped(address: SocketAddr, interface: Option<&str>) -> io::Result<SockaddrStorage> {
    let mut address = address;
    if let (SocketAddr::V6(six), Some(interface)) = (&mut address, interface)
        && six.ip().is_unicast_link_local()
    {
        six.set_scope_id(if_nametoindex(interface)?);
    }
    Ok(SockaddrStorage::from(address))
}

fn trouble(error: Errno) -> Trouble {
    match error {
        Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR => Trouble::NotNow,
        Errno::ECONNREFUSED => Trouble::Refused,
        // No neighbour or no route at this moment: told by the kernel of earlier frames, and it passes.
        Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::EHOSTDOWN | Errno::ENETDOWN => {
            Trouble::NotNow
        }
        other => Trouble::Broken(other.desc().to_owned()),
    }
}
