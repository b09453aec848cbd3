//! The few routing-netlink messages the agent speaks, byte by byte.
//!
//! The kernel's layout of these is frozen (`linux/netlink.h`, `linux/rtnetlink.h`, `linux/if_addr.h`), in the machine's
//! own byte order. Writing them here takes no allocation per address and thousands fit into one call. What if
//! the kernel sends something unknown? Unknown messages and attributes are passed over; a message cut short ends
//! the reading of its datagram.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const HEADER_BYTES: usize = 16;

pub(super) const NLMSG_ERROR: u16 = 2;
pub(super) const NLMSG_DONE: u16 = 3;
pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_DELLINK: u16 = 17;
pub(super) const RTM_GETLINK: u16 = 18;
pub(super) const RTM_NEWADDR: u16 = 20;
pub(super) const RTM_DELADDR: u16 = 21;
pub(super) const RTM_GETADDR: u16 = 22;

pub(super) const NLM_F_REQUEST: u16 = 0x001;
pub(super) const NLM_F_ACK: u16 = 0x004;
pub(super) const NLM_F_DUMP_INTR: u16 = 0x010;
pub(super) const NLM_F_REPLACE: u16 = 0x100;
pub(super) const NLM_F_DUMP: u16 = 0x300;
pub(super) const NLM_F_CREATE: u16 = 0x400;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;

/// No duplicate address detection: the address answers at once.
pub(super) const IFA_F_NODAD: u32 = 0x02;
pub(super) const IFA_F_DADFAILED: u32 = 0x08;
pub(super) const IFA_F_TENTATIVE: u32 = 0x40;
/// No route to the prefix: holding a vip changes no way out.
pub(super) const IFA_F_NOPREFIXROUTE: u32 = 0x200;

/// Mark of an address as made by us (`IFA_PROTO`, Linux 5.18; older kernels pass over it).
pub(super) const MADE_BY_US: u8 = 0xF5;

/// One message of a datagram from the kernel.
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) body: &'a [u8],
}

/// The messages of a datagram.
pub(super) fn messages(mut rest: &[u8]) -> impl Iterator<Item = Message<'_>> {
    core::iter::from_fn(move || {
        let length = usize::try_from(u32_at(rest, 0)?).ok()?;
        let message = rest.get(..length)?;
        let found = Message {
            kind: u16_at(message, 4)?,
            flags: u16_at(message, 6)?,
            sequence: u32_at(message, 8)?,
            body: message.get(HEADER_BYTES..)?,
        };
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some(found)
    })
}

/// The attributes behind a fixed part.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    core::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        // The two highest bits are flags of nesting and byte order.
        let kind = u16_at(rest, 2)? & 0x3FFF;
        let value = rest.get(4..length)?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

const fn aligned(length: usize) -> usize {
    (length + 3) & !3
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let value = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_ne_bytes(value))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let value = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_ne_bytes(value))
}

/// The error number of an acknowledge; 0 is success.
pub(super) fn error_number(body: &[u8]) -> i32 {
    u32_at(body, 0).map_or(libc::EPROTO, |raw| -raw.cast_signed())
}

/// Appends messages to one buffer.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    /// One message; `fill` appends what follows its header.
    pub(super) fn message(
        &mut self,
        kind: u16,
        flags: u16,
        sequence: u32,
        fill: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        fill(&mut self.bytes);
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        let padding = aligned(self.bytes.len()) - self.bytes.len();
        self.bytes.extend_from_slice(&[0; 3][..padding]);
    }
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.extend_from_slice(&[0; 3][..aligned(value.len()) - value.len()]);
}

/// An address on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) index: u32,
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
}

/// How an address is to be held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) flags: u32,
    /// Until the kernel takes it away by itself, in seconds.
    pub(super) valid_s: u32,
    pub(super) preferred_s: u32,
}

/// Body of a message that adds, renews (`terms`) or removes an address.
pub(super) fn write_address(out: &mut Vec<u8>, place: &Place, terms: Option<Terms>) {
    let family = if place.address.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    // ifa_family, ifa_prefixlen, ifa_flags (in full in an attribute), ifa_scope, ifa_index.
    out.extend_from_slice(&[u8::try_from(family).unwrap_or_default(), place.prefix, 0, 0]);
    out.extend_from_slice(&place.index.to_ne_bytes());
    match place.address {
        IpAddr::V4(address) => {
            attribute(out, IFA_LOCAL, &address.octets());
            attribute(out, IFA_ADDRESS, &address.octets());
        }
        IpAddr::V6(address) => {
            attribute(out, IFA_LOCAL, &address.octets());
            attribute(out, IFA_ADDRESS, &address.octets());
        }
    }
    if let Some(terms) = terms {
        attribute(out, IFA_FLAGS, &terms.flags.to_ne_bytes());
        let mut cache = [0; 16];
        cache[..4].copy_from_slice(&terms.preferred_s.to_ne_bytes());
        cache[4..8].copy_from_slice(&terms.valid_s.to_ne_bytes());
        attribute(out, IFA_CACHEINFO, &cache);
        attribute(out, IFA_PROTO, &[MADE_BY_US]);
    }
}

