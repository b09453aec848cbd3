//! An echo request, and whether it was answered.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// Whether `address` answers within `wait_ms`; in the namespace of the calling thread.
pub(crate) fn answers(address: IpAddr, wait_ms: i64) -> bool {
    let (family, protocol, request, reply) = match address {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp, 8, 0),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6, 128, 129),
    };
    let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).expect("root");
    let wait = TimeVal::milliseconds(wait_ms);
    setsockopt(&socket, sockopt::ReceiveTimeout, &wait).expect("a timeout");
    let to = SockaddrStorage::from(SocketAddr::new(address, 0));
    let mut packet = [request, 0, 0, 0, 0xFE, 0x9C, 0, 1];
    if address.is_ipv4() {
        // The kernel sums up for IPv6 only.
        let sum = u32::from(packet[0]) * 256 + 0xFE9C + 1;
        let sum = !u16::try_from((sum & 0xFFFF) + (sum >> 16)).expect("folded once");
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    if sendto(socket.as_raw_fd(), &packet, &to, MsgFlags::empty()).is_err() {
        return false;
    }
    let mut buffer = [0; 256];
    // Other things arrive at a raw socket too: a few are passed over.
    for _ in 0..20 {
        let Ok(length) = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) else {
            return false;
        };
        let header = if address.is_ipv4() { 20 } else { 0 };
        let Some(message) = buffer[..length].get(header..) else {
            continue;
        };
        if message.first() == Some(&reply) && message.get(4..6) == Some(&[0xFE, 0x9C][..]) {
            return true;
        }
    }
    false
}
