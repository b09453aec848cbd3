//! Frames that tell the neighbours where a vip is now, byte by byte. Pure.
//!
//! IPv4: gratuitous ARP, once as a request and once as a reply: there are devices that believe only the one or only the
//! other. IPv6: unsolicited neighbour advertisement with the override flag (else caches keep what they have), and
//! with the router flag where this machine forwards: hosts drop a default router whose advertisement lacks it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An Ethernet address.
pub type Mac = [u8; 6];

const BROADCAST: Mac = [0xFF; 6];
/// All nodes of the link, `ff02::1`, and its Ethernet address.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];

const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xDD];
const ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const ROUTER: u8 = 0x80;
const OVERRIDE: u8 = 0x20;

/// Whether this machine forwards IPv6 on the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// It is a router.
    Router,
    /// It is not.
    Host,
}

/// All frames that announce `address` at `mac`, each into `out` in turn.
pub fn announce(address: IpAddr, mac: Mac, forwarding: Forwarding, mut out: impl FnMut(&[u8])) {
    match address {
        IpAddr::V4(address) => {
            out(&gratuitous_arp(address, mac, ArpForm::Request));
            out(&gratuitous_arp(address, mac, ArpForm::Reply));
        }
        IpAddr::V6(address) => out(&unsolicited_advertisement(address, mac, forwarding)),
    }
}

/// The two ways to say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArpForm {
    /// "Who has it? It is me."
    Request,
    /// "It is me."
    Reply,
}

/// Gratuitous ARP, 42 bytes; drivers pad it.
pub fn gratuitous_arp(address: Ipv4Addr, mac: Mac, form: ArpForm) -> [u8; 42] {
    let (operation, target_mac) = match form {
        ArpForm::Request => (1, [0; 6]),
        ArpForm::Reply => (2, mac),
    };
    let mut frame = [0; 42];
    let parts: [&[u8]; 9] = [
        &BROADCAST,
        &mac,
        &ETHERTYPE_ARP,
        // Ethernet, IPv4, 6 and 4 bytes.
        &[0, 1, 0x08, 0, 6, 4],
        &[0, operation],
        &mac,
        &address.octets(),
        &target_mac,
        &address.octets(),
    ];
    fill(&mut frame, &parts);
    frame
}

/// Unsolicited neighbour advertisement to all nodes, 86 bytes.
pub fn unsolicited_advertisement(address: Ipv6Addr, mac: Mac, forwarding: Forwarding) -> [u8; 86] {
    let flags = match forwarding {
        Forwarding::Router => ROUTER | OVERRIDE,
        Forwarding::Host => OVERRIDE,
    };
    let mut body = [0; 32];
    let parts: [&[u8]; 5] = [
        &[NEIGHBOUR_ADVERTISEMENT, 0, 0, 0],
        &[flags, 0, 0, 0],
        &address.octets(),
        // Target link-layer address, one unit of 8 bytes.
        &[2, 1],
        &mac,
    ];
    fill(&mut body, &parts);
    let sum = checksum(address, ALL_NODES, &body);
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = [0; 86];
    let parts: [&[u8]; 7] = [
        &ALL_NODES_MAC,
        &mac,
        &ETHERTYPE_IPV6,
        // Version 6; 32 bytes; hop limit 255 proves that no router passed it on.
        &[0x60, 0, 0, 0, 0, 32, ICMPV6, 255],
        &address.octets(),
        &ALL_NODES.octets(),
        &body,
    ];
    fill(&mut frame, &parts);
    frame
}

fn fill(frame: &mut [u8], parts: &[&[u8]]) {
    let bytes = parts.iter().flat_map(|part| part.iter());
    for (place, byte) in frame.iter_mut().zip(bytes) {
        *place = *byte;
    }
}

/// Of an ICMPv6 message, with its pseudo header (RFC 4443, 2.3).
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, body: &[u8]) -> u16 {
    let words = |bytes: &[u8]| -> u32 {
        bytes
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
            .sum()
    };
    let length = u32::try_from(body.len()).unwrap_or(0);
    let mut sum = words(&source.octets()) + words(&destination.octets()) + words(body);
    sum += length + u32::from(ICMPV6);
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [2, 0, 0, 0, 0xAB, 0xCD];

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn arp_in_both_forms() {
        let address = Ipv4Addr::new(192, 0, 2, 10);
        let request = hex(&gratuitous_arp(address, MAC, ArpForm::Request));
        assert_eq!(
            request,
            "ffffffffffff 02000000abcd 0806 0001 0800 06 04 0001 02000000abcd c000020a 000000000000 c000020a"
                .replace(' ', "")
        );
        let reply = hex(&gratuitous_arp(address, MAC, ArpForm::Reply));
        assert_eq!(
            reply,
            "ffffffffffff 02000000abcd 0806 0001 0800 06 04 0002 02000000abcd c000020a 02000000abcd c000020a"
                .replace(' ', "")
        );
    }

    #[test]
    fn advertisement_overrides_and_adds_up() {
        let address: Ipv6Addr = "2001:db8::10".parse().unwrap();
        let frame = unsolicited_advertisement(address, MAC, Forwarding::Host);
        assert_eq!(frame[58], OVERRIDE);
        let router = unsolicited_advertisement(address, MAC, Forwarding::Router);
        assert_eq!(router[58], ROUTER | OVERRIDE);
        for frame in [frame, router] {
            // A message with its right checksum in it sums up to nothing.
            assert_eq!(checksum(address, ALL_NODES, &frame[54..]), 0);
            assert_eq!((frame[20], frame[21]), (ICMPV6, 255));
        }
    }

    #[test]
    fn each_family_has_its_frames() {
        let count = |address: &str| {
            let mut count = 0;
            let address = address.parse().unwrap();
            announce(address, MAC, Forwarding::Host, |_| count += 1);
            count
        };
        assert_eq!((count("192.0.2.10"), count("2001:db8::10")), (2, 1));
    }
}
