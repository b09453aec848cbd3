//! The few frames a neighbour needs: ARP (RFC 826) and ICMP echo (RFC 792) over Ethernet.

use std::net::Ipv4Addr;

/// A hardware address.
pub type Mac = [u8; 6];

const BROADCAST: Mac = [0xff; 6];
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
/// Ethernet, IPv4 addresses, 6 and 4 bytes long.
const ARP_HEAD: [u8; 6] = [0, 1, 8, 0, 6, 4];
/// Lengths in bytes: Ethernet header, IPv4 header without options, ICMP header, our number.
const ETH: usize = 14;
const IP: usize = 20;
const ICMP: usize = 8;
const NUMBER: usize = 8;
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
const PROTOCOL_ICMP: u8 = 1;

/// A question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Echo {
    pub(super) from: (Mac, Ipv4Addr),
    pub(super) to: (Mac, Ipv4Addr),
    /// Goes into the identifier.
    pub(super) kind: u16,
    /// Goes into the payload: the sequence number would wrap after a minute.
    pub(super) number: u64,
}

/// What is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    EchoReply { kind: u16, number: u64 },
    Arp(Arp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arp {
    pub(super) kind: ArpKind,
    pub(super) from: (Mac, Ipv4Addr),
    pub(super) to: Ipv4Addr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArpKind {
    Request,
    Reply,
}

impl Echo {
    pub(super) fn frame(&self) -> Vec<u8> {
        let mut icmp = vec![ECHO_REQUEST, 0, 0, 0];
        icmp.extend(self.kind.to_be_bytes());
        icmp.extend([0, 0]);
        icmp.extend(self.number.to_be_bytes());
        let sum = checksum(&icmp);
        icmp[2..4].copy_from_slice(&sum);
        packet(self.from, self.to, &icmp)
    }
}

/// Who has `wanted`?
pub(super) fn resolve(mac: Mac, address: Ipv4Addr, wanted: Ipv4Addr) -> Vec<u8> {
    arp(BROADCAST, 1, (mac, address), ([0; 6], wanted))
}

/// `from` has it.
pub(super) fn resolved(from: (Mac, Ipv4Addr), to: (Mac, Ipv4Addr)) -> Vec<u8> {
    arp(to.0, 2, from, to)
}

/// A frame of ours or of ARP; `None`: something else.
pub(super) fn parse(frame: &[u8]) -> Option<Parsed> {
    let body = frame.get(ETH..)?;
    if frame[12..14] == ETHERTYPE_ARP {
        return parse_arp(body).map(Parsed::Arp);
    }
    if frame[12..14] != ETHERTYPE_IPV4 || *body.get(9)? != PROTOCOL_ICMP {
        return None;
    }
    let header = usize::from(body[0] & 0x0f) * 4;
    let icmp = body.get(header..header + ICMP + NUMBER)?;
    (icmp[0] == ECHO_REPLY).then(|| Parsed::EchoReply {
        kind: u16::from_be_bytes([icmp[4], icmp[5]]),
        number: icmp[ICMP..]
            .iter()
            .fold(0, |all, byte| all << 8 | u64::from(*byte)),
    })
}

fn parse_arp(body: &[u8]) -> Option<Arp> {
    let body: &[u8; 28] = body.get(..28)?.try_into().ok()?;
    if body[..6] != ARP_HEAD {
        return None;
    }
    let kind = match body[7] {
        1 => ArpKind::Request,
        2 => ArpKind::Reply,
        _ => return None,
    };
    let mac: Mac = body[8..14].try_into().ok()?;
    let address = |at: usize| Ipv4Addr::new(body[at], body[at + 1], body[at + 2], body[at + 3]);
    Some(Arp {
        kind,
        from: (mac, address(14)),
        to: address(24),
    })
}

fn arp(to: Mac, operation: u8, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Vec<u8> {
    let mut frame = ethernet(sender.0, to, ETHERTYPE_ARP);
    frame.extend(ARP_HEAD);
    frame.extend([0, operation]);
    for (mac, address) in [sender, target] {
        frame.extend(mac);
        frame.extend(address.octets());
    }
    frame
}

fn packet(from: (Mac, Ipv4Addr), to: (Mac, Ipv4Addr), icmp: &[u8]) -> Vec<u8> {
    let length = u16::try_from(IP + icmp.len()).unwrap_or(u16::MAX);
    let mut header = vec![0x45, 0];
    header.extend(length.to_be_bytes());
    // No fragment, a TTL for one hop, ICMP, room for the checksum.
    header.extend([0, 0, 0x40, 0, 1, PROTOCOL_ICMP, 0, 0]);
    header.extend(from.1.octets());
    header.extend(to.1.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    let mut frame = ethernet(from.0, to.0, ETHERTYPE_IPV4);
    frame.extend(header);
    frame.extend(icmp);
    frame
}

fn ethernet(from: Mac, to: Mac, kind: [u8; 2]) -> Vec<u8> {
    [&to[..], &from[..], &kind[..]].concat()
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([pair[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let folded = u16::try_from(sum).unwrap_or(u16::MAX);
    (!folded).to_be_bytes()
}

/// What the kernel of a host at `mac` that owns `vip` says to a frame.
#[cfg(test)]
pub(super) fn answer_as_owner(mac: Mac, vip: Ipv4Addr, frame: &[u8]) -> Option<Vec<u8>> {
    if frame[12..14] == ETHERTYPE_ARP {
        let asked = parse_arp(&frame[ETH..])?;
        return (asked.to == vip).then(|| resolved((mac, vip), asked.from));
    }
    if frame[..6] != mac {
        return None;
    }
    let mut answer = frame.to_vec();
    answer.copy_within(6..12, 0);
    answer[6..12].copy_from_slice(&mac);
    answer[ETH + IP] = ECHO_REPLY;
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_rfc() {
        // RFC 1071, section 3.
        assert_eq!(
            checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            [0x22, 0x0d]
        );
    }

    #[test]
    fn a_question_is_a_sound_packet() {
        let echo = Echo {
            from: ([2; 6], Ipv4Addr::new(192, 0, 2, 9)),
            to: ([4; 6], Ipv4Addr::new(192, 0, 2, 1)),
            kind: 2,
            number: 0x0102_0304,
        };
        let frame = echo.frame();
        // A sum over everything, the sum itself included, is zero.
        assert_eq!(checksum(&frame[ETH..ETH + IP]), [0, 0]);
        assert_eq!(checksum(&frame[ETH + IP..]), [0, 0]);
        assert_eq!(parse(&frame), None, "a question is no answer");
    }

    #[test]
    fn nonsense_is_put_aside() {
        for length in 0..60 {
            assert_eq!(parse(&vec![0; length]), None);
        }
        let mut arp = resolve([2; 6], Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
        arp[ETH + 7] = 9;
        assert_eq!(parse(&arp), None);
    }
}
