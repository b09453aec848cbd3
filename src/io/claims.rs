//! Foreign claims: somebody else on the LAN says that a vip is his.
//!
//! Listens to ARP on the interfaces of the vips. A packet whose sender has one of our vips and another Ethernet address
//! than ours is told, at most ten times a second; whoever holds the vip then announces it anew, so that caches do not stay
//! wrong for hours. IPv6 claims are not heard.
//!
//! What if this dies, or ARP floods it? Nothing but the hint is lost: a bounded number of packets is read per turn, and
//! no decision waits for it. The thread ends with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, bind, recv, socket};

use super::announce::frames::Mac;
use super::clock::Clock;
use super::netlink::{Addresses, Vip};
use super::sys;
use crate::node::Instant;

/// `ETH_P_ARP`.
const ARP: u16 = 0x0806;
/// Interfaces are looked at anew this often: they come, go and change their address.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Most packets read of one interface in one turn.
const PACKETS_PER_TURN_MAX: usize = 64;
/// No sooner than this after the last claim is one told again; also the longest pause of a turn that was full.
const TELL_AFTER: Duration = Duration::from_millis(100);

/// Somebody else's word that a vip is his.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignClaim {
    /// Interface on which it was heard.
    pub interface: String,
    /// The vip.
    pub address: Ipv4Addr,
    /// Who said so.
    pub by: Mac,
}

/// Start to listen. It works in the network namespace of the caller.
///
/// # Errors
/// No thread.
pub fn start(
    vips: &[Vip],
    report: impl FnMut(ForeignClaim) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let mut wanted: BTreeMap<String, BTreeSet<Ipv4Addr>> = BTreeMap::new();
    for vip in vips {
        if let IpAddr::V4(address) = vip.address {
            let interface = vip.interface.clone();
            wanted.entry(interface).or_default().insert(address);
        }
    }
    let mut listener = Listener {
        wanted,
        ears: BTreeMap::new(),
        report,
        told_at: None,
    };
    std::thread::Builder::new()
        .name("fp-claims".to_owned())
        .spawn(move || {
            // Without IPv4 vips there is nothing to hear.
            while !listener.wanted.is_empty() {
                listener.look();
                let until = Clock.now() + LOOK_EVERY;
                while Clock.now() < until {
                    listener.turn(until);
                }
            }
        })
}

struct Listener<R> {
    wanted: BTreeMap<String, BTreeSet<Ipv4Addr>>,
    ears: BTreeMap<String, Ear>,
    report: R,
    told_at: Option<Instant>,
}

struct Ear {
    index: u32,
    mac: Mac,
    socket: OwnedFd,
}

impl<R: FnMut(ForeignClaim)> Listener<R> {
    /// Which interfaces there are now, and under which address.
    fn look(&mut self) {
        let Ok(mut kernel) = Addresses::open() else {
            return;
        };
        for name in self.wanted.keys() {
            let found = kernel.interface(name).ok();
            let found = found.and_then(|interface| Some((interface.index, interface.mac?)));
            let Some((index, mac)) = found else {
                self.ears.remove(name);
                continue;
            };
            match self.ears.get_mut(name) {
                Some(ear) if ear.index == index => ear.mac = mac,
                _ => {
                    self.ears.remove(name);
                    if let Ok(socket) = listen(index) {
                        let ear = Ear { index, mac, socket };
                        self.ears.insert(name.clone(), ear);
                    }
                }
            }
        }
    }

    fn turn(&mut self, until: Instant) {
        let left = until.since(Clock.now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let mut watched: Vec<PollFd<'_>> = self
            .ears
            .values()
            .map(|ear| PollFd::new(ear.socket.as_fd(), PollFlags::POLLIN))
            .collect();
        let _ready = poll(&mut watched, timeout);
        let mut packet = [0; 64];
        let mut heard = None;
        let mut full = false;
        for (name, ear) in &self.ears {
            let mut packets = 0;
            while packets < PACKETS_PER_TURN_MAX {
                let Ok(length) = recv(ear.socket.as_raw_fd(), &mut packet, MsgFlags::empty())
                else {
                    break;
                };
                packets += 1;
                let claim = claim(&packet[..length]);
                let claim = claim.filter(|(address, by)| {
                    *by != ear.mac && self.wanted.get(name).is_some_and(|it| it.contains(address))
                });
                heard = heard.or(claim.map(|(address, by)| ForeignClaim {
                    interface: name.clone(),
                    address,
                    by,
                }));
            }
            full |= packets == PACKETS_PER_TURN_MAX;
        }
        let now = Clock.now();
        let due = self.told_at.is_none_or(|at| now.since(at) >= TELL_AFTER);
        if let Some(claim) = heard.filter(|_| due) {
            self.told_at = Some(now);
            (self.report)(claim);
        }
        if full {
            std::thread::sleep(TELL_AFTER);
        }
    }
}

fn listen(index: u32) -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )?;
    bind(socket.as_raw_fd(), &sys::packet_address(index, ARP)?)?;
    Ok(socket)
}

/// Whose address an ARP packet says to be where: sender's protocol and hardware address.
fn claim(frame: &[u8]) -> Option<(Ipv4Addr, Mac)> {
    // Ethernet and IPv4, of 6 and 4 bytes, as our own announcements are built.
    if frame.get(12..20)? != [0x08, 0x06, 0, 1, 0x08, 0, 6, 4] {
        return None;
    }
    let mac: Mac = frame.get(22..28)?.try_into().ok()?;
    let address: [u8; 4] = frame.get(28..32)?.try_into().ok()?;
    // 0.0.0.0 asks whether an address is free: it claims nothing.
    Some((Ipv4Addr::from(address), mac)).filter(|(address, _)| !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::announce::frames::{ArpForm, gratuitous_arp};

    #[test]
    fn an_announcement_is_a_claim_and_a_probe_is_none() {
        let (address, mac) = (Ipv4Addr::new(192, 0, 2, 10), [2, 0, 0, 0, 0, 1]);
        for form in [ArpForm::Request, ArpForm::Reply] {
            let frame = gratuitous_arp(address, mac, form);
            assert_eq!(claim(&frame), Some((address, mac)));
            assert_eq!(claim(&frame[..31]), None);
        }
        let probe = gratuitous_arp(Ipv4Addr::UNSPECIFIED, mac, ArpForm::Request);
        assert_eq!(claim(&probe), None);
        let mut other = gratuitous_arp(address, mac, ArpForm::Request);
        other[15] = 6;
        assert_eq!(claim(&other), None);
    }
}