/// Body of a request for all addresses.
pub(super) fn write_all_addresses(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 8]);
}

/// Body of a request for one interface, by name; for all if there is none.
pub(super) fn write_link(out: &mut Vec<u8>, name: Option<&str>) {
    out.extend_from_slice(&[0; 16]);
    if let Some(name) = name {
        let mut value = name.as_bytes().to_vec();
        value.push(0);
        attribute(out, IFLA_IFNAME, &value);
    }
}

/// An address as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FoundAddress {
    pub(super) place: Place,
    pub(super) flags: u32,
    /// Seconds until the kernel takes it away; `None` is never.
    pub(super) valid_s: Option<u32>,
    pub(super) made_by_us: bool,
}

/// Read an address message; `None` if it makes no sense.
pub(super) fn read_address(body: &[u8]) -> Option<FoundAddress> {
    let (family, prefix) = (*body.first()?, *body.get(1)?);
    let index = u32_at(body, 4)?;
    let mut flags = u32::from(*body.get(2)?);
    let (mut local, mut address, mut valid_s, mut made_by_us) = (None, None, None, false);
    for (kind, value) in attributes(body.get(8..)?) {
        match kind {
            IFA_LOCAL => local = ip(family, value),
            IFA_ADDRESS => address = ip(family, value),
            IFA_FLAGS => flags = u32_at(value, 0).unwrap_or(flags),
            IFA_CACHEINFO => valid_s = u32_at(value, 4).filter(|seconds| *seconds != u32::MAX),
            IFA_PROTO => made_by_us = value.first() == Some(&MADE_BY_US),
            _ => {}
        }
    }
    let place = Place {
        index,
        // On a point-to-point interface IFA_ADDRESS is the other end.
        address: local.or(address)?,
        prefix,
    };
    Some(FoundAddress {
        place,
        flags,
        valid_s,
        made_by_us,
    })
}

fn ip(family: u8, value: &[u8]) -> Option<IpAddr> {
    match i32::from(family) {
        libc::AF_INET => {
            let octets: [u8; 4] = value.try_into().ok()?;
            Some(Ipv4Addr::from(octets).into())
        }
        libc::AF_INET6 => {
            let octets: [u8; 16] = value.try_into().ok()?;
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

/// An interface as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundLink {
    pub(super) index: u32,
    pub(super) flags: u32,
    pub(super) name: String,
    pub(super) mac: Option<[u8; 6]>,
}

/// Read a link message; `None` if it makes no sense.
pub(super) fn read_link(body: &[u8]) -> Option<FoundLink> {
    let (index, flags) = (u32_at(body, 4)?, u32_at(body, 8)?);
    let (mut name, mut mac) = (String::new(), None);
    for (kind, value) in attributes(body.get(16..)?) {
        match kind {
            IFLA_IFNAME => {
                let text = value.strip_suffix(&[0]).unwrap_or(value);
                name = String::from_utf8_lossy(text).into_owned();
            }
            IFLA_ADDRESS => mac = value.try_into().ok(),
            _ => {}
        }
    }
    Some(FoundLink {
        index,
        flags,
        name,
        mac,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(address: &str, prefix: u8) -> Place {
        Place {
            index: 7,
            address: address.parse().unwrap(),
            prefix,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let terms = Terms {
            flags: IFA_F_NODAD | IFA_F_NOPREFIXROUTE,
            valid_s: 12,
            preferred_s: 0,
        };
        let mut writer = Writer::default();
        let places = [place("192.0.2.9", 32), place("2001:db8::9", 128)];
        for (sequence, place) in (1..).zip(&places) {
            writer.message(RTM_NEWADDR, NLM_F_REQUEST, sequence, |out| {
                write_address(out, place, Some(terms));
            });
        }
        let read: Vec<_> = messages(&writer.bytes)
            .map(|message| {
                assert_eq!((message.kind, message.flags), (RTM_NEWADDR, NLM_F_REQUEST));
                read_address(message.body).unwrap()
            })
            .collect();
        assert_eq!(read.len(), 2);
        for (found, place) in read.iter().zip(places) {
            assert_eq!((found.place, found.flags), (place, terms.flags));
            assert_eq!((found.valid_s, found.made_by_us), (Some(12), true));
        }
    }

    proptest! {
        /// The kernel is trusted, and still no byte of it may end the agent.
        #[test]
        fn any_datagram_is_read_to_its_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for message in messages(&bytes).take(100) {
                let _ = (read_address(message.body), read_link(message.body));
                let _ = error_number(message.body);
            }
        }
    }
}
